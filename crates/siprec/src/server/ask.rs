//! Requests of our own: BYE, re-INVITE, UPDATE.

use std::time::Instant;

use crate::dialog::Dialog;
use crate::message::{Method, Request};
use crate::metadata;
use crate::offer::Direction;
use crate::server::refusal::{ACCEPT, ALLOW, SUPPORTED};
use crate::server::{Output, Server, SessionId, Wake};
use crate::session::{Phase, Session, Wait};
use crate::transaction::{ClientId, Flow, Transport};

/// What the Via that is still missing adds at most.
const VIA_BYTES_MAX: usize = 128;

/// A request of ours under way. It holds a copy of its dialog, for it may outlive its session.
pub(super) struct Errand {
    pub(super) session: SessionId,
    pub(super) trunk: usize,
    pub(super) dialog: Dialog,
    pub(super) flow: Flow,
    pub(super) request: Request,
    pub(super) purpose: Purpose,
    /// A challenge has been answered already.
    pub(super) is_authorized: bool,
    /// It was sent anew already because its connection had gone.
    pub(super) is_rerouted: bool,
    /// The ACK to its 2xx, once there was one: every repetition gets it again.
    pub(super) ack: Option<(Flow, Vec<u8>)>,
}

/// What a request of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To end the session.
    Bye,
    /// To have the media in this direction; the session is refreshed too.
    Point(Direction),
    /// To refresh the session.
    Refresh,
    /// To have all metadata again.
    Snapshot,
}

impl Server {
    /// Sound of a session is wanted, or no more.
    pub(super) fn wanted(&mut self, now: Instant, id: SessionId, sound: bool) {
        self.refuse_older(id);
        let Some(session) = self.sessions.get_mut(&id) else {
            self.answer_wish(id, sound, Err("there is no such session"));
            return;
        };
        if matches!(session.phase, Phase::Ended(_)) {
            self.answer_wish(id, sound, Err("the session is over"));
            return;
        }
        let direction = session.direction_for(sound, &self.trunks[session.trunk]);
        session.errands.direction = Some(direction);
        session.errands.granting = Some(sound);
        let until = now + self.config.limits.grant_wait;
        self.deadlines.set(Wake::Session(id, Wait::Grant), until);
        self.grant(id);
        self.pursue(now, id);
    }

    /// A wish that a newer one replaces.
    fn refuse_older(&mut self, id: SessionId) {
        let session = self.sessions.get_mut(&id);
        if let Some(older) = session.and_then(|session| session.errands.granting.take()) {
            self.answer_wish(id, older, Err("something else is wanted by now"));
        }
    }

    fn answer_wish(&mut self, session: SessionId, sound: bool, result: Result<(), &str>) {
        self.outputs.push_back(Output::Granted {
            session,
            sound,
            result: result.map_err(str::to_owned),
        });
    }

    /// Sends what is due as soon as it may be sent: BYE, a snapshot request, a re-INVITE.
    pub(super) fn pursue(&mut self, now: Instant, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if session.phase != Phase::Open || session.unacked.is_some() {
            return;
        }
        if let Some((ending, reason)) = session.errands.hang_up.take() {
            self.hang_up(now, id, ending, &reason);
            return;
        }
        if std::mem::take(&mut session.errands.is_snapshot_due) {
            self.ask_snapshot(now, id);
        }
        self.invite(now, id);
    }

    /// Asks for all metadata again, if the peer takes UPDATE and was not asked just now. Without
    /// SDP, never in another transaction. RFC 7866 §9.2.
    pub(super) fn ask_snapshot(&mut self, now: Instant, id: SessionId) {
        let updates_per_snapshot = self.config.limits.updates_per_snapshot;
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if session.phase != Phase::Open || session.unacked.is_some() {
            session.errands.is_snapshot_due = true;
            return;
        }
        if !session.takes_update || !session.knowledge.may_ask(updates_per_snapshot) {
            return;
        }
        let mut request = session.dialog.request(Method::Update);
        request
            .headers
            .push("Content-Type", session.knowledge.content_type());
        request
            .headers
            .push("Content-Disposition", "recording-session");
        request.body = metadata::snapshot_request("StateLost").into_bytes();
        self.send(now, id, request, Purpose::Snapshot);
    }

