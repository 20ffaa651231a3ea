//! The whole server under any messages: what a fuzz target calls.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use crate::answer::{MediaPolicy, SrtpPolicy};
use crate::framing::{Framed, MessageLimits, datagram};
use crate::offer::Codec;
use crate::roles::RolePolicy;
use crate::server::{Input, Output, Server, ServerConfig, ServerLimits, SessionId};
use crate::transaction::{Flow, Timers, Transport};
use crate::trunk::{BeforeStart, Trunk};

/// Messages after each other, separated by a zero byte; a byte behind each says what happens
/// next. Whatever they say, every session that was begun ends when we end it, and then nothing is
/// left.
#[expect(
    clippy::disallowed_methods,
    reason = "time must begin somewhere; nothing depends on where"
)]
pub fn fuzz(data: &[u8]) {
    let now = Instant::now();
    let mut bed = Bed {
        server: Server::new(config(), Box::new(|bytes| bytes.fill(7))),
        now,
        running: Vec::new(),
    };
    for chunk in data.split(|byte| *byte == 0).take(32) {
        if let Some(Framed::Message(message)) = datagram(chunk, &MessageLimits::default()) {
            bed.tell(Input::Received {
                flow: flow(),
                message,
                tls_names: Vec::new(),
            });
        }
        bed.happen(chunk.last().copied().unwrap_or_default());
    }
    bed.finish();
}

struct Bed {
    server: Server,
    now: Instant,
    running: Vec<SessionId>,
}

impl Bed {
    fn tell(&mut self, input: Input) {
        self.server.handle(self.now, input);
        while let Some(output) = self.server.poll() {
            match output {
                Output::BindPorts { session, count, .. } => {
                    self.running.push(session);
                    let ports = (0..count)
                        .map(|index| 20_000 + 2 * (index as u16))
                        .collect();
                    let ports = Some(ports);
                    self.server
                        .handle(self.now, Input::Bound { session, ports });
                }
                Output::SessionEnded { session, .. } => {
                    self.running.retain(|known| *known != session);
                }
                _ => {}
            }
        }
    }

    fn happen(&mut self, what: u8) {
        if let Some(session) = self.running.last().copied() {
            match what % 8 {
                0 => self.tell(Input::Wanted {
                    session,
                    sound: what & 8 == 0,
                }),
                1 => self.tell(Input::Snapshot { session }),
                2 => self.tell(Input::Closed { connection: 1 }),
                _ => {}
            }
        }
        self.pass(Duration::from_millis(u64::from(what) * 20));
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.server.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.tell(Input::Tick);
        }
        self.now = end;
    }

    fn finish(&mut self) {
        for session in self.running.clone() {
            let reason = String::new();
            self.tell(Input::End { session, reason });
        }
        self.pass(Duration::from_secs(600));
        assert!(self.running.is_empty(), "a session did not end");
        assert!(self.server.is_idle(), "something is left");
        assert!(self.server.deadline().is_none(), "a deadline is left");
    }
}

fn flow() -> Flow {
    let at = |last: u8| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), 5060);
    Flow {
        listener: 0,
        transport: Transport::Udp,
        local: at(10),
        peer: at(20),
        connection: 0,
    }
}

fn config() -> ServerConfig {
    let trunk = Trunk {
        name: "any".to_owned(),
        sources: Vec::new(),
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
            codecs: vec![Codec::Pcmu, Codec::Pcma],
            srtp: SrtpPolicy::Allow,
            lines_max: 3,
        },
        answer: BeforeStart::Inactive,
        pause_on_stop: true,
        accept_mixed: true,
        sessions_max: 8,
        media_address: None,
        contact: None,
        credentials: None,
        keep: Vec::new(),
    };
    ServerConfig {
        trunks: vec![trunk],
        silent_to_unknown: false,
        listeners: vec![flow().local],
        timers: Timers::default(),
        sessions_max: 8,
        transactions_max: 64,
        retry_after: Duration::from_secs(5),
        session_expires: Duration::from_secs(1_800),
        min_se: Duration::from_secs(90),
        invites_per_second_max: 0,
        product: "Antiphon".to_owned(),
        limits: ServerLimits::default(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INVITE: &str = "INVITE sip:srs@192.0.2.10 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bK1\r\n\
        From: <sip:a@192.0.2.20>;tag=1\r\nTo: <sip:srs@192.0.2.10>\r\nCall-ID: c\r\n\
        CSeq: 1 INVITE\r\nContact: <sip:a@192.0.2.20>\r\nContent-Type: application/sdp\r\n\r\n\
        v=0\r\no=- 1 1 IN IP4 192.0.2.20\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\n\
        m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n";
    const LATER: &str = "METHOD sip:srs@192.0.2.10 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bKBRANCH\r\n\
        From: <sip:a@192.0.2.20>;tag=1\r\nTo: <sip:srs@192.0.2.10>;tag=0707070707070707\r\n\
        Call-ID: c\r\nCSeq: NUMBER METHOD\r\n\r\n";

    fn messages() -> impl Strategy<Value = Vec<u8>> {
        let method = prop::sample::select(vec!["ACK", "BYE", "INFO", "INVITE", "UPDATE"]);
        let later = (method, 1_u32..4, 2_u32..9).prop_map(|(method, number, branch)| {
            let text = LATER
                .replace("METHOD", method)
                .replace("NUMBER", &number.to_string());
            text.replace("BRANCH", &branch.to_string()).into_bytes()
        });
        let mangled = (any::<prop::sample::Index>(), 1_u8..255).prop_map(|(at, byte)| {
            let mut bytes = INVITE.as_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes
        });
        let one = prop_oneof![Just(INVITE.as_bytes().to_vec()), later, mangled];
        let steps = prop::collection::vec((one, 1_u8..255), 1..8);
        steps.prop_map(|steps| {
            let chunks = steps.into_iter().map(|(mut bytes, what)| {
                bytes.push(what);
                bytes
            });
            chunks.collect::<Vec<_>>().join(&0)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn whatever_is_said_nothing_is_left(data in messages()) {
            fuzz(&data);
        }
    }
}
