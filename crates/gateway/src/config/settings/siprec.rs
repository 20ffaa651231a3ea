//! `[siprec]`: the SIPREC recording server.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use call::leg::LegConfig;
use ingress::siprec::config::{
    BeforeStart, ClientCert, Listen, PortRange, ServerLimits, SiprecConfig, Timers, TlsSettings,
    Transport,
};

use super::{Control, DAY, Limits, ms, s};
use crate::config::kind::parsed::{Parsed, parsed};
use crate::config::kind::{Count, File, Flag, List, Period, Size, Text, word};
use crate::config::section::{
    Field, Section, Settings, optional, preset, required, section, tables,
};

mod trunk;
mod words;

pub use trunk::{Caller, Kept, MediaLineOrder, Mixed, SiprecTrunk};

settings! {
    /// The SIPREC recording server: SIP and RTP from session border controllers.
    pub struct Siprec {
        /// Where SIP is listened for, by UDP, TCP or TLS. Empty: not at all.
        listen: Vec<Listen> = preset(List(listener(), 16), Vec::new());
        /// Ports for RTP, the even ones, and for RTCP, the odd ones behind them; one pair for each
        /// media line.
        rtp_ports: PortRange = preset(
            parsed("a range of ports, such as \"20000-29999\""), presets().rtp_ports);
        /// What a session is answered before a start: `recvonly` receives its sound and discards it
        /// undecoded; `inactive` has none sent, and asks for it by re-INVITE when a start comes,
        /// which costs a start that time. A trunk may have another.
        answer: BeforeStart = preset(word(), BeforeStart::RecvOnly);
        /// Whether a stop has the sending of sound stopped, by re-INVITE. A trunk may have another.
        pause_on_stop: bool = preset(Flag, false);
        /// Our addresses as peers reach them, one of IPv4 or of IPv6 or one of each, where they are
        /// not those that are listened at.
        public_addresses: Vec<IpAddr> = preset(List(address(), 2), Vec::new());
        /// Whether a source that no trunk knows is not answered at all, instead of with 403.
        silent_to_unknown: bool = preset(Flag, presets().silent_to_unknown);
        /// Sessions at a time, over all trunks; one more is answered 503.
        sessions_max: usize = preset(Count(1..=100_000), presets().sessions_max);
        /// INVITEs a second from one source; more are answered 503. 0: no limit.
        invites_per_second_max: u32 =
            preset(Count(0..=100_000), presets().invites_per_second_max);
        /// Transactions of peers at a time; one more is answered 503.
        transactions_max: usize =
            preset(Count(100..=1_000_000), presets().transactions_max);
        /// How long our re-INVITE for sound may take; then the start that wants it is answered that
        /// it failed. Less than `control.start_timeout`, or the start only says that time is over.
        grant_timeout: Duration = preset(Period(ms(100)..=s(60)), s(4));
        /// How long ports for a session may take to be had; then it is answered 503.
        bind_timeout: Duration = preset(Period(ms(10)..=s(60)), presets().limits.bind_wait);
        /// Sources whose INVITEs are counted one by one.
        sources_max: usize = preset(Count(1..=1_000_000), presets().limits.sources_max);
        /// Identifiers kept of one session.
        identifiers_max: usize = preset(Count(1..=1_000), presets().limits.identifiers_max);
        /// So many updates of a session's metadata, and a snapshot of it may be asked for again.
        updates_per_snapshot: u32 =
            preset(Count(1..=100_000), presets().limits.updates_per_snapshot);
        /// A longer request of ours goes by TCP instead of UDP, where the peer takes it.
        datagram_bytes_max: usize =
            preset(Size(512..=65_507), presets().limits.datagram_bytes_max);
        /// A request with a longer URI is answered 414.
        uri_bytes_max: usize = preset(Size(256..=64 << 10), presets().limits.uri_bytes_max);
        /// A longer start line with headers is refused.
        head_bytes_max: usize = preset(Size(4 << 10..=1 << 20), presets().head_bytes_max);
        /// A message with more headers is refused.
        headers_max: usize = preset(Count(32..=10_000), presets().headers_max);
        /// A longer body is refused.
        body_bytes_max: usize = preset(Size(8 << 10..=16 << 20), presets().body_bytes_max);
        /// TCP and TLS connections at a time; one more is closed.
        connections_max: usize = preset(Count(1..=100_000), presets().connections_max);
        /// A connection over which nothing came for so long is closed.
        connection_idle_timeout: Duration =
            preset(Period(s(1)..=DAY), presets().connection_idle_timeout);
        /// How long opening a connection, or a TLS handshake, may take.
        connect_timeout: Duration = preset(Period(ms(100)..=s(60)), presets().connect_timeout);
        /// Messages that wait to be written to one connection; one more closes it.
        connection_queue_max: usize =
            preset(Count(1..=100_000), presets().connection_queue_max);
        /// Messages that were read and wait to be looked at; more wait at their sockets.
        messages_queue_max: usize = preset(Count(1..=1_000_000), presets().messages_queue_max);
        /// Each RTP socket's receive buffer, as far as the kernel allows it.
        rtp_socket_buffer: usize =
            preset(Size(16 << 10..=16 << 20), presets().rtp_socket_buffer);
        /// How often RTP sockets are read. Longer costs less for each packet, which waits half as
        /// long in the mean.
        rtp_read_interval: Duration =
            preset(Period(ms(1)..=ms(20)), presets().rtp_read_interval);
        /// A pair of ports rests so long before it is used again, so that nothing of an earlier
        /// call comes in.
        rtp_port_quarantine: Duration =
            preset(Period(s(0)..=s(600)), presets().rtp_port_quarantine);
        /// A session on none of whose active lines a packet came for so long is ended. 0s: never.
        media_timeout: Duration = preset(Period(s(0)..=DAY), presets().media_timeout);
        /// So many packets in a row from an address that was not signalled, and a line is received
        /// from there.
        source_packets: u32 = preset(Count(1..=1_000), presets().source_packets);
        /// A source that was silent for so long may be followed by another.
        source_timeout: Duration = preset(Period(ms(20)..=s(600)), presets().source_timeout);
        /// The mean time between two receiver reports.
        rtcp_interval: Duration = preset(Period(s(1)..=s(600)), presets().rtcp_interval);
        /// The session timer that is asked for where the peer asks for none. 0s: none.
        session_expires: Duration = preset(Period(s(0)..=DAY), presets().session_expires);
        /// The shortest session timer that is taken.
        min_se: Duration = preset(Period(s(90)..=DAY), presets().min_se);
        /// RFC 3261's T1, the estimate of a round trip.
        t1: Duration = preset(Period(ms(50)..=s(10)), presets().timers.t1);
        /// RFC 3261's T2, the longest time between two repetitions.
        t2: Duration = preset(Period(ms(100)..=s(60)), presets().timers.t2);
        /// RFC 3261's T4, how long a message may live in the network.
        t4: Duration = preset(Period(ms(100)..=s(60)), presets().timers.t4);
        /// How long sessions may take to end when all are told to.
        close_timeout: Duration = preset(Period(ms(10)..=s(60)), presets().close_timeout);
        /// How we are called in `Server` and `User-Agent`.
        product: String = preset(Text(1..=64), presets().product);
        /// A jump of the clock up to this is lost sound and filled; a longer one is a
        /// discontinuity, and the service hears nothing of it.
        gap_fill_max: Duration = preset(Period(s(0)..=s(60)), presets().leg.gap_fill_max);
        /// Of lost sound so much is concealed with what was heard before it; the rest of a longer
        /// gap is silence. 0s: all of it is.
        conceal_max: Duration = preset(Period(s(0)..=ms(200)), presets().leg.conceal_max);
        /// How many packets may wait for one that they have overtaken. 0: none.
        order_frames: usize = preset(Count(0..=100), presets().leg.order_frames);
        /// A line that is silent for so long while the other speaks is filled with silence.
        quiet_after: Duration = preset(Period(ms(20)..=s(60)), presets().leg.quiet_after);
        /// A packet this near to where it is expected is put there, since clocks are rounded.
        wobble: Duration = preset(Period(s(0)..=ms(100)), presets().leg.wobble);
        /// Certificates.
        tls: SiprecTls = section();
        /// Who may record here.
        trunks: Vec<SiprecTrunk> = tables(1_000);
    }
    check consistent
}

