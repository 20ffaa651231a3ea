//! What a session asks for, in its query and in `UpdateConfiguration`, by exact name. A name that
//! is not known is passed over, as the service does, and noted; a bad value of a known name is
//! refused.

use std::time::Duration;

use serde_json::{Map, Value};

use super::status;
use crate::service::ear::Encoding;

/// Models whose final turns are always formatted and come once.
const FORMATTING_MODELS: [&str; 6] = [
    "u3-rt-pro",
    "u3-pro",
    "u3-rt-pro-beta-1",
    "universal-3-5-pro",
    "universal-3-6",
    "universal-3-6-pro",
];

/// The model of a session that asks for none.
const MODEL: &str = "universal-streaming-english";

/// More terms in a `keyterms_prompt` are refused.
const KEYTERMS_MAX: usize = 100;

/// A longer term is passed over.
const KEYTERM_CHARS_MAX: usize = 50;

/// Names in a query, and what their values must be.
const PARAMETERS: [(&str, Kind); 43] = [
    ("acknowledge_silence", Kind::Flag),
    ("agent_context", Kind::Text),
    ("continuous_partials", Kind::Flag),
    ("customer_support_audio_capture", Kind::Flag),
    ("domain", Kind::OneOf(&["medical-v1"])),
    ("encoding", Kind::OneOf(&["pcm_s16le", "pcm_mulaw"])),
    ("end_of_turn_confidence_threshold", Kind::Share),
    ("filter_profanity", Kind::Flag),
    ("format_turns", Kind::Flag),
    ("inactivity_timeout", Kind::Whole(5, 3600)),
    ("include_partial_turns", Kind::Flag),
    ("interruption_delay", Kind::Whole(0, u64::MAX)),
    ("keyterms_prompt", Kind::List),
    ("language", Kind::Text),
    ("language_code", Kind::Text),
    ("language_codes", Kind::List),
    ("language_detection", Kind::Flag),
    ("llm_gateway", Kind::Object),
    ("max_speakers", Kind::Whole(1, 10)),
    ("max_turn_silence", Kind::Whole(0, u64::MAX)),
    (
        "min_end_of_turn_silence_when_confident",
        Kind::Whole(0, u64::MAX),
    ),
    ("min_turn_silence", Kind::Whole(0, u64::MAX)),
    (
        "mode",
        Kind::OneOf(&["max_accuracy", "balanced", "min_latency"]),
    ),
    ("noise_suppression_model", Kind::Text),
    ("noise_suppression_threshold", Kind::Share),
    ("previous_context_n_turns", Kind::Whole(0, u64::MAX)),
    ("prompt", Kind::Text),
    ("redact_pii", Kind::Flag),
    ("redact_pii_policies", Kind::List),
    ("redact_pii_sub", Kind::OneOf(&["hash", "entity_name"])),
    ("sample_rate", Kind::Whole(8000, 96_000)),
    ("session_heartbeat", Kind::Flag),
    ("speaker_labels", Kind::Flag),
    (
        "speaker_labels_revision_interval_ms",
        Kind::Whole(0, u64::MAX),
    ),
    (
        "speech_model",
        Kind::OneOf(&[
            "universal-streaming-english",
            "universal-streaming-multilingual",
            "whisper-rt",
            "u3-rt-pro",
            "u3-pro",
            "u3-rt-pro-beta-1",
            "universal-3-5-pro",
            "universal-3-6",
            "universal-3-6-pro",
        ]),
    ),
    ("token", Kind::Text),
    ("turn_left_pad_ms", Kind::Whole(0, u64::MAX)),
    ("vad_threshold", Kind::Share),
    ("voice_focus", Kind::OneOf(&["near-field", "far-field"])),
    ("voice_focus_threshold", Kind::Share),
    ("webhook_auth_header_name", Kind::Text),
    ("webhook_auth_header_value", Kind::Text),
    ("webhook_url", Kind::Text),
];

/// Names that may change while a session runs.
const CHANGEABLE: [&str; 15] = [
    "acknowledge_silence",
    "agent_context",
    "continuous_partials",
    "end_of_turn_confidence_threshold",
    "filter_profanity",
    "format_turns",
    "interruption_delay",
    "keyterms_prompt",
    "language_codes",
    "max_turn_silence",
    "min_turn_silence",
    "prompt",
    "session_heartbeat",
    "turn_left_pad_ms",
    "vad_threshold",
];

/// What a session asks for, as far as it changes what the service does.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parameters {
    pub(super) sample_rate: u64,
    pub(super) encoding: Encoding,
    pub(super) model: String,
    pub(super) format_turns: bool,
    pub(super) partials: bool,
    pub(super) heartbeat: bool,
    pub(super) language_detection: bool,
    pub(super) redact: bool,
    pub(super) inactivity_timeout: Option<Duration>,
    pub(super) keyterms: Vec<Value>,
    /// Names that are not known.
    pub(super) unknown: Vec<String>,
}

