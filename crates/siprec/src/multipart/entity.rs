//! A body or a part of one, with what its headers say. RFC 2045, RFC 3261 §20.11.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::boundary;
use crate::message::{Headers, text};

/// Characters of a content type that are repeated in errors and logs.
const SHOWN_CHARS_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gtd,
    Metadata,
    Multipart,
    Sdp,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handling {
    Optional,
    Required,
    Unsaid,
}

/// A body and its headers.
#[derive(Default)]
pub(super) struct Entity<'a> {
    content_type: Option<Cow<'a, str>>,
    disposition: Option<Cow<'a, str>>,
    encoding: Option<Cow<'a, str>>,
    transfer_encoding: Option<Cow<'a, str>>,
    body: &'a [u8],
}

impl<'a> Entity<'a> {
    pub(super) fn of_type(content_type: Option<&'a str>, body: &'a [u8]) -> Self {
        Self {
            content_type: content_type.map(Cow::Borrowed),
            body,
            ..Self::default()
        }
    }

    pub(super) fn of_message(headers: &'a Headers, body: &'a [u8]) -> Self {
        let field = |name| headers.get(name).map(Cow::Borrowed);
        Self {
            content_type: field("Content-Type"),
            disposition: field("Content-Disposition"),
            encoding: field("Content-Encoding"),
            transfer_encoding: field("Content-Transfer-Encoding"),
            body,
        }
    }

    /// Reads a part's headers. They end at an empty line, or at a line that is no header: some
    /// parts forget the empty line.
    pub(super) fn of_part(piece: &'a [u8]) -> Self {
        let mut entity = Self::default();
        let mut rest = piece;
        while !rest.is_empty() {
            let (line, after) = first_line(rest);
            if line.trim_ascii().is_empty() {
                rest = after;
                break;
            }
            let Some((name, mut value)) = header(line) else {
                break;
            };
            rest = after;
            while rest
                .first()
                .is_some_and(|byte| matches!(byte, b' ' | b'\t'))
            {
                let (more, after) = first_line(rest);
                if more.trim_ascii().is_empty() {
                    break;
                }
                value = format!("{value} {}", String::from_utf8_lossy(more).trim()).into();
                rest = after;
            }
            entity.set(name, value);
        }
        entity.body = rest;
        entity
    }

    pub(super) fn is_blank(&self) -> bool {
        self.body.trim_ascii().is_empty()
    }

    /// What it is: by its type, by its disposition (RFC 7866 §11.3), without a type by its look.
    pub(super) fn kind(&self) -> Kind {
        let Some(content_type) = self.content_type() else {
            return looks_like(self.body);
        };
        let is_metadata = self.disposition_is("recording-session");
        match content_type.as_str() {
            "application/gtd" => Kind::Gtd,
            "application/rs-metadata" | "application/rs-metadata+xml" => Kind::Metadata,
            "application/sdp" => Kind::Sdp,
            multipart if multipart.starts_with("multipart/") => Kind::Multipart,
            _ if is_metadata => Kind::Metadata,
            _ => Kind::Unknown,
        }
    }

    pub(super) fn handling(&self) -> Handling {
        let disposition = self.disposition.as_deref().unwrap_or_default();
        match param(disposition, "handling").as_deref() {
            Some(word) if word.eq_ignore_ascii_case("optional") => Handling::Optional,
            Some(word) if word.eq_ignore_ascii_case("required") => Handling::Required,
            _ => Handling::Unsaid,
        }
    }

    pub(super) fn boundary(&self) -> Option<String> {
        let boundary = param(self.content_type.as_deref()?, "boundary")?;
        let boundary = boundary.trim_end();
        (!boundary.is_empty()).then(|| boundary.to_owned())
    }

    pub(super) fn charset(&self) -> Option<String> {
        param(self.content_type.as_deref()?, "charset")
    }

    /// Its type as it may be shown: short and without control characters.
    pub(super) fn shown_type(&self) -> String {
        let Some(content_type) = self.content_type() else {
            return "unknown".to_owned();
        };
        let visible = content_type.chars().filter(char::is_ascii_graphic);
        visible.take(SHOWN_CHARS_MAX).collect()
    }

