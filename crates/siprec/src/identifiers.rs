//! Where each SBC hides the call's id, and the ids' normal form.

pub mod fuzz;
mod ucid;
pub(crate) mod uri;

use crate::message::Headers;
use crate::metadata::{GCI, Recording};

/// One identifier of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier {
    /// Where it was found: `User-to-User`, `Cisco-Guid`, `apkt:ucid`, `session_id`, `Call-ID`, ….
    pub source: &'static str,
    /// As it was written.
    pub raw: String,
    /// In normal form: what a guid of the control API is compared with.
    pub normal: String,
}

/// Sources in the default order of preference: the first that is present names the call. A trunk
/// may have an order of its own; names not listed there come after it in this order.
///
/// An order may also name any other header of the INVITE, or any header that the client copied
/// into its metadata; those identifiers have the source [`OTHER_HEADER`]. A `User-to-User` that
/// holds no UCID is the application's own business and taken only if the order names it.
pub const DEFAULT_ORDER: &[&str] = &[
    "X-ISR-UCID",
    "User-to-User",
    "apkt:ucid",
    "ac:AvayaUCID",
    UCID_SESSION,
    "Cisco-GUCID",
    "Cisco-Guid",
    GCI,
    "X-Genesys-CallUUID",
    "ac:GenesysUUID",
    "X-BroadWorks-Correlation-Info",
    "extTrackingID",
    "gcid",
    "callid",
    "x-audc-call-id",
    REFCI_PAIR,
    "x-refci",
    "x-farendrefci",
    "sipSessionID",
    "Session-ID",
    "group_id",
    "callID",
    "P-Charging-Vector",
    "session_id",
    "xferredGroupID",
    "xferredSessionID",
    "Call-ID",
];

/// Source of identifiers from headers that only the trunk's order names.
pub const OTHER_HEADER: &str = "header";

/// Avaya's `session_id` is a UCID in its TLV.
const UCID_SESSION: &str = "session_id:UCID";

/// Both call references of a phone's fork, the lesser one first: the same for its two dialogs.
const REFCI_PAIR: &str = "x-refci+x-farendrefci";

/// Headers whose whole value is an identifier, and the source they are told as.
const WHOLE: [(&str, &str); 8] = [
    ("Call-ID", "Call-ID"),
    ("Cisco-GUCID", "Cisco-GUCID"),
    ("Cisco-Guid", "Cisco-Guid"),
    ("Genesys-UUID", "X-Genesys-CallUUID"),
    (
        "X-BroadWorks-Correlation-Info",
        "X-BroadWorks-Correlation-Info",
    ),
    ("X-Genesys-CallUUID", "X-Genesys-CallUUID"),
    ("X-ISR-UCID", "X-ISR-UCID"),
    ("x-audc-call-id", "x-audc-call-id"),
];

/// Identifiers of a session that are kept.
const IDENTIFIERS_MAX: usize = 64;

/// Longer values are no identifiers.
const CHARS_MAX: usize = 512;

/// Every identifier of a session, best first.
pub fn extract(headers: &Headers, recording: &Recording, order: &[String]) -> Vec<Identifier> {
    let mut found = Found {
        order,
        entries: Vec::new(),
    };
    found.read_headers(headers);
    found.read_metadata(recording);
    for (rank, name) in order
        .iter()
        .enumerate()
        .filter(|(_, name)| !is_source(name))
    {
        let copied = recording.vendor_headers.iter();
        let copied = copied.filter(|(label, _)| label.eq_ignore_ascii_case(name));
        let values = headers
            .all(name)
            .chain(copied.map(|(_, value)| value.as_str()));
        for value in values {
            found.push(rank, OTHER_HEADER, value);
        }
    }
    found.sorted()
}

/// Whether [`DEFAULT_ORDER`] has this name, in any case. Other names in an order are headers.
pub fn is_source(name: &str) -> bool {
    DEFAULT_ORDER
        .iter()
        .any(|source| source.eq_ignore_ascii_case(name))
}

/// The normal form of any identifier: hex UCIDs with and without their TLV and decimal UCIDs
/// become 20 decimal digits, Cisco-Guids and 32 hex digits four groups of ten; everything else
/// stays, in the case it had, trimmed. The same for what the control API calls `guid`.
///
/// What is ambiguous, and how it is taken:
/// - 16 decimal digits are a hex UCID or a decimal one without its leading zeros. They are decimal
///   if they begin with no zero and their middle five digits are at most 65535; a hex UCID looks so
///   only from node 4096 on.
/// - 17 to 19 decimal digits are a decimal UCID without its leading zeros if node, sequence and
///   time are in their ranges, else they stay.
/// - 32 hex digits are always taken for a 128-bit number, also where they are a Session-ID; unless
///   they are a UCID's TLV from end to end.
pub fn normal(raw: &str) -> String {
    let value = bare(raw);
    ucid::of_digits(value)
        .or_else(|| ucid::of_tlv(value, says_hex(raw)))
        .or_else(|| quad_of_decimals(value))
        .or_else(|| quad_of_hex(value))
        .unwrap_or_else(|| value.to_owned())
}

struct Found<'o> {
    order: &'o [String],
    entries: Vec<(usize, Identifier)>,
}

