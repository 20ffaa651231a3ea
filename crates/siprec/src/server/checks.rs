//! What a request must have before anybody looks at what it wants. RFC 3261 §8.2.

use crate::message::{Headers, Method, NameAddr, Request, UriParts};
use crate::multipart::{self, BodyLimits, Parts};
use crate::server::refusal::{Refusal, SUPPORTED};

/// Headers that every request needs, and a Request-URI that can be used.
pub(super) fn well_formed(request: &Request, uri_bytes_max: usize) -> Result<(), Refusal> {
    let headers = &request.headers;
    let missing = |name: &str| Refusal::bad_header(name);
    headers.top_via().ok_or_else(|| missing("Via"))?;
    headers.call_id().ok_or_else(|| missing("Call-ID"))?;
    headers.to().ok_or_else(|| missing("To"))?;
    let from = headers.from().ok_or_else(|| missing("From"))?;
    from.tag().ok_or_else(|| missing("The tag of From"))?;
    let (_, method) = headers.cseq().ok_or_else(|| missing("CSeq"))?;
    if method != request.method {
        return Err(Refusal::new(400, "CSeq names another method"));
    }
    if request.uri.len() > uri_bytes_max {
        return Err(Refusal::new(414, "the Request-URI is too long"));
    }
    let scheme = request
        .uri
        .split(':')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    match scheme.as_str() {
        "sip" | "sips" if UriParts::parse(&request.uri).is_none() => {
            Err(missing("The Request-URI"))
        }
        "sip" | "sips" | "tel" => Ok(()),
        _ => Err(Refusal::new(
            416,
            "the Request-URI is neither sip, sips nor tel",
        )),
    }
}

/// Methods that are answered with more than 405.
pub(super) fn is_allowed(method: &Method) -> bool {
    matches!(
        method,
        Method::Bye
            | Method::Info
            | Method::Invite
            | Method::Options
            | Method::Prack
            | Method::Update
    )
}

/// 420 for what `Require` names and we do not know. RFC 3261 §8.2.2.3.
pub(super) fn extensions(headers: &Headers) -> Result<(), Refusal> {
    let known = |tag: &&str| {
        is_siprec(tag)
            || SUPPORTED
                .split(", ")
                .any(|known| known.eq_ignore_ascii_case(tag))
    };
    let unknown = headers
        .values("Require")
        .filter(|tag| !known(tag))
        .collect::<Vec<_>>()
        .join(", ");
    if unknown.is_empty() {
        return Ok(());
    }
    let why = format!("Require names what is not supported: {unknown}");
    Err(Refusal::new(420, why).with("Unsupported", unknown))
}

/// Cisco's CUBE has been seen to run its two tags together.
fn is_siprec(tag: &str) -> bool {
    tag.eq_ignore_ascii_case("siprec") || tag.eq_ignore_ascii_case("100relsiprec")
}

/// Whether an INVITE says that it begins a recording session. RFC 7866 §6.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Formality {
    /// `siprec` is required and Contact says `+sip.src`, in one of the spellings that are met.
    Full,
    /// `siprec` is required, but Contact does not say so.
    NoFeature,
    /// `siprec` is not required.
    NoOption,
}

/// Reads Require and Contact.
pub(super) fn formality(headers: &Headers) -> Formality {
    if !headers.values("Require").any(is_siprec) {
        return Formality::NoOption;
    }
    let contact = headers.values("Contact").next().and_then(NameAddr::parse);
    let is_source = contact.is_some_and(|contact| {
        let inside = UriParts::parse(&contact.uri).map(|uri| uri.params);
        let all = contact.params.iter().chain(inside.iter().flatten());
        all.into_iter().any(|(name, _)| {
            let name = name.trim();
            ["+sip.src", "+sip-src", "src"]
                .iter()
                .any(|tag| name.eq_ignore_ascii_case(tag))
        })
    });
    if is_source {
        Formality::Full
    } else {
        Formality::NoFeature
    }
}

/// The parts of a body. RFC 3261 §8.2.3.
pub(super) fn parts(request: &Request) -> Result<Parts, Refusal> {
    let headers = &request.headers;
    let is_plain = |coding: &str| coding.eq_ignore_ascii_case("identity");
    if !request.body.is_empty() && !headers.values("Content-Encoding").all(is_plain) {
        let refusal = Refusal::new(415, "the body has a Content-Encoding");
        return Err(refusal.with("Accept-Encoding", "identity"));
    }
    Ok(multipart::split_message(
        headers,
        &request.body,
        &BodyLimits::default(),
    )?)
}
