//! A world in which an SBC has its calls recorded: SIP and RTP on loopback.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};

use sim::caller::siprec::{DialError, Options, SiprecCall, Target};

use crate::World;

/// The namespace of recorded calls.
pub const SIPREC: &str = "siprec";
/// The rig's trunk: this machine.
pub const TRUNK: &str = "rig";

/// Ports for RTP: below those that a gateway takes by default, and below those that the kernel
/// gives to whoever asks for any.
const PORTS: std::ops::Range<u16> = 10_000..20_000;
/// Ports of one world.
const PORTS_OF_ONE: u16 = 400;

impl World {
    /// A gateway that records for this machine, by UDP and by TCP. Its API is asked about recorded
    /// calls.
    pub async fn recording() -> Self {
        Self::recording_with("").await
    }

    /// The same, with more configuration. `[[siprec.trunks]]` replace the rig's.
    pub async fn recording_with(more: &str) -> Self {
        Self::recording_to(crate::service_config(), more).await
    }

    /// The same, with a service of the story's own.
    pub async fn recording_to(service: sim::service::autotranscribe::Config, more: &str) -> Self {
        let mut world = Self::with_service(service, &recording_config(more)).await;
        world.ask_about(SIPREC);
        world
    }

    /// From now on the API is asked about calls of this namespace.
    pub fn ask_about(&mut self, namespace: &'static str) {
        self.api = self.api.on(namespace);
        self.namespace = namespace;
    }

    /// A recorded call in real time: two lines of μ-law by TCP, a perfect network.
    pub async fn record(&self) -> SiprecCall {
        self.record_with(|_| {}).await
    }

    /// A recorded call that differs from the usual one.
    pub async fn record_with(&self, change: impl FnOnce(&mut Options)) -> SiprecCall {
        self.try_record(change).await.unwrap()
    }

    /// The same where it may be refused.
    pub async fn try_record(
        &self,
        change: impl FnOnce(&mut Options),
    ) -> Result<SiprecCall, DialError> {
        let mut options = self.recording_options();
        change(&mut options);
        SiprecCall::dial(options).await
    }

    /// What the usual recorded call is like.
    pub fn recording_options(&self) -> Options {
        let tls = sim::caller::tls::client_config(None).unwrap();
        let mut options = Options::new(self.target("tcp"), tls);
        // Whatever a slow machine does, a story has its own patience.
        options.dial_timeout = crate::PATIENCE;
        options
    }

    /// Where the gateway listens for SIP over `udp`, `tcp` or `tls`; of TLS by the name of its
    /// certificate, `localhost`.
    pub fn target(&self, transport: &str) -> Target {
        let address = self.sip_address(transport);
        let host = match transport {
            "tls" => format!("localhost:{}", address.port()),
            _ => address.to_string(),
        };
        format!("{transport}:{host}").parse().unwrap()
    }

    /// The address of the listener for that transport.
    pub fn sip_address(&self, transport: &str) -> SocketAddr {
        let index = self.transports.iter().position(|one| one == transport);
        let index = index.unwrap_or_else(|| panic!("no listener for {transport}"));
        self.sip[index]
    }
}

/// `[siprec]` as the rig has it, with more TOML whose sections replace or extend it: for
/// [`World::with_service`] and [`crate::apart::Apart`].
pub fn recording_config(more: &str) -> String {
    static WORLDS: AtomicU16 = AtomicU16::new(0);
    let slots = (PORTS.end - PORTS.start) / PORTS_OF_ONE;
    // Two that meet by chance skip each other's ports.
    let slot = std::process::id() as u16 + WORLDS.fetch_add(1, Ordering::Relaxed);
    let first = PORTS.start + slot % slots * PORTS_OF_ONE;
    let last = first + PORTS_OF_ONE - 1;
    let mut base: toml::Table = format!(
        "[siprec]\nlisten = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]\n\
         rtp_ports = \"{first}-{last}\"\nsessions_max = 100\n\
         [[siprec.trunks]]\nname = \"{TRUNK}\"\nsources = [\"127.0.0.0/8\"]\n"
    )
    .parse()
    .unwrap();
    crate::merge(&mut base, more.parse().unwrap());
    toml::to_string(&base).unwrap()
}
