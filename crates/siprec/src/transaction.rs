//! RFC 3261 §17: server and client transactions, over transports that lose, repeat and reorder.

mod client;
mod course;
pub mod fuzz;
mod key;
mod machine;
mod own;
mod server;
mod via;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::message::{Message, Request, Response};
use client::Clients;
use course::{Deadlines, Owner};
use machine::Signal;
use server::{News, Servers};

/// What a 503 for want of room says in `Retry-After`, unless it is set.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Below this T1 a repetition would follow the other without a pause.
const T1_MIN: Duration = Duration::from_millis(1);

/// Where a message came from, or goes to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Which listener, as configured (`udp:0.0.0.0:5060`), by index.
    pub listener: usize,
    /// How.
    pub transport: Transport,
    /// Our side.
    pub local: SocketAddr,
    /// The other side.
    pub peer: SocketAddr,
    /// The TCP or TLS connection it came over; 0 for UDP, and for a connection that is to be
    /// opened.
    pub connection: u64,
}

/// A SIP transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// RFC 3261 §18.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// Datagrams.
    Udp,
}

/// RFC 3261 §17.1.1.1 and table 4, all configurable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Round-trip estimate, 500 ms.
    pub t1: Duration,
    /// Longest interval between repetitions, 4 s.
    pub t2: Duration,
    /// How long a message may live in the network, 5 s.
    pub t4: Duration,
}

/// A server transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(pub u64);

/// A client transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// What the layer tells its user.
#[derive(Clone, Debug)]
pub enum Event {
    /// A new request; answer it with [`Transactions::respond`]. Not for ACK and CANCEL. Its
    /// topmost Via tells its source (`received`, `rport`) already, and an INVITE has its 100.
    Request(ServerId, Flow, Box<Request>),
    /// An ACK that matches no INVITE transaction, or one that was answered 2xx: it acknowledges
    /// that.
    Ack(Flow, Box<Request>),
    /// A CANCEL for this INVITE arrived (its 200 has been sent). Answer the INVITE with 487 unless
    /// it is answered already.
    Cancelled(ServerId),
    /// A response to a request of ours; several provisional ones, at most one final, and
    /// repetitions of 2xx to an INVITE, which the user acknowledges each time.
    Response(ClientId, Flow, Box<Response>),
    /// Our request got no final answer in 64 × T1 (an INVITE with a provisional one: 360 × T1), or
    /// its transport failed.
    TimedOut(ClientId),
    /// A request that came before with another branch (From tag, Call-ID and CSeq are the same)
    /// was answered 482. For the counter. RFC 3261 §8.2.2.2.
    Merged(Flow),
    /// A response nobody waits for, or a message without what would name its transaction.
    Stray(Flow),
}

/// All transactions of a server. After every call drain [`Transactions::poll_transmit`] and
/// [`Transactions::poll_event`]; call [`Transactions::tick`] at [`Transactions::deadline`].
#[derive(Debug)]
pub struct Transactions {
    timers: Timers,
    transactions_max: usize,
    retry_after: Duration,
    listeners: Vec<SocketAddr>,
    servers: Servers,
    clients: Clients,
    deadlines: Deadlines,
    /// Who has sent, or will be answered, on which connection.
    connections: BTreeSet<(u64, Owner)>,
    outbox: VecDeque<(Flow, Vec<u8>)>,
    events: VecDeque<Event>,
}

impl Transport {
    /// As a Via has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Udp => "UDP",
        }
    }
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
        }
    }
}

impl Transactions {
    /// With none. More than `transactions_max` server transactions are answered 503. One lasts
    /// 64 × T1 beyond its answer.
    pub fn new(timers: Timers, transactions_max: usize) -> Self {
        let t1 = timers.t1.max(T1_MIN);
        let timers = Timers {
            t1,
            t2: timers.t2.max(t1),
            ..timers
        };
        Self {
            timers,
            transactions_max,
            retry_after: RETRY_AFTER,
            listeners: Vec::new(),
            servers: Servers::default(),
            clients: Clients::default(),
            deadlines: Deadlines::default(),
            connections: BTreeSet::new(),
            outbox: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// What a 503 says in `Retry-After`, in whole seconds; 5 s unless it is set.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = retry_after;
        self
    }

    /// Host and port of each listener as peers reach it, by [`Flow::listener`]: the `sent-by` of
    /// our Via. Where it says nothing, or an unspecified address, that is the flow's local one.
    #[must_use]
    pub fn with_listeners(mut self, listeners: Vec<SocketAddr>) -> Self {
        self.listeners = listeners;
        self
    }

    /// Takes a message of the wire. Retransmissions are absorbed and answered here.
    pub fn receive(&mut self, now: Instant, flow: Flow, message: Message) {
        match message {
            Message::Request(request) => self.receive_request(now, flow, request),
            Message::Response(response) => self.receive_response(now, flow, response),
        }
    }

    /// Sends a provisional or final response. Via, From, To, Call-ID and CSeq must be there (see
    /// [`crate::message`]). A 2xx to an INVITE is sent once here; its user repeats it until the
    /// ACK, because only the dialog sees that (RFC 3261 §13.3.1.4, RFC 6026). Responses that come
    /// too late (after a final one, or after the transaction) are not sent.
    ///
    /// A request other than INVITE must be answered within 64 × T1, an INVITE always.
    pub fn respond(&mut self, now: Instant, id: ServerId, response: &Response) {
        self.respond_in(now, id, response);
    }

    /// Sends a request of ours in a transaction of its own; Via is added by this layer with
    /// `branch`, which is unlike any other's (the CANCEL of an INVITE has its branch; `z9hG4bK` is
    /// put before it where it is missing). Not for ACK to a 2xx: that is sent with
    /// [`Transactions::send`].
    pub fn request(
        &mut self,
        now: Instant,
        flow: Flow,
        request: Request,
        branch: &str,
    ) -> ClientId {
        self.request_in(now, flow, request, branch)
    }

    /// Sends bytes outside any transaction.
    pub fn send(&mut self, flow: Flow, bytes: Vec<u8>) {
        self.outbox.push_back((flow, bytes));
    }

    /// A connection is gone; what was sent on it and waits for an answer has failed. What came on
    /// it is answered on a connection that is opened for that (RFC 3261 §18.2.2).
    pub fn closed(&mut self, now: Instant, connection: u64) {
        if connection == 0 {
            return;
        }
        let all = (connection, Owner::FIRST)..=(connection, Owner::LAST);
        let owners: Vec<_> = self.connections.range(all).copied().collect();
        for (_, owner) in owners {
            self.off_connection(connection, owner);
            match owner {
                Owner::Client(id) => self.signal_client(now, id, Signal::Lost, None),
                Owner::Server(id) => self.reopen_server(id),
            }
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) {
        while let Some((owner, signal)) = self.deadlines.fired(now) {
            match owner {
                Owner::Client(id) => self.signal_client(now, id, signal, None),
                Owner::Server(id) => self.signal_server(now, id, signal, News::Nothing),
            }
        }
    }

    /// When to tick at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// The next bytes to send.
    pub fn poll_transmit(&mut self) -> Option<(Flow, Vec<u8>)> {
        self.outbox.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Transactions that live: of the server, of the client.
    pub fn counts(&self) -> (usize, usize) {
        (self.servers.by_id.len(), self.clients.by_id.len())
    }

    fn on_connection(&mut self, connection: u64, owner: Owner) {
        if connection != 0 {
            self.connections.insert((connection, owner));
        }
    }

    fn off_connection(&mut self, connection: u64, owner: Owner) {
        self.connections.remove(&(connection, owner));
    }
}
