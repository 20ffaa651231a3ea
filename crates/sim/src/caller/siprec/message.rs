//! SIP messages, written as a client writes them and read as tolerantly as a client must.
//! RFC 3261 §7.

use std::fmt::Write as _;

/// A request or a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The first line.
    pub start: Start,
    /// Header fields in order; a folded one is one line here.
    pub headers: Vec<(String, String)>,
    /// Whatever follows the empty line.
    pub body: Vec<u8>,
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// `INVITE sip:… SIP/2.0`
    Request {
        /// Upper case.
        method: String,
        /// Request-URI.
        uri: String,
    },
    /// `SIP/2.0 200 OK`
    Response {
        /// 100 to 699.
        status: u16,
        /// The reason phrase.
        reason: String,
    },
}

/// Compact names and what they stand for. RFC 3261 §20, RFC 4028 §4, RFC 3515.
const COMPACT: [(&str, &str); 12] = [
    ("b", "Referred-By"),
    ("c", "Content-Type"),
    ("e", "Content-Encoding"),
    ("f", "From"),
    ("i", "Call-ID"),
    ("k", "Supported"),
    ("l", "Content-Length"),
    ("m", "Contact"),
    ("o", "Event"),
    ("t", "To"),
    ("v", "Via"),
    ("x", "Session-Expires"),
];

impl Message {
    /// A request without header fields.
    pub fn request(method: &str, uri: &str) -> Self {
        let (method, uri) = (method.to_owned(), uri.to_owned());
        Self::bare(Start::Request { method, uri })
    }

    /// A response with what it takes over from its request. RFC 3261 §8.2.6.2.
    pub fn response(status: u16, reason: &str, request: &Self) -> Self {
        let reason = reason.to_owned();
        let mut response = Self::bare(Start::Response { status, reason });
        let taken = ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"];
        for (name, value) in &request.headers {
            if taken.iter().any(|taken| taken.eq_ignore_ascii_case(name)) {
                response.add(name, value);
            }
        }
        response
    }

    /// Reads one message; what lies behind it in a stream is not its business. `None` when there
    /// is no first line to be understood.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (head, body) = match head_end(bytes) {
            Some((head, body)) => (&bytes[..head], &bytes[body..]),
            None => (bytes, &[][..]),
        };
        let head = String::from_utf8_lossy(head);
        let mut lines = head.lines().skip_while(|line| line.trim().is_empty());
        let mut message = Self::bare(Start::parse(lines.next()?)?);
        for line in lines {
            match (line.starts_with([' ', '\t']), message.headers.last_mut()) {
                (true, Some((_, value))) => {
                    value.push(' ');
                    value.push_str(line.trim());
                }
                _ => {
                    if let Some((name, value)) = line.split_once(':') {
                        message.add(long(name.trim()), value.trim());
                    }
                }
            }
        }
        let length = message.header("Content-Length");
        let length = length.and_then(|length| length.parse().ok());
        let length = length.unwrap_or(body.len()).min(body.len());
        message.body = body[..length].to_vec();
        Some(message)
    }

    /// The bytes for the wire, with the right `Content-Length` unless the message has one already.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut head = match &self.start {
            Start::Request { method, uri } => format!("{method} {uri} SIP/2.0\r\n"),
            Start::Response { status, reason } => format!("SIP/2.0 {status} {reason}\r\n"),
        };
        for (name, value) in &self.headers {
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        }
        if self.header("Content-Length").is_none() {
            // Writing to a string cannot fail.
            write!(head, "Content-Length: {}\r\n", self.body.len()).unwrap_or_default();
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }

    /// The first header field of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter();
        let found = found.find(|(there, _)| there.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The values of a list header, repeated or separated by commas outside quotes and brackets.
    pub fn list(&self, name: &str) -> Vec<&str> {
        let fields = self.headers.iter();
        let fields = fields.filter(|(there, _)| there.eq_ignore_ascii_case(name));
        fields.flat_map(|(_, value)| commas(value)).collect()
    }

    /// Puts a header field behind all others.
    pub fn add(&mut self, name: &str, value: &str) -> &mut Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces a header field, or adds it.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        let mut found = self.headers.iter_mut();
        match found.find(|(there, _)| there.eq_ignore_ascii_case(name)) {
            Some((_, old)) => value.clone_into(old),
            None => {
                self.add(name, value);
            }
        }
        self
    }

    /// Takes all header fields of that name away.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.headers
            .retain(|(there, _)| !there.eq_ignore_ascii_case(name));
        self
    }

    /// The status of a response, 0 of a request.
    pub fn status(&self) -> u16 {
        match self.start {
            Start::Request { .. } => 0,
            Start::Response { status, .. } => status,
        }
    }

    /// The method of a request, and of a response that of its `CSeq`.
    pub fn method(&self) -> &str {
        match &self.start {
            Start::Request { method, .. } => method,
            Start::Response { .. } => self.cseq().1,
        }
    }

    /// Whether it is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    /// Number and method of `CSeq`.
    pub fn cseq(&self) -> (u32, &str) {
        let mut words = self.header("CSeq").unwrap_or("").split_whitespace();
        let number = words.next().and_then(|number| number.parse().ok());
        (number.unwrap_or(0), words.next().unwrap_or(""))
    }

    /// The `Call-ID`, empty when there is none.
    pub fn call_id(&self) -> &str {
        self.header("Call-ID").unwrap_or("")
    }

    /// The branch of the topmost `Via`.
    pub fn branch(&self) -> &str {
        let via = self.list("Via");
        let branch = via.first().and_then(|via| parameter(via, "branch"));
        branch.unwrap_or("")
    }

    /// The tag of `From` or `To`.
    pub fn tag(&self, name: &str) -> Option<&str> {
        parameter(self.header(name)?, "tag")
    }

    /// The SDP in the body: the whole of it, or a part of a multipart one.
    pub fn sdp(&self) -> Option<String> {
        let kind = self.header("Content-Type")?.to_ascii_lowercase();
        let body = String::from_utf8_lossy(&self.body);
        if kind.starts_with("application/sdp") {
            return Some(body.into_owned());
        }
        let boundary = parameter(self.header("Content-Type")?, "boundary")?;
        let delimiter = format!("--{}", boundary.trim_matches('"'));
        let mut parts = body.split(delimiter.as_str()).skip(1);
        let part = parts.find(|part| part.to_ascii_lowercase().contains("application/sdp"))?;
        let (_, body) = head_end(part.as_bytes())?;
        Some(part[body..].to_owned())
    }

    fn bare(start: Start) -> Self {
        Self {
            start,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }
}

