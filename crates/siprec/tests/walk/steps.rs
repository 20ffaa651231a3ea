//! A walk: what happens next, at random.

use std::time::{Duration, Instant};

use siprec::framing::{Framed, MessageLimits, datagram};
use siprec::message::{Message, Method};
use siprec::server::{Input, Output, Server, ServerLimits, SessionId};
use siprec::transaction::Transport;
use siprec::trunk::BeforeStart;

use crate::chance::Chance;
use crate::ledger::{Ledger, Visits};
use crate::network::{Network, To};
use crate::source::{Source, Wish};
use crate::world;

const STEPS: usize = 60;
const WISHES: [Wish; 15] = [
    Wish::Bye,
    Wish::Cancel,
    Wish::G729,
    Wish::Hold,
    Wish::Invite,
    Wish::Metadata,
    Wish::Move,
    Wish::NoTag,
    Wish::Offerless,
    Wish::Options,
    Wish::Overlap,
    Wish::Remove,
    Wish::Third,
    Wish::Timer,
    Wish::Update,
];

struct Walk {
    server: Server,
    now: Instant,
    chance: Chance,
    network: Network,
    sources: Vec<Source>,
    sources_begun: u64,
    ledger: Ledger,
    /// Ports asked for and not given yet, and since when.
    waiting: Vec<(SessionId, usize, Instant)>,
    next_port: u16,
    /// How often ports are given at once, how often not at all.
    prompt_percent: u64,
    none_percent: u64,
}

/// One walk, to the end of everything.
pub(crate) fn walk(seed: u64) -> Result<Visits, String> {
    let mut walk = Walk::new(seed);
    // Fresh odds for each walk, so that rare things become likely in some.
    let weights: Vec<u64> = (0..WISHES.len() + 6)
        .map(|_| walk.chance.below(10))
        .collect();
    for step in 0..STEPS {
        let which = walk.chance.weighed(&weights);
        walk.step(which)
            .map_err(|why| format!("step {step}: {why}"))?;
    }
    walk.finish()?;
    Ok(walk.ledger.visits)
}

