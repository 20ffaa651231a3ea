//! Values that are one word of a few.

use upstream::service::BadParameter;
use upstream::{assemblyai, deepgram};

use crate::api::auth::Scope;

/// An enumeration whose variants have words.
pub trait Words: Copy + PartialEq + 'static {
    /// Every variant with its word, in alphabetical order.
    const ALL: &'static [(Self, &'static str)];

    /// The word of this one.
    fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(variant, _)| *variant == self)
            .map_or("", |(_, word)| word)
    }
}

/// A speech service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// AssemblyAI Streaming v3.
    AssemblyAi,
    /// ASAPP AutoTranscribe.
    AutoTranscribe,
    /// Deepgram's live transcription.
    Deepgram,
    /// A server that speaks the protocol of vosk-server.
    Vosk,
}

/// What a phrase of the vocabulary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// An address.
    Address,
    /// A company.
    Company,
    /// A currency.
    Currency,
    /// A name.
    Name,
    /// A number.
    Number,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// From which level on lines are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything but single frames.
    Debug,
    /// Faults of ours.
    Error,
    /// A call's beginning and its end.
    Info,
    /// Everything.
    Trace,
    /// Faults of others.
    Warn,
}

impl Words for Service {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::AssemblyAi, "assemblyai"),
        (Self::AutoTranscribe, "autotranscribe"),
        (Self::Deepgram, "deepgram"),
        (Self::Vosk, "vosk"),
    ];
}

impl Service {
    /// Whether it has these parameters, each a name and a text; which of them it does not have.
    pub fn check<'a>(
        self,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), BadParameter> {
        match self {
            Self::AssemblyAi => assemblyai::read_parameters(pairs).map(drop),
            Self::AutoTranscribe | Self::Vosk => {
                let bad = |(name, _): (&str, &str)| BadParameter {
                    name: name.to_owned(),
                    what: format!("is no parameter of {}", self.word()),
                };
                pairs
                    .into_iter()
                    .next()
                    .map_or(Ok(()), |pair| Err(bad(pair)))
            }
            Self::Deepgram => deepgram::read_parameters(pairs).map(drop),
        }
    }
}

impl Words for Category {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::Address, "address"),
        (Self::Company, "company"),
        (Self::Currency, "currency"),
        (Self::Name, "name"),
        (Self::Number, "number"),
    ];
}

impl Words for Scope {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::Admin, "admin"),
        (Self::Control, "control"),
        (Self::Export, "export"),
        (Self::Transcripts, "transcripts"),
    ];
}

impl Words for LogFormat {
    const ALL: &'static [(Self, &'static str)] = &[(Self::Json, "json"), (Self::Text, "text")];
}

impl Words for LogLevel {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::Debug, "debug"),
        (Self::Error, "error"),
        (Self::Info, "info"),
        (Self::Trace, "trace"),
        (Self::Warn, "warn"),
    ];
}
