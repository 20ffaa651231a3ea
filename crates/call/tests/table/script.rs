//! A switchboard that is spoken to and answers in one line of words a time.
//!
//! Said: `leg 1` (odd legs are the first side, even ones the second), `leg 1 agent` (as the
//! platform suggests), `leg 1 at CA2`, `learn 1 agent`, `end 1`, `ready a1`, `fail a1`, `finish a1`
//! (stream a1 is the customer's of the start with ticket a), `start a`, `start a ordered` (it says
//! which side is whose), `stop b`, `pause c`, `resume d` (each with its ticket), `shut 1 b` (leg 1
//! confirms ticket b), `shut 1 *` (the newest ticket of the switchboard's own for leg 1),
//! `rename CA1 CA2`, `wait 5s`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use call::ending::{Ending, Fault};
use call::name::{CallName, Guid, LegId, Namespace, Role, Side, StreamId, Ticket};
use call::private::Private;
use call::start::{Report, Start, Status, StreamOptions, StreamSpec, Summary, Wish};
use call::switchboard::{Input, NewLeg, Outcome, Output, Patience, Refusal, Switchboard, Then};

/// A start waits 2 s for media and 5 s for its streams, a stop 5 s, a gate 1 s, a drain 10 s.
pub(crate) const PATIENCE: Patience = Patience {
    start_grace: Duration::from_secs(2),
    start_timeout: Duration::from_secs(5),
    stop_timeout: Duration::from_secs(5),
    gate_timeout: Duration::from_secs(1),
    drain_timeout: Duration::from_secs(10),
    awaited_max: 1,
};

pub(crate) struct Script {
    pub(crate) board: Switchboard,
    now: Instant,
    /// The newest ticket of the switchboard's own, by leg.
    own: HashMap<LegId, Ticket>,
}

impl Script {
    #[expect(clippy::disallowed_methods, reason = "a script begins at some time")]
    pub(crate) fn new(patience: Patience) -> Self {
        let board = Switchboard::new(patience);
        Self {
            board,
            now: Instant::now(),
            own: HashMap::new(),
        }
    }

    /// Says several things, separated by `;`, and returns all that comes of the last one.
    pub(crate) fn say(&mut self, lines: &str) -> String {
        let mut heard = String::new();
        for line in lines
            .split(';')
            .map(str::trim)
            .filter(|line| !line.is_empty())
        {
            self.one(line);
            let outputs: Vec<_> = std::iter::from_fn(|| self.board.poll()).collect();
            let words: Vec<_> = outputs.iter().map(|output| self.word(output)).collect();
            heard = words.join(", ");
        }
        heard
    }

    /// As `shut LEG *`, but what comes of it is left to be polled.
    pub(crate) fn own_receipt(&mut self, leg: &str) {
        self.one(&format!("shut {leg} *"));
    }

    /// Says one thing and returns all that comes of it.
    pub(crate) fn unheard(&mut self, line: &str) -> Vec<Output> {
        self.one(line);
        std::iter::from_fn(|| self.board.poll()).collect()
    }

