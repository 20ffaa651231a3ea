//! The names of things: calls, legs, sides, roles, streams, commands.

use std::fmt;
use std::sync::Arc;

/// Which call: the platform it came through and the platform's own id for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallName {
    /// The platform.
    pub namespace: Namespace,
    /// The platform's id of the call.
    pub guid: Guid,
}

/// A media gateway platform, as the control API's `namespace` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Namespace {
    /// `amazonconnect`
    AmazonConnect,
    /// `genesysaudiohook`
    GenesysAudioHook,
    /// `siprec`
    Siprec,
    /// `twilio`
    Twilio,
}

/// The globally unique id of a call on its platform: 1 to 128 visible ASCII characters. Twilio: the
/// CallSid.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid(Arc<str>);

/// Why a text is not a [`Guid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadGuid {
    /// It has no characters.
    #[error("is empty")]
    Empty,
    /// It has more than [`Guid::CHARS_MAX`] characters.
    #[error("is longer than 128 characters")]
    TooLong,
    /// It has a blank, a control character or a character outside ASCII.
    #[error("has a character that is not visible ASCII")]
    Unprintable,
}

/// One leg: one party's sound in one call. Never reused in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub u64);

/// The `streamId` of the control API: one upstream stream, new with every start.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(Arc<str>);

/// One command, or one shutting of a gate by the switchboard itself. Receipts carry it, so that the
/// receipt of an earlier shutting never confirms a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Which of the two parties, as the platform counts: m-line, track, channel. Twilio: `inbound` is
/// first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// Top m-line, `inbound`.
    First,
    /// Second m-line, `outbound`.
    Second,
}

/// Who speaks. A start gives a role to each leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// `agent`
    Agent,
    /// `customer`
    Customer,
    /// `mixed`: one line carries both parties.
    Mixed,
}

impl Namespace {
    /// All of them, in alphabetical order.
    pub const ALL: [Self; 4] = [
        Self::AmazonConnect,
        Self::GenesysAudioHook,
        Self::Siprec,
        Self::Twilio,
    ];

    /// The control API's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AmazonConnect => "amazonconnect",
            Self::GenesysAudioHook => "genesysaudiohook",
            Self::Siprec => "siprec",
            Self::Twilio => "twilio",
        }
    }

    /// Reads the control API's spelling; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|namespace| namespace.as_str() == text)
    }
}

impl Guid {
    /// The most characters a guid may have.
    pub const CHARS_MAX: usize = 128;

    /// The only way to make one.
    pub fn parse(text: &str) -> Result<Self, BadGuid> {
        match text.len() {
            0 => Err(BadGuid::Empty),
            length if length > Self::CHARS_MAX => Err(BadGuid::TooLong),
            _ if !text.bytes().all(|byte| byte.is_ascii_graphic()) => Err(BadGuid::Unprintable),
            _ => Ok(Self(text.into())),
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl StreamId {
    /// Ids come from outside, like the time: this crate has no randomness.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// As the control API prints it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Side {
    /// Both, in the platform's order.
    pub const BOTH: [Self; 2] = [Self::First, Self::Second];

    /// For labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
        }
    }
}

impl Role {
    /// All of them, in alphabetical order.
    pub const ALL: [Self; 3] = [Self::Agent, Self::Customer, Self::Mixed];

    /// Both parties, in alphabetical order.
    pub const BOTH: [Self; 2] = [Self::Agent, Self::Customer];

    /// The control API's spelling, and for `mixed` the native API's.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Customer => "customer",
            Self::Mixed => "mixed",
        }
    }

    /// Reads that spelling; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// The party as which the contract knows it: a mixed line counts as the customer's.
    pub fn party(self) -> Self {
        match self {
            Self::Agent => Self::Agent,
            Self::Customer | Self::Mixed => Self::Customer,
        }
    }
}

impl fmt::Display for CallName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.guid)
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_one_to_128_visible_ascii_characters() {
        assert_eq!(Guid::parse(""), Err(BadGuid::Empty));
        assert_eq!(Guid::parse(&"x".repeat(129)), Err(BadGuid::TooLong));
        assert_eq!(Guid::parse("CA 1"), Err(BadGuid::Unprintable));
        assert_eq!(Guid::parse("CA\u{e9}"), Err(BadGuid::Unprintable));
        assert_eq!(Guid::parse(&"x".repeat(128)).unwrap().as_str().len(), 128);
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for namespace in Namespace::ALL {
            assert_eq!(Namespace::parse(namespace.as_str()), Some(namespace));
        }
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        assert_eq!(Namespace::parse("Twilio"), None);
    }
}
