//! A SIP message as we keep it: start line, headers in their order and as they were written, body.
//!
//! Parsing lives in [`scan`] and [`text`]; what rsip reads, in `typed`. Responses echo Via, From,
//! To, Call-ID, CSeq and Record-Route word for word, so headers stay text until somebody asks for
//! a meaning.

pub mod scan;
pub mod text;
mod typed;

use std::fmt;

pub use crate::message::text::split_list;

/// Request or response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

/// RFC 3261 §7.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// As written; methods are case-sensitive.
    pub method: Method,
    /// As written.
    pub uri: String,
    /// In their order.
    pub headers: Headers,
    /// As many bytes as Content-Length says.
    pub body: Vec<u8>,
}

/// RFC 3261 §7.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 100 to 699.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// In their order.
    pub headers: Headers,
    /// As many bytes as Content-Length says.
    pub body: Vec<u8>,
}

/// Methods by name; an unknown one keeps its spelling.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is its RFC's word")]
pub enum Method {
    Ack,
    Bye,
    Cancel,
    Info,
    Invite,
    Message,
    Notify,
    Options,
    Prack,
    Publish,
    Refer,
    Register,
    Subscribe,
    Update,
    Other(String),
}

/// Header fields: canonical name (`Call-ID`, compact forms expanded), unfolded value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first value of that name, any case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let same = |field: &&(String, String)| field.0.eq_ignore_ascii_case(name);
        self.0.iter().find(same).map(|(_, value)| value.as_str())
    }

    /// Every field of that name, in order; commas inside are not split.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let same = move |field: &&(String, String)| field.0.eq_ignore_ascii_case(name);
        self.0.iter().filter(same).map(|(_, value)| value.as_str())
    }

    /// Every value of that name, lists split at the commas that are outside quotes and brackets.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all(name).flat_map(split_list)
    }

    /// Whether a list header (`Require`, `Supported`, `Allow`) has this token, any case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.values(name)
            .any(|value| value.eq_ignore_ascii_case(token))
    }

    /// Appends a field.
    pub fn push(&mut self, name: &str, value: impl fmt::Display) {
        self.0.push((name.to_owned(), value.to_string()));
    }

    /// Replaces every field of that name by one, or appends it.
    pub fn set(&mut self, name: &str, value: impl fmt::Display) {
        self.0
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.push(name, value);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// `"Name" <uri>;param=value;flag`, or `uri;param=value` (then parameters are the header's).
/// From, To, Contact, Route, Record-Route. RFC 3261 §20.10.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameAddr {
    /// Display name, unquoted.
    pub name: Option<String>,
    /// What stands in the brackets, as written.
    pub uri: String,
    /// Parameters after the brackets: name in lower case, value unquoted.
    pub params: Vec<(String, Option<String>)>,
}

/// The topmost Via, taken apart. RFC 3261 §20.42, RFC 3581.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// `UDP`, `TCP`, `TLS`, … in upper case.
    pub transport: String,
    /// Host as written, brackets of IPv6 removed.
    pub host: String,
    /// Port, if written.
    pub port: Option<u16>,
    /// Parameters: name in lower case, value unquoted.
    pub params: Vec<(String, Option<String>)>,
}

/// Parts of a SIP or SIPS URI that we route by; everything else of it stays text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UriParts {
    /// `sip`, `sips`, `tel` in lower case.
    pub scheme: String,
    /// User part, as written.
    pub user: Option<String>,
    /// Host, brackets of IPv6 removed.
    pub host: String,
    /// Port, if written.
    pub port: Option<u16>,
    /// URI parameters: name in lower case.
    pub params: Vec<(String, Option<String>)>,
}

/// Parameters of a header or a URI: name in lower case, value unquoted.
pub type Params = Vec<(String, Option<String>)>;

/// How a message may be refused before it is a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// There is no start line that can be read.
    #[error("the start line cannot be read")]
    StartLine,
    /// A header line without a colon, or an unusable name.
    #[error("header line {0} cannot be read")]
    Header(usize),
    /// More header bytes, lines or body bytes than the limits allow.
    #[error("it is larger than the limits allow")]
    TooLarge,
    /// Content-Length is no number, contradicts itself, or exceeds the datagram.
    #[error("Content-Length is wrong")]
    ContentLength,
    /// A version that is not SIP/2.0.
    #[error("the version is not SIP/2.0")]
    Version,
    /// A header that every request needs is missing or unreadable.
    #[error("{0} is missing or cannot be read")]
    Missing(&'static str),
}

impl Message {
    /// As it goes on the wire, with a Content-Length that is true.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Request(request) => request.encode(),
            Self::Response(response) => response.encode(),
        }
    }

    /// Its headers.
    pub fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => &request.headers,
            Self::Response(response) => &response.headers,
        }
    }
}

impl Request {
    /// Without headers and body.
    pub fn new(method: Method, uri: &str) -> Self {
        Self {
            method,
            uri: uri.to_owned(),
            headers: Headers::default(),
            body: Vec::new(),
        }
    }

