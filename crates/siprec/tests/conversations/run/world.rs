//! The server with its ports, its clock and what came out of it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use siprec::answer::{MediaPolicy, SrtpPolicy};
use siprec::framing::{Framed, MessageLimits, datagram};
use siprec::message::Message;
use siprec::offer::Codec;
use siprec::roles::RolePolicy;
use siprec::server::{Input, Notice, Output, Server, ServerConfig, ServerLimits, SessionId};
use siprec::transaction::{Flow, Timers, Transport};
use siprec::trunk::{BeforeStart, Credentials, Trunk};

/// What becomes of requests for ports.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ports {
    Later,
    None,
    Now,
}

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) now: Instant,
    pub(crate) sent: VecDeque<(Flow, Message)>,
    pub(crate) news: VecDeque<String>,
    pub(crate) ports: Ports,
    pub(crate) session: SessionId,
    waiting: Vec<(SessionId, usize)>,
    next_port: u16,
}

pub(crate) fn trunk() -> Trunk {
    Trunk {
        name: "sbc".to_owned(),
        sources: vec![
            "198.51.100.0/24".parse().unwrap(),
            "2001:db8::/32".parse().unwrap(),
        ],
        listeners: Vec::new(),
        tls_names: Vec::new(),
        users: Vec::new(),
        accept_anyway: true,
        identifiers: Vec::new(),
        roles: RolePolicy {
            customer_first: None,
            caller_is_customer: true,
        },
        media: MediaPolicy {
            codecs: vec![Codec::Pcmu, Codec::Pcma, Codec::L16],
            srtp: SrtpPolicy::Allow,
            lines_max: 4,
        },
        answer: BeforeStart::RecvOnly,
        pause_on_stop: false,
        accept_mixed: true,
        sessions_max: 100,
        media_address: None,
        contact: None,
        credentials: None,
        keep: Vec::new(),
    }
}

pub(crate) fn config() -> ServerConfig {
    ServerConfig {
        trunks: vec![trunk()],
        silent_to_unknown: false,
        listeners: vec!["192.0.2.10:5060".parse().unwrap()],
        timers: Timers {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
        },
        sessions_max: 100,
        transactions_max: 1_000,
        retry_after: Duration::from_secs(7),
        session_expires: Duration::ZERO,
        min_se: Duration::from_secs(90),
        invites_per_second_max: 0,
        product: "Antiphon".to_owned(),
        limits: ServerLimits::default(),
    }
}

/// One setting of a script.
pub(crate) fn set(config: &mut ServerConfig, key: &str, value: &str) -> Result<(), String> {
    let trunk = &mut config.trunks[0];
    let is = value == "true";
    let seconds = || value.parse().map(Duration::from_secs).unwrap_or_default();
    match key {
        "accept_anyway" => trunk.accept_anyway = is,
        "accept_mixed" => trunk.accept_mixed = is,
        "answer" if value == "inactive" => trunk.answer = BeforeStart::Inactive,
        "contact" => trunk.contact = Some(value.to_owned()),
        "credentials" => {
            let (user, password) = value.split_once(' ').ok_or("user and password")?;
            trunk.credentials = Some(Credentials {
                user: user.to_owned(),
                password: password.to_owned(),
            });
        }
        "invites_per_second" => config.invites_per_second_max = value.parse().unwrap(),
        "keep" => trunk.keep = value.split(' ').map(str::to_owned).collect(),
        "lines_max" => trunk.media.lines_max = value.parse().unwrap(),
        "listener" => trunk.listeners = vec![value.to_owned()],
        "media_address" => trunk.media_address = Some(value.parse().unwrap()),
        "min_se" => config.min_se = seconds(),
        "pause_on_stop" => trunk.pause_on_stop = is,
        "session_expires" => config.session_expires = seconds(),
        "sessions_max" => config.sessions_max = value.parse().unwrap(),
        "silent" => config.silent_to_unknown = is,
        "srtp" if value == "require" => trunk.media.srtp = SrtpPolicy::Require,
        "srtp" if value == "forbid" => trunk.media.srtp = SrtpPolicy::Forbid,
        "tls_name" => trunk.tls_names = vec![value.to_owned()],
        "trunk_sessions_max" => trunk.sessions_max = value.parse().unwrap(),
        "user" => trunk.users = vec![value.to_owned()],
        _ => return Err(format!("there is no setting {key}")),
    }
    Ok(())
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "a test begins at some time")]
    pub(crate) fn new(config: ServerConfig) -> Self {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let random = move |bytes: &mut [u8]| {
            for byte in bytes {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                *byte = (state >> 24) as u8;
            }
        };
        Self {
            server: Server::new(config, Box::new(random)),
            now: Instant::now(),
            sent: VecDeque::new(),
            news: VecDeque::new(),
            ports: Ports::Now,
            session: SessionId(0),
            waiting: Vec::new(),
            next_port: 20_000,
        }
    }

    pub(crate) fn receive(&mut self, flow: Flow, tls_names: Vec<String>, bytes: &[u8]) {
        match datagram(bytes, &MessageLimits::default()) {
            Some(Framed::Message(message)) => self.tell(Input::Received {
                flow,
                message,
                tls_names,
            }),
            Some(Framed::Bad(broken)) => {
                let answer = broken.answer.expect("a broken message is answered");
                self.keep(flow, &answer);
            }
            _ => panic!("nothing was sent"),
        }
    }

    pub(crate) fn tell(&mut self, input: Input) {
        self.server.handle(self.now, input);
        while let Some(output) = self.server.poll() {
            self.news.extend(told(&output));
            match output {
                Output::Transmit { flow, bytes } => self.keep(flow, &bytes),
                Output::BindPorts { session, count, .. } => {
                    self.session = session;
                    self.waiting.push((session, count));
                }
                Output::SessionOpened(facts) => self.session = facts.session,
                _ => {}
            }
        }
        if self.ports != Ports::Later {
            self.give();
        }
    }

    /// Answers what was asked for ports.
    pub(crate) fn give(&mut self) {
        for (session, count) in std::mem::take(&mut self.waiting) {
            let first = self.next_port;
            self.next_port += 2 * u16::try_from(count).unwrap();
            let ports = (first..self.next_port).step_by(2).collect();
            let ports = (self.ports != Ports::None).then_some(ports);
            self.tell(Input::Bound { session, ports });
        }
    }

    /// Time passes, with every deadline that lies in it.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.server.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.tell(Input::Tick);
        }
        self.now = end;
    }

    fn keep(&mut self, flow: Flow, bytes: &[u8]) {
        let message = match datagram(bytes, &MessageLimits::default()) {
            Some(Framed::Message(message)) => *message,
            other => panic!("the server sent {other:?}"),
        };
        self.sent.push_back((flow, message));
    }
}

