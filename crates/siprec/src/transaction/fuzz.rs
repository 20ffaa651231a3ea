//! Any sequence of messages, answers and waits leaves the layer bounded, and empty in the end.

use std::time::{Duration, Instant};

use super::{Event, Flow, ServerId, Timers, Transactions, Transport};
use crate::framing::{Framed, MessageLimits, datagram};
use crate::message::{Headers, Message, Method, Request, Response};

const TRANSACTIONS_MAX: usize = 8;

/// What a step may give out: each transaction's timers, and an answer.
const OUTPUTS_MAX: usize = 4 * TRANSACTIONS_MAX;

/// Steps are separated by 0xFF; the first byte of each says which it is.
pub fn fuzz(data: &[u8]) {
    #[expect(clippy::disallowed_methods, reason = "a run begins at some time")]
    let now = Instant::now();
    let mut stage = Stage {
        ours: Transactions::new(Timers::default(), TRANSACTIONS_MAX),
        now,
        requests: Vec::new(),
        ours_sent: Vec::new(),
    };
    for step in data.split(|byte| *byte == 0xFF).take(256) {
        if let [kind, rest @ ..] = step {
            stage.step(*kind, rest);
            stage.drain();
        }
    }
    stage.settle();
}

struct Stage {
    ours: Transactions,
    now: Instant,
    requests: Vec<(ServerId, Request)>,
    ours_sent: Vec<Request>,
}

impl Stage {
    fn step(&mut self, kind: u8, rest: &[u8]) {
        let byte = |at: usize| rest.get(at).copied().unwrap_or_default();
        match kind % 7 {
            0 => {
                let limits = MessageLimits {
                    head_bytes_max: 4_096,
                    headers_max: 64,
                    body_bytes_max: 4_096,
                };
                if let Some(Framed::Message(message)) = datagram(rest, &limits) {
                    self.ours.receive(self.now, flow(byte(0)), *message);
                }
            }
            1 => {
                let request = peers_request(byte(0), byte(1), byte(2));
                let message = Message::Request(request);
                self.ours.receive(self.now, flow(byte(3)), message);
            }
            2 => {
                let at = usize::from(byte(0)) % self.requests.len().max(1);
                if let Some((id, request)) = self.requests.get(at) {
                    let response = Response::to(request, 100 + u16::from(byte(1)) * 2);
                    self.ours.respond(self.now, *id, &response);
                }
            }
            3 if self.ours.counts().1 < TRANSACTIONS_MAX => {
                let method = [Method::Invite, Method::Bye][usize::from(byte(0)) % 2].clone();
                let branch = format!("ours{}", self.ours_sent.len());
                let request = plain(method);
                self.ours.request(self.now, flow(byte(1)), request, &branch);
            }
            4 => {
                let at = usize::from(byte(0)) % self.ours_sent.len().max(1);
                if let Some(request) = self.ours_sent.get(at) {
                    let response = Response::to(request, 100 + u16::from(byte(1)) * 2);
                    let message = Message::Response(response);
                    self.ours.receive(self.now, flow(byte(2)), message);
                }
            }
            5 => {
                self.now += Duration::from_millis(u64::from(byte(0)) * 100);
                self.ours.tick(self.now);
            }
            _ => self.ours.closed(self.now, u64::from(byte(0) % 3)),
        }
    }

    fn drain(&mut self) {
        let (servers, clients) = self.ours.counts();
        assert!(servers <= TRANSACTIONS_MAX && clients <= TRANSACTIONS_MAX);
        let mut outputs = 0;
        while let Some(event) = self.ours.poll_event() {
            outputs += 1;
            if let Event::Request(id, _, request) = event {
                let is_new = self.requests.iter().all(|(known, _)| *known != id);
                assert!(is_new, "a transaction is told once");
                self.requests.push((id, *request));
            }
        }
        while let Some((_, bytes)) = self.ours.poll_transmit() {
            outputs += 1;
            assert!(!bytes.is_empty(), "what was never answered is not repeated");
            self.remember(&bytes);
        }
        assert!(outputs <= OUTPUTS_MAX, "{outputs} outputs of one step");
    }

    fn remember(&mut self, bytes: &[u8]) {
        let limits = MessageLimits {
            head_bytes_max: 65_535,
            headers_max: 1_000,
            body_bytes_max: 65_535,
        };
        if let Some(Framed::Message(message)) = datagram(bytes, &limits)
            && let Message::Request(request) = *message
            && request.method != Method::Ack
            && !self.ours_sent.contains(&request)
        {
            self.ours_sent.push(request);
        }
    }

    /// The user answers what it was asked, time passes, and nothing is left.
    fn settle(&mut self) {
        for (id, request) in &self.requests {
            self.ours
                .respond(self.now, *id, &Response::to(request, 500));
        }
        for _ in 0..4_096 {
            while self.ours.poll_transmit().is_some() || self.ours.poll_event().is_some() {}
            let Some(due) = self.ours.deadline() else {
                break;
            };
            self.now = self.now.max(due);
            self.ours.tick(self.now);
            let next = self.ours.deadline();
            assert!(next.is_none_or(|next| next > self.now), "time goes on");
        }
        assert_eq!(self.ours.counts(), (0, 0), "nothing is left");
        assert!(self.ours.servers.by_key.is_empty() && self.ours.servers.by_merge.is_empty());
        assert!(self.ours.clients.by_key.is_empty() && self.ours.connections.is_empty());
    }
}

fn flow(byte: u8) -> Flow {
    let transport = [Transport::Udp, Transport::Tcp, Transport::Tls][usize::from(byte) % 3];
    let is_datagram = transport == Transport::Udp;
    Flow {
        listener: 0,
        transport,
        local: ([192, 0, 2, 1], 5_060).into(),
        peer: ([198, 51, 100, byte % 2], 5_060).into(),
        connection: if is_datagram { 0 } else { u64::from(byte / 64) },
    }
}

/// One of few requests, so that they meet.
fn peers_request(method: u8, branch: u8, dialog: u8) -> Request {
    let methods = [
        Method::Invite,
        Method::Ack,
        Method::Cancel,
        Method::Options,
        Method::Other("FOO".to_owned()),
    ];
    let method = methods[usize::from(method) % methods.len()].clone();
    let branch = match branch % 4 {
        0 => String::new(),
        1 => ";branch=z9hG4bK".to_owned(),
        number => format!(";branch=z9hG4bK{number};rport"),
    };
    let mut headers = Headers::default();
    headers.push("Via", format_args!("SIP/2.0/UDP 198.51.100.1{branch}"));
    let mut request = plain(method);
    for (name, value) in request.headers.iter() {
        headers.push(name, value);
    }
    headers.set("Call-ID", dialog % 3);
    if dialog >= 128 {
        headers.set("To", "<sip:srs@192.0.2.1>;tag=1");
    }
    request.headers = headers;
    request
}

fn plain(method: Method) -> Request {
    let mut request = Request::new(method, "sip:srs@192.0.2.1");
    request.headers.push("From", "<sip:src@198.51.100.1>;tag=1");
    request.headers.push("To", "<sip:srs@192.0.2.1>");
    request.headers.push("Call-ID", "1");
    let cseq = format!("1 {}", request.method.as_str());
    request.headers.push("CSeq", cseq);
    request
}
