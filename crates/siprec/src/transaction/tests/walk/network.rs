//! Between the two ends: datagrams at their own risk, and one connection at a time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::super::scene::parsed;
use crate::message::{Headers, Message};
use crate::transaction::{Flow, Transport};

/// A datagram lives shorter than T1: what begins after a transaction is no copy of its request.
const DELAY_MAX: u64 = 400;

/// How long a connection takes, in order.
const CONNECTION_DELAY: Duration = Duration::from_millis(20);

/// Numbers that a seed determines (splitmix64).
pub(super) struct Chance(u64);

struct Packet {
    is_to_near: bool,
    flow: Flow,
    message: Message,
}

pub(super) struct Network {
    pub(super) now: Instant,
    /// Percent of datagrams.
    pub(super) loss: u64,
    /// Messages the ends gave it.
    pub(super) sent: u64,
    queue: BTreeMap<(Instant, u64), Packet>,
    queued: u64,
    connection: u64,
}

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    pub(super) fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}

impl Network {
    pub(super) fn new(now: Instant, loss: u64) -> Self {
        Self {
            now,
            loss,
            sent: 0,
            queue: BTreeMap::new(),
            queued: 0,
            connection: 1,
        }
    }

    /// The near end's way to the far one.
    pub(super) fn to_far(&self, is_reliable: bool) -> Flow {
        let near: SocketAddr = "192.0.2.1:5060".parse().unwrap();
        Flow {
            listener: 0,
            transport: if is_reliable {
                Transport::Tcp
            } else {
                Transport::Udp
            },
            local: near,
            peer: "198.51.100.7:5060".parse().unwrap(),
            connection: if is_reliable { self.connection } else { 0 },
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((due, _), _)| *due)
    }

    pub(super) fn send(
        &mut self,
        is_to_near: bool,
        mut flow: Flow,
        bytes: Vec<u8>,
        chance: &mut Chance,
    ) {
        self.sent += 1;
        let message = parsed(&bytes);
        std::mem::swap(&mut flow.local, &mut flow.peer);
        if flow.transport != Transport::Udp {
            if flow.connection == 0 {
                flow.connection = self.connection;
            }
            if flow.connection == self.connection {
                self.queue_at(CONNECTION_DELAY, is_to_near, flow, message);
            }
            return;
        }
        if let Some(forked) = forked(&message).filter(|_| chance.one_in(20)) {
            let delay = Duration::from_millis(chance.below(DELAY_MAX));
            self.queue_at(delay, is_to_near, flow.clone(), forked);
        }
        let copies = if chance.below(100) < self.loss {
            0
        } else {
            1 + u64::from(chance.one_in(8))
        };
        for _ in 0..copies {
            let delay = Duration::from_millis(chance.below(DELAY_MAX));
            self.queue_at(delay, is_to_near, flow.clone(), message.clone());
        }
    }

    /// The next message that is there by now, and whether it is for the near end.
    pub(super) fn arrived(&mut self) -> Option<(bool, Flow, Message)> {
        if self.next()? > self.now {
            return None;
        }
        let (_, packet) = self.queue.pop_first()?;
        Some((packet.is_to_near, packet.flow, packet.message))
    }

    /// Ends the connection with everything on it; another begins. The number of the one that
    /// ended.
    pub(super) fn cut(&mut self) -> u64 {
        let gone = self.connection;
        self.queue
            .retain(|_, packet| packet.flow.connection != gone);
        self.connection += 1;
        gone
    }

    fn queue_at(&mut self, delay: Duration, is_to_near: bool, flow: Flow, message: Message) {
        self.queued += 1;
        let packet = Packet {
            is_to_near,
            flow,
            message,
        };
        self.queue.insert((self.now + delay, self.queued), packet);
    }
}

/// A new request as it comes by way of another proxy.
fn forked(message: &Message) -> Option<Message> {
    let Message::Request(request) = message else {
        return None;
    };
    if matches!(request.method.as_str(), "ACK" | "CANCEL") {
        return None;
    }
    let mut forked = request.clone();
    forked.headers = Headers::default();
    for (name, value) in request.headers.iter() {
        let value = if name == "Via" {
            format!("{value}-forked")
        } else {
            value.to_owned()
        };
        forked.headers.push(name, value);
    }
    Some(Message::Request(forked))
}
