//! The whole crate's face: messages and the time in, messages and news of media lines out.
//!
//! # The law of the server
//!
//! After every [`Server::handle`] drain [`Server::poll`]; then wait for the next event or for
//! [`Server::deadline`], which is told as [`Input::Tick`].
//!
//! [`Output::SessionEnded`] comes exactly once for each session for which ports were asked for or
//! that was opened, and is the last that is said of it. Ports belong to their session until its
//! end, but that of a line is free at [`Output::LineEnded`]; a [`Input::Bound`] later than
//! [`ServerLimits::bind_wait`] may find its session gone and its ports unheard. Every
//! [`Input::Wanted`] is answered by one [`Output::Granted`].

mod ask;
mod checks;
mod digest;
mod end;
pub mod fuzz;
mod hear;
mod invite;
mod news;
mod random;
mod rates;
mod receive;
mod refusal;
mod respond;
mod settle;
mod wake;
mod within;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::identifiers::Identifier;
use crate::message::Message;
use crate::metadata::Recording;
use crate::offer::Format;
use crate::roles::LineRole;
use crate::sdes::CryptoLine;
use crate::server::ask::{Errand, Purpose};
use crate::server::rates::Rates;
use crate::session::{Phase, Session, Wait};
use crate::timer::Deadlines;
use crate::transaction::{ClientId, Flow, Timers, Transactions};
use crate::trunk::{Credentials, Trunk};

/// One recording session; never reused in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// Settings and limits.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// In the order they are tried; none fits: 403, or silence.
    pub trunks: Vec<Trunk>,
    /// Unknown sources get no answer at all instead of 403.
    pub silent_to_unknown: bool,
    /// Host and port of each listener as peers reach it, by index, for Via and Contact.
    pub listeners: Vec<SocketAddr>,
    /// RFC 3261 timers.
    pub timers: Timers,
    /// Sessions at once, over all trunks; more are answered 503.
    pub sessions_max: usize,
    /// Server transactions at once.
    pub transactions_max: usize,
    /// What a 503 says in `Retry-After`.
    pub retry_after: Duration,
    /// Session interval we ask for where the SRC asks for none; zero: none. RFC 4028.
    pub session_expires: Duration,
    /// Smallest session interval we take, at least 90 s.
    pub min_se: Duration,
    /// INVITEs a second and source before 503; zero: no limit.
    pub invites_per_second_max: u32,
    /// `Server` and `User-Agent`.
    pub product: String,
    /// Sizes, counts and waits.
    pub limits: ServerLimits,
}

/// Sizes, counts and waits of a server. `Default` has the values named here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Bytes of a Request-URI before 414: 2,048.
    pub uri_bytes_max: usize,
    /// Sources whose INVITE rate is watched at once: 4,096.
    pub sources_max: usize,
    /// How long [`Input::Bound`] may take before the request is answered 503: 2 s.
    pub bind_wait: Duration,
    /// How long a re-INVITE of ours may take before its [`Input::Wanted`] is refused: 5 s.
    pub grant_wait: Duration,
    /// Metadata updates between two snapshot requests of a session: 10.
    pub updates_per_snapshot: u32,
    /// Identifiers kept of a session: 64.
    pub identifiers_max: usize,
    /// Bytes of a request of ours over UDP before TCP is preferred: 1,300. RFC 3261 §18.1.1.
    pub datagram_bytes_max: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            uri_bytes_max: 2_048,
            sources_max: 4_096,
            bind_wait: Duration::from_secs(2),
            grant_wait: Duration::from_secs(5),
            updates_per_snapshot: 10,
            identifiers_max: 64,
            datagram_bytes_max: 1_300,
        }
    }
}

