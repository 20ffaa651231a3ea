//! The task that owns the server: hears messages and legs, carries out what the server decides.
//!
//! Nothing in it waits but for the next signal or the server's next deadline.

mod news;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use siprec::message::{Message, Method, NameAddr};
use siprec::server::{Input, Notice, Output, Server, SessionId};
use siprec::transaction::{Flow, Transport};
use siprec::trunk::Credentials;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::{Limit, Permit};
use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::siprec::calls::Calls;
use crate::siprec::config::SiprecConfig;
use crate::siprec::connections::Connections;
use crate::siprec::media::Readers;
use crate::siprec::notices::Notices;
use crate::siprec::ports::{Lease, Ports};
use crate::siprec::session::{Entry, Session};
use crate::siprec::signal::Signal;
use crate::siprec::tally::LineEnd;

/// Signals taken before time is looked at again.
const BATCH: usize = 64;

/// What the signalling task uses and others have too.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) config: Arc<SiprecConfig>,
    pub(crate) intake: Intake,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) ports: Arc<Ports>,
    pub(crate) readers: Readers,
    pub(crate) connections: Connections,
    /// UDP listeners, by index; none where another kind of listener is.
    pub(crate) sockets: Vec<Option<Arc<UdpSocket>>>,
    pub(crate) signals: mpsc::Sender<Signal>,
    pub(crate) tasks: TaskTracker,
    pub(crate) sessions: Arc<AtomicUsize>,
}

/// When to take no more sessions, and when to end those that run.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    pub(crate) draining: CancellationToken,
    pub(crate) closing: CancellationToken,
    /// What is answered to a trunk's challenges from now on.
    pub(crate) credentials: watch::Receiver<Vec<TrunkCredentials>>,
}

/// A trunk's name and what is answered to its challenges.
pub(crate) type TrunkCredentials = (String, Option<Credentials>);

/// The server and what became of its words.
pub(crate) struct Signalling {
    server: Server,
    world: World,
    sessions: HashMap<SessionId, Session>,
    /// As many as the server has sessions.
    permits: Vec<Permit>,
    /// Why the server was told to take no more of them.
    full: Option<Limit>,
    calls: Calls,
    notices: Notices,
    /// Ports that wait for their line, or for the end of their session.
    unclaimed: HashMap<SessionId, Vec<Lease>>,
    /// Lines that are over; why is known when the server has said all.
    over: Vec<(SessionId, Entry)>,
    is_draining: bool,
    is_closing: bool,
}

impl Signalling {
    pub(crate) fn new(server: Server, world: World) -> Self {
        let notices = Notices::new(Arc::clone(&world.metrics));
        Self {
            server,
            world,
            sessions: HashMap::new(),
            permits: Vec::new(),
            full: None,
            calls: Calls::default(),
            notices,
            unclaimed: HashMap::new(),
            over: Vec::new(),
            is_draining: false,
            is_closing: false,
        }
    }

    /// Serves until it is told to close and every session is over and has been said goodbye to, or
    /// `close_timeout` is.
    pub(crate) async fn run(mut self, mut signals: mpsc::Receiver<Signal>, mut orders: Orders) {
        let mut close_at = None;
        loop {
            let deadline = self.server.deadline();
            tokio::select! {
                Some(signal) = signals.recv() => {
                    self.hear(signal);
                    for _ in 1..BATCH {
                        let Ok(signal) = signals.try_recv() else { break };
                        self.hear(signal);
                    }
                }
                () = at(deadline) => self.feed(Input::Tick),
                Ok(()) = orders.credentials.changed() => {
                    let now = orders.credentials.borrow_and_update().clone();
                    for (trunk, credentials) in now {
                        self.feed(Input::Credentials { trunk, credentials });
                    }
                }
                () = orders.draining.cancelled(), if !self.is_draining => {
                    self.is_draining = true;
                    self.feed(Input::Drain);
                }
                () = orders.closing.cancelled(), if !self.is_closing => {
                    close_at = Some(Instant::now() + self.world.config.close_timeout);
                    self.close();
                }
                () = at(close_at) => {
                    tracing::warn!(sessions = self.server.sessions(), "Sessions are cut off.");
                    break;
                }
            }
            if self.is_closing && self.server.sessions() + self.server.goodbyes() == 0 {
                break;
            }
        }
        for session in self.sessions.values_mut() {
            for entry in session.take_lines().into_values() {
                entry.end(LineEnd::ShutDown);
            }
        }
        self.world.sessions.store(0, Ordering::Release);
    }

    fn hear(&mut self, signal: Signal) {
        match signal {
            Signal::Closed { connection } => self.feed(Input::Closed { connection }),
            Signal::Message {
                flow,
                message,
                tls_names,
            } => {
                let permit = self.look_for_room(&message);
                self.feed(Input::Received {
                    flow,
                    message,
                    tls_names: tls_names.to_vec(),
                });
                self.keep(permit);
            }
            Signal::Silent {
                session,
                line,
                is_silent,
            } => {
                let known = self.sessions.get_mut(&session);
                if known.is_some_and(|known| known.fall_silent(line, is_silent)) {
                    tracing::info!(
                        session = session.0,
                        "No media for too long; a session is ended."
                    );
                    let reason = "no media".to_owned();
                    self.feed(Input::End { session, reason });
                }
            }
            Signal::Wanted {
                session,
                line,
                sound,
            } => {
                let known = self.sessions.get_mut(&session);
                if let Some(sound) = known.and_then(|known| known.want(line, sound)) {
                    self.feed(Input::Wanted { session, sound });
                }
            }
        }
    }

