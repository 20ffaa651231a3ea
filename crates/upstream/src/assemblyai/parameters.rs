//! The service's parameters, and which of them a stream is opened with: what is wished for it, what
//! is configured, and what its start and the rest of the configuration say in our own words.
//!
//! The service does not refuse a name that it does not know, so that a slip of the pen would be a
//! feature that is silently off. Here it is refused.

use url::form_urlencoded;

use call::start::{Redaction, StreamSpec};

use crate::parameters::{Kind, Lists, Parameters, Row, Table};
use crate::service::{BadParameter, LocateError, Retry};

/// All there are, with the names they have in the query of the socket's address.
pub const PARAMETERS: Table = Table {
    service: super::NAME,
    lists: Lists::Json,
    rows: ROWS,
};

/// The model for English, if none is configured.
pub(super) const ENGLISH: &str = "universal-streaming-english";

/// The model for all other languages, if none is configured.
pub(super) const MULTILINGUAL: &str = "universal-streaming-multilingual";

/// What is redacted if nothing else is configured: what a caller says to pay or to be known by.
pub(super) const POLICIES: [&str; 9] = [
    "account_number",
    "banking_information",
    "credit_card_cvv",
    "credit_card_expiration",
    "credit_card_number",
    "drivers_license",
    "passport_number",
    "password",
    "us_social_security_number",
];

const TERMS_MAX: usize = 100;
const TERM_CHARS_MAX: usize = 50;
/// Quotation marks and a comma, encoded.
const TERM_FRAME_BYTES: usize = 9;

const ENCODING: &str = "is set by what carries the sound, see `encoding`";
const OFF_TOPIC: &str = "asks for answers of a language model, which nothing here listens for";

const ROWS: &[Row] = &[
    row("agent_context", Kind::Text { chars_max: 1750 }),
    row("continuous_partials", Kind::Flag),
    row("customer_support_audio_capture", Kind::Flag),
    row("domain", Kind::OneOf(&["medical-v1"])),
    row("encoding", Kind::Refused(ENCODING)),
    row("end_of_turn_confidence_threshold", SHARE),
    row("filter_profanity", Kind::Flag),
    row("format_turns", Kind::Flag),
    row("formatted_finals", Kind::Flag),
    row("inactivity_timeout", Kind::Whole { min: 5, max: 3600 }),
    row("include_partial_turns", Kind::Flag),
    row("interruption_delay", Kind::Whole { min: 0, max: 1000 }),
    row(
        "keyterms_prompt",
        Kind::List {
            of: &Kind::Text {
                chars_max: TERM_CHARS_MAX,
            },
            items_max: TERMS_MAX,
        },
    ),
    row("language", Kind::Refused("is old: see `language_codes`")),
    row("language_code", Kind::Renamed("language_codes")),
    row(
        "language_codes",
        Kind::List {
            of: &Kind::OneOf(LANGUAGES),
            items_max: 10,
        },
    ),
    row("language_detection", Kind::Flag),
    row("llm_gateway", Kind::Refused(OFF_TOPIC)),
    row("max_speakers", Kind::Whole { min: 1, max: 10 }),
    row("max_turn_silence", MILLISECONDS),
    row(
        "min_end_of_turn_silence_when_confident",
        Kind::Renamed("min_turn_silence"),
    ),
    row("min_turn_silence", MILLISECONDS),
    row("mode", Kind::OneOf(MODES)),
    row("noise_suppression_model", Kind::Renamed("voice_focus")),
    row(
        "noise_suppression_threshold",
        Kind::Renamed("voice_focus_threshold"),
    ),
    row("previous_context_n_turns", Kind::Whole { min: 0, max: 100 }),
    row("prompt", Kind::Text { chars_max: 1750 }),
    row("redact_pii", Kind::Flag),
    row(
        "redact_pii_policies",
        Kind::List {
            of: &Kind::OneOf(ENTITIES),
            items_max: ENTITIES.len(),
        },
    ),
    row("redact_pii_sub", Kind::OneOf(&["entity_name", "hash"])),
    row("sample_rate", Kind::Refused("is 8000, as all sound here")),
    row("session_heartbeat", Kind::Flag),
    row("speaker_labels", Kind::Flag),
    row("speech_model", Kind::OneOf(MODELS)),
    row("token", Kind::Refused("is asked for, see `auth`")),
    row("turn_left_pad_ms", MILLISECONDS),
    row("vad_threshold", SHARE),
    row("voice_focus", Kind::OneOf(&["far-field", "near-field"])),
    row("voice_focus_threshold", SHARE),
    row("webhook_auth_header_name", Kind::Text { chars_max: 256 }),
    row("webhook_auth_header_value", Kind::Text { chars_max: 1024 }),
    row("webhook_url", Kind::Text { chars_max: 2048 }),
    row("word_finalization_max_wait_time", MILLISECONDS),
];