    /// As it goes on the wire, with a Content-Length that is true.
    pub fn encode(&self) -> Vec<u8> {
        let start = format!("{} {} SIP/2.0", self.method.as_str(), self.uri);
        encode(&start, &self.headers, &self.body)
    }
}

impl Response {
    /// An answer to `request`: every Via, From, To, Call-ID and CSeq word for word, and nothing
    /// else. RFC 3261 §8.2.6.
    pub fn to(request: &Request, status: u16) -> Self {
        let mut headers = Headers::default();
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            for value in request.headers.all(name) {
                headers.push(name, value);
            }
        }
        Self {
            status,
            reason: reason(status).to_owned(),
            headers,
            body: Vec::new(),
        }
    }

    /// As it goes on the wire, with a Content-Length that is true.
    pub fn encode(&self) -> Vec<u8> {
        let start = format!("SIP/2.0 {} {}", self.status, self.reason);
        encode(&start, &self.headers, &self.body)
    }
}

impl Method {
    /// Methods that have a name here.
    const KNOWN: [(Self, &'static str); 14] = [
        (Self::Ack, "ACK"),
        (Self::Bye, "BYE"),
        (Self::Cancel, "CANCEL"),
        (Self::Info, "INFO"),
        (Self::Invite, "INVITE"),
        (Self::Message, "MESSAGE"),
        (Self::Notify, "NOTIFY"),
        (Self::Options, "OPTIONS"),
        (Self::Prack, "PRACK"),
        (Self::Publish, "PUBLISH"),
        (Self::Refer, "REFER"),
        (Self::Register, "REGISTER"),
        (Self::Subscribe, "SUBSCRIBE"),
        (Self::Update, "UPDATE"),
    ];

    /// Methods are case-sensitive; an unknown one is `Other`.
    pub fn parse(text: &str) -> Self {
        let known = Self::KNOWN.iter().find(|(_, name)| *name == text);
        known.map_or_else(
            || Self::Other(text.to_owned()),
            |(method, _)| method.clone(),
        )
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(text) => text,
            known => known.label(),
        }
    }

    /// For labels: the known name, or `other`.
    pub fn label(&self) -> &'static str {
        let known = Self::KNOWN.iter().find(|(method, _)| method == self);
        known.map_or("other", |(_, name)| name)
    }
}

impl Headers {
    /// The topmost Via.
    pub fn top_via(&self) -> Option<Via> {
        self.values("Via").next().and_then(Via::parse)
    }

    /// CSeq: a number below 2^31 and a method. RFC 3261 §8.1.1.5.
    pub fn cseq(&self) -> Option<(u32, Method)> {
        let (number, method) = self
            .get("CSeq")?
            .split_once(|c: char| c.is_ascii_whitespace())?;
        let method = Method::parse(method.trim());
        let number = typed::cseq_number(number)?;
        (number < 1 << 31).then_some((number, method))
    }

    /// Call-ID.
    pub fn call_id(&self) -> Option<&str> {
        self.get("Call-ID").filter(|id| !id.is_empty())
    }

    /// The From header.
    pub fn from(&self) -> Option<NameAddr> {
        self.get("From").and_then(NameAddr::parse)
    }

    /// The To header.
    pub fn to(&self) -> Option<NameAddr> {
        self.get("To").and_then(NameAddr::parse)
    }

    /// A number alone, or before parameters: Max-Forwards, Min-SE.
    pub fn number(&self, name: &str) -> Option<u32> {
        let (number, _) = self.with_params(name)?;
        let is_plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        is_plain.then(|| number.parse().ok()).flatten()
    }

    /// A value up to its first `;`, and its parameters: Session-Expires, Content-Disposition.
    pub fn with_params(&self, name: &str) -> Option<(String, Params)> {
        self.get(name).map(text::value_and_params)
    }
}

impl NameAddr {
    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&str> {
        self.param("tag")
    }

    /// The value of a parameter, any case of its name.
    pub fn param(&self, name: &str) -> Option<&str> {
        text::param(&self.params, name)
    }

    /// Whether the header has this parameter, with or without a value.
    pub fn has_param(&self, name: &str) -> bool {
        self.params
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(name))
    }
}

impl Via {
    /// The `branch` parameter.
    pub fn branch(&self) -> Option<&str> {
        text::param(&self.params, "branch")
    }
}

fn encode(start: &str, headers: &Headers, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(512 + body.len());
    let mut line = |parts: [&str; 3]| {
        for part in parts {
            out.extend_from_slice(part.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    };
    line([start, "", ""]);
    for (name, value) in headers.iter() {
        if !name.eq_ignore_ascii_case("Content-Length") {
            line([name, ": ", value]);
        }
    }
    line(["Content-Length", ": ", &body.len().to_string()]);
    line(["", "", ""]);
    out.extend_from_slice(body);
    out
}

/// RFC 3261 §21 and the RFCs that add to it.
fn reason(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        469 => "Bad Info Package",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        603 => "Decline",
        _ => match status / 100 {
            1 => "Progress",
            2 => "OK",
            3 => "Redirection",
            4 => "Client Error",
            5 => "Server Error",
            _ => "Global Failure",
        },
    }
}

#[cfg(test)]
mod tests;
