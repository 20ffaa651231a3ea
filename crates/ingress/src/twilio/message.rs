//! What Twilio says: JSON text frames, read without copying.
//!
//! Counters may be strings or numbers, keys may be snake_case as Twilio-compatible senders spell
//! them, unknown events and fields are passed over. A payload stays encoded here, and a dtmf stays
//! the text that it came as.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::twilio::key::Dtmf;
use crate::twilio::parameters::Parameters;
use crate::twilio::tally::{Bad, EventName};

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// `sequenceNumber`: one counter for the whole socket.
    pub sequence: Option<u64>,
    /// `streamSid`, empty if there is none.
    pub stream_sid: Text<'a>,
    /// What it says.
    pub event: Event<'a>,
}

/// What a message says.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// `connected`
    Connected,
    /// `dtmf`; which key it was is for a gate to tell.
    Dtmf(Dtmf<'a>),
    /// `mark`
    Mark,
    /// `media`
    Media(Media<'a>),
    /// `start`
    Start(Start<'a>),
    /// `stop`
    Stop,
    /// Anything else.
    Unknown,
}

/// A piece of a track's sound.
#[derive(Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Media<'a> {
    /// Which direction it was heard in.
    #[serde(default)]
    pub track: Track,
    /// Milliseconds since the stream began, by the platform's clock.
    #[serde(default)]
    pub timestamp: Counter,
    /// Base64.
    #[serde(borrow)]
    pub payload: Text<'a>,
}

/// What the socket carries.
#[derive(Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Start<'a> {
    /// The account.
    #[serde(borrow, alias = "account_sid")]
    pub account_sid: Text<'a>,
    /// The call: its guid.
    #[serde(borrow, alias = "call_sid")]
    pub call_sid: Text<'a>,
    /// The stream.
    #[serde(borrow, alias = "stream_sid")]
    pub stream_sid: Text<'a>,
    /// Which tracks will come.
    pub tracks: Option<Vec<Track>>,
    /// How the sound is encoded.
    #[serde(borrow, alias = "media_format")]
    pub media_format: Option<MediaFormat<'a>>,
    /// What the TwiML wishes for.
    #[serde(alias = "custom_parameters")]
    pub custom_parameters: Parameters,
}

/// How the sound is encoded; what is missing is as Twilio always has it.
#[derive(Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MediaFormat<'a> {
    /// `audio/x-mulaw`
    #[serde(borrow)]
    pub encoding: Text<'a>,
    /// 8000
    #[serde(alias = "sample_rate")]
    pub sample_rate: Counter,
    /// 1
    pub channels: Counter,
}

/// A direction, in either of Twilio's two spellings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Track {
    /// From the party the stream runs on.
    Inbound,
    /// To that party.
    Outbound,
    /// A word we do not know.
    Unknown,
    /// Not told.
    #[default]
    Untold,
}

/// A number that may come as a string; `None` if it is neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter(pub Option<u64>);

/// A text, borrowed unless it has escapes; `null` is empty.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Key {
    Dtmf,
    Event,
    Media,
    #[serde(alias = "sequence_number")]
    SequenceNumber,
    Start,
    #[serde(alias = "stream_id", alias = "stream_sid")]
    StreamSid,
    #[serde(other)]
    Other,
}

/// A part of the message that came before `event` said what it is.
enum Part<'a, T> {
    Absent,
    Raw(&'a RawValue),
    Read(T),
}

struct MessageVisitor;
struct CounterVisitor;
struct TextVisitor;

impl<'a> Message<'a> {
    /// Reads one text frame.
    pub fn parse(text: &'a str) -> Result<Self, Bad> {
        serde_json::from_str(text).map_err(|error| match error.classify() {
            Category::Data => Bad::Shape,
            Category::Eof | Category::Io | Category::Syntax => Bad::Json,
        })
    }
}

impl Event<'_> {
    /// Its name, for counting.
    pub fn name(&self) -> EventName {
        match self {
            Self::Connected => EventName::Connected,
            Self::Dtmf(_) => EventName::Dtmf,
            Self::Mark => EventName::Mark,
            Self::Media(_) => EventName::Media,
            Self::Start(_) => EventName::Start,
            Self::Stop => EventName::Stop,
            Self::Unknown => EventName::Unknown,
        }
    }
}

