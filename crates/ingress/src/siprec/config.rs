//! What can be set: listeners, ports, trunks, limits. One field a key of the configuration.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use call::leg::LegConfig;
use call::start::Wish;
use siprec::framing::MessageLimits;
use siprec::server::ServerConfig;

// What a configuration is made of, for whoever reads one.
pub use siprec::answer::{MediaPolicy, SrtpPolicy};
pub use siprec::offer::Codec;
pub use siprec::roles::RolePolicy;
pub use siprec::server::ServerLimits;
pub use siprec::transaction::{Timers, Transport};
pub use siprec::trunk::{BeforeStart, Credentials, Trunk};

/// Settings and limits. One field a key of the configuration, so there are many.
#[derive(Clone, Debug)]
pub struct SiprecConfig {
    /// Where SIP is listened for. Default: UDP and TCP on port 5060 of every IPv4 address.
    pub listen: Vec<Listen>,
    /// Ports for RTP (even) and RTCP (the next). Default 20000 to 29999.
    pub rtp_ports: PortRange,
    /// Our addresses as peers reach them, at most one of IPv4 and one of IPv6, for Via and Contact.
    /// Empty: the listener's own, or the one that a peer's messages arrive at.
    pub public_addresses: Vec<IpAddr>,
    /// Who may record here. Empty: nobody.
    pub trunks: Vec<Trunk>,
    /// By the name of a trunk: to which speech service the sound of its sessions shall go, where a
    /// start does not say.
    pub wishes: HashMap<String, Wish>,
    /// Sources that no trunk knows get no answer at all instead of 403. Default false.
    pub silent_to_unknown: bool,
    /// Certificates of TLS listeners.
    pub tls: TlsSettings,
    /// Largest start line with headers, in bytes. Default 32 KiB.
    pub head_bytes_max: usize,
    /// Most header fields of a message. Default 256.
    pub headers_max: usize,
    /// Largest body, in bytes. Default 256 KiB.
    pub body_bytes_max: usize,
    /// TCP and TLS connections at once; one more is closed. Default 1,000.
    pub connections_max: usize,
    /// A connection over which nothing came for so long is closed. Default 1 hour.
    pub connection_idle_timeout: Duration,
    /// How long opening a connection or a TLS handshake may take. Default 5 s.
    pub connect_timeout: Duration,
    /// Messages that wait to be written to one connection; one more closes it. Default 256.
    pub connection_queue_max: usize,
    /// Messages read that wait for the signalling task; more wait at their sockets. Default 1,024.
    pub messages_queue_max: usize,
    /// Receive buffer asked for on each RTP socket, in bytes; the kernel may give less. Default
    /// 256 KiB.
    pub rtp_socket_buffer: usize,
    /// RTP sockets are read so often; a packet waits half as long in the mean. Default 5 ms.
    pub rtp_read_interval: Duration,
    /// A pair of ports rests so long before it is used again. Default 5 s.
    pub rtp_port_quarantine: Duration,
    /// A session on none of whose active lines a packet came for so long is ended; zero: never.
    /// Default zero, because a silent line is normal (RFC 7866 §8.1.6).
    pub media_timeout: Duration,
    /// Packets in a row from an address that was not signalled, until a line is received from
    /// there. Default 3.
    pub source_packets: u32,
    /// A source that was silent for so long may be followed by another. Default 1 s.
    pub source_timeout: Duration,
    /// Mean time between receiver reports. Default 5 s.
    pub rtcp_interval: Duration,
    /// How a leg is put in order and filled. Default: as everywhere, and holes of up to 60 ms are
    /// concealed.
    pub leg: LegConfig,
    /// RFC 3261's T1, T2 and T4. Default 500 ms, 4 s, 5 s.
    pub timers: Timers,
    /// Sessions at once, over all trunks; one more is answered 503. Default 1,000.
    pub sessions_max: usize,
    /// Server transactions at once; one more is answered 503. Default 10,000.
    pub transactions_max: usize,
    /// What a 503 says in `Retry-After`. Default 5 s.
    pub retry_after: Duration,
    /// Session interval we ask for where the peer asks for none; zero: none. Default zero.
    pub session_expires: Duration,
    /// Smallest session interval we take. Default 90 s.
    pub min_se: Duration,
    /// INVITEs a second from one source; more are answered 503; zero: no limit. Default zero.
    pub invites_per_second_max: u32,
    /// Smaller limits of sessions and requests.
    pub limits: ServerLimits,
    /// `Server` and `User-Agent`. Default `Antiphon`.
    pub product: String,
    /// How long sessions may take to end when all are told to. Default 5 s.
    pub close_timeout: Duration,
}

/// One place to listen at: `udp:0.0.0.0:5060`, `tls:[::]:5061`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Listen {
    /// How.
    pub transport: Transport,
    /// Where; port 0 lets the kernel choose.
    pub address: SocketAddr,
}

