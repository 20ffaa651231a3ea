//! The task behind a user agent: it owns the wire, its transactions and their timers.
//! RFC 3261 §17.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{Instant, sleep_until};

use super::{Command, Shared, SharedDialog, lock};
use crate::caller::siprec::dialog::{ALLOW, Dialog, Event, Reaction};
use crate::caller::siprec::message::{Message, Start};
use crate::caller::siprec::wire::{Transport, Wire};

/// Answers that are remembered for requests that come again.
const SERVED_MAX: usize = 1024;
/// Retransmissions of anything but an INVITE are not further apart. RFC 3261 §17.1.2.1.
const T2: Duration = Duration::from_secs(4);
/// A transaction lives for so many T1.
const LIFE: u32 = 64;

pub(super) struct Task {
    wire: Wire,
    t1: Duration,
    commands: Receiver<Command>,
    clients: HashMap<Key, Client>,
    dialogs: HashMap<String, Shared>,
    acks: HashMap<(String, u32), (Vec<u8>, SocketAddr)>,
    served: VecDeque<(Key, Vec<u8>)>,
    unacknowledged: Vec<Unacknowledged>,
}

/// Branch and method.
type Key = (String, String);

/// A client transaction.
struct Client {
    request: Message,
    bytes: Vec<u8>,
    to: SocketAddr,
    responses: Option<Sender<Message>>,
    /// Its last response was here.
    answered: bool,
    /// When it is sent again; never on a stream, and not after an answer.
    again: Option<Instant>,
    interval: Duration,
    over: Instant,
}

/// A 2xx to an INVITE of theirs that waits for its ACK.
struct Unacknowledged {
    call_id: String,
    cseq: u32,
    bytes: Vec<u8>,
    to: SocketAddr,
    again: Instant,
    interval: Duration,
    over: Instant,
}

impl Task {
    pub(super) fn new(wire: Wire, t1: Duration, commands: Receiver<Command>) -> Self {
        Self {
            wire,
            t1,
            commands,
            clients: HashMap::new(),
            dialogs: HashMap::new(),
            acks: HashMap::new(),
            served: VecDeque::new(),
            unacknowledged: Vec::new(),
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            let due = self.due();
            tokio::select! {
                command = self.commands.recv() => match command {
                    None => return,
                    Some(command) => self.obey(command).await,
                },
                received = self.wire.receive() => match received {
                    Ok((message, from)) => self.hear(message, from).await,
                    Err(_) => return self.lost(),
                },
                () = sleep_until(due) => self.repeat().await,
            }
        }
    }

    /// Nobody will hear from us again.
    fn lost(self) {
        for dialog in self.dialogs.values() {
            let mut dialog = lock(dialog);
            dialog.ended = true;
            dialog.changed.notify_waiters();
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Acknowledge(ack, to) => {
                let to = to.unwrap_or_else(|| self.wire.target());
                let (bytes, key) = (ack.to_bytes(), (ack.call_id().to_owned(), ack.cseq().0));
                self.send(&bytes, to).await;
                self.acks.insert(key, (bytes, to));
            }
            Command::Begin(request, to, responses) => self.begin(request, to, responses).await,
            Command::Join(call_id, SharedDialog(dialog)) => {
                self.dialogs.insert(call_id, dialog);
            }
            Command::Leave(call_id) => {
                self.dialogs.remove(&call_id);
                self.acks.retain(|(acked, _), _| *acked != call_id);
            }
        }
    }

    async fn begin(
        &mut self,
        request: Message,
        to: Option<SocketAddr>,
        responses: Option<Sender<Message>>,
    ) {
        let (now, bytes) = (Instant::now(), request.to_bytes());
        let to = to.unwrap_or_else(|| self.wire.target());
        self.send(&bytes, to).await;
        let datagrams = self.wire.transport() == Transport::Udp;
        let key = (request.branch().to_owned(), request.method().to_owned());
        let client = Client {
            request,
            bytes,
            to,
            responses,
            answered: false,
            again: datagrams.then_some(now + self.t1),
            interval: self.t1,
            over: now + self.t1 * LIFE,
        };
        self.clients.insert(key, client);
    }

    async fn hear(&mut self, message: Message, from: SocketAddr) {
        if message.is_request() {
            self.serve(message, from).await;
            return;
        }
        let key = (message.branch().to_owned(), message.method().to_owned());
        let invite = key.1 == "INVITE";
        let status = message.status();
        if invite && (200..300).contains(&status) {
            let acked = (message.call_id().to_owned(), message.cseq().0);
            if let Some((bytes, to)) = self.acks.get(&acked).cloned() {
                self.send(&bytes, to).await;
                return;
            }
        }
        let Some(client) = self.clients.get_mut(&key) else {
            return;
        };
        client.again = client.again.filter(|_| !invite && status < 200);
        if let Some(responses) = &client.responses {
            // Whoever asked and went away does not care.
            drop(responses.try_send(message.clone()));
        } else if status >= 300
            && !client.answered
            && let Some(dialog) = self.dialogs.get(message.call_id())
        {
            lock(dialog).tell(Event::Refused(status));
        }
        client.answered |= status >= 200;
        match status {
            0..200 => {}
            200..300 => drop(self.clients.remove(&key)),
            _ if invite => {
                let (ack, to) = (refusal_ack(&client.request, &message), client.to);
                client.responses = None;
                self.send(&ack.to_bytes(), to).await;
            }
            _ => drop(self.clients.remove(&key)),
        }
    }