/// Something that is refused: the code and the words on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: u16,
    pub(super) error: String,
}

/// What a value must be.
#[derive(Clone, Copy)]
enum Kind {
    /// `true` or `false` in any case: the vendor's Python client writes `True`.
    Flag,
    /// JSON text.
    List,
    /// JSON text.
    Object,
    OneOf(&'static [&'static str]),
    /// From 0 to 1.
    Share,
    Text,
    Whole(u64, u64),
}

impl Parameters {
    /// Reads a query.
    pub(super) fn read(query: &[(String, String)]) -> Result<Self, Refusal> {
        let mut read = Self::default();
        for (name, value) in query {
            let Some(kind) = kind(name) else {
                read.unknown.push(name.clone());
                continue;
            };
            let Some(value) = kind.read(value) else {
                return Err(invalid(format!("{name} cannot be {value:?}")));
            };
            read.set(name, value)?;
        }
        if read.sample_rate == 0 {
            return Err(invalid("sample_rate is required".to_owned()));
        }
        Ok(read)
    }

    /// Reads an `UpdateConfiguration`; gives the names that are not known, or not changeable.
    pub(super) fn update(&mut self, fields: &Map<String, Value>) -> Result<Vec<String>, Refusal> {
        let mut unknown = Vec::new();
        for (name, value) in fields.iter().filter(|(name, _)| *name != "type") {
            match kind(name).filter(|_| CHANGEABLE.contains(&name.as_str())) {
                None => unknown.push(name.clone()),
                Some(kind) if kind.is(value) => self.set(name, value.clone())?,
                Some(_) => return Err(invalid(format!("{name} cannot be {value}"))),
            }
        }
        Ok(unknown)
    }

    /// Whether final turns come once, and formatted.
    pub(super) fn formats_always(&self) -> bool {
        FORMATTING_MODELS.contains(&self.model.as_str())
    }

    /// Milliseconds that so many bytes are long.
    pub(super) fn ms(&self, bytes: u64) -> f64 {
        let width = self.encoding.bytes_per_second() / 8000;
        (bytes * 1000) as f64 / (self.sample_rate * width) as f64
    }

    fn set(&mut self, name: &str, value: Value) -> Result<(), Refusal> {
        let on = value.as_bool().unwrap_or_default();
        match name {
            "encoding" if value == "pcm_mulaw" => self.encoding = Encoding::MuLaw,
            "format_turns" => self.format_turns = on,
            "inactivity_timeout" => {
                self.inactivity_timeout = value.as_u64().map(Duration::from_secs);
            }
            "include_partial_turns" => self.partials = on,
            "keyterms_prompt" => self.keyterms = keyterms(value)?,
            "language_detection" => self.language_detection = on,
            "redact_pii" => self.redact = on,
            "sample_rate" => self.sample_rate = value.as_u64().unwrap_or_default(),
            "session_heartbeat" => self.heartbeat = on,
            "speech_model" => self.model = value.as_str().unwrap_or(MODEL).to_owned(),
            _ => {}
        }
        Ok(())
    }
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            sample_rate: 0,
            encoding: Encoding::L16,
            model: MODEL.to_owned(),
            format_turns: false,
            partials: true,
            heartbeat: false,
            language_detection: false,
            redact: false,
            inactivity_timeout: None,
            keyterms: Vec::new(),
            unknown: Vec::new(),
        }
    }
}

impl Kind {
    /// A value of a query as JSON, if it is what it must be.
    fn read(self, text: &str) -> Option<Value> {
        let value = match self {
            Self::Flag => serde_json::from_str(&text.to_lowercase()).ok()?,
            Self::OneOf(_) | Self::Text => text.into(),
            Self::List | Self::Object | Self::Share | Self::Whole(..) => {
                serde_json::from_str(text).ok()?
            }
        };
        self.is(&value).then_some(value)
    }

    fn is(self, value: &Value) -> bool {
        match self {
            Self::Flag => value.is_boolean(),
            Self::List => value
                .as_array()
                .is_some_and(|list| list.iter().all(Value::is_string)),
            Self::Object => value.is_object(),
            Self::OneOf(all) => value.as_str().is_some_and(|value| all.contains(&value)),
            Self::Share => value
                .as_f64()
                .is_some_and(|share| (0.0..=1.0).contains(&share)),
            Self::Text => value.is_string(),
            Self::Whole(least, most) => value
                .as_u64()
                .is_some_and(|number| (least..=most).contains(&number)),
        }
    }
}