/// Even ports for RTP and the odd ones behind them: `20000-29999`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// How TLS listeners show who they are, and whom they believe.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// PEM file with our certificate and its chain. Needed by TLS listeners.
    pub cert_file: Option<PathBuf>,
    /// PEM file with its key. Needed by TLS listeners.
    pub key_file: Option<PathBuf>,
    /// PEM file with the authorities that peers' certificates are checked against. Without it we
    /// open no TLS connections of our own and ask for no certificate.
    pub client_ca_file: Option<PathBuf>,
    /// Whether a peer shows a certificate. Default: no.
    pub client_cert: ClientCert,
    /// How often certificate and key are looked at for a change; zero: never. Default 60 s.
    pub check_interval: Duration,
}

/// Whether a peer of a TLS listener shows a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCert {
    /// It is not asked for one.
    #[default]
    None,
    /// It is asked, and may have none; one that it shows must be good.
    Optional,
    /// It is refused without a good one.
    Required,
}

/// Why a text is no [`Listen`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadListen {
    /// What follows the transport is no address.
    #[error("is not an IP address with a port, such as 0.0.0.0:5060 or [::]:5060")]
    Address,
    /// It does not begin with a transport.
    #[error("does not begin with udp:, tcp: or tls:")]
    Transport,
}

/// Why a text is no [`PortRange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPortRange {
    /// It has no pair of an even port and the odd one behind it.
    #[error("has no even port with an odd one behind it")]
    Empty,
    /// It has port numbers below 1024.
    #[error("has ports below 1024")]
    Low,
    /// It is not two numbers with a dash between.
    #[error("is not two port numbers with a dash between, such as 20000-29999")]
    Unreadable,
}

impl Default for SiprecConfig {
    fn default() -> Self {
        let any = |transport| Listen {
            transport,
            address: SocketAddr::from(([0, 0, 0, 0], 5060)),
        };
        Self {
            listen: vec![any(Transport::Udp), any(Transport::Tcp)],
            rtp_ports: PortRange {
                first: 20_000,
                last: 29_999,
            },
            public_addresses: Vec::new(),
            trunks: Vec::new(),
            wishes: HashMap::new(),
            silent_to_unknown: false,
            tls: TlsSettings::default(),
            head_bytes_max: 32 * 1024,
            headers_max: 256,
            body_bytes_max: 256 * 1024,
            connections_max: 1_000,
            connection_idle_timeout: Duration::from_secs(3_600),
            connect_timeout: Duration::from_secs(5),
            connection_queue_max: 256,
            messages_queue_max: 1_024,
            rtp_socket_buffer: 256 * 1024,
            rtp_read_interval: Duration::from_millis(5),
            rtp_port_quarantine: Duration::from_secs(5),
            media_timeout: Duration::ZERO,
            source_packets: 3,
            source_timeout: Duration::from_secs(1),
            rtcp_interval: Duration::from_secs(5),
            leg: LegConfig {
                conceal_max: Duration::from_millis(60),
                ..LegConfig::default()
            },
            timers: Timers::default(),
            sessions_max: 1_000,
            transactions_max: 10_000,
            retry_after: Duration::from_secs(5),
            session_expires: Duration::ZERO,
            min_se: Duration::from_secs(90),
            invites_per_second_max: 0,
            limits: ServerLimits::default(),
            product: "Antiphon".to_owned(),
            close_timeout: Duration::from_secs(5),
        }
    }
}

impl SiprecConfig {
    /// Limits of one SIP message.
    pub fn message_limits(&self) -> MessageLimits {
        MessageLimits {
            head_bytes_max: self.head_bytes_max,
            headers_max: self.headers_max,
            body_bytes_max: self.body_bytes_max,
        }
    }

    /// What of it is the server's; `listeners` are the bound addresses in the order of `listen`.
    pub(crate) fn server(&self, listeners: &[SocketAddr]) -> ServerConfig {
        ServerConfig {
            trunks: self.trunks.clone(),
            silent_to_unknown: self.silent_to_unknown,
            listeners: listeners.iter().map(|bound| self.public(*bound)).collect(),
            timers: self.timers,
            sessions_max: self.sessions_max,
            transactions_max: self.transactions_max,
            retry_after: self.retry_after,
            session_expires: self.session_expires,
            min_se: self.min_se,
            invites_per_second_max: self.invites_per_second_max,
            product: self.product.clone(),
            limits: self.limits.clone(),
        }
    }

    /// A bound address as peers reach it.
    fn public(&self, bound: SocketAddr) -> SocketAddr {
        let mut addresses = self.public_addresses.iter();
        let same = addresses.find(|address| address.is_ipv4() == bound.is_ipv4());
        SocketAddr::new(same.copied().unwrap_or_else(|| bound.ip()), bound.port())
    }
}

