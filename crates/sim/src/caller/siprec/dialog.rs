//! One SIP dialog from the client's side, and the answers to what the recording server asks in it.
//! No socket and no clock. RFC 3261 §12, §14.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::Notify;
use uuid::Uuid;

use super::digest::Challenge;
use super::message::{Message, uri};
use super::options::{Edit, Options};
use super::sdp::{Direction, Sdp};
use super::session::Session;
use super::wire::Transport;

/// What we say in `Allow`.
pub(super) const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, PRACK";

/// What the recording server did by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It ended the dialog.
    Bye,
    /// It asked for something else: the method.
    Other(String),
    /// It asked how we are.
    Pinged,
    /// It refused a request of ours that nobody waits for.
    Refused(u16),
    /// It offered media anew, with these directions from its own point of view.
    Reinvited(Vec<Direction>),
    /// It asked for all of the metadata.
    SnapshotWanted,
    /// It sent an UPDATE with or without an offer.
    Updated(Vec<Direction>),
}

/// One dialog.
pub(super) struct Dialog {
    pub(super) call_id: String,
    /// `From` of our requests.
    local: String,
    /// `To` of our requests.
    remote: String,
    target: String,
    routes: Vec<String>,
    cseq: u32,
    contact: String,
    via: String,
    /// Our address and port.
    host: String,
    pub(super) session: Session,
    pub(super) events: Vec<Event>,
    pub(super) ended: bool,
    /// An INVITE of ours is not answered yet.
    pub(super) inviting: bool,
    /// Our offer in a 200 to an offerless re-INVITE; the answer comes with the ACK.
    offering: bool,
    /// How the next requests with that method are refused.
    pub(super) refusals: VecDeque<(String, u16)>,
    /// Methods of requests that get no answer at all.
    pub(super) unanswered: Vec<String>,
    headers: Vec<(String, String)>,
    edit: Option<Edit>,
    challenge: Option<Challenge>,
    pub(super) changed: Arc<Notify>,
}

/// What comes of a request.
#[derive(Debug, Default)]
pub(super) struct Reaction {
    pub(super) response: Option<Message>,
    /// A request of ours that follows from it.
    pub(super) request: Option<Message>,
}

/// Where a dialog lives: our end and theirs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends<'a> {
    pub(super) transport: Transport,
    pub(super) local: SocketAddr,
    /// `host:port` of the recording server.
    pub(super) peer: &'a str,
}

impl Dialog {
    pub(super) fn new(ends: Ends<'_>, session: Session, options: &Options) -> Self {
        let [to, from] = session.shape.head.users;
        let transport = ends.transport.as_str();
        let local = ends.local;
        let suffix = match ends.transport {
            Transport::Udp => String::new(),
            stream => format!(";transport={}", stream.as_str().to_ascii_lowercase()),
        };
        let more = (session.shape.head.from)(&session.scene);
        let tag = Uuid::new_v4().simple().to_string();
        Self {
            call_id: session.scene.dialog.clone(),
            local: format!("<sip:{from}@{}{more}>;tag={tag}", local.ip()),
            remote: format!("<sip:{to}@{}>", ends.peer),
            target: format!("sip:{to}@{}{suffix}", ends.peer),
            routes: Vec::new(),
            cseq: 100,
            contact: (session.shape.head.contact)(&format!("sip:{from}@{local}{suffix}")),
            via: format!("SIP/2.0/{transport} {local};rport"),
            host: local.to_string(),
            session,
            events: Vec::new(),
            ended: false,
            inviting: false,
            offering: false,
            refusals: VecDeque::new(),
            unanswered: Vec::new(),
            headers: options.headers.clone(),
            edit: options.edit.clone(),
            challenge: options.challenge.clone(),
            changed: Arc::default(),
        }
    }

