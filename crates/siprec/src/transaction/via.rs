//! Where a request came from is written into its topmost Via, and where its answers go is read
//! there. RFC 3261 §18.2, RFC 3581.

use std::net::{IpAddr, SocketAddr};

use super::key::sent_by_port;
use super::{Flow, Transport};
use crate::message::{Headers, Via, split_list, text};

/// Where answers to a request go, and where if that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReplyPath {
    /// RFC 3261 §18.2.2, RFC 3581 §4.
    pub(super) flow: Flow,
    /// The port that is tried when the connection is gone.
    sent_by_port: u16,
}

impl ReplyPath {
    /// For a request that came on `flow` with `via` on top. `maddr` is not followed: it would let
    /// a sender aim our answers at anybody.
    pub(super) fn new(flow: &Flow, via: &Via) -> Self {
        let sent_by_port = sent_by_port(via, flow.transport);
        let mut flow = flow.clone();
        let is_symmetric = via.params.iter().any(|(name, _)| name == "rport");
        if flow.transport == Transport::Udp && !is_symmetric {
            flow.peer.set_port(sent_by_port);
        }
        Self { flow, sent_by_port }
    }

    /// The connection is gone: another is to be opened to the host it came from.
    pub(super) fn reopen(&mut self) {
        self.flow.connection = 0;
        self.flow.peer.set_port(self.sent_by_port);
    }
}

/// The same headers, the topmost Via telling its source. Everything else stays as it was written.
pub(super) fn annotate(headers: &Headers, source: SocketAddr) -> Headers {
    let mut annotated = Headers::default();
    let mut is_done = false;
    for (name, value) in headers.iter() {
        let top = if !is_done && name.eq_ignore_ascii_case("Via") {
            split_list(value).next()
        } else {
            None
        };
        if let Some(top) = top {
            is_done = true;
            annotated.push(name, value.replacen(top, &with_source(top, source), 1));
        } else {
            annotated.push(name, value);
        }
    }
    annotated
}

/// One Via with the port as `rport`, if it asks for that, and the address as `received`, if it
/// asks for the port or names another host than the address.
fn with_source(via: &str, source: SocketAddr) -> String {
    let mut params = text::split_unquoted(via, ';');
    let mut text = params.next().unwrap_or_default().to_owned();
    let address = source.ip().to_canonical();
    let mut tells =
        Via::parse(via).and_then(|via| via.host.parse::<IpAddr>().ok()) != Some(address);
    for param in params {
        let name = param.split('=').next().unwrap_or_default().trim();
        if name.eq_ignore_ascii_case("rport") {
            tells = true;
            text += &format!(";rport={}", source.port());
        } else if !name.eq_ignore_ascii_case("received") {
            text.push(';');
            text += param;
        }
    }
    if tells {
        text += &format!(";received={address}");
    }
    text
}