settings! {
    /// How listeners for TLS show who they are, and whom they believe.
    pub struct SiprecTls {
        /// Our certificate and its chain, PEM. Needed by a listener for TLS.
        cert_file: Option<PathBuf> = optional(File, "/etc/antiphon/sip.crt");
        /// Its private key, PEM.
        key_file: Option<PathBuf> = optional(File, "/etc/antiphon/sip.key");
        /// The authorities that sign peers' certificates, PEM.
        client_ca_file: Option<PathBuf> = optional(File, "/etc/antiphon/sip-clients.crt");
        /// Whether a peer has to show a certificate: `none` is asked for, it is `optional` but good
        /// if there is one, or it is `required`.
        client_cert: ClientCert = preset(word(), presets().tls.client_cert);
        /// How often to look whether certificate and key have changed. 0s: never.
        check_interval: Duration = preset(Period(s(0)..=DAY), presets().tls.check_interval);
    }
    check usable
}

impl Siprec {
    /// Whether there is a recording server at all.
    pub fn is_on(&self) -> bool {
        !self.listen.is_empty()
    }

    /// What the ingress is told.
    pub fn ingress(&self, limits: &Limits) -> SiprecConfig {
        let (t1, t2, t4) = (self.t1, self.t2, self.t4);
        SiprecConfig {
            listen: self.listen.clone(),
            rtp_ports: self.rtp_ports,
            public_addresses: self.public_addresses.clone(),
            trunks: self
                .trunks
                .iter()
                .map(|trunk| trunk.ingress(self))
                .collect(),
            wishes: self.trunks.iter().filter_map(SiprecTrunk::wish).collect(),
            silent_to_unknown: self.silent_to_unknown,
            tls: self.tls.ingress(),
            head_bytes_max: self.head_bytes_max,
            headers_max: self.headers_max,
            body_bytes_max: self.body_bytes_max,
            connections_max: self.connections_max,
            connection_idle_timeout: self.connection_idle_timeout,
            connect_timeout: self.connect_timeout,
            connection_queue_max: self.connection_queue_max,
            messages_queue_max: self.messages_queue_max,
            rtp_socket_buffer: self.rtp_socket_buffer,
            rtp_read_interval: self.rtp_read_interval,
            rtp_port_quarantine: self.rtp_port_quarantine,
            media_timeout: self.media_timeout,
            source_packets: self.source_packets,
            source_timeout: self.source_timeout,
            rtcp_interval: self.rtcp_interval,
            leg: self.leg(),
            timers: Timers { t1, t2, t4 },
            sessions_max: self.sessions_max,
            transactions_max: self.transactions_max,
            retry_after: limits.retry_after,
            limits: self.limits(),
            session_expires: self.session_expires,
            min_se: self.min_se,
            invites_per_second_max: self.invites_per_second_max,
            product: self.product.clone(),
            close_timeout: self.close_timeout,
        }
    }