    /// A request of this dialog with everything but a body.
    pub(super) fn request(&mut self, method: &str) -> Message {
        self.cseq += 1;
        let mut request = self.bare(method, self.cseq);
        if matches!(method, "INVITE" | "UPDATE") {
            request.add("Contact", &self.contact.clone());
        }
        if method != "INVITE" {
            // Avaya tells the call's name in every message.
            let named = (self.session.shape.head.more)(&self.session.scene);
            let named = named
                .into_iter()
                .filter(|(name, _)| *name == "User-to-User");
            for (name, value) in named {
                request.add(name, &value);
            }
        }
        self.edited(request)
    }

    /// An INVITE, first or again.
    pub(super) fn invite(&mut self, sdp: Option<&str>, metadata: bool) -> Message {
        self.cseq += 1;
        let mut request = self.bare("INVITE", self.cseq);
        let head = &self.session.shape.head;
        request.add("Contact", &self.contact);
        request.add("Allow", ALLOW);
        for (name, value) in [("Require", head.require), ("Supported", head.supported)] {
            if let Some(value) = value {
                request.add(name, value);
            }
        }
        for (name, value) in (head.more)(&self.session.scene) {
            request.set(name, &value);
        }
        for (name, value) in &self.headers {
            request.set(name, value);
        }
        self.fill(&mut request, sdp, metadata);
        self.inviting = true;
        self.edited(request)
    }

    /// Puts a body into a request.
    pub(super) fn fill(&self, request: &mut Message, sdp: Option<&str>, metadata: bool) {
        if let Some((kind, body)) = self.session.body(sdp, metadata) {
            if kind.contains("rs-metadata") {
                request.add("Content-Disposition", "recording-session");
            }
            request.add("Content-Type", &kind);
            request.body = body;
        }
    }

    /// The ACK of a 2xx: a transaction of its own. RFC 3261 §13.2.2.4.
    pub(super) fn ack(&self, cseq: u32, sdp: Option<&str>) -> Message {
        let mut ack = self.bare("ACK", cseq);
        self.fill(&mut ack, sdp, false);
        self.edited(ack)
    }

    /// The CANCEL of an INVITE under way. RFC 3261 §9.1.
    pub(super) fn cancel(invite: &Message) -> Message {
        let mut cancel = Message::request("CANCEL", uri_of(invite));
        for name in ["Via", "Max-Forwards", "From", "To", "Call-ID"] {
            if let Some(value) = invite.header(name) {
                cancel.add(name, value);
            }
        }
        cancel.add("CSeq", &format!("{} CANCEL", invite.cseq().0));
        cancel
    }

    /// Takes from a response to an INVITE what the dialog needs. RFC 3261 §12.1.2.
    pub(super) fn confirm(&mut self, response: &Message) {
        if let Some(to) = response.header("To") {
            to.clone_into(&mut self.remote);
        }
        if let Some(contact) = response.list("Contact").first() {
            uri(contact).clone_into(&mut self.target);
        }
        let routes = response.list("Record-Route");
        if self.routes.is_empty() && !routes.is_empty() {
            // What passed an edge of ours came from here, and needs no edge to get there.
            let routes = routes
                .iter()
                .rev()
                .filter(|route| !route.contains(&self.host));
            self.routes = routes.map(|route| (*route).to_owned()).collect();
        }
    }

    /// Where the next request goes when the route or target has an address in it.
    pub(super) fn next_hop(&self) -> Option<SocketAddr> {
        let hop = self
            .routes
            .first()
            .map_or(self.target.as_str(), |route| uri(route));
        let host = hop.split_once(':')?.1;
        let host = host.rsplit('@').next()?.split([';', '?']).next()?;
        let with_port = host.parse();
        let address = host.trim_matches(['[', ']']);
        with_port
            .or_else(|_| address.parse().map(|ip| SocketAddr::new(ip, 5060)))
            .ok()
    }

