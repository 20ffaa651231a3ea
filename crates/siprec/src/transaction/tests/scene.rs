//! A stage for one end: time that is told, messages in, and what goes out as short words.

use std::time::{Duration, Instant};

use crate::framing::{Framed, MessageLimits, datagram};
use crate::message::{Headers, Message, Method, Request, Response};
use crate::transaction::{ClientId, Event, Flow, ServerId, Timers, Transactions, Transport};

/// Milliseconds since the beginning, and what was sent then: `100`, `200`, `INVITE`, `ACK`.
pub(super) type Sent = (u64, String);

pub(super) struct Scene {
    pub(super) ours: Transactions,
    began: Instant,
    pub(super) now: Instant,
    pub(super) sent: Vec<(Flow, Message)>,
    log: Vec<Sent>,
    pub(super) events: Vec<Event>,
}

#[expect(clippy::disallowed_methods, reason = "a test begins at some time")]
pub(super) fn beginning() -> Instant {
    Instant::now()
}

pub(super) fn parsed(bytes: &[u8]) -> Message {
    let limits = MessageLimits {
        head_bytes_max: 65_535,
        headers_max: 100,
        body_bytes_max: 65_535,
    };
    match datagram(bytes, &limits).unwrap() {
        Framed::Message(message) => *message,
        other => panic!("{other:?}"),
    }
}

pub(super) fn udp() -> Flow {
    Flow {
        listener: 0,
        transport: Transport::Udp,
        local: "192.0.2.1:5060".parse().unwrap(),
        peer: "198.51.100.7:5062".parse().unwrap(),
        connection: 0,
    }
}

pub(super) fn tcp(connection: u64) -> Flow {
    Flow {
        transport: Transport::Tcp,
        peer: "198.51.100.7:40001".parse().unwrap(),
        connection,
        ..udp()
    }
}

/// A request of the peer; `via` without `SIP/2.0/UDP`.
pub(super) fn request_via(method: &str, via: &str) -> Request {
    let mut request = plain(method);
    let mut headers = Headers::default();
    headers.push("Via", format!("SIP/2.0/UDP {via}"));
    for (name, value) in request.headers.iter() {
        headers.push(name, value);
    }
    request.headers = headers;
    request
}

pub(super) fn request(method: &str, branch: &str) -> Request {
    request_via(
        method,
        &format!("198.51.100.7:5062;branch=z9hG4bK{branch};rport"),
    )
}

/// A request without Via.
pub(super) fn plain(method: &str) -> Request {
    let mut request = Request::new(Method::parse(method), "sip:srs@192.0.2.1");
    let fields = [
        ("Max-Forwards", "70"),
        ("From", "<sip:src@198.51.100.7>;tag=src1"),
        ("To", "<sip:srs@192.0.2.1>"),
        ("Call-ID", "call-1@198.51.100.7"),
    ];
    for (name, value) in fields {
        request.headers.push(name, value);
    }
    request.headers.push("CSeq", format!("1 {method}"));
    request
}

/// The user's answer, with a To tag.
pub(super) fn answer(request: &Request, status: u16) -> Response {
    let mut response = Response::to(request, status);
    let to = request.headers.get("To").unwrap().to_owned();
    if status > 100 && !to.contains(";tag=") {
        response.headers.set("To", format!("{to};tag=srs1"));
    }
    response
}

impl Scene {
    pub(super) fn new() -> Self {
        Self::of(Transactions::new(Timers::default(), 10))
    }

    pub(super) fn of(ours: Transactions) -> Self {
        let began = beginning();
        Self {
            ours,
            began,
            now: began,
            sent: Vec::new(),
            log: Vec::new(),
            events: Vec::new(),
        }
    }

    pub(super) fn receive(&mut self, flow: Flow, message: Message) {
        self.ours.receive(self.now, flow, message);
        self.drain();
    }

    pub(super) fn hear(&mut self, request: &Request) {
        self.receive(udp(), Message::Request(request.clone()));
    }

    /// Takes a new request in; the request as the user sees it.
    pub(super) fn begin(&mut self, flow: Flow, request: &Request) -> (ServerId, Request) {
        self.receive(flow, Message::Request(request.clone()));
        match self.events.pop() {
            Some(Event::Request(id, _, request)) => (id, *request),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn respond(&mut self, id: ServerId, response: &Response) {
        self.ours.respond(self.now, id, response);
        self.drain();
    }

    pub(super) fn ask(&mut self, flow: Flow, method: &str) -> ClientId {
        let id = self.ours.request(self.now, flow, plain(method), "ours1");
        self.drain();
        id
    }

    /// The peer's answer to the last request we sent.
    pub(super) fn answered(&mut self, status: u16) {
        let last = self.sent.iter().rev().find_map(|(flow, message)| {
            let Message::Request(request) = message else {
                return None;
            };
            (request.method != Method::Ack).then(|| (flow.clone(), request.clone()))
        });
        let (flow, request) = last.unwrap();
        let response = answer(&request, status);
        self.receive(flow, Message::Response(response));
    }

    /// Lets time pass, from deadline to deadline.
    pub(super) fn wait(&mut self, milliseconds: u64) {
        let until = self.now + Duration::from_millis(milliseconds);
        while let Some(due) = self.ours.deadline().filter(|due| *due <= until) {
            assert!(due > self.now, "a deadline does not lie in the past");
            self.now = due;
            self.ours.tick(due);
            self.drain();
        }
        self.now = until;
    }

    /// What was sent since the last time this was asked, with when.
    pub(super) fn told(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.log)
    }

    /// The same without when.
    pub(super) fn words(&mut self) -> Vec<String> {
        self.told().into_iter().map(|(_, word)| word).collect()
    }

    /// What the user was told since the last time this was asked.
    pub(super) fn news(&mut self) -> Vec<String> {
        self.events.drain(..).map(|event| word(&event)).collect()
    }

    /// Nothing is left of any transaction.
    pub(super) fn is_empty(&self) -> bool {
        let ours = &self.ours;
        let is_empty = ours.counts() == (0, 0);
        let is_tidy = ours.servers.by_key.is_empty()
            && ours.servers.by_merge.is_empty()
            && ours.clients.by_key.is_empty()
            && ours.connections.is_empty()
            && ours.deadline().is_none()
            && ours.deadlines.len() == 0;
        assert!(!is_empty || is_tidy, "{ours:?}");
        is_empty
    }

    pub(super) fn drain(&mut self) {
        while let Some((flow, bytes)) = self.ours.poll_transmit() {
            let message = parsed(&bytes);
            let word = match &message {
                Message::Request(request) => request.method.as_str().to_owned(),
                Message::Response(response) => response.status.to_string(),
            };
            let at = self.now.duration_since(self.began).as_millis() as u64;
            self.log.push((at, word));
            self.sent.push((flow, message));
        }
        while let Some(event) = self.ours.poll_event() {
            self.events.push(event);
        }
    }
}

fn word(event: &Event) -> String {
    match event {
        Event::Request(_, _, request) => request.method.as_str().to_owned(),
        Event::Ack(..) => "ack".to_owned(),
        Event::Cancelled(_) => "cancelled".to_owned(),
        Event::Response(_, _, response) => response.status.to_string(),
        Event::TimedOut(_) => "timed out".to_owned(),
        Event::Merged(_) => "merged".to_owned(),
        Event::Stray(_) => "stray".to_owned(),
    }
}