    /// The body without its encodings. `None`: in one that is not read, or broken.
    pub(super) fn decoded(&self) -> Option<Cow<'a, [u8]>> {
        let is_plain = |encoding: &Option<Cow<'_, str>>| {
            let plain = ["", "identity", "7bit", "8bit", "binary"];
            let encoding = encoding.as_deref().unwrap_or_default().trim();
            plain.iter().any(|word| encoding.eq_ignore_ascii_case(word))
        };
        if !is_plain(&self.encoding) {
            return None;
        }
        if is_plain(&self.transfer_encoding) {
            return Some(Cow::Borrowed(self.body));
        }
        let encoding = self.transfer_encoding.as_deref()?.trim();
        if encoding.eq_ignore_ascii_case("base64") {
            return base64(self.body).map(Cow::Owned);
        }
        let is_quoted = encoding.eq_ignore_ascii_case("quoted-printable");
        is_quoted.then(|| Cow::Owned(quoted_printable(self.body)))
    }

    /// Type and subtype in lower case.
    fn content_type(&self) -> Option<String> {
        let essence = self.content_type.as_deref()?.split(';').next()?.trim();
        (!essence.is_empty()).then(|| essence.to_ascii_lowercase())
    }

    fn disposition_is(&self, word: &str) -> bool {
        let disposition = self.disposition.as_deref().unwrap_or_default();
        let first = disposition.split(';').next().unwrap_or_default();
        first.trim().eq_ignore_ascii_case(word)
    }

    /// The first of a repeated header stays.
    fn set(&mut self, name: &str, value: Cow<'a, str>) {
        let field = match name.to_ascii_lowercase().as_str() {
            "c" | "content-type" => &mut self.content_type,
            "content-disposition" => &mut self.disposition,
            "content-encoding" | "e" => &mut self.encoding,
            "content-transfer-encoding" => &mut self.transfer_encoding,
            _ => return,
        };
        field.get_or_insert(value);
    }
}

/// The `GCI` line of a GTD part, ITU-T Q.1980.1.
pub(super) fn gci(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let value = text.lines().find_map(|line| {
        let (name, value) = line.trim().split_once(',')?;
        name.eq_ignore_ascii_case("GCI").then_some(value.trim())
    })?;
    let is_hex = value.len() == 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| value.to_owned())
}

fn looks_like(body: &[u8]) -> Kind {
    let text = body.trim_ascii_start();
    let is_xml = [&b"<"[..], b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\0<"]
        .iter()
        .any(|start| text.starts_with(start));
    match text {
        _ if is_xml => Kind::Metadata,
        [b'v', b'=', ..] => Kind::Sdp,
        _ if boundary::first_delimiter(text).is_some() => Kind::Multipart,
        _ => Kind::Unknown,
    }
}

/// The value of a header parameter: `type;name=value;name="quoted \" value"`.
fn param(text: &str, wanted: &str) -> Option<String> {
    let pieces = text::split_unquoted(text, ';');
    pieces.skip(1).find_map(|piece| {
        let (name, value) = piece.split_once('=')?;
        let is_it = name.trim().eq_ignore_ascii_case(wanted);
        is_it.then(|| unquoted(value.trim()))
    })
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    let mut escaped = false;
    let keep = |c: &char| {
        escaped = *c == '\\' && !escaped;
        !escaped
    };
    inner.chars().filter(keep).collect()
}

fn first_line(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|&byte| byte == b'\n') {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, &[]),
    }
}

fn header(line: &[u8]) -> Option<(&str, Cow<'_, str>)> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let name = str::from_utf8(&line[..colon]).ok()?.trim();
    let is_token = |c: char| c.is_ascii_alphanumeric() || "-_.!%*+~'`".contains(c);
    if name.is_empty() || !name.chars().all(is_token) {
        return None;
    }
    let value = String::from_utf8_lossy(line[colon + 1..].trim_ascii());
    Some((name, value))
}

fn base64(body: &[u8]) -> Option<Vec<u8>> {
    let letters: Vec<u8> = body
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=')
        .collect();
    STANDARD_NO_PAD.decode(letters).ok()
}

/// RFC 2045 §6.7; what is no escape stays as it is.
fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let [byte, after @ ..] = rest {
        let escaped = match (byte, after) {
            (b'=', [b'\r', b'\n', after @ ..] | [b'\n', after @ ..]) => Some((None, after)),
            (b'=', [high, low, after @ ..]) => hex(*high, *low).map(|byte| (Some(byte), after)),
            _ => None,
        };
        let (byte, after) = escaped.unwrap_or((Some(*byte), after));
        out.extend(byte);
        rest = after;
    }
    out
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}
