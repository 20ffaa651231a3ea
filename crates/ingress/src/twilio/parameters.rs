//! What of `customParameters` is ours: to which speech service the sound of a socket shall go.
//!
//! `<Parameter name="antiphon.service" value="…">` names the service, any other
//! `antiphon.<name>` a parameter of the service's own. The rest is somebody else's, may be private,
//! and is not even read. No `start` fails because of what stands here.

use std::fmt;

use call::private::Private;
use call::start::Wish;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::twilio::message::Text;

/// What the names of ours begin with.
const PREFIX: &str = "antiphon.";

/// `customParameters`, as far as they are ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// What they wish for.
    pub wish: Wish,
    /// Names of those that cannot be a wish: too long, too many, empty or twice.
    pub ignored: Vec<String>,
    /// How many those are, with those that have no name that can be shown.
    pub ignored_count: u64,
}

struct ParametersVisitor;

impl Parameters {
    /// Takes one whose name is `antiphon.` and `name`; a text is taken as it is, anything else as
    /// the JSON that it is.
    fn take(&mut self, name: &str, raw: &RawValue) {
        let text = serde_json::from_str::<Text<'_>>(raw.get());
        let value = text.as_ref().map_or_else(|_| raw.get(), Text::as_str);
        let fits = (1..=Wish::VALUE_BYTES_MAX).contains(&value.len()) && Wish::is_name(name);
        if !fits || !self.add(name, value) {
            self.ignore(name);
        }
    }

    fn add(&mut self, name: &str, value: &str) -> bool {
        let Wish {
            service,
            parameters,
        } = &mut self.wish;
        if name == "service" {
            let is_free = service.is_none() && Wish::is_name(value);
            if is_free {
                *service = Some(value.into());
            }
            return is_free;
        }
        let is_known = parameters.iter().any(|(known, _)| **known == *name);
        let is_free = !is_known && parameters.len() < Wish::PARAMETERS_MAX;
        if is_free {
            parameters.push((name.into(), Private::new(value.to_owned())));
        }
        is_free
    }

    fn ignore(&mut self, name: &str) {
        self.ignored_count += 1;
        if Wish::is_name(name) && self.ignored.len() < Wish::PARAMETERS_MAX {
            self.ignored.push(format!("{PREFIX}{name}"));
        }
    }
}

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ParametersVisitor)
    }
}

impl<'de> Visitor<'de> for ParametersVisitor {
    type Value = Parameters;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parameters, A::Error> {
        let mut parameters = Parameters::default();
        while let Some(name) = map.next_key::<Text<'de>>()? {
            match name.as_str().strip_prefix(PREFIX) {
                Some(name) => parameters.take(name, map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(parameters)
    }

    // Whatever else stands here is nothing of ours.

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Parameters, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Parameters::default())
    }

    fn visit_unit<E>(self) -> Result<Parameters, E> {
        Ok(Parameters::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Parameters, E> {
        Ok(Parameters::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Parameters, E> {
        Ok(Parameters::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Parameters, E> {
        Ok(Parameters::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Parameters, E> {
        Ok(Parameters::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Parameters, E> {
        Ok(Parameters::default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Parameters {
        serde_json::from_str(text).unwrap()
    }

    fn wished(parameters: &Parameters) -> Vec<(&str, &str)> {
        let all = parameters.wish.parameters.iter();
        all.map(|(name, value)| (&**name, value.reveal().as_str()))
            .collect()
    }

    #[test]
    fn ours_are_wishes_and_all_others_are_not_read() {
        let parameters = read(
            r#"{"name":"a private thing","antiphon.service":"assemblyai",
            "antiphon.max_turn_silence":"1280","antiphon.format_turns":true,
            "antiphon.keyterms_prompt":["IEEE","a \"b\""],"Antiphon.x":"y","antiphon":"z"}"#,
        );
        assert_eq!(parameters.wish.service.as_deref(), Some("assemblyai"));
        let expected = [
            ("max_turn_silence", "1280"),
            ("format_turns", "true"),
            ("keyterms_prompt", r#"["IEEE","a \"b\""]"#),
        ];
        assert_eq!(wished(&parameters), expected);
        assert_eq!(parameters.ignored_count, 0);
        assert!(!format!("{parameters:?}").contains("1280"));
    }

    #[test]
    fn what_cannot_be_a_wish_is_named_and_counted() {
        let long = "x".repeat(Wish::VALUE_BYTES_MAX + 1);
        let parameters = read(&format!(
            r#"{{"antiphon.":"a","antiphon.a b":"c","antiphon.empty":"","antiphon.null":null,
            "antiphon.long":"{long}","antiphon.service":"two words","antiphon.twice":1,
            "antiphon.twice":2,"antiphon.service":"vosk","antiphon.service":"deepgram"}}"#,
        ));
        assert_eq!(wished(&parameters), [("twice", "1")]);
        assert_eq!(parameters.wish.service.as_deref(), Some("vosk"));
        let named = ["empty", "null", "long", "service", "twice", "service"];
        let named = named.map(|name| format!("antiphon.{name}"));
        assert_eq!(parameters.ignored, named);
        assert_eq!(parameters.ignored_count, 8);
    }

    #[test]
    fn there_are_only_so_many() {
        let all = (0..10_000).map(|number| format!(r#""antiphon.p{number}":"v""#));
        let parameters = read(&format!("{{{}}}", all.collect::<Vec<_>>().join(",")));
        assert_eq!(parameters.wish.parameters.len(), Wish::PARAMETERS_MAX);
        assert_eq!(parameters.ignored.len(), Wish::PARAMETERS_MAX);
        assert_eq!(
            parameters.ignored_count,
            10_000 - Wish::PARAMETERS_MAX as u64
        );
    }

    #[test]
    fn what_is_no_object_is_nothing_of_ours() {
        for text in ["null", "[1,{}]", "\"x\"", "7", "-7", "0.5", "true"] {
            assert_eq!(read(text), Parameters::default(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_bounded(
            pairs in proptest::collection::vec((".{0,80}", ".{0,80}"), 0..80),
        ) {
            let pairs = pairs.into_iter().map(|(name, value)| {
                (format!("antiphon.{name}"), serde_json::Value::from(value))
            });
            let text = serde_json::Value::Object(pairs.collect()).to_string();
            let parameters = read(&text);
            for (name, _) in &parameters.wish.parameters {
                prop_assert!(Wish::is_name(name));
            }
            prop_assert!(parameters.wish.parameters.len() <= Wish::PARAMETERS_MAX);
            prop_assert!(parameters.ignored.len() as u64 <= parameters.ignored_count);
        }
    }
}
