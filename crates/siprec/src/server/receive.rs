//! From the wire to the one who knows: messages into transactions, their events to sessions.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::Instant;

use crate::message::{Message, Method, NameAddr, Request, Response};
use crate::server::refusal::Refusal;
use crate::server::{Notice, Output, Server, SessionId, checks};
use crate::session::{Asked, Session};
use crate::transaction::{Event, Flow, Transport};
use crate::trunk::select::select;

impl Server {
    /// A message arrived. A request that neither a trunk nor a dialog knows costs no state.
    pub(super) fn receive(&mut self, now: Instant, flow: Flow, message: Message, names: &[String]) {
        if let Message::Request(request) = &message
            && self.dialog_of(request).is_none()
            && self.trunk_of(&flow, request, names).is_none()
        {
            self.turn_away(flow, request);
            return;
        }
        self.transactions.receive(now, flow, message);
    }

    /// Carries out what transactions have to say and to send.
    pub(super) fn heed(&mut self, now: Instant, names: &[String]) {
        while let Some(event) = self.transactions.poll_event() {
            match event {
                Event::Request(id, flow, request) => {
                    self.request(now, &Asked { id, flow, request }, names);
                }
                Event::Ack(flow, request) => self.ack(now, flow, &request),
                Event::Cancelled(id) => self.cancelled(now, id),
                Event::Response(id, _, response) => self.response_came(now, id, &response),
                Event::TimedOut(id) => self.timed_out(now, id),
                Event::Merged(_) => self.notice(Notice::Answered {
                    method: Method::Invite.label(),
                    status: 482,
                    why: Some("the request came by two ways".to_owned()),
                }),
                Event::Stray(_) => {}
            }
        }
        while let Some((flow, bytes)) = self.transactions.poll_transmit() {
            self.outputs.push_back(Output::Transmit { flow, bytes });
        }
    }

    /// The session whose dialog a request belongs to, by the tag we gave.
    pub(super) fn dialog_of(&self, request: &Request) -> Option<SessionId> {
        let to = request.headers.to()?;
        to.tag().and_then(|tag| self.dialogs.get(tag)).copied()
    }

    pub(super) fn trunk_of(
        &self,
        flow: &Flow,
        request: &Request,
        names: &[String],
    ) -> Option<usize> {
        select(&self.trunks, flow, self.reached(flow), names, request)
    }

    /// The address of a flow's listener as peers reach it.
    pub(super) fn reached(&self, flow: &Flow) -> Option<SocketAddr> {
        self.config.listeners.get(flow.listener).copied()
    }

    /// 403 or silence for a source that no trunk knows. The answer is made without remembering
    /// anything, so its tag comes from the request. RFC 3261 §8.2.7.
    fn turn_away(&mut self, flow: Flow, request: &Request) {
        self.notice(Notice::UnknownSource);
        let is_asking = !matches!(request.method, Method::Ack);
        if self.config.silent_to_unknown || !is_asking || request.headers.top_via().is_none() {
            return;
        }
        let mut response = Response::to(request, 403);
        let mut hasher = DefaultHasher::new();
        (request.headers.get("Via"), request.headers.call_id()).hash(&mut hasher);
        respond_tag(&mut response, &format!("{:016x}", hasher.finish()));
        self.label(
            &flow,
            &mut response,
            &Refusal::new(403, "no trunk knows this source"),
        );
        let flow = way_back(flow, request);
        self.transactions.send(flow, response.encode());
        self.notice(Notice::Answered {
            method: request.method.label(),
            status: 403,
            why: Some("no trunk knows this source".to_owned()),
        });
    }

    fn request(&mut self, now: Instant, asked: &Asked, names: &[String]) {
        self.notice(Notice::Request(asked.request.method.label()));
        match self.route(now, asked, names) {
            Ok(Some(response)) => self.answer(now, asked, &response, None),
            Ok(None) => {}
            Err(refusal) => self.refuse(now, asked, &refusal),
        }
    }

    /// To the session it is for, or to what makes one. `None`: it is answered already, or later.
    fn route(
        &mut self,
        now: Instant,
        asked: &Asked,
        names: &[String],
    ) -> Result<Option<Response>, Refusal> {
        let request = &asked.request;
        checks::well_formed(request, self.config.limits.uri_bytes_max)?;
        if !checks::is_allowed(&request.method) {
            return Err(Refusal::method(&request.method));
        }
        let has_tag = request
            .headers
            .to()
            .as_ref()
            .and_then(NameAddr::tag)
            .is_some();
        if has_tag {
            let session = self.dialog_of(request).ok_or_else(Refusal::no_dialog)?;
            return self.within(now, asked, session);
        }
        match request.method {
            Method::Invite => {
                checks::extensions(&request.headers)?;
                self.open(now, asked, names).map(|()| None)
            }
            Method::Options => {
                checks::extensions(&request.headers)?;
                let trunk = self.trunk_of(&asked.flow, request, names);
                self.capacity(trunk)?;
                Ok(Some(self.capabilities(asked)))
            }
            _ => Err(Refusal::no_dialog()),
        }
    }

    /// 503 while draining or full, so that the SRC turns to another server.
    pub(super) fn capacity(&self, trunk: Option<usize>) -> Result<(), Refusal> {
        let running = self.sessions();
        let of_trunk = |index: usize| {
            let same = |session: &&Session| session.trunk == index;
            self.sessions.values().filter(same).count()
        };
        let is_trunk_full = trunk.is_some_and(|index| {
            let most = self.trunks.get(index).map_or(0, |trunk| trunk.sessions_max);
            of_trunk(index) >= most
        });
        let why = if self.is_draining {
            "no new sessions are taken"
        } else if let Some(why) = self.full {
            why
        } else if running >= self.config.sessions_max {
            "the server has as many sessions as it may have"
        } else if is_trunk_full {
            "the trunk has as many sessions as it may have"
        } else {
            return Ok(());
        };
        Err(self.unavailable(why))
    }

    /// 503 with when to come again and how many sessions run.
    pub(super) fn unavailable(&self, why: &str) -> Refusal {
        Refusal::new(503, why)
            .with("Retry-After", self.config.retry_after.as_secs())
            .with("X-Antiphon-Calls", self.sessions())
    }

    /// What OPTIONS asks for. RFC 3261 §11.2.
    pub(super) fn capabilities(&mut self, asked: &Asked) -> Response {
        let mut response = self.response(asked, 200);
        self.say_capabilities(&mut response.headers);
        response.headers.push("Accept-Encoding", "identity");
        response.headers.push("Accept-Language", "en");
        response.headers.push("X-Antiphon-Calls", self.sessions());
        let trunk = self.trunk_of(&asked.flow, &asked.request, &[]);
        let contact = self.contact(trunk, &asked.flow, &asked.request.uri);
        response.headers.push("Contact", contact);
        response
    }
}

/// The tag of a response outside any dialog.
pub(super) fn respond_tag(response: &mut Response, tag: &str) {
    let to = response.headers.to();
    if to.as_ref().is_some_and(|to| to.tag().is_none())
        && let Some(text) = response.headers.get("To").map(str::to_owned)
    {
        response.headers.set("To", format_args!("{text};tag={tag}"));
    }
}

/// Where a response outside any transaction goes. RFC 3261 §18.2.2, RFC 3581.
fn way_back(mut flow: Flow, request: &Request) -> Flow {
    let Some(via) = request.headers.top_via() else {
        return flow;
    };
    let has_rport = via.params.iter().any(|(name, _)| name == "rport");
    if flow.transport == Transport::Udp && !has_rport {
        flow.peer.set_port(via.port.unwrap_or(5060));
    }
    flow
}