    pub(crate) fn state(&self, guid: &str) -> &'static str {
        self.board
            .call(&name(guid))
            .map_or("nothing", |view| view.state.as_str())
    }

    fn one(&mut self, line: &str) {
        let words: Vec<_> = line.split_whitespace().collect();
        let input = match words[..] {
            ["wait", time] => {
                let seconds = time.trim_end_matches('s').parse().unwrap();
                self.now += Duration::from_secs(seconds);
                Input::Tick
            }
            ["shut", id, "*"] => Input::GateShut(leg(id), self.own[&leg(id)]),
            ["shut", id, by] => Input::GateShut(leg(id), ticket(by)),
            ["leg", id] => opened("CA1", id, None),
            ["leg", id, "at", guid] => opened(guid, id, None),
            ["leg", id, role] => opened("CA1", id, Role::parse(role)),
            ["learn", id, role] => Input::LegLearned(leg(id), Role::parse(role)),
            ["rename", from, to] => Input::Renamed {
                from: name(from),
                to: name(to),
            },
            ["end", id] => Input::LegEnded(leg(id), Ending::new(Fault::Nobody, "hung_up")),
            ["ready", id] => Input::StreamReady(StreamId::new(id)),
            ["fail", id] => Input::StreamFailed(failed(id)),
            ["finish", id] => Input::StreamFinished(finished(id)),
            ["start", by] => start(by, "CA1", false),
            ["start", by, "ordered"] => start(by, "CA1", true),
            ["start", by, guid] => start(by, guid, false),
            ["stop", by] => Input::Stop(ticket(by), name("CA1")),
            ["pause", by] => Input::Pause(ticket(by), name("CA1")),
            ["resume", by] => Input::Resume(ticket(by), name("CA1")),
            _ => panic!("not understood: {line}"),
        };
        self.board.handle(self.now, input);
    }

    fn word(&mut self, output: &Output) -> String {
        match output {
            Output::OpenGate(leg, spec, _) if spec.role == Role::Mixed => {
                format!("open {leg} {} mixed", spec.id)
            }
            Output::OpenGate(leg, spec, _) => format!("open {leg} {}", spec.id),
            Output::ShutGate(leg, ticket, then) => {
                let then = if *then == Then::Hold {
                    "hold"
                } else {
                    "finish"
                };
                match letter(*ticket) {
                    Some(letter) => format!("shut {leg} {letter} {then}"),
                    None => {
                        self.own.insert(*leg, *ticket);
                        format!("shut {leg} * {then}")
                    }
                }
            }
            Output::EndLeg(leg) => format!("end {leg}"),
            Output::AbandonStream(id) => format!("abandon {id}"),
            Output::Answer(ticket, answer) => {
                format!("{}: {}", letter(*ticket).unwrap(), answered(answer))
            }
            Output::Changed(_, state) => format!("→ {}", state.as_str()),
            Output::Ended(_, ending) => {
                format!("gone: {} {}", ending.fault.as_str(), ending.reason)
            }
        }
    }
}

fn answered(answer: &Result<Outcome, Refusal>) -> String {
    match answer {
        Err(Refusal::Already) => "409-201".to_owned(),
        Err(Refusal::Draining) => "409-203".to_owned(),
        Err(Refusal::NoCall) => "400-203".to_owned(),
        Err(Refusal::Pending) => "409-202".to_owned(),
        Ok(outcome) => {
            let mut words = vec![
                if outcome.error.is_some() {
                    "not ok"
                } else {
                    "ok"
                }
                .to_owned(),
            ];
            words.extend(outcome.reports.iter().map(|report| {
                let summary = if report.summary.is_some() { "+" } else { "" };
                format!("{}={}{summary}", report.id, report.status.code)
            }));
            words.join(" ")
        }
    }
}

pub(crate) fn name(guid: &str) -> CallName {
    CallName {
        namespace: Namespace::Twilio,
        guid: Guid::parse(guid).unwrap(),
    }
}

fn opened(guid: &str, id: &str, suggested: Option<Role>) -> Input {
    let id = leg(id);
    let side = if id.0 % 2 == 1 {
        Side::First
    } else {
        Side::Second
    };
    let leg = NewLeg {
        id,
        side,
        suggested,
    };
    Input::LegOpened(name(guid), leg)
}

fn start(by: &str, guid: &str, is_ordered: bool) -> Input {
    let spec = |number: u8, role| StreamSpec {
        id: StreamId::new(&format!("{by}{number}")),
        call: name(guid),
        external: guid.into(),
        role,
        sender: Private::new("someone".to_owned()),
        options: Arc::new(StreamOptions::default()),
        wish: Wish::default(),
    };
    let start = Start {
        first: spec(1, Role::Customer),
        second: spec(2, Role::Agent),
        is_ordered,
    };
    Input::Start(ticket(by), name(guid), Box::new(start))
}

fn leg(text: &str) -> LegId {
    LegId(text.parse().unwrap())
}

fn ticket(text: &str) -> Ticket {
    Ticket(u64::from(text.as_bytes()[0]))
}

fn letter(ticket: Ticket) -> Option<char> {
    u8::try_from(ticket.0).ok().map(char::from)
}

fn role(id: &str) -> Role {
    if id.ends_with('1') {
        Role::Customer
    } else {
        Role::Agent
    }
}

fn failed(id: &str) -> Report {
    let status = Status {
        code: 5002,
        description: "Service Unavailable".to_owned(),
    };
    Report {
        id: StreamId::new(id),
        role: role(id),
        status,
        summary: None,
    }
}

fn finished(id: &str) -> Report {
    let second = Duration::from_secs(1);
    let summary = Summary {
        audio_bytes: 16_000,
        audio: second,
        streaming: second,
        transcripts: 1,
    };
    Report {
        id: StreamId::new(id),
        role: role(id),
        status: Status::ok(),
        summary: Some(summary),
    }
}
