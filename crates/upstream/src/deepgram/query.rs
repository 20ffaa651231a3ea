//! What goes into the address: the parameters, what a start's options mean in them, and how much of
//! a vocabulary the service takes.

use url::Url;

use call::audio::SAMPLE_RATE;
use call::start::{Phrase, Redaction, StreamOptions, StreamSpec};

use super::DeepgramConfig;
use crate::parameters::{Kind, Lists, Parameters, Row, Table};

pub(super) const MODEL: &str = "model";
const KEYTERM: &str = "keyterm";
const KEYWORDS: &str = "keywords";
const LANGUAGE: &str = "language";
const REDACT: &str = "redact";

/// The service refuses a stream with more keyterms, or with more tokens in all of them.
const KEYTERMS_MAX: usize = 100;
const KEYTERM_TOKENS_MAX: usize = 500;

/// How the service counts tokens is not documented; a token is hardly ever shorter.
const TOKEN_BYTES: usize = 2;

const PHRASE: Kind = Kind::Text { chars_max: 200 };
const NOT_PASSED_ON: Kind = Kind::Refused("gives results that would not be passed on");

/// All parameters of `/v1/listen`.
pub const PARAMETERS: Table = Table {
    service: "deepgram",
    lists: Lists::Repeated,
    rows: &[
        row(
            "callback",
            Kind::Refused("would send the transcripts elsewhere"),
        ),
        row(
            "callback_method",
            Kind::Refused("would send the transcripts elsewhere"),
        ),
        row(
            "channels",
            Kind::Refused("is 1: each party has a stream of its own"),
        ),
        row("detect_entities", NOT_PASSED_ON),
        row(
            "diarize",
            Kind::Refused("is not needed: each party has a stream of its own"),
        ),
        row(
            "diarize_model",
            Kind::Refused("is not needed: each party has a stream of its own"),
        ),
        row("dictation", Kind::Flag),
        row("encoding", Kind::Refused("has a setting of its own")),
        row(
            "endpointing",
            Kind::Either(&[
                Kind::OneOf(&["false"]),
                Kind::Whole {
                    min: 10,
                    max: 10_000,
                },
            ]),
        ),
        row("extra", NOT_PASSED_ON),
        row("filler_words", Kind::Flag),
        row("interim_results", Kind::Refused("follows from partials")),
        row(
            KEYTERM,
            Kind::List {
                of: &PHRASE,
                items_max: KEYTERMS_MAX,
            },
        ),
        row(
            KEYWORDS,
            Kind::List {
                of: &PHRASE,
                items_max: KEYTERMS_MAX,
            },
        ),
        row(LANGUAGE, Kind::Text { chars_max: 16 }),
        // It follows from whether a start allows that sound is kept, and may only be stricter.
        row("mip_opt_out", Kind::OneOf(&["true"])),
        row(MODEL, Kind::Text { chars_max: 64 }),
        row(
            "multichannel",
            Kind::Refused("is not needed: each party has a stream of its own"),
        ),
        row("no_delay", Kind::Flag),
        row("numerals", Kind::Flag),
        row("profanity_filter", Kind::Flag),
        row("punctuate", Kind::Flag),
        row(
            REDACT,
            Kind::List {
                of: &Kind::OneOf(&["aggressive_numbers", "numbers", "pci", "phi", "pii", "ssn"]),
                items_max: 6,
            },
        ),
        row(
            "replace",
            Kind::List {
                of: &PHRASE,
                items_max: 200,
            },
        ),
        row("sample_rate", Kind::Refused("is 8000")),
        row("search", NOT_PASSED_ON),
        row("smart_format", Kind::Flag),
        row(
            "tag",
            Kind::List {
                of: &Kind::Text { chars_max: 128 },
                items_max: 10,
            },
        ),
        row(
            "utterance_end_ms",
            Kind::Whole {
                min: 1000,
                max: 5000,
            },
        ),
        row("vad_events", NOT_PASSED_ON),
        row("version", Kind::Text { chars_max: 64 }),
    ],
};

