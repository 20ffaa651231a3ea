//! A dialog as its called side sees it: tags, route set, remote target, sequence numbers.
//!
//! RFC 3261 §12. Knows no media and no time.

use std::net::{IpAddr, SocketAddr};

use crate::message::{Headers, Method, NameAddr, Request, UriParts};
use crate::transaction::{Flow, Transport};

/// A dialog that an INVITE of the peer began.
#[derive(Clone)]
pub(crate) struct Dialog {
    /// Call-ID.
    pub(crate) call_id: String,
    /// The tag we gave: it alone finds the dialog, for it is unpredictable.
    pub(crate) our_tag: String,
    /// The To header of the INVITE with our tag: our From.
    ours: String,
    /// The From header of the INVITE: our To.
    theirs: String,
    their_tag: Option<String>,
    /// Values of Route, in order.
    routes: Vec<String>,
    /// Remote target.
    target: String,
    our_cseq: u32,
    their_cseq: u32,
}

/// What is wrong with a request inside a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadInDialog {
    /// Another Call-ID or another peer's tag: 481.
    NotThisDialog,
    /// A CSeq lower than one seen: 500. RFC 3261 §12.2.2.
    OldCseq,
}

impl Dialog {
    /// The dialog that a 2xx to this INVITE creates. `None` without a usable Contact.
    pub(crate) fn accept(invite: &Request, our_tag: &str) -> Option<Self> {
        let headers = &invite.headers;
        Some(Self {
            call_id: headers.call_id()?.to_owned(),
            our_tag: our_tag.to_owned(),
            ours: format!("{};tag={our_tag}", headers.get("To")?),
            theirs: headers.get("From")?.to_owned(),
            their_tag: headers.from()?.tag().map(str::to_owned),
            routes: headers.values("Record-Route").map(str::to_owned).collect(),
            target: contact(headers)?,
            our_cseq: 0,
            their_cseq: headers.cseq()?.0,
        })
    }

    /// Takes in the CSeq of a request of the peer.
    pub(crate) fn take(&mut self, headers: &Headers) -> Result<(), BadInDialog> {
        if !self.is_of(headers) {
            return Err(BadInDialog::NotThisDialog);
        }
        let cseq = headers.cseq().map_or(0, |(number, _)| number);
        if cseq < self.their_cseq {
            return Err(BadInDialog::OldCseq);
        }
        self.their_cseq = cseq;
        Ok(())
    }

    /// Whether a request's Call-ID and From tag are those of this dialog.
    pub(crate) fn is_of(&self, headers: &Headers) -> bool {
        headers.call_id() == Some(self.call_id.as_str())
            && headers.from().as_ref().and_then(NameAddr::tag) == self.their_tag.as_deref()
    }

    /// A target refresh: INVITE and UPDATE, theirs or the 2xx to ours. RFC 3261 §12.2.
    pub(crate) fn refresh_target(&mut self, headers: &Headers) {
        if let Some(target) = contact(headers) {
            self.target = target;
        }
    }

    /// A request of ours with the next CSeq.
    pub(crate) fn request(&mut self, method: Method) -> Request {
        self.our_cseq += 1;
        self.with_cseq(method, self.our_cseq)
    }

    /// The next CSeq, for a request that is sent again as another one.
    pub(crate) fn next_cseq(&mut self, method: &Method) -> String {
        self.our_cseq += 1;
        format!("{} {}", self.our_cseq, method.as_str())
    }

    /// The ACK to a 2xx to our INVITE with this CSeq; Via is still missing.
    pub(crate) fn ack(&self, cseq: u32) -> Request {
        self.with_cseq(Method::Ack, cseq)
    }

    /// Where requests go: the first route, else the remote target. Names cannot be looked up here,
    /// and private addresses are not reached from outside; then back to where messages come from.
    pub(crate) fn next_hop(&self, flow: &Flow) -> Flow {
        if flow.transport != Transport::Udp && flow.connection != 0 {
            return flow.clone();
        }
        let mut hop = flow.clone();
        let first = self.routes.first().and_then(|route| NameAddr::parse(route));
        let uri = first.map_or_else(|| self.target.clone(), |route| route.uri);
        let uri = UriParts::parse(&uri);
        let peer = uri.as_ref().and_then(|uri| address(uri, flow.transport));
        match peer.filter(|peer| is_reachable(peer.ip(), flow.peer.ip())) {
            Some(peer) => hop.peer = peer,
            // A connection to us came from a port where nobody listens.
            None if flow.transport != Transport::Udp => {
                let port = uri.map(|uri| port(&uri, flow.transport));
                hop.peer.set_port(port.unwrap_or(5060));
            }
            None => {}
        }
        hop
    }

    /// Whether the remote target asks for TCP.
    pub(crate) fn allows_tcp(&self) -> bool {
        let is_tcp = |(name, value): &(String, Option<String>)| {
            name == "transport"
                && value
                    .as_deref()
                    .is_some_and(|value| value.eq_ignore_ascii_case("tcp"))
        };
        UriParts::parse(&self.target).is_some_and(|uri| uri.params.iter().any(is_tcp))
    }

    /// RFC 3261 §12.2.1.1, with the strict routers of RFC 2543.
    fn with_cseq(&self, method: Method, cseq: u32) -> Request {
        let first = self.routes.first().and_then(|route| NameAddr::parse(route));
        let strict = first.filter(|route| !is_loose(route));
        let mut routes = self.routes.clone();
        let mut uri = self.target.clone();
        if let Some(strict) = strict {
            routes.remove(0);
            routes.push(format!("<{}>", self.target));
            uri = strict.uri;
        }
        let mut request = Request::new(method, &uri);
        let headers = &mut request.headers;
        headers.push("Max-Forwards", 70);
        for route in &routes {
            headers.push("Route", route);
        }
        headers.push("From", &self.ours);
        headers.push("To", &self.theirs);
        headers.push("Call-ID", &self.call_id);
        headers.push("CSeq", format_args!("{cseq} {}", request.method.as_str()));
        request
    }
}

/// The URI of the first Contact.
fn contact(headers: &Headers) -> Option<String> {
    let contact = NameAddr::parse(headers.values("Contact").next()?)?;
    UriParts::parse(&contact.uri).map(|_| contact.uri)
}

/// `;lr`
fn is_loose(route: &NameAddr) -> bool {
    UriParts::parse(&route.uri).is_some_and(|uri| {
        uri.params
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("lr"))
    })
}

/// The address of a URI whose host is a literal one.
fn address(uri: &UriParts, transport: Transport) -> Option<SocketAddr> {
    let host = uri.host.parse::<IpAddr>().ok()?;
    Some(SocketAddr::new(host, port(uri, transport)))
}

/// The port of a URI, or its scheme's. RFC 3261 §19.1.2.
fn port(uri: &UriParts, transport: Transport) -> u16 {
    let secure = uri.scheme == "sips" || transport == Transport::Tls;
    uri.port.unwrap_or(if secure { 5061 } else { 5060 })
}

/// A peer that we see at a public address names a private one when it is behind a NAT.
fn is_reachable(named: IpAddr, seen: IpAddr) -> bool {
    named.is_ipv4() == seen.is_ipv4()
        && !named.is_unspecified()
        && (named == seen || !is_private(named) || is_private(seen))
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests;
