//! Which trunk a request belongs to: the first, in their configured order, that all fits.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::message::{Method, Request, UriParts};
use crate::transaction::{Flow, Transport};
use crate::trunk::Trunk;

/// The first trunk whose rules the request meets. OPTIONS asks after the server, not after a
/// user, so users are not looked at then.
pub(crate) fn select(
    trunks: &[Arc<Trunk>],
    flow: &Flow,
    reached: Option<SocketAddr>,
    tls_names: &[String],
    request: &Request,
) -> Option<usize> {
    let source = flow.peer.ip().to_canonical();
    let users = users(request);
    trunks.iter().position(|trunk| {
        any_or(&trunk.sources, |net| net.contains(&source))
            && any_or(&trunk.listeners, |name| is_listener(name, flow, reached))
            && any_or(&trunk.tls_names, |name| {
                tls_names
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(name))
            })
            && (request.method == Method::Options
                || any_or(&trunk.users, |user| users.contains(user)))
    })
}

/// An empty list fits everything.
fn any_or<T>(list: &[T], fits: impl Fn(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(fits)
}

/// User parts of To and Request-URI.
fn users(request: &Request) -> Vec<String> {
    let to = request.headers.to().map(|to| to.uri);
    let user = |uri: &str| UriParts::parse(uri).and_then(|uri| uri.user);
    let uris = [Some(request.uri.clone()), to];
    uris.iter().flatten().filter_map(|uri| user(uri)).collect()
}

/// Whether `udp:0.0.0.0:5060` is where a message came in.
fn is_listener(name: &str, flow: &Flow, reached: Option<SocketAddr>) -> bool {
    let Some((transport, address)) = name.split_once(':') else {
        return false;
    };
    let transport = match transport.to_ascii_lowercase().as_str() {
        "tcp" => Transport::Tcp,
        "tls" => Transport::Tls,
        "udp" => Transport::Udp,
        _ => return false,
    };
    let Ok(address) = address.parse::<SocketAddr>() else {
        return false;
    };
    let is_there = |at: SocketAddr| {
        at.port() == address.port() && (address.ip().is_unspecified() || at.ip() == address.ip())
    };
    transport == flow.transport && (is_there(flow.local) || reached.is_some_and(is_there))
}

/// The address of ours that a peer of this trunk shall send media to.
pub(crate) fn media_address(trunk: &Trunk, flow: &Flow, reached: Option<SocketAddr>) -> IpAddr {
    let seen = flow.local.ip();
    let named = reached.map(|at| at.ip()).filter(|ip| !ip.is_unspecified());
    let own = if seen.is_unspecified() {
        named
    } else {
        Some(seen)
    };
    trunk.media_address.or(own).unwrap_or(seen)
}

#[cfg(test)]
mod tests;