impl Text<'_> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// A text may be a payload or a name: it shows its length only.
impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Message<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MessageVisitor)
    }
}

impl<'de> Deserialize<'de> for Counter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CounterVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

impl<'de> Deserialize<'de> for Track {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Text::deserialize(deserializer)?.as_str() {
            "" => Self::Untold,
            "inbound" | "inbound_track" => Self::Inbound,
            "outbound" | "outbound_track" => Self::Outbound,
            _ => Self::Unknown,
        })
    }
}

impl<'de> Deserialize<'de> for EventName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Text::deserialize(deserializer)?;
        let known = Self::ALL
            .iter()
            .copied()
            .find(|event| event.as_str() == name.as_str());
        Ok(known.unwrap_or(Self::Unknown))
    }
}

// Written by hand so that in Twilio's own order, where `event` comes first, each part is read once
// and in place. Derived tagged enums keep a copy of the whole message.
impl<'de> Visitor<'de> for MessageVisitor {
    type Value = Message<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message of Twilio Media Streams")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut name = None;
        let mut sequence = Counter::default();
        let mut stream_sid = Text::default();
        let mut dtmf = Dtmf::default();
        let mut media = Part::Absent;
        let mut start = Part::Absent;
        while let Some(key) = map.next_key()? {
            match key {
                Key::Dtmf => dtmf = Dtmf::new(map.next_value()?),
                Key::Event => name = Some(map.next_value()?),
                Key::SequenceNumber => sequence = map.next_value()?,
                Key::StreamSid => stream_sid = map.next_value()?,
                Key::Media => media = Part::take(&mut map, name, EventName::Media)?,
                Key::Start => start = Part::take(&mut map, name, EventName::Start)?,
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let event = match name.ok_or_else(|| de::Error::missing_field("event"))? {
            EventName::Connected => Event::Connected,
            EventName::Dtmf => Event::Dtmf(dtmf),
            EventName::Mark => Event::Mark,
            EventName::Media => Event::Media(media.read("media")?),
            EventName::Start => Event::Start(start.read("start")?),
            EventName::Stop => Event::Stop,
            EventName::Unknown => Event::Unknown,
        };
        Ok(Message {
            sequence: sequence.0,
            stream_sid,
            event,
        })
    }
}

impl<'de, T: Deserialize<'de>> Part<'de, T> {
    fn take<A: MapAccess<'de>>(
        map: &mut A,
        name: Option<EventName>,
        of: EventName,
    ) -> Result<Self, A::Error> {
        match name {
            None => map.next_value().map(Self::Raw),
            Some(name) if name == of => map.next_value().map(Self::Read),
            Some(_) => map.next_value::<IgnoredAny>().map(|_| Self::Absent),
        }
    }

    fn read<E: de::Error>(self, field: &'static str) -> Result<T, E> {
        match self {
            Self::Absent => Err(E::missing_field(field)),
            Self::Raw(raw) => serde_json::from_str(raw.get()).map_err(E::custom),
            Self::Read(part) => Ok(part),
        }
    }
}

impl<'de> Visitor<'de> for CounterVisitor {
    type Value = Counter;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a string that holds one")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Counter, E> {
        Ok(Counter(Some(number)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Counter, E> {
        Ok(Counter(u64::try_from(number).ok()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Counter, E> {
        // Beyond 2^53 a float is no counter any more.
        let counts = (0.0..9_007_199_254_740_992.0).contains(&number);
        Ok(Counter(counts.then_some(number as u64)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Counter, E> {
        match text.parse() {
            Ok(number) => self.visit_u64(number),
            Err(_) => text
                .trim()
                .parse()
                .map_or(Ok(Counter(None)), |number| self.visit_f64(number)),
        }
    }

    fn visit_bool<E>(self, _: bool) -> Result<Counter, E> {
        Ok(Counter(None))
    }

    fn visit_unit<E>(self) -> Result<Counter, E> {
        Ok(Counter(None))
    }
}

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Text<'de>, E> {
        Ok(Text::default())
    }
}

#[cfg(test)]
mod tests;