impl Walk {
    #[expect(clippy::disallowed_methods, reason = "a test begins at some time")]
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let mut config = world::config();
        let trunk = &mut config.trunks[0];
        trunk.pause_on_stop = chance.percent(50);
        if chance.percent(50) {
            trunk.answer = BeforeStart::Inactive;
        }
        config.sessions_max = 4;
        let mut bytes = Chance::new(seed ^ 0x5555);
        let random = move |out: &mut [u8]| {
            for byte in out {
                *byte = u8::try_from(bytes.below(256)).unwrap();
            }
        };
        Self {
            server: Server::new(config, Box::new(random)),
            now: Instant::now(),
            network: Network::new(&mut chance),
            prompt_percent: *chance.one(&[100, 90, 30]),
            none_percent: *chance.one(&[0, 10]),
            chance,
            sources: Vec::new(),
            sources_begun: 0,
            ledger: Ledger::default(),
            waiting: Vec::new(),
            next_port: 20_000,
        }
    }

    fn step(&mut self, which: usize) -> Result<(), String> {
        if let Some(wish) = WISHES.get(which) {
            return self.wish(*wish);
        }
        let running = self.ledger.running();
        let session = (!running.is_empty()).then(|| *self.chance.one(&running));
        match (which - WISHES.len(), session) {
            (0, Some(session)) => {
                let sound = self.chance.percent(60);
                self.ledger.want(session);
                self.tell(Input::Wanted { session, sound })?;
            }
            (1, Some(session)) if self.chance.percent(30) => self.tell(Input::End {
                session,
                reason: "walked".to_owned(),
            })?,
            (2, Some(session)) => self.tell(Input::Snapshot { session })?,
            (3, _) => self.pass(Duration::from_secs(40))?,
            _ => self.give()?,
        }
        let time = Duration::from_millis(*self.chance.one(&[0, 1, 100, 600, 4_000]));
        self.pass(time)
    }

    fn wish(&mut self, wish: Wish) -> Result<(), String> {
        let is_new = self.sources.len() < 5 && self.chance.percent(40);
        if is_new || self.sources.is_empty() {
            self.sources_begun += 1;
            let mut source = Source::new(self.sources_begun);
            source.is_deaf = self.chance.percent(5);
            self.sources.retain(|known| !known.is_over);
            self.sources.push(source);
        }
        let which = usize::try_from(self.chance.below(self.sources.len() as u64)).unwrap();
        if let Some(bytes) = self.sources[which].say(self.now, wish) {
            self.network
                .send(self.now, &mut self.chance, To::Server, &bytes);
        }
        let time = Duration::from_millis(*self.chance.one(&[0, 1, 100, 600, 4_000]));
        self.pass(time)
    }

    /// Everything that is due within this time, in its order.
    fn pass(&mut self, time: Duration) -> Result<(), String> {
        let end = self.now + time;
        loop {
            let server = self.server.deadline();
            let sources = self.sources.iter().filter_map(Source::next).min();
            let next = [server, sources, self.network.next()]
                .into_iter()
                .flatten()
                .min();
            let Some(at) = next.filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            while let Some((to, bytes)) = self.network.arrived(self.now) {
                self.arrive(to, &bytes)?;
            }
            for which in 0..self.sources.len() {
                for bytes in self.sources[which].repeat(self.now) {
                    self.network
                        .send(self.now, &mut self.chance, To::Server, &bytes);
                }
            }
            if self.server.deadline().is_some_and(|at| at <= self.now) {
                self.tell(Input::Tick)?;
            }
        }
        self.now = end;
        Ok(())
    }

    fn arrive(&mut self, to: To, bytes: &[u8]) -> Result<(), String> {
        let message = read(bytes)?;
        if to == To::Server {
            let cseq = message.headers().cseq();
            if let Some((number, Method::Ack)) = cseq {
                let call_id = message.headers().call_id().unwrap_or_default();
                self.ledger.acknowledge(call_id, number);
            }
            return self.tell(Input::Received {
                flow: world::flow(Transport::Udp, "198.51.100.9:5060".parse().unwrap()),
                message: Box::new(message),
                tls_names: Vec::new(),
            });
        }
        for source in self
            .sources
            .iter_mut()
            .filter(|source| source.owns(&message))
        {
            if let Some(bytes) = source.hear(&mut self.chance, &message) {
                self.network
                    .send(self.now, &mut self.chance, To::Server, &bytes);
            }
        }
        Ok(())
    }

    fn tell(&mut self, input: Input) -> Result<(), String> {
        self.server.handle(self.now, input);
        while let Some(output) = self.server.poll() {
            self.ledger.output(&output)?;
            match output {
                Output::Transmit { bytes, .. } => {
                    self.ledger.sent(&read(&bytes)?)?;
                    self.network
                        .send(self.now, &mut self.chance, To::Source, &bytes);
                }
                Output::BindPorts { session, count, .. } => {
                    self.waiting.push((session, count, self.now));
                }
                _ => {}
            }
        }
        if self.chance.percent(self.prompt_percent) {
            self.give()?;
        }
        Ok(())
    }

    fn give(&mut self) -> Result<(), String> {
        for (session, count, since) in std::mem::take(&mut self.waiting) {
            let is_late = self.now >= since + ServerLimits::default().bind_wait;
            if self.ledger.is_over(session) && !is_late {
                return Err(format!("{session:?} did not wait for its ports"));
            }
            let first = self.next_port;
            self.next_port = first
                .checked_add(2 * u16::try_from(count).unwrap())
                .unwrap();
            let ports = (first..self.next_port).step_by(2).collect();
            let ports = (!self.chance.percent(self.none_percent)).then_some(ports);
            self.tell(Input::Bound { session, ports })?;
        }
        Ok(())
    }

    /// Nothing is lost any more, every session is ended, and time passes until nothing can come.
    fn finish(&mut self) -> Result<(), String> {
        self.network.loss_percent = 0;
        self.prompt_percent = 100;
        self.give()?;
        // An INVITE that was lost so far may still begin a session.
        self.pass(Duration::from_secs(40))?;
        for session in self.ledger.running() {
            self.tell(Input::End {
                session,
                reason: "the walk is over".to_owned(),
            })?;
        }
        self.pass(Duration::from_secs(600))?;
        self.ledger.is_settled()?;
        if !self.server.is_idle() {
            return Err("the server is not idle".to_owned());
        }
        match self.server.deadline() {
            None => Ok(()),
            Some(_) => Err("a deadline is left".to_owned()),
        }
    }
}

fn read(bytes: &[u8]) -> Result<Message, String> {
    match datagram(bytes, &MessageLimits::default()) {
        Some(Framed::Message(message)) => Ok(*message),
        other => Err(format!("no message: {other:?}")),
    }
}