fn kind(name: &str) -> Option<Kind> {
    let found = PARAMETERS.iter().find(|(known, _)| *known == name);
    found.map(|(_, kind)| *kind)
}

fn keyterms(value: Value) -> Result<Vec<Value>, Refusal> {
    let Value::Array(mut terms) = value else {
        return Ok(Vec::new());
    };
    if terms.len() > KEYTERMS_MAX {
        return Err(invalid(format!(
            "keyterms_prompt has {} terms",
            terms.len()
        )));
    }
    let fits = |term: &Value| {
        term.as_str()
            .is_some_and(|term| term.chars().count() <= KEYTERM_CHARS_MAX)
    };
    terms.retain(fits);
    Ok(terms)
}

fn invalid(why: String) -> Refusal {
    Refusal {
        code: status::INVALID,
        error: format!("User Input Validation Error: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(query: &str) -> Result<Parameters, Refusal> {
        let query = url::form_urlencoded::parse(query.as_bytes());
        Parameters::read(&query.into_owned().collect::<Vec<_>>())
    }

    #[test]
    fn the_query_of_the_vendors_own_client_is_understood() {
        let read = read(
            "max_turn_silence=1280&format_turns=True&keyterms_prompt=%5B%22IEEE%22%2C+%22Jon+Snow\
             %22%5D&sample_rate=8000&encoding=pcm_mulaw&speech_model=universal-streaming-english\
             &inactivity_timeout=60",
        )
        .unwrap();
        assert!(read.format_turns && read.partials && !read.heartbeat && !read.formats_always());
        assert_eq!(read.keyterms, [json!("IEEE"), json!("Jon Snow")]);
        assert_eq!(read.encoding, Encoding::MuLaw);
        assert_eq!(read.inactivity_timeout, Some(Duration::from_secs(60)));
        assert_eq!(read.ms(400), 50.0);
        assert!(read.unknown.is_empty());
    }

    #[test]
    fn a_name_that_is_misspelt_is_passed_over_and_noted() {
        let read = read("sample_rate=8000&formatTurns=true&Encoding=pcm_mulaw").unwrap();
        assert!(!read.format_turns);
        assert_eq!(read.unknown, ["formatTurns", "Encoding"]);
        assert_eq!(read.ms(1600), 100.0);
    }

    #[test]
    fn a_bad_value_of_a_known_name_is_refused_by_name() {
        for bad in [
            "encoding=alaw",
            "format_turns=yes",
            "end_of_turn_confidence_threshold=1.5",
            "inactivity_timeout=4",
            "keyterms_prompt=IEEE",
            "keyterms_prompt=[1]",
            "max_turn_silence=-1",
            "max_turn_silence=1.5",
            "speech_model=best",
            "sample_rate=4000",
            "llm_gateway=[]",
        ] {
            let refusal = read(&format!("sample_rate=8000&{bad}")).unwrap_err();
            let name = bad.split('=').next().unwrap();
            assert_eq!(refusal.code, status::INVALID);
            assert!(refusal.error.contains(name), "{}", refusal.error);
        }
        let none = read("encoding=pcm_s16le").unwrap_err();
        assert!(none.error.ends_with("sample_rate is required"));
        let many = format!("sample_rate=8000&keyterms_prompt={}", json!(vec!["a"; 101]));
        assert!(read(&many).unwrap_err().error.contains("101 terms"));
    }

    #[test]
    fn an_update_changes_what_it_names_and_an_empty_list_is_not_an_absent_one() {
        let mut read = read("sample_rate=8000&keyterms_prompt=[\"a\"]").unwrap();
        let mut update = |fields: Value| read.update(fields.as_object().unwrap());
        assert_eq!(update(json!({"type": "UpdateConfiguration"})), Ok(vec![]));
        let fields = json!({"format_turns": true, "max_turn_silence": 900, "sample_rate": 16000});
        assert_eq!(update(fields), Ok(vec!["sample_rate".to_owned()]));
        assert!(update(json!({"max_turn_silence": "900"})).is_err());
        assert!(update(json!({"format_turns": "true"})).is_err());
        assert_eq!((read.format_turns, read.sample_rate), (true, 8000));
        assert_eq!(read.keyterms, [json!("a")]);
        let empty = json!({"keyterms_prompt": []});
        assert_eq!(read.update(empty.as_object().unwrap()), Ok(vec![]));
        assert!(read.keyterms.is_empty());
    }

    proptest! {
        #[test]
        fn whatever_the_query_it_is_read_or_refused(
            pairs in proptest::collection::vec((".{0,12}", ".{0,12}"), 0..6),
        ) {
            if let Ok(read) = Parameters::read(&pairs) {
                prop_assert!((8000..=96_000).contains(&read.sample_rate));
            }
        }
    }
}
