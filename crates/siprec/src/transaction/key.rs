//! By what a message finds its transaction. RFC 3261 §17.1.3, §17.2.3, §8.2.2.2.

use super::Transport;
use crate::message::{Headers, Method, Request, Via};

/// What a branch of RFC 3261 begins with.
const COOKIE: &str = "z9hG4bK";

/// Equal for a request, its repetitions, and the ACK to its refusal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum ServerKey {
    /// RFC 3261: the topmost Via names the transaction.
    Branch {
        branch: String,
        host: String,
        port: u16,
        method: Method,
    },
    /// RFC 2543: no branch that could be relied on. The To tag is left out, since an ACK has
    /// another one than its INVITE; CSeq tells a request from later ones of its dialog.
    Fields {
        uri: String,
        from_tag: Option<String>,
        call_id: String,
        cseq: u32,
        via: String,
        method: Method,
    },
}

/// Equal for a request of ours and its responses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ClientKey {
    branch: String,
    method: Method,
}

/// Equal for copies of one request that took different ways here. RFC 3261 §8.2.2.2.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct MergeKey {
    from_tag: String,
    call_id: String,
    cseq: u32,
    method: Method,
}

impl ServerKey {
    /// Before `received` is added to the Via. `None` if the request lacks what is needed.
    pub(super) fn of(request: &Request, transport: Transport) -> Option<Self> {
        let via = request.headers.top_via()?;
        let method = match &request.method {
            Method::Ack => Method::Invite,
            other => other.clone(),
        };
        let branch = via.branch().filter(|branch| is_unique(branch));
        if let Some(branch) = branch {
            return Some(Self::Branch {
                branch: branch.to_owned(),
                host: via.host.to_ascii_lowercase(),
                port: sent_by_port(&via, transport),
                method,
            });
        }
        let from = request.headers.from()?;
        Some(Self::Fields {
            uri: request.uri.clone(),
            from_tag: from.tag().map(str::to_owned),
            call_id: request.headers.call_id()?.to_owned(),
            cseq: request.headers.cseq()?.0,
            via: request.headers.values("Via").next()?.to_owned(),
            method,
        })
    }

    /// That of the INVITE a CANCEL with this key is for. RFC 3261 §9.2.
    pub(super) fn cancelled(&self) -> Self {
        let mut key = self.clone();
        match &mut key {
            Self::Branch { method, .. } | Self::Fields { method, .. } => *method = Method::Invite,
        }
        key
    }

    /// Whether the To tag of an ACK must be compared as well.
    pub(super) fn is_old(&self) -> bool {
        matches!(self, Self::Fields { .. })
    }
}

impl ClientKey {
    /// Of a request of ours.
    pub(super) fn new(branch: &str, method: &Method) -> Self {
        Self {
            branch: branch.to_owned(),
            method: method.clone(),
        }
    }

    /// Of a response. One with more than our Via is not for us (RFC 3261 §8.1.3.3).
    pub(super) fn of_response(headers: &Headers) -> Option<Self> {
        let via = headers.top_via()?;
        if headers.values("Via").count() > 1 {
            return None;
        }
        let (_, method) = headers.cseq()?;
        Some(Self::new(via.branch()?, &method))
    }
}

impl MergeKey {
    /// `None` for a request that belongs to a dialog, or has no From tag to go by.
    pub(super) fn of(request: &Request) -> Option<Self> {
        let headers = &request.headers;
        if headers.to()?.tag().is_some() {
            return None;
        }
        let (cseq, _) = headers.cseq()?;
        Some(Self {
            from_tag: headers.from()?.tag()?.to_owned(),
            call_id: headers.call_id()?.to_owned(),
            cseq,
            method: request.method.clone(),
        })
    }
}

/// A branch that begins with the cookie, which is added where it is missing.
pub(super) fn with_cookie(branch: &str) -> String {
    if is_unique(branch) {
        branch.to_owned()
    } else {
        format!("{COOKIE}{branch}")
    }
}

/// The port a Via names, or that its transport has by default.
pub(super) fn sent_by_port(via: &Via, transport: Transport) -> u16 {
    let default = match transport {
        Transport::Tcp | Transport::Udp => 5060,
        Transport::Tls => 5061,
    };
    via.port.filter(|port| *port != 0).unwrap_or(default)
}

/// The cookie alone names nothing.
fn is_unique(branch: &str) -> bool {
    let cookie = branch.get(..COOKIE.len());
    branch.len() > COOKIE.len() && cookie.is_some_and(|head| head.eq_ignore_ascii_case(COOKIE))
}
