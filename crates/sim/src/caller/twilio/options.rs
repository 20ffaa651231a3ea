//! What a simulated Twilio call is like.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use uuid::Uuid;

use super::{Counters, Side, Sids, Signature, Upgrade};

/// Everything that can differ between two streams.
#[derive(Clone, Debug)]
pub struct Options {
    /// The stream's URL as in the TwiML; signed as it stands.
    pub url: String,
    /// `scheme://host:port` to dial instead of the URL's; the path stays.
    pub via: Option<String>,
    /// Send the URL's query, which Twilio does not.
    pub keep_query: bool,
    /// Who signs the upgrade.
    pub signature: Signature,
    /// More headers on the upgrade.
    pub headers: Vec<(String, String)>,
    /// What TLS trusts.
    pub tls: Arc<ClientConfig>,
    /// Identifiers; random by default.
    pub sids: Sids,
    /// Tracks that are announced and sent.
    pub sides: Vec<Side>,
    /// `customParameters` of `start`.
    pub parameters: Vec<(String, String)>,
    /// Which messages come before the first frame.
    pub greeting: Greeting,
    /// How counters are written.
    pub counters: Counters,
    /// `media.timestamp` of the first frame.
    pub first_timestamp_ms: u64,
    /// Sound that is sent at once when the stream begins.
    pub burst: Duration,
    /// Samples a frame.
    pub frame_samples: usize,
    /// Media seconds a second; 0 is as fast as TCP takes it.
    pub speed: f64,
    /// Keep every code that was sent.
    pub tape: bool,
    /// How long connecting and upgrading may take.
    pub dial_timeout: Duration,
    /// How long the gateway may take to answer a close frame.
    pub close_timeout: Duration,
}

/// Which messages precede the first frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Greeting {
    /// `connected` and `start`, as ever.
    #[default]
    Full,
    /// Nothing: the test sends its own.
    None,
    /// `start` without `connected`.
    StartOnly,
}

impl Options {
    /// A two-track stream to `url` in real time: what the published capture shows, with an
    /// unsigned upgrade.
    pub fn new(url: impl Into<String>, tls: Arc<ClientConfig>) -> Self {
        Self {
            url: url.into(),
            via: None,
            keep_query: false,
            signature: Signature::None,
            headers: Vec::new(),
            tls,
            sids: Sids::random(),
            sides: Side::BOTH.to_vec(),
            parameters: Vec::new(),
            greeting: Greeting::Full,
            counters: Counters::Strings,
            first_timestamp_ms: 52,
            burst: Duration::from_millis(130),
            frame_samples: 160,
            speed: 1.0,
            tape: true,
            dial_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
        }
    }

    /// The upgrade these options ask for.
    pub fn upgrade(&self) -> Upgrade<'_> {
        Upgrade {
            url: &self.url,
            via: self.via.as_deref(),
            keep_query: self.keep_query,
            signature: &self.signature,
            headers: &self.headers,
            tls: &self.tls,
        }
    }
}

impl Sids {
    /// Identifiers of Twilio's present form: two letters and 32 hexadecimal digits.
    pub fn random() -> Self {
        let sid = |kind: &str| format!("{kind}{}", Uuid::new_v4().simple());
        Self {
            account: sid("AC"),
            call: sid("CA"),
            stream: sid("MZ"),
        }
    }
}
