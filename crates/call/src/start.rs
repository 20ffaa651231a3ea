//! What a start asks for, and what its streams report in the end.

use std::sync::Arc;
use std::time::Duration;

use crate::name::{CallName, Role, Side, StreamId};
use crate::private::Private;

/// A start: what each party's stream shall be, and which side is whose.
#[derive(Clone, Debug)]
pub struct Start {
    /// The stream of the first side (Twilio: `inbound`), the customer's or the agent's.
    pub first: StreamSpec,
    /// The stream of the second side (Twilio: `outbound`), the other party's.
    pub second: StreamSpec,
    /// Whether the start says which side is whose. If not, what the platform suggests of a leg
    /// goes before its side.
    pub is_ordered: bool,
}

/// Why a leg has its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grounds {
    /// The start said which side is whose.
    Order,
    /// The role that was due is another leg's, and this one is left.
    Remainder,
    /// Nobody said anything: the first side is the customer's.
    Side,
    /// The platform suggested it.
    Suggestion,
}

/// One upstream stream, as asked for.
#[derive(Clone, Debug)]
pub struct StreamSpec {
    /// New with every start.
    pub id: StreamId,
    /// The call it belongs to.
    pub call: CallName,
    /// The call's guid as the start wrote it: the service's `externalId`.
    pub external: Arc<str>,
    /// Who speaks on it.
    pub role: Role,
    /// The speaker's external id, `customerId` or `agentId`.
    pub sender: Private<String>,
    /// What both streams of a start share.
    pub options: Arc<StreamOptions>,
    /// What this stream asks for beyond that.
    pub wish: Wish,
}

/// Which service a stream shall go to, and with which of the service's own parameters. Whoever
/// starts a call may wish, and so may what brings its media; where both do, the start goes first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The service's name; `None` leaves it to the configuration.
    pub service: Option<Arc<str>>,
    /// The service's own parameters by name, each value as JSON text or a bare word.
    pub parameters: Vec<(Arc<str>, Private<String>)>,
}

/// What a start asks of the recogniser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// IETF language tag, `en-US` by default.
    pub language: String,
    /// Word-level output.
    pub detailed_token: bool,
    /// Whether the service may keep the sound for training.
    pub audio_recording_allowed: bool,
    /// What of the text is redacted.
    pub redaction: Redaction,
    /// Phrases to boost, from configuration and from the start, in that order.
    pub vocabulary: Vec<Phrase>,
}

/// `redactionOutput` of the control API and of AutoTranscribe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Redaction {
    /// `redacted`
    #[default]
    Redacted,
    /// `redacted_and_unredacted`
    RedactedAndUnredacted,
    /// `unredacted`
    Unredacted,
}

/// One entry of a custom vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    /// The phrase to boost.
    pub phrase: Private<String>,
    /// How it may be pronounced.
    pub sounds_like: Vec<Private<String>>,
    /// `address`, `name`, `number`, `company` or `currency`.
    pub category: Option<String>,
}

/// How one stream stands or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The stream.
    pub id: StreamId,
    /// Whose sound it carried.
    pub role: Role,
    /// The service's status, or 5000 with our words when it gave none.
    pub status: Status,
    /// What the service counted; unknown is not zero.
    pub summary: Option<Summary>,
}

/// An application status code and its description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// As in the contract's table; 1000 is OK.
    pub code: u16,
    /// A sentence for people.
    pub description: String,
}

/// `summary` of a `finalResponse`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Bytes of L16 the service received.
    pub audio_bytes: u64,
    /// How much sound it processed.
    pub audio: Duration,
    /// How long the stream lasted; the API shows whole seconds, rounded up.
    pub streaming: Duration,
    /// How many transcripts it sent.
    pub transcripts: u32,
}

impl Start {
    /// What the stream of one side shall be.
    pub fn side(&self, side: Side) -> &StreamSpec {
        match side {
            Side::First => &self.first,
            Side::Second => &self.second,
        }
    }

