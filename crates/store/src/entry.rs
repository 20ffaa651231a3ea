//! What is written: events as they happened, in the shape they are kept in.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use call::name::{CallName, Role, StreamId};
use call::private::Private;
use call::transcript::Utterance;

use crate::outbox::Parcel;

/// What is kept in one transaction.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// What happened, in its order.
    pub entries: Vec<Entry>,
    /// What waits to be delivered from now on.
    pub parcels: Vec<Parcel>,
}

/// An event's place in the order of all events: of which process, and its number there. Later
/// processes have greater boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventPlace {
    /// When the process began, unix time in milliseconds.
    pub boot: u64,
    /// From 1 on, in each process.
    pub number: u64,
}

/// Something that happened to a call.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it stands among all events.
    pub place: EventPlace,
    /// Its number in its conversation, from 1; what was lost on the way has its numbers too.
    pub seq: u64,
    /// When, unix time in milliseconds.
    pub at_unix_ms: u64,
    /// The call. A call that comes again under its name goes on with its conversation.
    pub call: CallName,
    /// The call's other names, as far as they were known.
    pub also: Arc<[CallName]>,
    /// Whose call it is, once that is known.
    pub tenant: Option<Arc<str>>,
    /// The kind of event as the API tells it: `transcript`, `gap`.
    pub kind: &'static str,
    /// The event as the API tells it, JSON; kept for readers that come back. Empty: not kept.
    pub json: Private<String>,
    /// What of it goes into tables of its own.
    pub what: What,
}

/// What an entry adds to its conversation.
#[derive(Clone, Debug)]
pub enum What {
    /// Somebody, or nobody yet, asked for something: the audit trail.
    Command(Command),
    /// The call is over.
    Ended {
        /// Whose doing.
        fault: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// A stretch of a stream's clock in which the service does not, or may not, hear.
    Gap {
        /// The stream.
        stream: StreamId,
        /// Who speaks on it.
        role: Role,
        /// First millisecond, on the stream's clock.
        from_ms: u64,
        /// Millisecond after the last.
        to_ms: u64,
        /// Why.
        reason: &'static str,
    },
    /// A leg is over.
    LegEnded {
        /// The leg's number in its process.
        leg: u64,
        /// Whose doing.
        fault: &'static str,
        /// Why.
        reason: &'static str,
        /// What it had seen, JSON.
        counters: String,
    },
    /// A leg came.
    LegOpened {
        /// The leg's number in its process.
        leg: u64,
        /// `first` or `second`.
        side: &'static str,
    },
    /// A leg has a role.
    LegRole {
        /// The leg's number in its process.
        leg: u64,
        /// Who speaks.
        role: Role,
        /// Why it is that role.
        reason: String,
        /// How sure that is, if the platform said so.
        confidence: Option<&'static str>,
    },
    /// Nothing more than the event itself.
    Nothing,
    /// What is said is not heard from here on, or is again.
    Paused {
        /// Whether it begins.
        begins: bool,
    },
    /// A final utterance.
    Said(Said),
    /// The call began.
    Started,
    /// A stream is over.
    StreamEnded {
        /// The stream.
        stream: StreamId,
        /// 1000 is OK.
        code: u16,
        /// In words.
        description: String,
        /// What the service counted, if it said.
        summary: Option<StreamSummary>,
    },
    /// A stream was opened.
    StreamOpened {
        /// The stream.
        stream: StreamId,
        /// Who speaks on it.
        role: Role,
        /// The call's name as the start wrote it.
        external: Arc<str>,
    },
    /// A service accepted a stream.
    StreamReady {
        /// The stream.
        stream: StreamId,
        /// Which service.
        service: &'static str,
    },
}

/// A command, who gave it, from where, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// `start`, `stop`, `pause`, `resume`, `erase`.
    pub verb: &'static str,
    /// The API key's public half.
    pub key: Arc<str>,
    /// The address it came from.
    pub from: Private<String>,
    /// `ok`, or the code of the refusal: `409-201`.
    pub outcome: String,
    /// The request's id, as the answer had it.
    pub request: String,
}

/// A final utterance with the names it is known by outside.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its ULID: `messageId` of the messages API, and in the ids of its deliveries.
    pub message: String,
    /// What was said.
    pub utterance: Utterance,
    /// When it was said, unix time in milliseconds.
    pub said_at_unix_ms: u64,
}

/// What a service counted of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamSummary {
    /// Bytes of L16.
    pub audio_bytes: u64,
    /// How much sound, in milliseconds.
    pub audio_ms: u64,
    /// How long the stream lasted, in milliseconds.
    pub streaming_ms: u64,
    /// How many transcripts.
    pub transcripts: u32,
}

/// An event that is kept for readers.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Where it stands among all events.
    pub place: EventPlace,
    /// The kind of event.
    pub kind: String,
    /// As the API tells it, JSON.
    pub json: Private<String>,
}

impl fmt::Display for EventPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.boot, self.number)
    }
}

impl FromStr for EventPlace {
    type Err = ();

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (boot, number) = text.split_once('-').ok_or(())?;
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let boot_is_good = (1..=16).contains(&boot.len()) && boot.bytes().all(is_hex);
        let is_digit = |byte: u8| byte.is_ascii_digit();
        let number_is_good = (1..=18).contains(&number.len()) && number.bytes().all(is_digit);
        if !boot_is_good || !number_is_good {
            return Err(());
        }
        let boot = u64::from_str_radix(boot, 16).map_err(|_| ())?;
        let number = number.parse().map_err(|_| ())?;
        Ok(Self { boot, number })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_place_is_read_only_as_it_is_written() {
        let place = EventPlace {
            boot: 0x18c,
            number: 7,
        };
        assert_eq!("18c-7".parse(), Ok(place));
        for other in [
            "", "-", "18c", "18C-7", "+18c-7", "18c-+7", "18c-7-1", " 18c-7", "-7",
        ] {
            assert_eq!(other.parse::<EventPlace>(), Err(()), "{other}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn what_is_written_is_read(boot: u64, number in 0..1_000_000_000_000_000_000_u64) {
            let place = EventPlace { boot, number };
            prop_assert_eq!(place.to_string().parse(), Ok(place));
        }

        #[test]
        fn anything_at_all_can_be_read(text in ".{0,40}|[0-9a-f]{0,20}-[0-9]{0,22}") {
            if let Ok(place) = text.parse::<EventPlace>() {
                let again = place.to_string().parse();
                prop_assert_eq!(again, Ok(place));
            }
        }
    }
}
