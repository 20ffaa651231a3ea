//! ASAPP AutoTranscribe as its documents describe it: a REST call for a short-lived URL, and a
//! WebSocket that takes L16 sound and gives transcripts. It hears (`hearing`), it is strict about
//! the order and the fields of messages, it keeps what it got, and it fails on request (`faults`).

pub mod args;
mod doors;
pub mod faults;
mod line;
mod message;
pub mod record;
mod session;
mod socket;
mod status;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::net::TcpSocket;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use self::doors::Doors;
use self::faults::{Cut, Faults};
use self::line::Door;
use self::record::{Asked, Recorded};
use crate::hearing::Lexicon;
use crate::speech::{Role, Script};

/// How long streams may take to say goodbye when the service stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections that wait to be accepted.
const BACKLOG: u32 = 4096;

/// The service; [`AutoTranscribe::start`] is all there is to it.
#[derive(Debug)]
pub struct AutoTranscribe;

/// A service at work. It stops when this is dropped.
pub struct Running {
    doors: Arc<Doors>,
    address: SocketAddr,
    tasks: TaskTracker,
    stopping: CancellationToken,
    _stop_on_drop: DropGuard,
}

/// How a service behaves while nothing goes wrong.
#[derive(Clone)]
pub struct Config {
    /// Where it listens; port 0 takes any.
    pub listen: SocketAddr,
    /// TLS, if any.
    pub tls: Option<TlsFiles>,
    /// The `asapp-api-id` it wants.
    pub api_id: String,
    /// The `asapp-api-secret` it wants.
    pub api_secret: String,
    /// Its access tokens.
    pub tokens: Tokens,
    /// What it asks of streams.
    pub rules: Rules,
    /// What it can hear; `None` listens to nothing and transcribes nothing.
    pub lexicon: Option<Arc<Lexicon>>,
    /// What it keeps.
    pub keep: Keep,
    /// The socket's receive buffer in bytes, so that a stall is felt soon; `None` is the system's.
    pub receive_buffer_bytes: Option<u32>,
    /// What goes wrong from the beginning.
    pub faults: Faults,
    /// Is told of each binary message as it arrives, on the task that read it.
    pub observer: Option<Observer>,
}

/// PEM files of a certificate chain and its key.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The chain, leaf first.
    pub cert: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// How access tokens behave.
#[derive(Clone, Copy, Debug)]
pub struct Tokens {
    /// How long one lives.
    pub ttl: Duration,
    /// Whether it opens one WebSocket only.
    pub single_use: bool,
    /// How a WebSocket with a bad token is refused.
    pub refusal: TokenRefusal,
}

/// How a WebSocket with a bad token is refused; the documents leave it open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenRefusal {
    /// The upgrade succeeds and the socket closes with 1008.
    #[default]
    Close1008,
    /// The upgrade is answered with HTTP 401.
    Http401,
}

/// What a service asks of its streams.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// A stream without a message for so long ends with 4083.
    pub idle_timeout: Duration,
    /// A stream that lasts longer ends with 4090.
    pub duration_max: Duration,
    /// Whether unredacted text is refused with 4094.
    pub always_redact: bool,
    /// More phrases in a stream's vocabulary are refused with 4084.
    pub vocabulary_phrases_max: usize,
    /// A longer vocabulary phrase is refused with 4084.
    pub vocabulary_chars_max: usize,
    /// Whether a refused vocabulary ends the stream, or is only refused in the
    /// `vocabularyResponse`; the documents can be read both ways.
    pub vocabulary_refusal_ends: bool,
    /// A longer WebSocket message ends the connection.
    pub message_bytes_max: usize,
}

/// What a service keeps of its streams.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Samples of a stream; what is over is only counted and digested.
    pub samples_max: usize,
    /// Arrival times of a stream's binary messages.
    pub arrivals_max: usize,
    /// Streams; further WebSockets are closed with 1013.
    pub streams_max: usize,
}