/// What can happen.
#[derive(Debug)]
#[expect(missing_docs, reason = "each variant says what its fields are")]
pub enum Input {
    /// A message arrived. `tls_names` are those of the peer's verified certificate.
    Received {
        flow: Flow,
        message: Box<Message>,
        tls_names: Vec<String>,
    },
    /// A connection is gone.
    Closed { connection: u64 },
    /// Ports for the lines asked for; `None`: there are none left.
    Bound {
        session: SessionId,
        ports: Option<Vec<u16>>,
    },
    /// Whether sound of a session is wanted now (only matters where the trunk answers `inactive`
    /// or pauses on stop).
    Wanted { session: SessionId, sound: bool },
    /// End a session by BYE, with this text in `Reason`.
    End { session: SessionId, reason: String },
    /// The key of a session's metadata was lost: ask the SRC for a snapshot.
    Snapshot { session: SessionId },
    /// From now on challenges to our requests are answered with these, session or no session, by
    /// the name of a trunk.
    Credentials {
        trunk: String,
        credentials: Option<Credentials>,
    },
    /// Take no new sessions; they are answered 503, OPTIONS too.
    Drain,
    /// Take no new sessions for this reason, which is not the server's own, until it is `None`;
    /// they are answered 503, OPTIONS too.
    Full { why: Option<&'static str> },
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug)]
#[expect(missing_docs, reason = "each variant says what its fields are")]
pub enum Output {
    /// Send these bytes. A flow with connection 0 over TCP or TLS is to be opened first.
    Transmit { flow: Flow, bytes: Vec<u8> },
    /// Bind RTP and RTCP ports for so many lines on this local address, then say `Bound`.
    BindPorts {
        session: SessionId,
        address: IpAddr,
        count: usize,
    },
    /// A session is there. Sent before its lines.
    SessionOpened(Box<SessionFacts>),
    /// What is known of a session has changed: metadata, identifiers, roles.
    SessionLearned(Box<SessionFacts>),
    /// A media line is received from now on (before the 200 is sent: RTP may come first).
    LineOpened {
        session: SessionId,
        line: usize,
        media: Box<MediaLine>,
    },
    /// A re-INVITE changed it: hold, address, codec, key.
    LineChanged {
        session: SessionId,
        line: usize,
        media: Box<MediaLine>,
    },
    /// It is over.
    LineEnded { session: SessionId, line: usize },
    /// What became of a `Wanted`: sound flows (`Ok`), or why it cannot.
    Granted {
        session: SessionId,
        sound: bool,
        result: Result<(), String>,
    },
    /// The session is over.
    SessionEnded {
        session: SessionId,
        ending: SessionEnding,
    },
    /// Something to be counted and logged.
    Notice(Notice),
}

/// What is known of a session.
#[derive(Clone, Debug)]
pub struct SessionFacts {
    /// Which one.
    pub session: SessionId,
    /// The trunk's name.
    pub trunk: String,
    /// Best first; the first names the call.
    pub identifiers: Vec<Identifier>,
    /// Role of each accepted line: m-line index and role.
    pub roles: Vec<(usize, LineRole)>,
    /// The metadata, minimised as the trunk says.
    pub recording: Recording,
    /// Where it comes from.
    pub peer: SocketAddr,
}

/// What must be known to receive a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaLine {
    /// Our RTP port.
    pub port: u16,
    /// Where the peer says it sends from, if it says.
    pub remote: Option<SocketAddr>,
    /// Where our RTCP goes, if known.
    pub remote_rtcp: Option<SocketAddr>,
    /// RTCP on the same port.
    pub rtcp_mux: bool,
    /// What may come, by payload number.
    pub formats: Vec<Format>,
    /// The peer's keys.
    pub crypto: Option<CryptoLine>,
    /// Our keys, for RTCP.
    pub our_crypto: Option<CryptoLine>,
    /// `a=label`
    pub label: Option<String>,
    /// Whether sound may come now; false on hold.
    pub is_active: bool,
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionEnding {
    /// The SRC said BYE.
    Bye,
    /// The 200 was never acknowledged.
    NoAck,
    /// The session timer ran out.
    Expired,
    /// We ended it.
    Ours,
    /// The SRC does not know the dialog any more, or does not answer.
    Lost,
    /// The answer to an offer of ours is missing or cannot be used.
    BadOffer,
    /// The first INVITE was cancelled, or refused after ports had been asked for: the session was
    /// never opened.
    Cancelled,
}

