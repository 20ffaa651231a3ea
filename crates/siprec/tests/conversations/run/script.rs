//! A script, line by line.

use std::time::Duration;

use siprec::message::{Headers, Message};
use siprec::server::{Input, ServerConfig};
use siprec::transaction::Transport;

use crate::client::{Changes, Client};
use crate::world::{Ports, World, config, flow, set};

/// One step: its line, and the indented ones below it.
struct Step {
    number: usize,
    words: String,
    below: Changes,
}

/// Runs a script to its end; what was not as written, if anything.
pub(crate) fn run(text: &str) -> Result<(), String> {
    let mut config = config();
    let mut steps = steps(text);
    let first = steps
        .iter()
        .position(|step| !step.words.starts_with("set "));
    let rest = steps.split_off(first.unwrap_or(steps.len()));
    for step in &steps {
        configure(&mut config, &step.words).map_err(|why| at(step, &why))?;
    }
    let mut world = World::new(config);
    let mut client = Client::new();
    for step in &rest {
        perform(&mut world, &mut client, step).map_err(|why| at(step, &why))?;
    }
    match next_sent(&mut world, &mut client) {
        Some(message) => Err(format!(
            "at its end the server has sent {}",
            start(&message)
        )),
        None => Ok(()),
    }
}

fn at(step: &Step, why: &str) -> String {
    format!("line {}, `{}`: {why}", step.number, step.words)
}

fn configure(config: &mut ServerConfig, words: &str) -> Result<(), String> {
    let words = words.strip_prefix("set ").unwrap_or(words);
    let (key, value) = words.split_once(' ').ok_or("a key and a value")?;
    set(config, key, value)
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let is_empty = line.trim().is_empty() || line.starts_with('#');
        match steps.last_mut() {
            _ if is_empty => {}
            Some(step) if line.starts_with("  ") => step.below.push(line[2..].to_owned()),
            _ => steps.push(Step {
                number: index + 1,
                words: line.to_owned(),
                below: Vec::new(),
            }),
        }
    }
    steps
}

fn perform(world: &mut World, client: &mut Client, step: &Step) -> Result<(), String> {
    let words = step.words.as_str();
    if let Some(said) = words.strip_prefix("> ") {
        return say(world, client, said, &step.below);
    }
    if let Some(start) = words.strip_prefix("< ") {
        return expect(world, client, start, &step.below);
    }
    if let Some(news) = words.strip_prefix("! ") {
        return expect_news(world, news);
    }
    if let Some(time) = words.strip_prefix('+') {
        world.pass(duration(time).ok_or("no duration")?);
        return Ok(());
    }
    let (verb, rest) = words.split_once(' ').ok_or("no step")?;
    match verb {
        "certificate" => client.certificate = vec![rest.to_owned()],
        "dialog" => client.turn_to(rest),
        "do" => return happen(world, rest),
        "from" => client.peer = rest.parse().map_err(|_| "no address")?,
        "over" => {
            client.transport = match rest {
                "tcp" => Transport::Tcp,
                "tls" => Transport::Tls,
                _ => Transport::Udp,
            }
        }
        _ => return Err("no step".to_owned()),
    }
    Ok(())
}

fn say(
    world: &mut World,
    client: &mut Client,
    said: &str,
    changes: &Changes,
) -> Result<(), String> {
    let (first, rest) = said
        .split_once(' ')
        .map_or((said, None), |(a, b)| (a, Some(b)));
    let bytes = match first {
        "again" => client.last.clone(),
        status if status.parse::<u16>().is_ok() => client.response(status, changes)?,
        method => client.request(method, rest, changes),
    };
    let flow = flow(client.transport, client.peer);
    world.receive(flow, client.certificate.clone(), &bytes);
    Ok(())
}

/// The next message, a 100 passed over.
fn next_sent(world: &mut World, client: &mut Client) -> Option<Message> {
    while let Some((_, message)) = world.sent.pop_front() {
        client.hear(&message);
        if !matches!(&message, Message::Response(response) if response.status == 100) {
            return Some(message);
        }
    }
    None
}

