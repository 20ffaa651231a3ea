//! The head of a message, out of bytes: start line and headers, tolerant of what the market sends.
//!
//! Bare line feeds, folded lines, compact names, blanks before the colon, unknown methods and bytes
//! that are no UTF-8 are taken; RFC 3261 §7. Lengths are the framing's business.

use super::{BadMessage, Headers, Message, Method, Request, Response};

/// RFC 3261 §7.3.3 and the compact forms registered since.
const COMPACT: [(&str, &str); 19] = [
    ("a", "Accept-Contact"),
    ("b", "Referred-By"),
    ("c", "Content-Type"),
    ("d", "Request-Disposition"),
    ("e", "Content-Encoding"),
    ("f", "From"),
    ("i", "Call-ID"),
    ("j", "Reject-Contact"),
    ("k", "Supported"),
    ("l", "Content-Length"),
    ("m", "Contact"),
    ("n", "Identity-Info"),
    ("o", "Event"),
    ("r", "Refer-To"),
    ("s", "Subject"),
    ("t", "To"),
    ("u", "Allow-Events"),
    ("v", "Via"),
    ("x", "Session-Expires"),
];

/// What every request and response must have. RFC 3261 §8.1.1; a missing Max-Forwards is forgiven.
const MANDATORY: [&str; 5] = ["Via", "From", "To", "Call-ID", "CSeq"];

/// What a head has come to: the message without its body, and what is wrong with it. A message
/// that is wrong is only good for being refused.
#[derive(Debug)]
pub struct Head {
    /// Start line and headers, as far as they could be read; no body.
    pub message: Option<Message>,
    /// The first thing that is wrong.
    pub wrong: Option<BadMessage>,
}