/// One binary message that just arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The stream, by its place in [`Running::streams`].
    pub stream: usize,
    /// The `externalId` of the REST call, the call's guid; empty if there was none.
    pub external_id: &'a str,
    /// Who speaks on it.
    pub role: Role,
    /// The sound it brought.
    pub sound: &'a [i16],
    /// Samples of the stream until now, with this message.
    pub samples: u64,
    /// When.
    pub at: Instant,
}

/// Is told of arrivals.
pub type Observer = Arc<dyn Fn(Arrival<'_>) + Send + Sync>;

impl AutoTranscribe {
    /// Listens, and serves until [`Running::stop`] or the drop.
    ///
    /// # Errors
    /// The address is taken, or the TLS files are not usable.
    pub async fn start(config: Config) -> anyhow::Result<Running> {
        let socket = match config.listen {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        if let Some(bytes) = config.receive_buffer_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket
            .bind(config.listen)
            .with_context(|| format!("cannot listen on {}", config.listen))?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;

        let door = Door::new(listener, config.tls.as_ref())?;
        let tasks = TaskTracker::new();
        let stopping = CancellationToken::new();
        let doors = Arc::new(Doors::new(config, address, tasks.clone(), stopping.clone()));
        tasks.spawn(doors::serve(doors.clone(), door, stopping.clone()));
        let stop_on_drop = stopping.clone().drop_guard();
        Ok(Running {
            doors,
            address,
            tasks,
            stopping,
            _stop_on_drop: stop_on_drop,
        })
    }
}

impl Running {
    /// The base URL of the REST call: `http://127.0.0.1:4000`.
    pub fn url(&self) -> String {
        let scheme = if self.doors.config.tls.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.address)
    }

    /// All streams there were, in the order they connected.
    pub fn streams(&self) -> Vec<Recorded> {
        self.doors.records.streams()
    }

    /// Looks at the streams without copying them.
    pub fn with_streams<T>(&self, look: impl FnOnce(&[Recorded]) -> T) -> T {
        self.doors.records.with_streams(look)
    }

    /// All REST calls there were.
    pub fn asked(&self) -> Vec<Asked> {
        self.doors.records.asked()
    }

    /// Waits until the streams are as described. It looks at each change and never by the clock;
    /// bring a timeout.
    pub async fn wait_for(&self, mut so: impl FnMut(&[Recorded]) -> bool) {
        self.doors
            .records
            .wait_until(|| self.with_streams(&mut so))
            .await;
    }

    /// Waits for REST calls in the same way.
    pub async fn wait_for_asked(&self, mut so: impl FnMut(&[Asked]) -> bool) {
        self.doors
            .records
            .wait_until(|| self.doors.records.with_asked(&mut so))
            .await;
    }

    /// What goes wrong from now on with new REST calls and streams.
    pub fn set_faults(&self, faults: Faults) {
        self.doors.board.set(faults);
    }

    /// Breaks a running stream now, by its place in [`Running::streams`]; false if there is none.
    pub fn inflict(&self, stream: usize, cut: Cut) -> bool {
        self.doors.inflict(stream, cut)
    }

    /// Ends all streams with 5001 and waits until they are gone.
    pub async fn stop(self) {
        self.stopping.cancel();
        self.tasks.close();
        if tokio::time::timeout(STOP_TIMEOUT, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("Streams of the service did not end in time.");
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        let lexicon = Lexicon::new(Script::standard().phrases());
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: None,
            api_id: "sim-api-id".to_owned(),
            api_secret: "sim-api-secret".to_owned(),
            tokens: Tokens::default(),
            rules: Rules::default(),
            lexicon: Some(Arc::new(
                lexicon.expect("the built-in phrases can be heard, as tests show"),
            )),
            keep: Keep::default(),
            receive_buffer_bytes: None,
            faults: Faults::default(),
            observer: None,
        }
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(5 * 60),
            single_use: true,
            refusal: TokenRefusal::default(),
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(60),
            duration_max: Duration::from_secs(3 * 3600),
            always_redact: false,
            vocabulary_phrases_max: 1000,
            vocabulary_chars_max: 100,
            vocabulary_refusal_ends: true,
            message_bytes_max: 1 << 20,
        }
    }
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            samples_max: 10 * 60 * 8000,
            arrivals_max: 100_000,
            streams_max: 100_000,
        }
    }
}
