//! A `dtmf` message. A key is as private as what is said: it stays the peer's text until its gate
//! was asked, and is looked at behind an open one only.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use call::private::Private;

use crate::twilio::message::{Text, Track};

/// A key that was pressed, as it came. Its text is never printed.
#[derive(Clone, Copy, Default)]
pub struct Dtmf<'a>(Option<&'a RawValue>);

#[derive(Default, Deserialize)]
#[serde(default)]
struct Place {
    track: Track,
}

#[derive(Deserialize)]
struct Which<'a> {
    #[serde(borrow)]
    digit: Text<'a>,
}

impl<'a> Dtmf<'a> {
    pub(crate) fn new(text: &'a RawValue) -> Self {
        Self(Some(text))
    }

    /// Who pressed it. Nothing else is read.
    pub fn track(self) -> Track {
        let place = self
            .0
            .and_then(|text| serde_json::from_str(text.get()).ok());
        place.map_or(Track::Unknown, |place: Place| place.track)
    }

    /// Which it was: `0`–`9`, `*`, `#`, `A`–`D`. To be asked behind an open gate only.
    pub fn key(self) -> Option<Private<char>> {
        let which: Which<'_> = serde_json::from_str(self.0?.get()).ok()?;
        let mut digits = which.digit.as_str().chars();
        let key = digits.next()?.to_ascii_uppercase();
        let is_key = matches!(key, '0'..='9' | '*' | '#' | 'A'..='D');
        (is_key && digits.next().is_none()).then(|| Private::new(key))
    }
}

impl fmt::Debug for Dtmf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dtmf(·)")
    }
}

impl PartialEq for Dtmf<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.map(RawValue::get) == other.0.map(RawValue::get)
    }
}

impl Eq for Dtmf<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twilio::message::{Event, Message};

    fn dtmf(text: &str) -> Dtmf<'_> {
        match Message::parse(text).unwrap().event {
            Event::Dtmf(dtmf) => dtmf,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_key_is_read_where_its_message_has_it() {
        for text in [
            r##"{"event":"dtmf","dtmf":{"track":"inbound_track","digit":"#"}}"##,
            r##"{"dtmf":{"digit":"#","duration":"100","track":"inbound"},"event":"dtmf"}"##,
            r#"{"event":"dtmf","dtmf":{"track":"inbound","digit":"\u0023"}}"#,
        ] {
            let dtmf = dtmf(text);
            assert_eq!(dtmf.track(), Track::Inbound, "{text}");
            assert_eq!(dtmf.key(), Some(Private::new('#')), "{text}");
            assert!(!format!("{dtmf:?} {:?}", dtmf.key()).contains('#'));
        }
    }

    #[test]
    fn what_is_no_key_is_none_and_no_bad_message_either() {
        for part in [
            r#""4""#,
            "4",
            "null",
            "{}",
            r#"{"track":"inbound","digit":"44"}"#,
            r#"{"track":"inbound","digit":""}"#,
            r#"{"track":"inbound","digit":"x"}"#,
            r#"{"track":"inbound","digit":4}"#,
        ] {
            let text = format!(r#"{{"event":"dtmf","dtmf":{part}}}"#);
            assert_eq!(dtmf(&text).key(), None, "{part}");
        }
        assert_eq!(dtmf(r#"{"event":"dtmf"}"#).key(), None);
        assert_eq!(dtmf(r#"{"event":"dtmf"}"#).track(), Track::Unknown);
    }

    #[test]
    fn a_key_of_another_event_is_nothing() {
        let text = r#"{"event":"mark","dtmf":{"digit":"4"}}"#;
        assert_eq!(Message::parse(text).unwrap().event, Event::Mark);
    }
}
