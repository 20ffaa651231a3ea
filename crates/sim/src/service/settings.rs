//! What every service is told, whatever it speaks.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use super::chaos::Chaos;
use super::faults::Faults;
use crate::hearing::Lexicon;
use crate::speech::{Role, Script};

/// What every service is told, whatever it speaks.
#[derive(Clone)]
pub struct Settings {
    /// Where it listens; port 0 takes any.
    pub listen: SocketAddr,
    /// TLS, if any.
    pub tls: Option<TlsFiles>,
    /// What it can hear; `None` listens to nothing and transcribes nothing.
    pub lexicon: Option<Arc<Lexicon>>,
    /// What it keeps.
    pub keep: Keep,
    /// The socket's receive buffer in bytes, so that a stall is felt soon; `None` is the system's.
    pub receive_buffer_bytes: Option<u32>,
    /// What goes wrong from the beginning.
    pub faults: Faults,
    /// What goes wrong at random, where `faults` do nothing.
    pub chaos: Option<Chaos>,
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
    /// The stream, by its place in [`super::Running::streams`].
    pub stream: usize,
    /// What the client called the call, if the service has a place for it; else empty.
    pub external_id: &'a str,
    /// Who speaks on it, if that is known yet.
    pub role: Option<Role>,
    /// The sound it brought.
    pub sound: &'a [i16],
    /// Samples of the stream until now, with this message.
    pub samples: u64,
    /// When.
    pub at: Instant,
}

/// Is told of arrivals.
pub type Observer = Arc<dyn Fn(Arrival<'_>) + Send + Sync>;

impl Default for Settings {
    fn default() -> Self {
        // To learn the script takes longer than most tests.
        static STANDARD: LazyLock<Arc<Lexicon>> = LazyLock::new(|| {
            let lexicon = Lexicon::new(Script::standard().phrases());
            Arc::new(lexicon.expect("the built-in phrases can be heard, as tests show"))
        });
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: None,
            lexicon: Some(STANDARD.clone()),
            keep: Keep::default(),
            receive_buffer_bytes: None,
            faults: Faults::default(),
            chaos: None,
            observer: None,
        }
    }
}

impl Keep {
    /// Of sound and of times nothing: who listens does so while they come.
    #[must_use]
    pub fn no_sound() -> Self {
        Self {
            samples_max: 0,
            arrivals_max: 0,
            ..Self::default()
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