fn expect(
    world: &mut World,
    client: &mut Client,
    wanted: &str,
    below: &Changes,
) -> Result<(), String> {
    if wanted == "100" {
        let (_, message) = world.sent.pop_front().ok_or("nothing was sent")?;
        let is = matches!(&message, Message::Response(response) if response.status == 100);
        return if is { Ok(()) } else { Err(start(&message)) };
    }
    if wanted == "rest" {
        world.sent.clear();
        return Ok(());
    }
    let Some(message) = next_sent(world, client) else {
        return if wanted == "nothing" {
            Ok(())
        } else {
            Err("nothing was sent".to_owned())
        };
    };
    let start = start(&message);
    if !glob(&format!("{wanted}*"), &start) {
        return Err(format!("the server said {start}\n{}", text(&message)));
    }
    for line in below {
        if !holds(line, &message) {
            return Err(format!("not so: {line}\n{}", text(&message)));
        }
    }
    Ok(())
}

/// Whether one expectation is met.
fn holds(line: &str, message: &Message) -> bool {
    let (line, wanted) = line
        .strip_prefix('!')
        .map_or((line, true), |line| (line, false));
    let is_there = if let Some(wanted) = line.strip_prefix('|') {
        let wanted = wanted.trim_start();
        body(message).lines().any(|line| glob(wanted, line))
    } else {
        let (name, wanted) = line.split_once(':').unwrap_or((line, "*"));
        let mut values = message.headers().all(name);
        values.any(|value| glob(wanted.trim_start(), value))
    };
    is_there == wanted
}

fn expect_news(world: &mut World, wanted: &str) -> Result<(), String> {
    let (wanted, is_wanted) = match wanted.strip_prefix("nothing ") {
        Some(unwanted) => (unwanted, false),
        None => (wanted, true),
    };
    let pattern = format!("{wanted}*");
    let found = world.news.iter().position(|news| glob(&pattern, news));
    match (found, is_wanted) {
        (Some(index), true) => {
            world.news.remove(index);
            Ok(())
        }
        (None, false) => Ok(()),
        _ => {
            let told = world.news.iter().cloned().collect::<Vec<_>>();
            Err(format!("the news are:\n  {}", told.join("\n  ")))
        }
    }
}

fn happen(world: &mut World, what: &str) -> Result<(), String> {
    let session = world.session;
    let (verb, rest) = what.split_once(' ').unwrap_or((what, ""));
    match (verb, rest) {
        ("closed", _) => world.tell(Input::Closed { connection: 1 }),
        ("drain", _) => world.tell(Input::Drain),
        ("full", "") => world.tell(Input::Full { why: None }),
        ("full", why) => world.tell(Input::Full {
            why: Some(String::leak(why.to_owned())),
        }),
        ("end", reason) => world.tell(Input::End {
            session,
            reason: reason.to_owned(),
        }),
        ("ports", "later") => world.ports = Ports::Later,
        ("ports", "none") => world.ports = Ports::None,
        ("ports", "now") => {
            world.ports = Ports::Now;
            world.give();
        }
        ("snapshot", _) => world.tell(Input::Snapshot { session }),
        ("wanted", sound) => world.tell(Input::Wanted {
            session,
            sound: sound == "true",
        }),
        _ => return Err("nothing like that can happen".to_owned()),
    }
    Ok(())
}

fn duration(text: &str) -> Option<Duration> {
    if let Some(millis) = text.strip_suffix("ms") {
        return millis.parse().ok().map(Duration::from_millis);
    }
    text.strip_suffix('s')?
        .parse()
        .ok()
        .map(Duration::from_secs)
}

fn start(message: &Message) -> String {
    match message {
        Message::Request(request) => format!("{} {}", request.method.as_str(), request.uri),
        Message::Response(response) => {
            format!("SIP/2.0 {} {}", response.status, response.reason)
        }
    }
}

fn body(message: &Message) -> String {
    let bytes = match message {
        Message::Request(request) => &request.body,
        Message::Response(response) => &response.body,
    };
    String::from_utf8_lossy(bytes).into_owned()
}

fn text(message: &Message) -> String {
    let headers: &Headers = message.headers();
    let lines = headers
        .iter()
        .map(|(name, value)| format!("  {name}: {value}\n"));
    lines.collect::<String>() + &body(message)
}

/// `*` stands for any characters.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            let mut ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            ends.any(|at| glob(tail, &rest[at..]))
        }),
    }
}