    /// What the stream of a leg on `side` shall be, of which the platform says that `suggested`
    /// speaks, when the stream `taken` is another leg's already. A mixed line takes the customer's
    /// stream, told as mixed.
    pub fn cast(
        &self,
        side: Side,
        suggested: Option<Role>,
        taken: Option<&StreamId>,
    ) -> (StreamSpec, Grounds) {
        let of = |role| {
            Side::BOTH
                .map(|side| self.side(side))
                .into_iter()
                .find(|spec| spec.role == role)
        };
        let by_side = (
            self.side(side),
            if self.is_ordered {
                Grounds::Order
            } else {
                Grounds::Side
            },
        );
        let (due, grounds) = match suggested {
            Some(role) if role == Role::Mixed || !self.is_ordered => {
                of(role.party()).map_or(by_side, |spec| (spec, Grounds::Suggestion))
            }
            _ => by_side,
        };
        if taken == Some(&due.id) {
            let is_first = due.id == self.first.id;
            let rest = if is_first { &self.second } else { &self.first };
            return (rest.clone(), Grounds::Remainder);
        }
        let mut spec = due.clone();
        if suggested == Some(Role::Mixed) {
            spec.role = Role::Mixed;
        }
        (spec, grounds)
    }

    /// The same start for the call under another of its names.
    #[must_use]
    pub fn of_call(mut self, name: &CallName) -> Self {
        self.first.call = name.clone();
        self.second.call = name.clone();
        self
    }
}

impl Wish {
    /// No wish has more parameters.
    pub const PARAMETERS_MAX: usize = 64;

    /// No name of a service or of a parameter is longer, in bytes.
    pub const NAME_BYTES_MAX: usize = 64;

    /// No value of a parameter is longer, in bytes.
    pub const VALUE_BYTES_MAX: usize = 8 * 1024;

    /// Whether a service or a parameter can be called so. Such a name may stand in a log.
    pub fn is_name(text: &str) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        (1..=Self::NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain)
    }

    /// This wish, and where it says nothing, `other`. Parameters are wished of a service: those for
    /// another one are left out.
    #[must_use]
    pub fn over(&self, other: &Self) -> Self {
        if self.service.is_some() && other.service.is_some() && self.service != other.service {
            return self.clone();
        }
        let mut both = self.clone();
        both.service = both.service.or_else(|| other.service.clone());
        for (name, value) in &other.parameters {
            if both.parameters.iter().all(|(known, _)| known != name) {
                both.parameters.push((name.clone(), value.clone()));
            }
        }
        both
    }

    /// Whether nothing is wished.
    pub fn is_empty(&self) -> bool {
        self.service.is_none() && self.parameters.is_empty()
    }
}

impl Redaction {
    /// All of them, in alphabetical order.
    pub const ALL: [Self; 3] = [
        Self::Redacted,
        Self::RedactedAndUnredacted,
        Self::Unredacted,
    ];

    /// The contract's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redacted => "redacted",
            Self::RedactedAndUnredacted => "redacted_and_unredacted",
            Self::Unredacted => "unredacted",
        }
    }

    /// Reads that spelling; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|redaction| redaction.as_str() == text)
    }
}

impl Status {
    /// 1000.
    pub fn ok() -> Self {
        Self {
            code: 1000,
            description: "OK".to_owned(),
        }
    }

    /// 5000, with words of ours: the service itself said nothing.
    pub fn internal(description: impl Into<String>) -> Self {
        Self {
            code: 5000,
            description: description.into(),
        }
    }

    /// Whether it is 1000.
    pub fn is_ok(&self) -> bool {
        self.code == 1000
    }
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            language: "en-US".to_owned(),
            detailed_token: false,
            audio_recording_allowed: false,
            redaction: Redaction::Redacted,
            vocabulary: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(service: Option<&str>, parameters: &[(&str, &str)]) -> Wish {
        let pair =
            |(name, value): &(&str, &str)| (Arc::from(*name), Private::new((*value).to_owned()));
        Wish {
            service: service.map(Arc::from),
            parameters: parameters.iter().map(pair).collect(),
        }
    }

    #[test]
    fn a_wish_goes_before_another_where_it_says_something() {
        let mine = wish(None, &[("a", "1")]);
        let other = wish(Some("x"), &[("a", "2"), ("b", "3")]);
        assert_eq!(
            mine.over(&other),
            wish(Some("x"), &[("a", "1"), ("b", "3")])
        );
        assert_eq!(Wish::default().over(&other), other);
        assert_eq!(other.over(&Wish::default()), other);
        let elsewhere = wish(Some("y"), &[("c", "4")]);
        assert_eq!(
            elsewhere.over(&other),
            elsewhere,
            "they are for another service"
        );
    }

    #[test]
    fn a_name_can_stand_in_a_log() {
        for name in ["max_turn_silence", "a.b-C9", "x"] {
            assert!(Wish::is_name(name), "{name}");
        }
        let long = "x".repeat(Wish::NAME_BYTES_MAX + 1);
        for text in ["", "a b", "a\n", "é", "a=b", &long] {
            assert!(!Wish::is_name(text), "{text}");
        }
    }
}