impl Start {
    fn parse(line: &str) -> Option<Self> {
        let (first, rest) = line.trim().split_once(' ')?;
        if first.eq_ignore_ascii_case("SIP/2.0") {
            let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
            return Some(Self::Response {
                status: status.parse().ok()?,
                reason: reason.to_owned(),
            });
        }
        let (uri, version) = rest.trim().rsplit_once(' ')?;
        version.starts_with("SIP/").then(|| Self::Request {
            method: first.to_owned(),
            uri: uri.to_owned(),
        })
    }
}

/// Where the head ends and the body begins; either kind of line end.
pub(super) fn head_end(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut line = 0;
    while let Some(feed) = bytes[line..].iter().position(|&byte| byte == b'\n') {
        let end = line + feed;
        let text = &bytes[line..end];
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.is_empty() && line > 0 {
            return Some((line, end + 1));
        }
        line = end + 1;
    }
    None
}

/// A `;name=value` behind a header's value; inside `<>` it belongs to the URI.
pub(super) fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let behind = value.rfind('>').map_or(value, |at| &value[at + 1..]);
    let mut parameters = behind.split(';').skip(1);
    parameters.find_map(|parameter| {
        let (there, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        (there.trim().eq_ignore_ascii_case(name)).then(|| value.trim())
    })
}

/// The URI of a `Contact`, `To`, `Route` and their like.
pub(super) fn uri(value: &str) -> &str {
    match value.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or(rest),
        None => value.split(';').next().unwrap_or(value).trim(),
    }
}

fn commas(value: &str) -> Vec<&str> {
    let (mut quoted, mut depth, mut from, mut parts) = (false, 0_u32, 0, Vec::new());
    for (at, letter) in value.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '<' if !quoted => depth += 1,
            '>' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                parts.push(value[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(value[from..].trim());
    parts
}

fn long(name: &str) -> &str {
    let known = COMPACT.iter();
    let mut known = known.filter(|(short, _)| short.eq_ignore_ascii_case(name));
    known.next().map_or(name, |(_, long)| long)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMPACT_INVITE: &[u8] = b"INVITE sip:srs@192.0.2.1 SIP/2.0\n\
        v: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1, SIP/2.0/UDP 192.0.2.8;branch=z9hG4bK2\n\
        f: <sip:src@192.0.2.9>;tag=a\nt: <sip:srs@192.0.2.1;tag=no>\ni: x@y\n\
        Subject: one\n two\nCSeq: 7 INVITE\nl: 3\n\nabcdef";

    #[test]
    fn compact_folded_and_bare_is_read_like_any_other() {
        let message = Message::parse(COMPACT_INVITE).unwrap();
        assert_eq!(
            (message.method(), message.cseq()),
            ("INVITE", (7, "INVITE"))
        );
        assert_eq!((message.call_id(), message.branch()), ("x@y", "z9hG4bK1"));
        assert_eq!((message.tag("From"), message.tag("To")), (Some("a"), None));
        assert_eq!(message.header("subject"), Some("one two"));
        assert_eq!(message.list("Via").len(), 2);
        assert_eq!(message.body, b"abc");
    }

    #[test]
    fn a_comma_in_brackets_or_quotes_separates_nothing() {
        let routes = r#"<sip:a,b@x;lr>, "c, d" <sip:e@y>"#;
        assert_eq!(commas(routes), ["<sip:a,b@x;lr>", r#""c, d" <sip:e@y>"#]);
    }

    #[test]
    fn the_sdp_is_found_alone_and_among_others() {
        let mut message = Message::request("INVITE", "sip:a");
        message.add("Content-Type", "application/sdp");
        message.body = b"v=0\r\n".to_vec();
        assert_eq!(message.sdp().unwrap(), "v=0\r\n");
        message.set("Content-Type", "multipart/mixed;boundary=\"b\"");
        message.body = b"--b\r\nContent-Type: x/y\r\n\r\n1\r\n--b\r\n\
            Content-Type: application/sdp\r\n\r\nv=0\r\n--b--"
            .to_vec();
        assert_eq!(message.sdp().unwrap(), "v=0\r\n");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            headers in proptest::collection::vec(("X-[A-Za-z]{1,8}", "[ -~]{0,30}"), 0..6),
            body: Vec<u8>,
        ) {
            let mut message = Message::request("INFO", "sip:a@b");
            for (name, value) in &headers {
                message.add(name, value.trim());
            }
            message.add("Content-Length", &body.len().to_string());
            message.body = body;
            prop_assert_eq!(Message::parse(&message.to_bytes()), Some(message));
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes: Vec<u8>) {
            if let Some(message) = Message::parse(&bytes) {
                message.sdp();
                message.branch();
                message.list("Via");
            }
        }
    }
}