    fn limits(&self) -> ServerLimits {
        ServerLimits {
            uri_bytes_max: self.uri_bytes_max,
            sources_max: self.sources_max,
            bind_wait: self.bind_timeout,
            grant_wait: self.grant_timeout,
            updates_per_snapshot: self.updates_per_snapshot,
            identifiers_max: self.identifiers_max,
            datagram_bytes_max: self.datagram_bytes_max,
        }
    }

    /// How a leg is put in order.
    pub fn leg(&self) -> LegConfig {
        LegConfig {
            gap_fill_max: self.gap_fill_max,
            order_frames: self.order_frames,
            quiet_after: self.quiet_after,
            wobble: self.wobble,
            conceal_max: self.conceal_max,
        }
    }

    /// How many files may be open at once if all limits are reached: of each session two lines,
    /// each with two sockets and a stream.
    pub fn open_files_max(&self) -> usize {
        match self.is_on() {
            true => self.listen.len() + self.connections_max + 6 * self.sessions_max,
            false => 0,
        }
    }

    /// What is allowed and still unwise.
    pub fn warnings(&self, control: &Control) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.is_on() && self.trunks.is_empty() {
            let text = "siprec.listen is set and there are no siprec.trunks: nobody may record.";
            warnings.push(text.to_owned());
        }
        if self.is_on() && self.rtp_ports.pairs().count() < 2 * self.sessions_max {
            let text = "siprec.rtp_ports has fewer than two pairs of ports for each of \
                        siprec.sessions_max.";
            warnings.push(text.to_owned());
        }
        if self.is_on() && self.grant_timeout >= control.start_timeout {
            let text = "siprec.grant_timeout is not less than control.start_timeout: starts do not \
                        say that a re-INVITE failed.";
            warnings.push(text.to_owned());
        }
        let open = self.trunks.iter().filter(|trunk| trunk.is_open());
        warnings.extend(
            open.map(|trunk| format!("siprec.trunks: anybody may record as {:?}.", trunk.name)),
        );
        warnings
    }

    fn consistent(&self, s: &mut Section<'_>) {
        let is_tls = |listen: &Listen| listen.transport == Transport::Tls;
        if self.listen.iter().any(is_tls) && self.tls.cert_file.is_none() {
            s.refuse(
                "listen",
                "has one for TLS, which needs siprec.tls.cert_file",
            );
        }
        if let Some(twice) = twice(&self.listen) {
            s.refuse("listen", &format!("has {twice} twice"));
        }
        if self.public_addresses.len() == 2
            && self.public_addresses[0].is_ipv4() == self.public_addresses[1].is_ipv4()
        {
            let what = "has two of one kind: expected one of IPv4 and one of IPv6";
            s.refuse("public_addresses", what);
        }
        if !self.session_expires.is_zero() && self.session_expires < self.min_se {
            s.refuse("session_expires", "is less than siprec.min_se");
        }
        let names: Vec<_> = self.trunks.iter().map(|trunk| &trunk.name).collect();
        if let Some(name) = twice(&names) {
            s.refuse("trunks", &format!("has the name {name:?} twice"));
        }
        for trunk in &self.trunks {
            let elsewhere = trunk
                .listeners
                .iter()
                .find(|one| !self.listen.contains(one));
            if let Some(one) = elsewhere {
                let what = format!(
                    "has {:?} with a listener {one} that siprec.listen has not",
                    trunk.name
                );
                s.refuse("trunks", &what);
            }
        }
    }
}