/// The names of models that know `keywords` and not yet `keyterm` begin so.
const OLDER_MODELS: [&str; 14] = [
    "2-",
    "base",
    "conversationalai",
    "enhanced",
    "finance",
    "general",
    "meeting",
    "nova-2",
    "nova-general",
    "nova-medical",
    "nova-phonecall",
    "phonecall",
    "video",
    "voicemail",
];

const fn row(name: &'static str, kind: Kind) -> Row {
    Row { name, kind }
}

/// Where the socket of a stream is opened, and how many phrases of its vocabulary found no place.
pub(super) fn address(base: &Url, config: &DeepgramConfig, spec: &StreamSpec) -> (Url, usize) {
    let wished = PARAMETERS.wished(&spec.wish);
    let mut parameters = wished.over(config.parameters.clone());
    preset(&mut parameters, config, &spec.options);
    let vocabulary = &spec.options.vocabulary;
    let left_out = add_vocabulary(&mut parameters, vocabulary, config.vocabulary_max);
    let mut pairs = parameters.pairs(PARAMETERS.lists);
    pairs.sort_by_key(|(name, _)| *name);
    let mut url = base.clone();
    url.query_pairs_mut().extend_pairs(pairs);
    (url, left_out)
}

/// What follows from the start and from our own settings, where nobody set it otherwise.
fn preset(parameters: &mut Parameters, config: &DeepgramConfig, options: &StreamOptions) {
    parameters.preset(MODEL, config.model.clone());
    parameters.preset("encoding", config.encoding.as_str());
    parameters.preset("sample_rate", SAMPLE_RATE.to_string());
    parameters.preset("channels", "1");
    parameters.preset(LANGUAGE, options.language.clone());
    parameters.preset("smart_format", "true");
    // The service's own 10 ms make two utterances of a breath.
    parameters.preset("endpointing", "300");
    // The end of an utterance is found in interim results.
    if config.partials || parameters.has("utterance_end_ms") {
        parameters.preset("interim_results", "true");
    }
    if !options.audio_recording_allowed {
        parameters.preset("mip_opt_out", "true");
    }
    if !parameters.has(REDACT) && options.redaction != Redaction::Unredacted {
        let language = parameters.single(LANGUAGE).unwrap_or_default();
        let is_english = language
            .get(..2)
            .is_some_and(|tag| tag.eq_ignore_ascii_case("en"));
        // Entities are found in English only.
        let what: &[&str] = if is_english {
            &["pci", "ssn"]
        } else {
            &["numbers"]
        };
        parameters.add(REDACT, what.iter().map(|&what| what.to_owned()));
    }
}

/// Adds as many phrases as the service takes, first come first served.
fn add_vocabulary(parameters: &mut Parameters, vocabulary: &[Phrase], max: usize) -> usize {
    let model = parameters.single(MODEL).unwrap_or_default();
    let is_older = model == "nova" || OLDER_MODELS.iter().any(|older| model.starts_with(older));
    let name = match (parameters.has(KEYTERM), parameters.has(KEYWORDS)) {
        (true, _) => KEYTERM,
        (false, true) => KEYWORDS,
        (false, false) if is_older => KEYWORDS,
        (false, false) => KEYTERM,
    };
    let room = max.min(KEYTERMS_MAX.saturating_sub(parameters.count(name)));
    let mut tokens = 0;
    let phrases = vocabulary.iter().map(|phrase| phrase.phrase.reveal());
    let fitting: Vec<_> = phrases
        .take_while(|phrase| {
            tokens += phrase.len().div_ceil(TOKEN_BYTES);
            name == KEYWORDS || tokens <= KEYTERM_TOKENS_MAX
        })
        .take(room)
        // What follows a colon would be taken for a weight.
        .map(|phrase| match name {
            KEYWORDS => phrase.replace(':', " "),
            _ => phrase.clone(),
        })
        .collect();
    let left_out = vocabulary.len() - fitting.len();
    parameters.add(name, fitting);
    left_out
}