    /// Whoever asks for a session, or whether there could be one, is told the truth of this moment.
    fn look_for_room(&mut self, message: &Message) -> Option<Permit> {
        let Message::Request(request) = message else {
            return None;
        };
        let admission = self.world.intake.admission();
        let is_new = request
            .headers
            .to()
            .as_ref()
            .and_then(NameAddr::tag)
            .is_none();
        let admitted = match request.method {
            Method::Invite if is_new => admission.admit().map(Some),
            Method::Options if is_new => admission.exceeded().map_or(Ok(None), Err),
            _ => return None,
        };
        let full = admitted.as_ref().err().copied();
        if self.full != full {
            self.full = full;
            let why = full.map(Limit::told);
            self.feed(Input::Full { why });
        }
        admitted.ok().flatten()
    }

    /// A permit is kept if there is one session more.
    fn keep(&mut self, permit: Option<Permit>) {
        if let Some(permit) = permit
            && self.permits.len() < self.server.sessions()
        {
            permit.legs_are_there();
            self.permits.push(permit);
        }
    }

    fn close(&mut self) {
        self.is_closing = true;
        let running: Vec<SessionId> = self.sessions.keys().copied().collect();
        for session in running {
            let reason = "shutting down".to_owned();
            self.feed(Input::End { session, reason });
        }
    }

    /// Tells the server, and does all that it says then.
    fn feed(&mut self, input: Input) {
        let now = Instant::now();
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            self.server.handle(now, input);
            while let Some(output) = self.server.poll() {
                inputs.extend(self.carry_out(now, output));
            }
        }
        for (_, entry) in self.over.drain(..) {
            entry.end(LineEnd::Removed);
        }
        let sessions = self.server.sessions();
        self.permits.truncate(sessions);
        self.world.sessions.store(sessions, Ordering::Release);
    }

    fn carry_out(&mut self, now: Instant, output: Output) -> Option<Input> {
        match output {
            Output::BindPorts {
                session,
                address,
                count,
            } => return Some(self.bind(now, session, (address, count))),
            Output::Granted {
                session,
                sound,
                result,
            } => self.granted(session, sound, result),
            Output::LineChanged {
                session,
                line,
                media,
            } => {
                if let Some(known) = self.sessions.get_mut(&session) {
                    known.change(line, *media);
                }
            }
            Output::LineEnded { session, line } => self.line_ended(session, line),
            Output::LineOpened {
                session,
                line,
                media,
            } => self.line_opened(now, session, (line, *media)),
            Output::Notice(notice) => {
                if let (Notice::TurnedAway, Some(limit)) = (&notice, self.full) {
                    self.world.metrics.turned_away(limit);
                }
                self.notices.take(now, &notice);
            }
            Output::SessionEnded { session, ending } => self.session_ended(now, session, ending),
            Output::SessionLearned(facts) => {
                if let Some(known) = self.sessions.get_mut(&facts.session) {
                    known.learn(*facts);
                }
            }
            Output::SessionOpened(facts) => self.session_opened(now, *facts),
            Output::Transmit { flow, bytes } => self.transmit(&flow, bytes),
        }
        None
    }

    fn transmit(&self, flow: &Flow, bytes: Vec<u8>) {
        if flow.transport != Transport::Udp {
            return self.world.connections.send(flow, bytes);
        }
        let named = self
            .world
            .sockets
            .get(flow.listener)
            .and_then(Option::as_ref);
        let same = |socket: &&Arc<UdpSocket>| {
            let local = socket.local_addr();
            local.is_ok_and(|local| local.is_ipv4() == flow.peer.is_ipv4())
        };
        // What is lost here is repeated by its transaction, as on the network.
        let any = || self.world.sockets.iter().flatten().find(same);
        let sent = named
            .or_else(any)
            .map(|socket| socket.try_send_to(&bytes, flow.peer));
        if !matches!(sent, Some(Ok(_))) {
            self.world.metrics.siprec().unsent();
        }
    }
}

impl World {
    /// What a leg is given to say whether its sound is wanted; what it says is heard here.
    fn watch_wanted(&self, session: SessionId, line: usize) -> watch::Sender<bool> {
        let (sender, mut wanted) = watch::channel(false);
        let signals = self.signals.clone();
        self.tasks.spawn(async move {
            loop {
                tokio::select! {
                    changed = wanted.changed() => if changed.is_err() { return },
                    () = signals.closed() => return,
                }
                let sound = *wanted.borrow_and_update();
                let signal = Signal::Wanted {
                    session,
                    line,
                    sound,
                };
                if signals.send(signal).await.is_err() {
                    return;
                }
            }
        });
        sender
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