    /// Answers what the recording server asks.
    pub(super) fn hear(&mut self, request: &Message) -> Reaction {
        if self
            .unanswered
            .iter()
            .any(|method| method == request.method())
        {
            return Reaction::default();
        }
        let refused = |(method, _): &(String, u16)| method == request.method();
        if let Some(at) = self.refusals.iter().position(refused) {
            let (_, status) = self.refusals.remove(at).unwrap_or_default();
            return Reaction::of(Message::response(status, "Refused On Purpose", request));
        }
        let challenge = self
            .challenge
            .as_ref()
            .filter(|_| request.method() != "ACK");
        if let Some(response) = challenge.and_then(|challenge| challenge.response(request)) {
            return Reaction::of(response);
        }
        let mut ok = Message::response(200, "OK", request);
        match request.method() {
            "ACK" => {
                let answer = request.sdp().filter(|_| std::mem::take(&mut self.offering));
                if let Some(answer) = answer {
                    self.session.theirs = Some(Sdp::parse(&answer));
                    self.changed.notify_waiters();
                }
                return Reaction::default();
            }
            "BYE" => {
                self.ended = true;
                self.tell(Event::Bye);
            }
            "INVITE" | "UPDATE" => return self.hear_offer(request, ok),
            "OPTIONS" => {
                ok.add("Allow", ALLOW).add("Accept", "application/sdp");
                self.tell(Event::Pinged);
            }
            method => self.tell(Event::Other(method.to_owned())),
        }
        Reaction::of(ok)
    }

    fn hear_offer(&mut self, request: &Message, mut ok: Message) -> Reaction {
        let offer = request.sdp().map(|text| Sdp::parse(&text));
        let invites = request.method() == "INVITE";
        if self.inviting && (invites || offer.is_some()) {
            return Reaction::of(Message::response(491, "Request Pending", request));
        }
        if let Some(contact) = request.list("Contact").first() {
            uri(contact).clone_into(&mut self.target);
        }
        ok.add("Contact", &self.contact).add("Allow", ALLOW);
        if String::from_utf8_lossy(&request.body).contains("requestsnapshot") {
            self.tell(Event::SnapshotWanted);
            let mut update = self.request("UPDATE");
            self.fill(&mut update, None, true);
            return Reaction {
                request: Some(update),
                ..Reaction::of(ok)
            };
        }
        let sdp = match &offer {
            Some(offer) => Some(self.session.answer(offer)),
            None if invites => {
                self.offering = true;
                Some(self.session.offer())
            }
            None => None,
        };
        if let Some(sdp) = sdp {
            ok.add("Content-Type", "application/sdp");
            ok.body = sdp.into_bytes();
        }
        let lines = offer.iter().flat_map(|offer| &offer.lines);
        let directions = lines.map(|line| line.direction).collect();
        self.tell(match invites {
            true => Event::Reinvited(directions),
            false => Event::Updated(directions),
        });
        Reaction::of(ok)
    }

    /// Notes what happened and wakes whoever waits for it.
    pub(super) fn tell(&mut self, event: Event) {
        self.events.push(event);
        self.changed.notify_waiters();
    }

    fn bare(&self, method: &str, cseq: u32) -> Message {
        let mut request = Message::request(method, &self.target);
        let branch = Uuid::new_v4().simple();
        request.add("Via", &format!("{};branch=z9hG4bK{branch}", self.via));
        for route in &self.routes {
            request.add("Route", route);
        }
        request.add("Max-Forwards", "70");
        request.add("From", &self.local).add("To", &self.remote);
        request.add("Call-ID", &self.call_id);
        request.add("CSeq", &format!("{cseq} {method}"));
        request
    }

    fn edited(&self, mut message: Message) -> Message {
        if let Some(Edit(edit)) = &self.edit {
            edit(&mut message);
        }
        message
    }
}

impl Reaction {
    fn of(response: Message) -> Self {
        Self {
            response: Some(response),
            request: None,
        }
    }
}

fn uri_of(request: &Message) -> &str {
    match &request.start {
        super::message::Start::Request { uri, .. } => uri,
        super::message::Start::Response { .. } => "",
    }
}
