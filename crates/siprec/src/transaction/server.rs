//! Requests that come: each is a new transaction, a repetition, or for a transaction that exists.

use std::collections::HashMap;
use std::time::Instant;

use super::course::{Course, Owner};
use super::key::{MergeKey, ServerKey};
use super::machine::{Act, Kind, Signal, State};
use super::via::{self, ReplyPath};
use super::{Event, Flow, ServerId, Transactions, Transport, own};
use crate::message::{Method, Request, Response};

/// Server transactions and the ways to find one.
#[derive(Debug, Default)]
pub(super) struct Servers {
    pub(super) by_id: HashMap<ServerId, ServerTransaction>,
    pub(super) by_key: HashMap<ServerKey, ServerId>,
    pub(super) by_merge: HashMap<MergeKey, ServerId>,
    created: u64,
}

/// One request and what was answered to it.
#[derive(Debug)]
pub(super) struct ServerTransaction {
    pub(super) course: Course,
    key: ServerKey,
    merge: Option<MergeKey>,
    reply: ReplyPath,
    /// The last response, as it was sent.
    response: Vec<u8>,
    /// The To tag of that response.
    to_tag: Option<String>,
    is_cancelled: bool,
}

/// What comes with a signal.
pub(super) enum News {
    /// For the user, if the step passes it.
    Event(Event),
    /// The signal says it all.
    Nothing,
    /// For the peer, if the step sends it.
    Response {
        bytes: Vec<u8>,
        to_tag: Option<String>,
    },
}

impl Transactions {
    pub(super) fn receive_request(&mut self, now: Instant, flow: Flow, mut request: Request) {
        let key = ServerKey::of(&request, flow.transport);
        let (Some(key), Some(via)) = (key, request.headers.top_via()) else {
            self.events.push_back(Event::Stray(flow));
            return;
        };
        let reply = ReplyPath::new(&flow, &via);
        request.headers = via::annotate(&request.headers, flow.peer);
        if request.method == Method::Ack {
            return self.receive_ack(now, flow, &key, request);
        }
        if let Some(id) = self.servers.by_key.get(&key).copied() {
            self.redirect(id, reply);
            return self.signal_server(now, id, Signal::Again, News::Nothing);
        }
        let is_full = self.servers.by_id.len() >= self.transactions_max;
        match self.judge(&flow, &key, &request, is_full) {
            Some(response) if is_full => {
                self.outbox.push_back((reply.flow, response.encode()));
            }
            Some(response) => {
                let id = self.admit(key, None, &request, reply);
                self.signal_server(now, id, Signal::Begin, News::Nothing);
                self.respond(now, id, &response);
            }
            None => {
                let merge = MergeKey::of(&request);
                let id = self.admit(key, merge, &request, reply);
                let trying = (request.method == Method::Invite).then(|| own::trying(&request));
                let event = Event::Request(id, flow, Box::new(request));
                self.signal_server(now, id, Signal::Begin, News::Event(event));
                if let Some(trying) = trying {
                    self.respond(now, id, &trying);
                }
            }
        }
    }

    fn receive_ack(&mut self, now: Instant, flow: Flow, key: &ServerKey, ack: Request) {
        let id = self.servers.by_key.get(key).copied();
        let id = id.filter(|id| !key.is_old() || self.is_tag_of(*id, &ack));
        let event = Event::Ack(flow, Box::new(ack));
        match id {
            Some(id) => self.signal_server(now, id, Signal::Ack, News::Event(event)),
            None => self.events.push_back(event),
        }
    }

    /// RFC 3261 §17.2.3: an ACK without a unique branch must have the To tag we answered with.
    fn is_tag_of(&self, id: ServerId, ack: &Request) -> bool {
        let to = ack.headers.to();
        let tag = to.as_ref().and_then(|to| to.tag());
        let server = self.servers.by_id.get(&id);
        server.is_some_and(|server| server.to_tag.as_deref() == tag)
    }

    /// What is answered to a new request without its user.
    fn judge(
        &mut self,
        flow: &Flow,
        key: &ServerKey,
        request: &Request,
        is_full: bool,
    ) -> Option<Response> {
        if request.method == Method::Cancel {
            return Some(self.cancel(key, request));
        }
        let merge = MergeKey::of(request);
        if merge.is_some_and(|merge| self.servers.by_merge.contains_key(&merge)) {
            self.events.push_back(Event::Merged(flow.clone()));
            return Some(own::answer(request, 482, None));
        }
        if is_full {
            return Some(own::busy(request, self.retry_after));
        }
        None
    }

