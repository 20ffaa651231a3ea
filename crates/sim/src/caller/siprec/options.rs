//! What a simulated recording client is like.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use super::codec::Codec;
use super::digest::Challenge;
use super::identity::Identifiers;
use super::like::Like;
use super::message::Message;
use super::rtp::First;
use super::srtp::Suite;
use super::wire::Target;
use crate::network::Conditions;

/// Everything that can differ between two calls.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the recording server listens.
    pub target: Target,
    /// What TLS trusts and shows.
    pub tls: Arc<ClientConfig>,
    /// Whose messages they are like.
    pub like: Like,
    /// What the call is called; random by default.
    pub identifiers: Identifiers,
    /// The numbers of customer, agent and whoever joins them.
    pub numbers: [String; 3],
    /// Whether the customer is the caller.
    pub customer_calls: bool,
    /// The callee has not answered yet; see `SiprecCall::callee_answers`.
    pub early: bool,
    /// The INVITE has no offer; the recording server makes one.
    pub offerless: bool,
    /// Codecs in order of preference.
    pub codecs: Vec<Codec>,
    /// SRTP instead of RTP.
    pub srtp: Option<Suite>,
    /// RTP and RTCP on one port.
    pub mux: bool,
    /// How often sender reports go out, in media time; `None`: never.
    pub reports: Option<Duration>,
    /// Sound in one packet, 10 to 60 ms.
    pub packet: Duration,
    /// Numbers the sources of customer, agent and third party begin with.
    pub first: [First; 3],
    /// Send only while the recording server takes sound, as it must be.
    pub obedient: bool,
    /// What the network does to media.
    pub network: Conditions,
    /// What the network does to signalling over UDP: the part that is lost, each way.
    pub signalling_loss: f64,
    /// Repeats the same losses and delays.
    pub seed: u64,
    /// Media seconds a second; 0 never waits.
    pub speed: f64,
    /// Keep every code that was sent.
    pub tape: bool,
    /// More header fields on every INVITE.
    pub headers: Vec<(String, String)>,
    /// Changes every request before it goes out.
    pub edit: Option<Edit>,
    /// What the recording server must know before its own requests are heard.
    pub challenge: Option<Challenge>,
    /// The retransmission timer of RFC 3261.
    pub t1: Duration,
    /// How long dialling may take.
    pub dial_timeout: Duration,
}

/// A change to messages.
#[derive(Clone)]
pub struct Edit(pub Arc<dyn Fn(&mut Message) + Send + Sync>);

impl Options {
    /// A plain call in real time with two lines of μ-law over a perfect network.
    pub fn new(target: Target, tls: Arc<ClientConfig>) -> Self {
        Self {
            target,
            tls,
            like: Like::Plain,
            identifiers: Identifiers::random(),
            numbers: ["5550100", "5550199", "5550177"].map(str::to_owned),
            customer_calls: true,
            early: false,
            offerless: false,
            codecs: vec![Codec::Pcmu],
            srtp: None,
            mux: false,
            reports: Some(Duration::from_secs(5)),
            packet: Duration::from_millis(20),
            first: [First::default(); 3],
            obedient: true,
            network: Conditions::PERFECT,
            signalling_loss: 0.0,
            seed: 1,
            speed: 1.0,
            tape: true,
            headers: Vec::new(),
            edit: None,
            challenge: None,
            t1: Duration::from_millis(500),
            dial_timeout: Duration::from_secs(32),
        }
    }

    /// Samples in one packet.
    pub fn packet_samples(&self) -> usize {
        crate::caller::samples(self.packet.as_millis() as u64) as usize
    }

    pub(super) fn is_offerless(&self) -> bool {
        self.offerless || self.like == Like::Bib
    }
}

impl Edit {
    /// A change of the test's own making.
    pub fn new(change: impl Fn(&mut Message) + Send + Sync + 'static) -> Self {
        Self(Arc::new(change))
    }
}

impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Edit(..)")
    }
}
