//! Messages the layer writes itself: 100, the answers to CANCEL, 482, 503, the ACK to a refusal.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::Duration;

use super::Transport;
use crate::message::{Headers, Method, Request, Response};

/// 100, which has no To tag of ours. RFC 3261 §8.2.6.1.
pub(super) fn trying(request: &Request) -> Response {
    let mut response = Response::to(request, 100);
    if let Some(timestamp) = request.headers.get("Timestamp") {
        response.headers.set("Timestamp", timestamp);
    }
    response
}

/// An answer with a To tag: that of the request, the one given (that of the INVITE a CANCEL is
/// for), or one that is the same for the same request (RFC 3261 §8.2.7). The last makes no dialog,
/// so it needs not be unpredictable.
pub(super) fn answer(request: &Request, status: u16, tag: Option<&str>) -> Response {
    let mut response = Response::to(request, status);
    let has_tag = request.headers.to().is_some_and(|to| to.tag().is_some());
    if !has_tag {
        let to = request.headers.get("To").unwrap_or_default().to_owned();
        let tag = tag.map_or_else(|| own_tag(&request.headers), str::to_owned);
        response.headers.set("To", format_args!("{to};tag={tag}"));
    }
    response
}

/// 503: as many transactions as there may be. RFC 3261 §21.5.4.
pub(super) fn busy(request: &Request, retry_after: Duration) -> Response {
    let mut response = answer(request, 503, None);
    let seconds = retry_after.as_secs().max(1);
    response.headers.set("Retry-After", seconds);
    response
}

/// The ACK to a refusal, which belongs to the INVITE's transaction. RFC 3261 §17.1.1.3.
pub(super) fn ack(invite: &Request, refusal: &Response) -> Request {
    let mut ack = Request::new(Method::Ack, &invite.uri);
    for (name, value) in invite.headers.iter() {
        let is_kept = ["Via", "Max-Forwards", "Route", "From", "Call-ID"]
            .iter()
            .any(|kept| name.eq_ignore_ascii_case(kept));
        if is_kept {
            ack.headers.push(name, value);
        }
    }
    let to = refusal.headers.get("To").unwrap_or_default();
    ack.headers.push("To", to);
    if let Some((number, _)) = invite.headers.cseq() {
        ack.headers.push("CSeq", format_args!("{number} ACK"));
    }
    ack
}

/// The headers of a request of ours with our Via on top. It asks for the port it seems to come
/// from (RFC 3581), so that answers find their way through an address translator.
pub(super) fn with_via(
    headers: &Headers,
    transport: Transport,
    sent_by: SocketAddr,
    branch: &str,
) -> Headers {
    let transport = transport.name();
    let mut ours = Headers::default();
    ours.push(
        "Via",
        format_args!("SIP/2.0/{transport} {sent_by};rport;branch={branch}"),
    );
    for (name, value) in headers.iter() {
        ours.push(name, value);
    }
    ours
}

fn own_tag(headers: &Headers) -> String {
    let mut hasher = DefaultHasher::new();
    for name in ["From", "Call-ID", "CSeq"] {
        headers.get(name).hash(&mut hasher);
    }
    headers
        .top_via()
        .and_then(|via| via.branch().map(str::to_owned))
        .hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