impl PortRange {
    /// From `first` to `last`, both included.
    pub fn new(first: u16, last: u16) -> Result<Self, BadPortRange> {
        let range = Self { first, last };
        if first < 1024 {
            Err(BadPortRange::Low)
        } else if range.pairs().next().is_none() {
            Err(BadPortRange::Empty)
        } else {
            Ok(range)
        }
    }

    /// The even port of each pair.
    pub fn pairs(self) -> impl Iterator<Item = u16> {
        let even = (self.first..=self.last).filter(|port| port % 2 == 0);
        even.filter(move |port| *port < self.last)
    }
}

impl FromStr for PortRange {
    type Err = BadPortRange;

    fn from_str(text: &str) -> Result<Self, BadPortRange> {
        let (first, last) = text.split_once('-').ok_or(BadPortRange::Unreadable)?;
        let port = |text: &str| text.trim().parse().map_err(|_| BadPortRange::Unreadable);
        Self::new(port(first)?, port(last)?)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl FromStr for Listen {
    type Err = BadListen;

    fn from_str(text: &str) -> Result<Self, BadListen> {
        let (transport, address) = text.split_once(':').ok_or(BadListen::Transport)?;
        let transport = match transport {
            "tcp" => Transport::Tcp,
            "tls" => Transport::Tls,
            "udp" => Transport::Udp,
            _ => return Err(BadListen::Transport),
        };
        let address = address.parse().map_err(|_| BadListen::Address)?;
        Ok(Self { transport, address })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", transport_name(self.transport), self.address)
    }
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            cert_file: None,
            key_file: None,
            client_ca_file: None,
            client_cert: ClientCert::None,
            check_interval: Duration::from_secs(60),
        }
    }
}

/// As a listener's text begins.
pub(crate) fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
        Transport::Udp => "udp",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_listener_is_a_transport_and_an_address() {
        for text in ["udp:0.0.0.0:5060", "tcp:192.0.2.1:5070", "tls:[::1]:5061"] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
        for text in ["0.0.0.0:5060", "sctp:0.0.0.0:5060", "", "udp"] {
            assert_eq!(text.parse::<Listen>(), Err(BadListen::Transport), "{text}");
        }
        for text in ["udp:5060", "tcp:host:5060", "tls:::1:5061", "udp:1.2.3.4"] {
            assert_eq!(text.parse::<Listen>(), Err(BadListen::Address), "{text}");
        }
    }

    #[test]
    fn a_range_gives_even_ports_that_have_an_odd_one_behind() {
        let pairs =
            |text: &str| -> Vec<u16> { text.parse::<PortRange>().unwrap().pairs().collect() };
        assert_eq!(pairs("20001-20006"), [20002, 20004]);
        assert_eq!(pairs("20000-20001"), [20000]);
        assert_eq!(pairs("65534-65535"), [65534]);
        assert_eq!("20000-20000".parse::<PortRange>(), Err(BadPortRange::Empty));
        assert_eq!("30000-20000".parse::<PortRange>(), Err(BadPortRange::Empty));
        assert_eq!("1000-2000".parse::<PortRange>(), Err(BadPortRange::Low));
        assert_eq!("20000".parse::<PortRange>(), Err(BadPortRange::Unreadable));
        assert_eq!(
            "1-99999".parse::<PortRange>(),
            Err(BadPortRange::Unreadable)
        );
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_so_and_nothing_else_is_read(text in "\\PC{0,40}") {
            if let Ok(listen) = text.parse::<Listen>() {
                prop_assert_eq!(listen.to_string().parse::<Listen>(), Ok(listen));
            }
            if let Ok(range) = text.parse::<PortRange>() {
                prop_assert!(range.pairs().all(|port| port % 2 == 0 && port >= 1024));
                prop_assert_eq!(range.to_string().parse::<PortRange>(), Ok(range));
            }
        }

        #[test]
        fn any_range_is_read_as_it_is_written(first in 1024_u16.., last in 1024_u16..) {
            if let Ok(range) = PortRange::new(first, last) {
                prop_assert_eq!(range.to_string().parse::<PortRange>(), Ok(range));
                prop_assert!(range.pairs().all(|port| (first..last).contains(&port)));
            }
        }
    }

    #[test]
    fn the_server_is_told_our_addresses_as_peers_reach_them() {
        let config = SiprecConfig {
            public_addresses: vec!["203.0.113.9".parse().unwrap()],
            ..SiprecConfig::default()
        };
        let bound = [
            "0.0.0.0:5060".parse().unwrap(),
            "[::1]:5061".parse().unwrap(),
        ];
        let told = config.server(&bound).listeners;
        assert_eq!(told[0], "203.0.113.9:5060".parse().unwrap());
        assert_eq!(told[1], bound[1]);
    }
}