impl Found<'_> {
    fn read_headers(&mut self, headers: &Headers) {
        for (name, source) in WHOLE {
            for value in headers.all(name) {
                self.add(source, value);
            }
        }
        for value in headers.values("User-to-User") {
            self.user_to_user(value);
        }
        for value in headers.all("Session-ID") {
            self.session_id("Session-ID", value);
        }
        for value in headers.all("P-Charging-Vector") {
            let icid = value.split(';').find_map(|part| {
                let (name, value) = part.split_once('=')?;
                name.trim()
                    .eq_ignore_ascii_case("icid-value")
                    .then_some(value)
            });
            self.add("P-Charging-Vector", icid.unwrap_or_default());
        }
        if let Some(from) = headers.get("From") {
            self.phone_fork(from);
        }
    }

    /// The two dialogs of a phone's fork name the same pair, perhaps from the other side.
    fn phone_fork(&mut self, from: &str) {
        let near = uri::param(from, "x-refci").flatten();
        let far = uri::param(from, "x-farendrefci").flatten();
        if let (Some(near), Some(far)) = (near, far) {
            let (first, second) = if near <= far {
                (near, far)
            } else {
                (far, near)
            };
            self.add(REFCI_PAIR, &format!("{first}+{second}"));
        }
        self.add("x-refci", near.unwrap_or_default());
        self.add("x-farendrefci", far.unwrap_or_default());
    }

    fn read_metadata(&mut self, recording: &Recording) {
        for (kind, value) in &recording.identifiers {
            match *kind {
                "session_id" if ucid::of_tlv(bare(value), false).is_some() => {
                    self.add(UCID_SESSION, value);
                }
                "sipSessionID" => self.session_id("sipSessionID", value),
                kind => self.add(kind, value),
            }
        }
        for (label, value) in &recording.vendor_headers {
            let known = WHOLE
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(label));
            match known {
                // That of the recorded call, which is as good a name as any.
                Some((_, source)) => self.add(source, value),
                None if label.eq_ignore_ascii_case("User-to-User") => self.user_to_user(value),
                None => {}
            }
        }
    }

    fn user_to_user(&mut self, value: &str) {
        let source = "User-to-User";
        let is_named = self
            .order
            .iter()
            .any(|name| name.eq_ignore_ascii_case(source));
        let data = bare(value);
        let is_call_id = ucid::of_digits(data).is_some()
            || ucid::of_tlv(data, says_hex(value)).is_some()
            || quad_of_hex(data).is_some();
        if is_call_id || is_named {
            self.add(source, value);
        }
    }

    /// `local;remote=other`, RFC 7989 §5.
    fn session_id(&mut self, source: &'static str, value: &str) {
        let mut parts = value.split(';');
        self.add(source, parts.next().unwrap_or_default());
        for (name, remote) in parts.filter_map(|part| part.split_once('=')) {
            if name.trim().eq_ignore_ascii_case("remote") {
                self.add(source, remote);
            }
        }
    }

    fn add(&mut self, source: &'static str, value: &str) {
        let listed = self
            .order
            .iter()
            .position(|name| name.eq_ignore_ascii_case(source));
        let default = DEFAULT_ORDER.iter().position(|known| *known == source);
        let rank =
            listed.unwrap_or_else(|| self.order.len() + default.unwrap_or(DEFAULT_ORDER.len()));
        self.push(rank, source, value);
    }

    /// Nobody's call is named by nothing or by zeros.
    fn push(&mut self, rank: usize, source: &'static str, value: &str) {
        let raw = value.trim();
        let says_something = raw.chars().any(|c| !matches!(c, '0' | '-' | ' ' | '"'));
        if says_something && raw.len() <= CHARS_MAX {
            let identifier = Identifier {
                source,
                raw: raw.to_owned(),
                normal: normal(raw),
            };
            self.entries.push((rank, identifier));
        }
    }

    /// Best first; of those that are the same in normal form the best one.
    fn sorted(mut self) -> Vec<Identifier> {
        self.entries.sort_by_key(|(rank, _)| *rank);
        let mut kept: Vec<Identifier> = Vec::new();
        for (_, identifier) in self.entries {
            let is_known = kept.iter().any(|known| known.normal == identifier.normal);
            if !is_known && !identifier.normal.is_empty() && kept.len() < IDENTIFIERS_MAX {
                kept.push(identifier);
            }
        }
        kept
    }
}

/// Without blanks, quotes and a parameter `encoding`.
fn bare(raw: &str) -> &str {
    let value = if names_encoding(raw) {
        raw.split(';').next().unwrap_or_default()
    } else {
        raw
    };
    value.trim_matches(|c: char| c.is_whitespace() || c == '"')
}

fn names_encoding(raw: &str) -> bool {
    let mut params = raw.split(';').skip(1);
    params.any(|param| {
        param
            .trim_start()
            .to_ascii_lowercase()
            .starts_with("encoding")
    })
}

fn says_hex(raw: &str) -> bool {
    let mut params = raw
        .split(';')
        .skip(1)
        .filter_map(|param| param.split_once('='));
    params.any(|(name, value)| {
        let value = value.trim_matches(|c: char| c.is_whitespace() || c == '"');
        name.trim().eq_ignore_ascii_case("encoding") && value.eq_ignore_ascii_case("hex")
    })
}

/// `d-d-d-d`, four unsigned 32-bit numbers, padded or not, with blanks or not.
fn quad_of_decimals(value: &str) -> Option<String> {
    let mut parts = value.split('-').map(|part| {
        let part = part.trim();
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<u32>().ok().filter(|_| is_number)
    });
    let numbers = [
        parts.next()??,
        parts.next()??,
        parts.next()??,
        parts.next()??,
    ];
    parts.next().is_none().then(|| quad(numbers))
}

fn quad_of_hex(value: &str) -> Option<String> {
    if value.len() != 32 || !value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let part = |at: usize| u32::from_str_radix(&value[at..at + 8], 16).ok();
    Some(quad([part(0)?, part(8)?, part(16)?, part(24)?]))
}

fn quad([a, b, c, d]: [u32; 4]) -> String {
    format!("{a:010}-{b:010}-{c:010}-{d:010}")
}

#[cfg(test)]
mod tests;