const SHARE: Kind = Kind::Fraction { min: 0.0, max: 1.0 };

const MILLISECONDS: Kind = Kind::Whole {
    min: 0,
    max: 60_000,
};

const MODELS: &[&str] = &[
    "u3-rt-agent",
    "u3-rt-pro",
    "u3-rt-pro-beta-1",
    "universal-3-5-pro",
    "universal-3-6",
    "universal-3-6-pro",
    "universal-3-7-preview",
    ENGLISH,
    MULTILINGUAL,
    "whisper-rt",
];

const MODES: &[&str] = &["balanced", "max_accuracy", "min_latency"];

/// What models with `language_codes` can be told to expect.
const LANGUAGES: &[&str] = &[
    "af", "ar", "ca", "da", "de", "en", "es", "et", "fa", "fi", "fr", "gl", "he", "hi", "it", "ja",
    "ko", "mr", "multi", "nl", "nn", "no", "pt", "ro", "ru", "sv", "tr", "ur", "vi", "xh", "yue",
    "zh", "zu",
];

/// What the model for several languages understands.
const MULTILINGUAL_LANGUAGES: [&str; 6] = ["de", "en", "es", "fr", "it", "pt"];

const ENTITIES: &[&str] = &[
    "account_number",
    "banking_information",
    "blood_type",
    "credit_card_cvv",
    "credit_card_expiration",
    "credit_card_number",
    "date",
    "date_interval",
    "date_of_birth",
    "drivers_license",
    "drug",
    "duration",
    "email_address",
    "event",
    "filename",
    "gender",
    "gender_sexuality",
    "healthcare_number",
    "injury",
    "ip_address",
    "language",
    "location",
    "location_address",
    "location_address_street",
    "location_city",
    "location_coordinate",
    "location_country",
    "location_state",
    "location_zip",
    "marital_status",
    "medical_condition",
    "medical_process",
    "money_amount",
    "nationality",
    "number_sequence",
    "occupation",
    "organization",
    "organization_medical_facility",
    "passport_number",
    "password",
    "person_age",
    "person_name",
    "phone_number",
    "physical_attribute",
    "political_affiliation",
    "religion",
    "sexuality",
    "statistics",
    "time",
    "url",
    "us_social_security_number",
    "username",
    "vehicle_id",
    "zodiac_sign",
];

/// What one stream is opened with.
pub(super) struct Asked {
    parameters: Parameters,
    /// The start's language, without its region: `en`.
    language: String,
    may_record: bool,
    /// Phrases of the vocabulary that the service does not take.
    pub(super) left_out: usize,
}

/// What the configuration says beside the parameters.
#[derive(Clone, Debug)]
pub(super) struct Presets {
    pub(super) parameters: Parameters,
    pub(super) partials: bool,
    pub(super) vocabulary_bytes_max: usize,
}

/// Reads parameters as they stand in a configuration, in a start or in what brings a call's media:
/// pairs of a name and a text, the text in JSON or a bare word.
pub fn read_parameters<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Parameters, BadParameter> {
    let parameters = PARAMETERS.read(pairs)?;
    let languages = parameters.items("language_codes");
    if languages.len() > 1 && languages.contains(&"multi") {
        return Err(BadParameter {
            name: "language_codes".to_owned(),
            what: "must be multi alone, or without it".to_owned(),
        });
    }
    Ok(parameters)
}

impl Asked {
    /// What is wished comes first, then what is configured, then what the start says.
    pub(super) fn of(presets: &Presets, spec: &StreamSpec) -> Self {
        let options = &spec.options;
        let language = options.language.split(['-', '_']).next();
        let mut asked = Self {
            parameters: PARAMETERS
                .wished(&spec.wish)
                .over(presets.parameters.clone()),
            language: language.unwrap_or_default().to_ascii_lowercase(),
            may_record: options.audio_recording_allowed,
            left_out: 0,
        };
        asked.choose_model();
        asked.redact(options.redaction);
        asked.parameters.preset("session_heartbeat", "true");
        if !presets.partials {
            asked.parameters.preset("include_partial_turns", "false");
        }
        let phrases = options.vocabulary.iter().map(|one| one.phrase.reveal());
        asked.boost(phrases, presets.vocabulary_bytes_max);
        asked
    }