/// News in words: `SessionOpened sbc UCID=… roles=0:Customer,1:Agent peer=…`,
/// `LineOpened 0 port=20000 active=true remote=… label=…`, `LineChanged …`, `LineEnded 0`,
/// `Granted true Ok`, `SessionEnded Bye`, `Notice …`, `BindPorts 2`.
pub(crate) fn told(output: &Output) -> Option<String> {
    let line = |kind: &str, line: usize, media: &siprec::server::MediaLine| {
        let remote = media
            .remote
            .map_or_else(|| "none".to_owned(), |at: SocketAddr| at.to_string());
        let formats = media.formats.iter().map(|format| format.number.clone());
        format!(
            "{kind} {line} port={} active={} remote={remote} rtcp={:?} label={} formats={} keys={}",
            media.port,
            media.is_active,
            media
                .remote_rtcp
                .map(|at| at.to_string())
                .unwrap_or_default(),
            media.label.as_deref().unwrap_or("none"),
            formats.collect::<Vec<_>>().join(","),
            u8::from(media.crypto.is_some()) + u8::from(media.our_crypto.is_some()),
        )
    };
    let session = |kind: &str, facts: &siprec::server::SessionFacts| {
        let ids = facts
            .identifiers
            .iter()
            .map(|id| format!("{}={}", id.source, id.normal));
        let roles = facts
            .roles
            .iter()
            .map(|(line, role)| format!("{line}:{:?}", role.party));
        let aors = facts
            .recording
            .participants
            .iter()
            .filter_map(|one| one.aor.clone());
        format!(
            "{kind} {} {} roles={} parties={} aors={}",
            facts.trunk,
            ids.collect::<Vec<_>>().join(" "),
            roles.collect::<Vec<_>>().join(","),
            facts.recording.participants.len(),
            aors.collect::<Vec<_>>().join(","),
        )
    };
    Some(match output {
        Output::Transmit { .. } => return None,
        Output::BindPorts { count, address, .. } => format!("BindPorts {count} {address}"),
        Output::SessionOpened(facts) => session("SessionOpened", facts),
        Output::SessionLearned(facts) => session("SessionLearned", facts),
        Output::LineOpened {
            line: at, media, ..
        } => line("LineOpened", *at, media),
        Output::LineChanged {
            line: at, media, ..
        } => line("LineChanged", *at, media),
        Output::LineEnded { line, .. } => format!("LineEnded {line}"),
        Output::Granted { sound, result, .. } => format!("Granted {sound} {result:?}"),
        Output::SessionEnded { ending, .. } => format!("SessionEnded {ending:?}"),
        Output::Notice(Notice::Answered {
            method,
            status,
            why,
        }) => {
            format!(
                "Notice Answered {method} {status} {}",
                why.as_deref().unwrap_or("-")
            )
        }
        Output::Notice(notice) => format!("Notice {notice:?}"),
    })
}

pub(crate) fn flow(transport: Transport, peer: SocketAddr) -> Flow {
    let local = if peer.is_ipv4() {
        "192.0.2.10:5060"
    } else {
        "[2001:db8:2::10]:5060"
    };
    Flow {
        listener: 0,
        transport,
        local: local.parse().unwrap(),
        peer,
        connection: u64::from(transport != Transport::Udp),
    }
}