impl SiprecTls {
    fn ingress(&self) -> TlsSettings {
        TlsSettings {
            cert_file: self.cert_file.clone(),
            key_file: self.key_file.clone(),
            client_ca_file: self.client_ca_file.clone(),
            client_cert: self.client_cert,
            check_interval: self.check_interval,
        }
    }

    fn usable(&self, s: &mut Section<'_>) {
        match (&self.cert_file, &self.key_file) {
            (Some(_), None) => s.refuse("cert_file", "needs siprec.tls.key_file beside it"),
            (None, Some(_)) => s.refuse("key_file", "needs siprec.tls.cert_file beside it"),
            (Some(cert), Some(key)) => {
                if let Err(error) = crate::tls::read(cert, key) {
                    s.refuse("cert_file", &format!("cannot be used: {error}"));
                }
            }
            (None, None) => {}
        }
        match &self.client_ca_file {
            None if self.client_cert != ClientCert::None => {
                s.refuse("client_cert", "needs siprec.tls.client_ca_file beside it");
            }
            None => {}
            Some(file) => {
                if let Err(error) = crate::tls::read_certificates(file) {
                    s.refuse("client_ca_file", &format!("cannot be used: {error}"));
                }
            }
        }
    }
}

/// The ingress's own defaults.
fn presets() -> SiprecConfig {
    SiprecConfig::default()
}

fn listener() -> Parsed<Listen> {
    parsed("a listener, such as \"udp:0.0.0.0:5060\", \"tcp:[::]:5060\" or \"tls:0.0.0.0:5061\"")
}

fn address() -> Parsed<IpAddr> {
    parsed("an IP address, such as \"203.0.113.7\"")
}

fn twice<T: PartialEq>(all: &[T]) -> Option<&T> {
    let seen = |(index, one): &(usize, &T)| all[..*index].contains(one);
    all.iter().enumerate().find(seen).map(|(_, one)| one)
}
