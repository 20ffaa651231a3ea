//! Values that are one word of a few.

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
    /// ASAPP AutoTranscribe.
    AutoTranscribe,
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
    const ALL: &'static [(Self, &'static str)] = &[(Self::AutoTranscribe, "autotranscribe")];
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
