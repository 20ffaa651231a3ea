//! Requests of ours and their responses.

use std::collections::HashMap;
use std::time::Instant;

use super::course::{Course, Owner};
use super::key::{self, ClientKey};
use super::machine::{Act, Kind, Signal, State};
use super::{ClientId, Event, Flow, Transactions, Transport, own};
use crate::message::{Method, Request, Response};

/// Client transactions and the way to find one.
#[derive(Debug, Default)]
pub(super) struct Clients {
    pub(super) by_id: HashMap<ClientId, ClientTransaction>,
    pub(super) by_key: HashMap<ClientKey, ClientId>,
    created: u64,
}

/// One request of ours.
#[derive(Debug)]
pub(super) struct ClientTransaction {
    pub(super) course: Course,
    key: ClientKey,
    flow: Flow,
    /// With our Via; what its ACK is made of.
    request: Request,
    /// The same, as it was sent.
    bytes: Vec<u8>,
}

impl Transactions {
    /// See [`Transactions::request`].
    pub(super) fn request_in(
        &mut self,
        now: Instant,
        flow: Flow,
        mut request: Request,
        branch: &str,
    ) -> ClientId {
        let branch = key::with_cookie(branch);
        let key = ClientKey::new(&branch, &request.method);
        let named = self.listeners.get(flow.listener);
        let sent_by = named.filter(|at| !at.ip().is_unspecified());
        let sent_by = *sent_by.unwrap_or(&flow.local);
        request.headers = own::with_via(&request.headers, flow.transport, sent_by, &branch);
        self.clients.created += 1;
        let id = ClientId(self.clients.created);
        let kind = match request.method {
            Method::Invite => Kind::InviteClient,
            _ => Kind::OtherClient,
        };
        let is_reliable = flow.transport != Transport::Udp;
        self.on_connection(flow.connection, Owner::Client(id));
        self.clients.by_key.insert(key.clone(), id);
        let client = ClientTransaction {
            course: Course::new(Owner::Client(id), kind, is_reliable),
            key,
            bytes: request.encode(),
            flow,
            request,
        };
        self.clients.by_id.insert(id, client);
        self.signal_client(now, id, Signal::Begin, None);
        id
    }

    pub(super) fn receive_response(&mut self, now: Instant, flow: Flow, response: Response) {
        let key = ClientKey::of_response(&response.headers);
        let id = key.and_then(|key| self.clients.by_key.get(&key).copied());
        let Some(id) = id else {
            self.events.push_back(Event::Stray(flow));
            return;
        };
        self.adopt(id, &flow);
        let signal = Signal::of_status(response.status);
        self.signal_client(now, id, signal, Some((flow, response)));
    }

    /// A connection that had to be opened has its number now.
    fn adopt(&mut self, id: ClientId, flow: &Flow) {
        let Some(client) = self.clients.by_id.get_mut(&id) else {
            return;
        };
        let is_ours = client.flow.transport == flow.transport && client.flow.peer == flow.peer;
        if is_ours && client.flow.connection == 0 {
            client.flow.connection = flow.connection;
            self.on_connection(flow.connection, Owner::Client(id));
        }
    }

    /// One step, and what it asks for.
    pub(super) fn signal_client(
        &mut self,
        now: Instant,
        id: ClientId,
        signal: Signal,
        response: Option<(Flow, Response)>,
    ) {
        let Some(client) = self.clients.by_id.get_mut(&id) else {
            return;
        };
        let acts = client
            .course
            .step(now, signal, &self.timers, &mut self.deadlines);
        for act in acts {
            match act {
                Act::Send | Act::Resend => {
                    let request = (client.flow.clone(), client.bytes.clone());
                    self.outbox.push_back(request);
                }
                Act::Acknowledge => {
                    if let Some((_, refusal)) = &response {
                        let ack = own::ack(&client.request, refusal).encode();
                        self.outbox.push_back((client.flow.clone(), ack));
                    }
                }
                Act::Fail => self.events.push_back(Event::TimedOut(id)),
                _ => {}
            }
        }
        if acts.contains(&Act::Pass)
            && let Some((flow, response)) = response
        {
            let response = Box::new(response);
            self.events.push_back(Event::Response(id, flow, response));
        }
        if client.course.state() == State::Terminated {
            self.end_client(id);
        }
    }

    fn end_client(&mut self, id: ClientId) {
        let Some(mut client) = self.clients.by_id.remove(&id) else {
            return;
        };
        client.course.stop(&mut self.deadlines);
        if self.clients.by_key.get(&client.key) == Some(&id) {
            self.clients.by_key.remove(&client.key);
        }
        self.off_connection(client.flow.connection, Owner::Client(id));
    }
}
