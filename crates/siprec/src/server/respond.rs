//! Our responses: what each carries, and who we are.

use std::time::Instant;

use crate::message::{Headers, Response, UriParts};
use crate::server::receive::respond_tag;
use crate::server::refusal::{ACCEPT, ALLOW, Refusal, SUPPORTED};
use crate::server::{Notice, Server};
use crate::session::refresh::{Refresh, Refresher};
use crate::session::{Asked, Session};
use crate::transaction::{Flow, Transport};

impl Server {
    /// A response with a tag of its own, if the request has none.
    pub(super) fn response(&mut self, asked: &Asked, status: u16) -> Response {
        let mut response = Response::to(&asked.request, status);
        respond_tag(&mut response, &self.token());
        response.headers.push("Server", &self.config.product);
        response
    }

    /// Sends a response.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        asked: &Asked,
        response: &Response,
        why: Option<String>,
    ) {
        self.transactions.respond(now, asked.id, response);
        self.notice(Notice::Answered {
            method: asked.request.method.label(),
            status: response.status,
            why,
        });
    }

    /// Sends a refusal.
    pub(super) fn refuse(&mut self, now: Instant, asked: &Asked, refusal: &Refusal) {
        let mut response = Response::to(&asked.request, refusal.status);
        respond_tag(&mut response, &self.token());
        self.label(&asked.flow, &mut response, refusal);
        self.answer(now, asked, &response, Some(refusal.why.clone()));
    }

    /// Says why and by whom.
    pub(super) fn label(&self, flow: &Flow, response: &mut Response, refusal: &Refusal) {
        let headers = &mut response.headers;
        headers.push("Server", &self.config.product);
        for (name, value) in &refusal.headers {
            headers.push(name, value);
        }
        let agent = self.reached(flow).unwrap_or(flow.local).ip();
        let why = quotable(&refusal.why);
        headers.push(
            "Warning",
            format_args!("{} {agent} \"{why}\"", refusal.warn_code),
        );
    }

    /// Allow, Accept, Supported.
    pub(super) fn say_capabilities(&self, headers: &mut Headers) {
        headers.push("Allow", ALLOW);
        headers.push("Accept", ACCEPT);
        headers.push("Supported", SUPPORTED);
    }

    /// A 2xx inside a dialog: route set, Contact, session timer. RFC 3261 §12.1.1, RFC 4028 §9.
    pub(super) fn success(
        &mut self,
        asked: &Asked,
        session: &Session,
        refresh: Option<Refresh>,
    ) -> Response {
        let request = &asked.request;
        let mut response = Response::to(request, 200);
        respond_tag(&mut response, &session.dialog.our_tag);
        let contact = self.contact(Some(session.trunk), &asked.flow, &request.uri);
        let headers = &mut response.headers;
        for route in request.headers.all("Record-Route") {
            headers.push("Record-Route", route);
        }
        headers.push("Contact", contact);
        headers.push("Server", &self.config.product);
        self.say_capabilities(headers);
        if let Some(refresh) = refresh {
            headers.push("Session-Expires", refresh.in_response());
            if refresh.refresher == Refresher::Theirs {
                headers.push("Require", "timer");
            }
        }
        response
    }

    /// Our Contact always says that we are a recording server. RFC 7866 §6.2.
    pub(super) fn contact(&self, trunk: Option<usize>, flow: &Flow, asked_uri: &str) -> String {
        let trunk = trunk.and_then(|index| self.trunks.get(index));
        let reached = self.reached(flow).filter(|at| !at.ip().is_unspecified());
        let host = trunk
            .and_then(|trunk| trunk.contact.clone())
            .unwrap_or_else(|| reached.unwrap_or(flow.local).to_string());
        let is_secure = UriParts::parse(asked_uri).is_some_and(|uri| uri.scheme == "sips");
        let (scheme, transport) = match flow.transport {
            _ if is_secure => ("sips", ""),
            Transport::Tcp => ("sip", ";transport=tcp"),
            Transport::Tls => ("sip", ";transport=tls"),
            Transport::Udp => ("sip", ""),
        };
        format!("<{scheme}:srs@{host}{transport}>;+sip.srs")
    }
}

/// Words for a quoted string: of one line, without quotes and backslashes.
pub(super) fn quotable(words: &str) -> String {
    words
        .chars()
        .map(|c| match c {
            '"' => '\'',
            '\\' => '/',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect()
}