    /// What the recording server asks. RFC 3261 §17.2: the same request gets the same answer.
    async fn serve(&mut self, request: Message, from: SocketAddr) {
        let key = (request.branch().to_owned(), request.method().to_owned());
        let mut served = self.served.iter();
        if let Some((_, bytes)) = served.find(|(there, _)| *there == key) {
            let bytes = bytes.clone();
            self.send(&bytes, from).await;
            return;
        }
        let (call_id, cseq) = (request.call_id().to_owned(), request.cseq().0);
        let dialog = self.dialogs.get(&call_id).cloned();
        let reaction = match (&dialog, request.method()) {
            (Some(dialog), _) => lock(dialog).hear(&request),
            (None, "ACK") => Reaction::default(),
            (None, "OPTIONS") => stranger(200, "OK", &request),
            (None, _) => stranger(481, "Call/Transaction Does Not Exist", &request),
        };
        if request.method() == "ACK" {
            self.unacknowledged
                .retain(|waiting| (&waiting.call_id, waiting.cseq) != (&call_id, cseq));
        }
        if let Some(response) = reaction.response {
            let bytes = response.to_bytes();
            self.send(&bytes, from).await;
            if response.status() == 200 && request.method() == "INVITE" {
                self.expect_ack(call_id, cseq, &bytes, from);
            }
            self.served.push_back((key, bytes));
            self.served
                .drain(..self.served.len().saturating_sub(SERVED_MAX));
        }
        if let Some(request) = reaction.request {
            let to = dialog.and_then(|dialog| lock(&dialog).next_hop());
            self.begin(request, to, None).await;
        }
    }

    fn expect_ack(&mut self, call_id: String, cseq: u32, bytes: &[u8], to: SocketAddr) {
        let now = Instant::now();
        self.unacknowledged.push(Unacknowledged {
            call_id,
            cseq,
            bytes: bytes.to_vec(),
            to,
            again: now + self.t1,
            interval: self.t1,
            over: now + self.t1 * LIFE,
        });
    }

    /// Sends again what is due, and gives up what is overdue.
    async fn repeat(&mut self) {
        let (now, mut due) = (Instant::now(), Vec::new());
        self.clients.retain(|_, client| client.over > now);
        self.unacknowledged.retain(|waiting| waiting.over > now);
        for client in self.clients.values_mut() {
            if client.again.is_some_and(|again| again <= now) {
                let invite = client.request.method() == "INVITE";
                client.interval *= 2;
                if !invite {
                    client.interval = client.interval.min(T2);
                }
                client.again = Some(now + client.interval);
                due.push((client.bytes.clone(), client.to));
            }
        }
        for waiting in &mut self.unacknowledged {
            if waiting.again <= now {
                waiting.interval = (waiting.interval * 2).min(T2);
                waiting.again = now + waiting.interval;
                due.push((waiting.bytes.clone(), waiting.to));
            }
        }
        for (bytes, to) in due {
            self.send(&bytes, to).await;
        }
    }

    fn due(&self) -> Instant {
        let clients = self.clients.values();
        let clients =
            clients.map(|client| client.again.map_or(client.over, |at| at.min(client.over)));
        let waiting = self
            .unacknowledged
            .iter()
            .map(|waiting| waiting.again.min(waiting.over));
        let never = Instant::now() + self.t1 * LIFE;
        clients.chain(waiting).min().unwrap_or(never)
    }

    async fn send(&mut self, bytes: &[u8], to: SocketAddr) {
        // What cannot be sent is as good as lost on the way; timers see to that.
        drop(self.wire.send(bytes, to).await);
    }
}

fn stranger(status: u16, reason: &str, request: &Message) -> Reaction {
    let mut response = Message::response(status, reason, request);
    response.add("Allow", ALLOW);
    Reaction {
        response: Some(response),
        request: None,
    }
}

/// The ACK that belongs to the transaction of an INVITE that was refused. RFC 3261 §17.1.1.3.
fn refusal_ack(invite: &Message, response: &Message) -> Message {
    let mut ack = Dialog::cancel(invite);
    if let Start::Request { method, .. } = &mut ack.start {
        "ACK".clone_into(method);
    }
    ack.set("CSeq", &format!("{} ACK", invite.cseq().0));
    ack.set("To", response.header("To").unwrap_or(""));
    for route in invite.list("Route") {
        ack.add("Route", route);
    }
    ack
}