/// Where the head ends and the body begins; `None` while there is no empty line. `from`: where a
/// search before this one has come to.
pub fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    let start = from.saturating_sub(3).min(bytes.len());
    (start..bytes.len()).find_map(|at| match &bytes[at..] {
        [b'\n', b'\n', ..] => Some(at + 2),
        [b'\n', b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// Reads a head: everything before the body, without leading empty lines.
pub fn head(bytes: &[u8], headers_max: usize) -> Head {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = unfolded(&text);
    let Some(start) = lines.next() else {
        return Head {
            message: None,
            wrong: Some(BadMessage::StartLine),
        };
    };
    let (headers, mut wrong) = headers(lines, headers_max);
    let message = match start_line(&start) {
        Ok(start) => Some(start.with(headers)),
        Err((start, why)) => {
            wrong = Some(why);
            start.map(|start| start.with(headers))
        }
    };
    let wrong = wrong.or_else(|| message.as_ref().and_then(incomplete));
    Head { message, wrong }
}

/// The lengths a message claims for its body: `Ok(None)` if it claims none.
pub fn content_length(headers: &Headers) -> Result<Option<usize>, BadMessage> {
    let mut claimed = None;
    for value in headers.all("Content-Length") {
        let digits = value.bytes().all(|byte| byte.is_ascii_digit());
        let length: usize = value
            .parse()
            .ok()
            .filter(|_| digits)
            .ok_or(BadMessage::ContentLength)?;
        if claimed.is_some_and(|known| known != length) {
            return Err(BadMessage::ContentLength);
        }
        claimed = Some(length);
    }
    Ok(claimed)
}

enum Start {
    Request(Method, String),
    Response(u16, String),
}

impl Start {
    fn with(self, headers: Headers) -> Message {
        match self {
            Self::Request(method, uri) => Message::Request(Request {
                method,
                uri,
                headers,
                body: Vec::new(),
            }),
            Self::Response(status, reason) => Message::Response(Response {
                status,
                reason,
                headers,
                body: Vec::new(),
            }),
        }
    }
}

/// Lines without their ends; a line that begins with a blank goes on the one before it.
fn unfolded(text: &str) -> impl Iterator<Item = String> {
    let mut lines = text
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .skip_while(|line| line.trim().is_empty())
        .peekable();
    std::iter::from_fn(move || {
        let mut line = lines.next()?.to_owned();
        while let Some(more) = lines.next_if(|next| next.starts_with([' ', '\t'])) {
            line.push(' ');
            line.push_str(more.trim());
        }
        Some(line)
    })
}

fn start_line(line: &str) -> Result<Start, (Option<Start>, BadMessage)> {
    let line = line.trim_end();
    let bad = || (None, BadMessage::StartLine);
    let (first, rest) = line
        .split_once(|c: char| c.is_ascii_whitespace())
        .ok_or_else(bad)?;
    if first.len() >= 4 && first.as_bytes()[..4].eq_ignore_ascii_case(b"SIP/") {
        return response_line(first, rest.trim_start());
    }
    let rest = rest.trim_start();
    let (uri, version) = rest
        .rsplit_once(|c: char| c.is_ascii_whitespace())
        .ok_or_else(bad)?;
    let uri = uri.trim();
    let is_token = first.bytes().all(is_token_byte);
    let is_version = version.len() > 4 && version.as_bytes()[..4].eq_ignore_ascii_case(b"SIP/");
    let start = Start::Request(Method::parse(first), uri.to_owned());
    if !is_token || !is_version {
        return Err(bad());
    }
    if uri.is_empty() || uri.contains(|c: char| c.is_whitespace() || "<>".contains(c)) {
        return Err((Some(start), BadMessage::StartLine));
    }
    match version.eq_ignore_ascii_case("SIP/2.0") {
        true => Ok(start),
        false => Err((Some(start), BadMessage::Version)),
    }
}

fn response_line(version: &str, rest: &str) -> Result<Start, (Option<Start>, BadMessage)> {
    let (code, reason) = rest
        .split_once(|c: char| c.is_ascii_whitespace())
        .unwrap_or((rest, ""));
    let status = code.parse().ok().filter(|code| (100..700).contains(code));
    match status {
        Some(_) if !version.eq_ignore_ascii_case("SIP/2.0") => Err((None, BadMessage::Version)),
        Some(status) => Ok(Start::Response(status, reason.trim().to_owned())),
        None => Err((None, BadMessage::StartLine)),
    }
}

fn headers(
    lines: impl Iterator<Item = String>,
    headers_max: usize,
) -> (Headers, Option<BadMessage>) {
    let mut headers = Headers::default();
    let mut wrong = None;
    for (number, line) in lines.enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        if number >= headers_max {
            return (headers, Some(BadMessage::TooLarge));
        }
        match header(&line) {
            Some((name, value)) => headers.push(name, value),
            None => wrong = wrong.or(Some(BadMessage::Header(number + 1))),
        }
    }
    (headers, wrong)
}

fn header(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let name = name.trim_end();
    if name.is_empty() || !name.bytes().all(is_token_byte) {
        return None;
    }
    let compact = COMPACT
        .iter()
        .find(|(short, _)| name.eq_ignore_ascii_case(short));
    Some((compact.map_or(name, |(_, long)| long), value.trim()))
}

/// RFC 3261 §25.1, `token`.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

fn incomplete(message: &Message) -> Option<BadMessage> {
    let headers = message.headers();
    for name in MANDATORY {
        let usable = match name {
            "Via" => headers.top_via().is_some(),
            "From" => headers.from().is_some(),
            "To" => headers.to().is_some(),
            "Call-ID" => headers.call_id().is_some(),
            _ => headers.cseq().is_some(),
        };
        // One of each: with two of them nobody could say which transaction or dialog is meant.
        if !usable || (name != "Via" && headers.all(name).count() > 1) {
            return Some(BadMessage::Missing(name));
        }
    }
    match message {
        Message::Request(request) => {
            let method = headers.cseq().map(|(_, method)| method);
            (method.as_ref() != Some(&request.method)).then_some(BadMessage::Missing("CSeq"))
        }
        Message::Response(_) => None,
    }
}
