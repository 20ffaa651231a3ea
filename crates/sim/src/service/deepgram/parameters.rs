//! The query of a session. A bad value is refused; a name that is none is ignored, and noted.

use crate::service::ear::Encoding;

/// Names that mean something to the service and nothing to us.
const OTHERS: [&str; 24] = [
    "callback",
    "callback_method",
    "channels",
    "detect_entities",
    "diarize",
    "diarize_model",
    "dictation",
    "endpointing",
    "extra",
    "filler_words",
    "language",
    "measurements",
    "mip_opt_out",
    "model",
    "multichannel",
    "no_delay",
    "numerals",
    "profanity_filter",
    "punctuate",
    "replace",
    "search",
    "tag",
    "utterances",
    "version",
];

/// What a session was asked to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Parameters {
    pub(super) encoding: Encoding,
    pub(super) sample_rate: u32,
    pub(super) interim_results: bool,
    pub(super) smart_format: bool,
    pub(super) vad_events: bool,
    /// After so much silence an `UtteranceEnd` is sent.
    pub(super) utterance_end_ms: Option<u64>,
    pub(super) redact: bool,
    /// `keyterm` and `keywords`.
    pub(super) keyterms: Vec<String>,
    pub(super) unknown: Vec<String>,
}

impl Parameters {
    /// Reads a query; which parameter is bad, if one is.
    pub(super) fn read(query: &[(String, String)]) -> Result<Self, String> {
        let mut read = Self::default();
        for (name, value) in query {
            read.take(name, value).ok_or_else(|| name.clone())?;
        }
        let needs_model = query.iter().any(|(name, _)| name == "keyterm");
        let has_model = query.iter().any(|(name, _)| name == "model");
        if read.sample_rate == 0 || (needs_model && !has_model) {
            return Err("sample_rate".to_owned());
        }
        Ok(read)
    }

    fn take(&mut self, name: &str, value: &str) -> Option<()> {
        let flag = || value.parse::<bool>().ok();
        match name {
            "encoding" => {
                self.encoding = match value {
                    "linear16" => Encoding::L16,
                    "mulaw" => Encoding::MuLaw,
                    _ => return None,
                }
            }
            "interim_results" => self.interim_results = flag()?,
            "keyterm" | "keywords" => self.keyterms.push(value.to_owned()),
            "redact" => self.redact = value != "false",
            "sample_rate" => self.sample_rate = value.parse().ok()?,
            "smart_format" => self.smart_format = flag()?,
            "utterance_end_ms" => {
                let ms = value.parse().ok().filter(|&ms| ms >= 1000)?;
                self.utterance_end_ms = Some(ms);
            }
            "vad_events" => self.vad_events = flag()?,
            name if OTHERS.contains(&name) => {}
            name => self.unknown.push(name.to_owned()),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Parameters, String> {
        let query: Vec<_> = url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        Parameters::read(&query)
    }

    #[test]
    fn a_query_is_read_and_what_is_none_is_noted() {
        let read = read(
            "encoding=mulaw&sample_rate=8000&model=nova-3&interim_results=true&keyterm=IEEE&\
             keyterm=Jon+Snow&redact=pci&smartformat=true&utterance_end_ms=1000",
        )
        .unwrap();
        let expected = Parameters {
            encoding: Encoding::MuLaw,
            sample_rate: 8000,
            interim_results: true,
            utterance_end_ms: Some(1000),
            redact: true,
            keyterms: vec!["IEEE".to_owned(), "Jon Snow".to_owned()],
            unknown: vec!["smartformat".to_owned()],
            ..Parameters::default()
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn a_bad_value_is_named() {
        for (query, name) in [
            ("sample_rate=8000&encoding=opera", "encoding"),
            ("sample_rate=8000&interim_results=yes", "interim_results"),
            ("sample_rate=8000&utterance_end_ms=10", "utterance_end_ms"),
            ("encoding=linear16", "sample_rate"),
        ] {
            assert_eq!(read(query), Err(name.to_owned()), "{query}");
        }
    }
}