    /// Refreshes the session: by UPDATE where the peer takes it, for that needs no SDP.
    pub(super) fn refresh(&mut self, now: Instant, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if session.takes_update && session.unacked.is_none() {
            let mut request = session.dialog.request(Method::Update);
            say_timer(&mut request, session);
            self.send(now, id, request, Purpose::Refresh);
        } else {
            session.errands.is_refresh_due = true;
            self.pursue(now, id);
        }
    }

    /// A re-INVITE, if the media shall change or the session be refreshed, and if it may be sent.
    fn invite(&mut self, now: Instant, id: SessionId) {
        let is_backing_off = self.deadlines.has(Wake::Session(id, Wait::Backoff));
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let held = session.media.direction();
        let wish = session.errands.direction.unwrap_or(held);
        let is_due = wish != held || session.errands.is_refresh_due;
        if !is_due || !session.may_invite() || is_backing_off {
            return;
        }
        session.errands.is_refresh_due = false;
        let mut request = session.dialog.request(Method::Invite);
        request.headers.push("Content-Type", "application/sdp");
        request.body = session.media.reoffer(wish).into_bytes();
        say_timer(&mut request, session);
        let client = self.send(now, id, request, Purpose::Point(wish));
        if let Some(session) = self.sessions.get_mut(&id) {
            session.errands.inviting = client;
        }
    }

    /// Sends a request of a session's dialog.
    pub(super) fn send(
        &mut self,
        now: Instant,
        id: SessionId,
        mut request: Request,
        purpose: Purpose,
    ) -> Option<ClientId> {
        let session = self.sessions.get(&id)?;
        let errand = |request| Errand {
            session: id,
            trunk: session.trunk,
            dialog: session.dialog.clone(),
            flow: session.flow.clone(),
            request,
            purpose,
            is_authorized: false,
            is_rerouted: false,
            ack: None,
        };
        let contact = self.contact(Some(session.trunk), &session.flow, &request.uri);
        let headers = &mut request.headers;
        headers.push("User-Agent", &self.config.product);
        if matches!(request.method, Method::Invite | Method::Update) {
            headers.push("Contact", contact);
            headers.push("Allow", ALLOW);
            headers.push("Accept", ACCEPT);
            headers.push("Supported", SUPPORTED);
        }
        let errand = errand(request);
        Some(self.dispatch(now, errand))
    }

    /// Sends an errand's request in a transaction of its own.
    pub(super) fn dispatch(&mut self, now: Instant, errand: Errand) -> ClientId {
        let hop = self.hop(&errand.dialog, &errand.flow, &errand.request);
        let branch = self.branch();
        let client = self
            .transactions
            .request(now, hop, errand.request.clone(), &branch);
        self.errands.insert(client, errand);
        client
    }

    /// The same request once more, with the next CSeq.
    pub(super) fn dispatch_again(&mut self, now: Instant, id: ClientId, mut errand: Errand) {
        let session = self.sessions.get_mut(&errand.session);
        let dialog = session.map_or(&mut errand.dialog, |session| &mut session.dialog);
        let cseq = dialog.next_cseq(&errand.request.method);
        errand.request.headers.set("CSeq", cseq);
        let session = errand.session;
        let client = self.dispatch(now, errand);
        if let Some(session) = self.sessions.get_mut(&session)
            && session.errands.inviting == Some(id)
        {
            session.errands.inviting = Some(client);
        }
    }

    /// The way a request of ours goes. A large one goes over TCP where the peer takes TCP. RFC
    /// 3261 §18.1.1.
    pub(super) fn hop(&self, dialog: &Dialog, flow: &Flow, request: &Request) -> Flow {
        let mut hop = dialog.next_hop(flow);
        let bytes = request.encode().len() + VIA_BYTES_MAX;
        let is_large = bytes > self.config.limits.datagram_bytes_max;
        if hop.transport == Transport::Udp && is_large && dialog.allows_tcp() {
            hop.transport = Transport::Tcp;
        }
        hop
    }
}

/// The session timer in a request of ours; `uac` is we. RFC 4028 §7.4.
fn say_timer(request: &mut Request, session: &Session) {
    if let Some(refresh) = session.refresh {
        request
            .headers
            .push("Session-Expires", refresh.in_request());
        if let Some(min) = session.errands.min_se {
            request.headers.push("Min-SE", min.as_secs());
        }
    }
}
