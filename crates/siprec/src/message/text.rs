//! The small grammars inside header values: lists, parameters, name-addr, Via, URIs.
//!
//! Quotes and brackets are respected; what cannot be understood is `None`, never a guess.
//! RFC 3261 §25.

use super::{NameAddr, Params, UriParts, Via};

/// Cuts a header value at the commas that are outside quotes and angle brackets. Empty elements
/// are left out.
pub fn split_list(value: &str) -> impl Iterator<Item = &str> {
    value
        .split(outside(','))
        .map(str::trim)
        .filter(|element| !element.is_empty())
}

/// A value up to its first `;` outside quotes and brackets, and what follows as parameters.
pub fn value_and_params(text: &str) -> (String, Params) {
    let mut parts = text.split(outside(';'));
    let value = parts.next().unwrap_or_default().trim().to_owned();
    (value, parts.filter_map(parameter).collect())
}

/// The value of a parameter, any case of its name.
pub fn param<'a>(params: &'a Params, name: &str) -> Option<&'a str> {
    let same = |(known, _): &&(String, Option<String>)| known.eq_ignore_ascii_case(name);
    params
        .iter()
        .find(same)
        .and_then(|(_, value)| value.as_deref())
}

/// Without the quotes and escapes of a quoted string; anything else as it is.
pub fn unquoted(text: &str) -> String {
    let text = text.trim();
    let Some(inner) = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return text.to_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

/// A host and perhaps a port: `host`, `host:5060`, `[2001:db8::1]:5060`.
pub fn host_port(text: &str) -> Option<(String, Option<u16>)> {
    let text = text.trim();
    let (host, rest) = if let Some(bracketed) = text.strip_prefix('[') {
        bracketed.split_once(']')?
    } else {
        let end = text.find(':').unwrap_or(text.len());
        text.split_at(end)
    };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || "<>\",@".contains(c)) {
        return None;
    }
    let port = match rest.trim().strip_prefix(':') {
        Some(digits) => Some(digits.trim().parse().ok()?),
        None if rest.trim().is_empty() => None,
        None => return None,
    };
    Some((host.to_owned(), port))
}

impl NameAddr {
    /// Reads one element of From, To, Contact, Route, Record-Route.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let Some(open) = find_outside_quotes(text, '<') else {
            // Without brackets all parameters are the header's. RFC 3261 §20.10.
            let (uri, params) = value_and_params(text);
            let is_bare = !uri.is_empty() && !uri.contains(|c: char| c.is_whitespace() || c == '"');
            return is_bare.then_some(Self {
                name: None,
                uri,
                params,
            });
        };
        let (display, rest) = text.split_at(open);
        let (uri, tail) = rest.strip_prefix('<')?.split_once('>')?;
        if uri.contains('<') || uri.trim().is_empty() {
            return None;
        }
        let (before, params) = value_and_params(tail);
        if !before.is_empty() || has_open_quote(display) {
            return None;
        }
        let name = Some(unquoted(display)).filter(|name| !name.is_empty());
        Some(Self {
            name,
            uri: uri.trim().to_owned(),
            params,
        })
    }
}

impl Via {
    /// Reads one element of Via.
    pub fn parse(text: &str) -> Option<Self> {
        let (head, params) = value_and_params(text);
        let mut parts = head.splitn(3, '/').map(str::trim);
        let protocol = parts.next()?;
        let version = parts.next()?;
        let (transport, sent_by) = parts.next()?.split_once(|c: char| c.is_whitespace())?;
        if !protocol.eq_ignore_ascii_case("SIP") || version != "2.0" {
            return None;
        }
        let (host, port) = host_port(sent_by)?;
        Some(Self {
            transport: transport.to_ascii_uppercase(),
            host,
            port,
            params,
        })
    }
}

impl UriParts {
    /// Reads a URI. A `tel:` URI has its number as user and no host; any other needs a host.
    pub fn parse(uri: &str) -> Option<Self> {
        let (scheme, rest) = uri.trim().split_once(':')?;
        let scheme = scheme.to_ascii_lowercase();
        if scheme.is_empty() || !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        if scheme == "tel" {
            let (number, params) = value_and_params(rest);
            return (!number.is_empty()).then_some(Self {
                scheme,
                user: Some(number),
                params,
                ..Self::default()
            });
        }
        let (user, rest) = match rest.split_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, rest),
        };
        // A user part may have parameters of its own; a password is nobody's business.
        let user = user.map(|user| user.split(':').next().unwrap_or_default().to_owned());
        let rest = rest.split('?').next().unwrap_or_default();
        let (authority, params) = value_and_params(rest);
        let (host, port) = host_port(&authority)?;
        Some(Self {
            scheme,
            user,
            host,
            port,
            params,
        })
    }
}

/// Which characters of a text stand outside its quoted strings; each is to be told in turn.
/// RFC 3261 §25.1, RFC 2045 §5.1: the same quotes and escapes in both.
#[derive(Default)]
struct Quotes {
    is_open: bool,
    is_escaped: bool,
}

impl Quotes {
    /// Whether this one does. A closing quote does, an opening one does not.
    fn is_outside(&mut self, c: char) -> bool {
        if std::mem::take(&mut self.is_escaped) {
            return false;
        }
        match c {
            '\\' if self.is_open => self.is_escaped = true,
            '"' => self.is_open = !self.is_open,
            _ => {}
        }
        !self.is_open
    }
}

/// Cuts a text at the separators that are outside quotes; brackets mean nothing.
pub(crate) fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quotes = Quotes::default();
    text.split(move |c| quotes.is_outside(c) && c == separator)
}

/// True for the separator where it is outside quotes and angle brackets; to be called on each
/// character in turn.
fn outside(separator: char) -> impl FnMut(char) -> bool {
    let (mut quotes, mut depth) = (Quotes::default(), 0_u32);
    move |c| {
        if !quotes.is_outside(c) {
            return false;
        }
        match c {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == separator && depth == 0
    }
}

fn parameter(text: &str) -> Option<(String, Option<String>)> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(unquoted(value))),
        None => (text, None),
    };
    let name = name.trim().to_ascii_lowercase();
    (!name.is_empty()).then_some((name, value))
}

fn find_outside_quotes(text: &str, wanted: char) -> Option<usize> {
    let mut quotes = Quotes::default();
    text.char_indices()
        .find(|&(_, c)| quotes.is_outside(c) && c == wanted)
        .map(|(at, _)| at)
}

fn has_open_quote(text: &str) -> bool {
    let mut quotes = Quotes::default();
    for c in text.chars() {
        quotes.is_outside(c);
    }
    quotes.is_open
}