    /// RFC 3261 §9.2. A CANCEL has no effect on what is answered.
    fn cancel(&mut self, key: &ServerKey, request: &Request) -> Response {
        let invite = self.servers.by_key.get(&key.cancelled()).copied();
        let server = invite.and_then(|id| self.servers.by_id.get_mut(&id).map(|it| (id, it)));
        let Some((id, server)) = server else {
            return own::answer(request, 481, None);
        };
        if server.course.state() == State::Proceeding && !server.is_cancelled {
            server.is_cancelled = true;
            self.events.push_back(Event::Cancelled(id));
        }
        own::answer(request, 200, server.to_tag.as_deref())
    }

    fn admit(
        &mut self,
        key: ServerKey,
        merge: Option<MergeKey>,
        request: &Request,
        reply: ReplyPath,
    ) -> ServerId {
        self.servers.created += 1;
        let id = ServerId(self.servers.created);
        let kind = match request.method {
            Method::Invite => Kind::InviteServer,
            _ => Kind::OtherServer,
        };
        let is_reliable = reply.flow.transport != Transport::Udp;
        self.on_connection(reply.flow.connection, Owner::Server(id));
        self.servers.by_key.insert(key.clone(), id);
        if let Some(merge) = &merge {
            self.servers.by_merge.insert(merge.clone(), id);
        }
        let server = ServerTransaction {
            course: Course::new(Owner::Server(id), kind, is_reliable),
            key,
            merge,
            reply,
            response: Vec::new(),
            to_tag: None,
            is_cancelled: false,
        };
        self.servers.by_id.insert(id, server);
        id
    }

    /// See [`Transactions::respond`].
    pub(super) fn respond_in(&mut self, now: Instant, id: ServerId, response: &Response) {
        let signal = Signal::of_status(response.status);
        let to = response.headers.to();
        let to_tag = to.and_then(|to| to.tag().map(str::to_owned));
        let bytes = response.encode();
        self.signal_server(now, id, signal, News::Response { bytes, to_tag });
    }

    /// A client that comes back on another port or connection is answered there; another host is
    /// not believed.
    fn redirect(&mut self, id: ServerId, reply: ReplyPath) {
        let Some(server) = self.servers.by_id.get_mut(&id) else {
            return;
        };
        let is_same_host = server.reply.flow.peer.ip() == reply.flow.peer.ip();
        if !is_same_host || server.reply.flow.transport != reply.flow.transport {
            return;
        }
        let before = server.reply.flow.connection;
        let connection = reply.flow.connection;
        server.reply = reply;
        if before != connection {
            self.off_connection(before, Owner::Server(id));
            self.on_connection(connection, Owner::Server(id));
        }
    }

    /// Its connection is gone; its answer goes to the host it came from on another one.
    pub(super) fn reopen_server(&mut self, id: ServerId) {
        if let Some(server) = self.servers.by_id.get_mut(&id) {
            server.reply.reopen();
        }
    }

    /// One step, and what it asks for.
    pub(super) fn signal_server(&mut self, now: Instant, id: ServerId, signal: Signal, news: News) {
        let Some(server) = self.servers.by_id.get_mut(&id) else {
            return;
        };
        let acts = server
            .course
            .step(now, signal, &self.timers, &mut self.deadlines);
        match news {
            News::Event(event) if acts.contains(&Act::Pass) => self.events.push_back(event),
            News::Response { bytes, to_tag } if acts.contains(&Act::Send) => {
                let response = (server.reply.flow.clone(), bytes.clone());
                self.outbox.push_back(response);
                server.response = bytes;
                server.to_tag = to_tag.or_else(|| server.to_tag.take());
            }
            _ if acts.contains(&Act::Resend) => {
                let again = (server.reply.flow.clone(), server.response.clone());
                self.outbox.push_back(again);
            }
            _ => {}
        }
        if server.course.state() == State::Terminated {
            self.end_server(id);
        }
    }

    fn end_server(&mut self, id: ServerId) {
        let Some(mut server) = self.servers.by_id.remove(&id) else {
            return;
        };
        server.course.stop(&mut self.deadlines);
        self.servers.by_key.remove(&server.key);
        if let Some(merge) = server.merge {
            self.servers.by_merge.remove(&merge);
        }
        self.off_connection(server.reply.flow.connection, Owner::Server(id));
    }
}