    /// Why a socket cannot be opened with these.
    pub(super) fn refusal(&self) -> Option<LocateError> {
        let refused = |reason: String| {
            Some(LocateError {
                reason,
                retry: Retry::Session,
            })
        };
        if self.is_on("customer_support_audio_capture") && !self.may_record {
            let name = "customer_support_audio_capture";
            return refused(format!(
                "{name} keeps the sound at the service, which the start does not allow"
            ));
        }
        let (model, language) = (self.model(), self.language.as_str());
        let is_understood = match model {
            ENGLISH => language == "en",
            MULTILINGUAL => MULTILINGUAL_LANGUAGES.contains(&language),
            // It finds out by itself.
            "whisper-rt" => true,
            _ => LANGUAGES.contains(&language) || self.parameters.has("language_codes"),
        };
        if !is_understood {
            return refused(format!(
                "{model} does not understand the language of the start"
            ));
        }
        None
    }

    /// For the query of the address, to be encoded.
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        self.parameters.pairs(Lists::Json)
    }

    pub(super) fn model(&self) -> &str {
        self.parameters.single("speech_model").unwrap_or_default()
    }

    /// Whether the end of a turn comes twice, the second time formatted.
    pub(super) fn formats_turns(&self) -> bool {
        self.is_on("format_turns")
    }

    pub(super) fn redacts(&self) -> bool {
        self.is_on("redact_pii")
    }

    /// Whether guesses may be told. Only the ends of turns are redacted.
    pub(super) fn may_guess(&self) -> bool {
        !self.redacts() || self.is_on("include_partial_turns")
    }

    /// Whether the service ends a socket over which nothing comes.
    pub(super) fn times_out(&self) -> bool {
        self.parameters.has("inactivity_timeout")
    }

    fn is_on(&self, name: &str) -> bool {
        self.parameters.single(name) == Some("true")
    }

    /// The service's own choice changes from month to month.
    fn choose_model(&mut self) {
        let model = match self.language.as_str() {
            "en" => ENGLISH,
            _ => MULTILINGUAL,
        };
        self.parameters.preset("speech_model", model);
        match self.model() {
            ENGLISH | MULTILINGUAL => self.parameters.preset("format_turns", "true"),
            "whisper-rt" => {}
            _ if self.parameters.has("language_codes") => {}
            _ if LANGUAGES.contains(&self.language.as_str()) => {
                let language = self.language.clone();
                self.parameters.add("language_codes", [language]);
            }
            _ => {}
        }
    }

    /// A start that wants its text redacted gets it so, unless `redact_pii` itself says otherwise.
    /// Both texts are not to be had: the redacted one is the safe one.
    fn redact(&mut self, redaction: Redaction) {
        if redaction != Redaction::Unredacted {
            self.parameters.preset("redact_pii", "true");
        }
        if !self.redacts() {
            self.parameters.remove("redact_pii_policies");
            self.parameters.remove("redact_pii_sub");
        } else if !self.parameters.has("redact_pii_policies") {
            let policies = POLICIES.map(str::to_owned);
            self.parameters.add("redact_pii_policies", policies);
        }
    }

    /// As many phrases as the service takes and as fit into an address.
    fn boost<'a>(&mut self, phrases: impl Iterator<Item = &'a String>, bytes_max: usize) {
        let given = self.parameters.items("keyterms_prompt");
        let mut items = given.len();
        let mut bytes: usize = given.iter().map(|term| encoded(term)).sum();
        let mut terms = Vec::new();
        for phrase in phrases.map(|phrase| phrase.trim()) {
            if phrase.is_empty() || given.contains(&phrase) || terms.iter().any(|t| t == phrase) {
                continue;
            }
            let fits = phrase.chars().count() <= TERM_CHARS_MAX
                && items < TERMS_MAX
                && bytes + encoded(phrase) <= bytes_max;
            if fits {
                items += 1;
                bytes += encoded(phrase);
                terms.push(phrase.to_owned());
            } else {
                self.left_out += 1;
            }
        }
        if !terms.is_empty() {
            self.parameters.add("keyterms_prompt", terms);
        }
    }
}

/// How long a term is in an address.
fn encoded(term: &str) -> usize {
    let bytes = form_urlencoded::byte_serialize(term.as_bytes()).map(str::len);
    bytes.sum::<usize>() + TERM_FRAME_BYTES
}

const fn row(name: &'static str, kind: Kind) -> Row {
    Row { name, kind }
}