/// Facts for counters and logs. No private words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A request came: method name, or `other`.
    Request(&'static str),
    /// A response of ours went out, with why where it refuses.
    Answered {
        /// Method name, or `other`.
        method: &'static str,
        /// Status.
        status: u16,
        /// What was wrong; goes into `Warning` too.
        why: Option<String>,
    },
    /// An INVITE that does not say siprec was accepted by its trunk's rule.
    AcceptedAnyway {
        /// Trunk.
        trunk: String,
    },
    /// Metadata could not be used; the session goes on.
    BadMetadata {
        /// Why.
        why: String,
    },
    /// A line was rejected.
    LineRejected {
        /// Index of the m-line.
        line: usize,
        /// Why.
        why: String,
    },
    /// A request of ours failed: method and status (0: no answer).
    RequestFailed {
        /// Method.
        method: &'static str,
        /// Status, or 0.
        status: u16,
    },
    /// A message came from a source no trunk knows.
    UnknownSource,
    /// A message of a known source went over its rate.
    RateLimited,
    /// A session was refused as [`Input::Full`] says.
    TurnedAway,
}

/// Fills bytes with unpredictable ones: tags, branches, SRTP keys.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;

/// A session recording server.
pub struct Server {
    /// Without its trunks.
    config: ServerConfig,
    trunks: Vec<Arc<Trunk>>,
    random: Random,
    transactions: Transactions,
    sessions: BTreeMap<SessionId, Session>,
    /// By our tag.
    dialogs: HashMap<String, SessionId>,
    errands: HashMap<ClientId, Errand>,
    deadlines: Deadlines<Wake>,
    rates: Rates,
    outputs: VecDeque<Output>,
    is_draining: bool,
    full: Option<&'static str>,
    sessions_begun: u64,
}

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wake {
    /// The 2xx to a request of ours will not be repeated any more.
    Forget(ClientId),
    /// Something a session waits for.
    Session(SessionId, Wait),
}

impl Server {
    /// Without sessions.
    pub fn new(mut config: ServerConfig, random: Random) -> Self {
        let trunks = std::mem::take(&mut config.trunks);
        Self {
            trunks: trunks.into_iter().map(Arc::new).collect(),
            transactions: Transactions::new(config.timers, config.transactions_max)
                .with_retry_after(config.retry_after)
                .with_listeners(config.listeners.clone()),
            rates: Rates::new(config.invites_per_second_max, config.limits.sources_max),
            config,
            random,
            sessions: BTreeMap::new(),
            dialogs: HashMap::new(),
            errands: HashMap::new(),
            deadlines: Deadlines::new(),
            outputs: VecDeque::new(),
            is_draining: false,
            full: None,
            sessions_begun: 0,
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        let mut names = Vec::new();
        match input {
            Input::Received {
                flow,
                message,
                tls_names,
            } => {
                names = tls_names;
                self.receive(now, flow, *message, &names);
            }
            Input::Closed { connection } => self.closed(now, connection),
            Input::Bound { session, ports } => self.bound(now, session, ports),
            Input::Wanted { session, sound } => self.wanted(now, session, sound),
            Input::End { session, reason } => {
                self.hang_up(now, session, SessionEnding::Ours, &reason);
            }
            Input::Snapshot { session } => self.ask_snapshot(now, session),
            Input::Credentials { trunk, credentials } => {
                let mut trunks = self.trunks.iter_mut();
                if let Some(known) = trunks.find(|known| known.name == trunk) {
                    Arc::make_mut(known).credentials = credentials;
                }
            }
            Input::Drain => self.is_draining = true,
            Input::Full { why } => self.full = why,
            Input::Tick => {
                self.transactions.tick(now);
                while let Some(wake) = self.deadlines.due(now) {
                    self.wake(now, wake);
                }
            }
        }
        self.heed(now, &names);
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to say [`Input::Tick`] at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        let own = self.deadlines.next();
        own.into_iter().chain(self.transactions.deadline()).min()
    }

    /// Sessions that run.
    pub fn sessions(&self) -> usize {
        let runs = |session: &&Session| !matches!(session.phase, Phase::Ended(_));
        self.sessions.values().filter(runs).count()
    }

    /// Sessions that are over and whose BYE nobody has answered yet.
    pub fn goodbyes(&self) -> usize {
        let is_bye = |errand: &&Errand| errand.purpose == Purpose::Bye;
        self.errands.values().filter(is_bye).count()
    }

    /// Whether nothing is left of any session, request or transaction.
    pub fn is_idle(&self) -> bool {
        self.sessions.is_empty()
            && self.dialogs.is_empty()
            && self.errands.is_empty()
            && self.transactions.counts() == (0, 0)
    }

    fn notice(&mut self, notice: Notice) {
        self.outputs.push_back(Output::Notice(notice));
    }
}
