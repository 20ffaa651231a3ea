//! JSON as the dialects share it: strict in what is said, tolerant in what is heard. Nothing here
//! repeats what a message holds; it may be what a caller said.

use std::fmt;
use std::time::Duration;

use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use crate::service::Gibberish;

/// Longer descriptions are cut: they end up in answers, events and logs.
const DESCRIPTION_CHARS_MAX: usize = 256;

/// A number that is not negative, written as a number or as a string. What is below zero, or no
/// number at all, is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub(crate) struct Number(f64);

/// One of a thing, or a list of it.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany<T> {
    Many(Vec<T>),
    One(T),
}

/// Reads a message.
pub(crate) fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Gibberish> {
    serde_json::from_str(text).map_err(|error| Gibberish {
        // The error's own text may quote the message.
        reason: match error.classify() {
            serde_json::error::Category::Data => "not as expected",
            serde_json::error::Category::Eof => "incomplete",
            serde_json::error::Category::Io | serde_json::error::Category::Syntax => "not JSON",
        },
        line: error.line(),
        column: error.column(),
    })
}

/// Writes a message.
pub(crate) fn write(message: &impl Serialize) -> String {
    serde_json::to_string(message).expect("strings, numbers and lists can always be written")
}

/// A part that cannot be read is no reason to lose the message around it. To be used together with
/// `default`.
pub(crate) fn if_readable<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(T::deserialize(value).ok())
}

/// As much of a service's own words as is passed on.
pub(crate) fn description(text: &str) -> String {
    text.chars().take(DESCRIPTION_CHARS_MAX).collect()
}

impl Number {
    /// As a count, rounded.
    pub(crate) fn count(self) -> u64 {
        self.0.round() as u64
    }

    /// So many milliseconds, rounded.
    pub(crate) fn millis(self) -> Duration {
        Duration::from_millis(self.count())
    }

    /// So many seconds, with their fraction.
    pub(crate) fn seconds(self) -> Duration {
        Duration::try_from_secs_f64(self.0).unwrap_or(Duration::MAX)
    }

    fn new(value: f64) -> Self {
        // Neither below zero nor NaN.
        Self(value.max(0.0))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyNumber;

        impl Visitor<'_> for AnyNumber {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a string with one")
            }

            fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
                Ok(Number::new(value as f64))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
                Ok(Number::new(value as f64))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
                Ok(Number::new(value))
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Number, E> {
                let number = value.trim().parse().map(Number::new);
                number.map_err(|_| E::custom("not a number"))
            }
        }

        deserializer.deserialize_any(AnyNumber)
    }
}

impl<T> From<OneOrMany<T>> for Vec<T> {
    fn from(given: OneOrMany<T>) -> Self {
        match given {
            OneOrMany::Many(many) => many,
            OneOrMany::One(one) => vec![one],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        read(text).unwrap()
    }

    #[test]
    fn a_number_is_read_however_it_is_written() {
        for text in ["1500", "1500.0", "\"1500\"", "\" 1500.2 \"", "1499.6"] {
            assert_eq!(number(text).count(), 1500, "{text}");
            assert_eq!(number(text).millis(), Duration::from_millis(1500), "{text}");
        }
        assert_eq!(number("0.12").seconds(), Duration::from_millis(120));
        assert!(read::<Number>("\"soon\"").is_err());
        assert!(read::<Number>("{}").is_err());
    }

    #[test]
    fn a_number_beyond_all_bounds_is_a_bound() {
        for text in ["-5", "\"-inf\"", "\"NaN\"", "-0.0"] {
            assert_eq!(number(text).count(), 0, "{text}");
            assert_eq!(number(text).seconds(), Duration::ZERO, "{text}");
        }
        for text in ["1e300", "\"inf\"", "\"1e999\""] {
            assert_eq!(number(text).count(), u64::MAX, "{text}");
            assert_eq!(number(text).seconds(), Duration::MAX, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_without_quoting_it() {
        for text in ["hunter2", "{\"hunter2", "\"hunter2\""] {
            let gibberish = read::<Number>(text).unwrap_err();
            assert!(!gibberish.to_string().contains("hunter2"), "{gibberish}");
        }
    }
}
