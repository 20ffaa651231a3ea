//! The bodies of the fuzz targets.

use call::private::Private;
use call::start::StreamOptions;

use super::dialect::AssemblyAiDialect;
use super::parameters::{Asked, PARAMETERS, Presets, read_parameters};
use super::{AssemblyAiConfig, Encoding};
use crate::example;
use crate::parameters::Parameters;
use crate::service::{Dialect, Heard};
use crate::timeline::TimeLine;

/// The body of the fuzz target: whatever a service sends over a socket, a message a line, it is
/// understood or refused, and each turn is told once.
pub fn fuzz(data: &[u8]) {
    let spec = example::stream(StreamOptions::default());
    let (Ok(text), Some(spec)) = (std::str::from_utf8(data), spec) else {
        return;
    };
    let presets = Presets {
        parameters: Parameters::default(),
        partials: true,
        vocabulary_bytes_max: 0,
    };
    let asked = Asked::of(&presets, &spec);
    let mut dialect = AssemblyAiDialect::new(Encoding::Linear, true, &asked, &spec);
    let (mut messages, mut finals) = (0, 0);
    let heard = text.lines().filter_map(|line| {
        messages += 1;
        dialect.hear(line).ok()
    });
    let told: Vec<_> = heard.collect();
    let left = dialect.leftover().map(Heard::Transcript);
    for heard in told.into_iter().chain(left) {
        if let Heard::Transcript(mut utterance) = heard {
            finals += u32::from(utterance.is_final);
            TimeLine::default().place(&mut utterance);
            assert!(
                utterance.start <= utterance.end,
                "an utterance ends before it begins"
            );
        }
    }
    assert!(finals <= messages, "a turn is told twice");
    assert_eq!(finals, dialect.told(), "a turn is not counted");
    dialect.closed(Some(3006), text);
}

/// The body of the fuzz target: whatever parameters are asked for, a name and a text a line with
/// `=` between, they are read or refused without repeating what they hold; and what is read makes
/// an address.
pub fn fuzz_parameters(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    match read_parameters(pairs) {
        Ok(parameters) => {
            let config = AssemblyAiConfig::new(Private::default());
            let mut url = config.base_url;
            let pairs = parameters.pairs(PARAMETERS.lists);
            url.query_pairs_mut().extend_pairs(&pairs);
            assert!(url.as_str().parse::<http::Uri>().is_ok(), "no address");
            // Within quotes nothing is trimmed, nor taken for JSON once more.
            let quoted = pairs
                .iter()
                .map(|(name, text)| match parameters.single(name) {
                    None => (*name, text.clone()),
                    Some(text) => (*name, serde_json::Value::from(text).to_string()),
                });
            let quoted: Vec<_> = quoted.collect();
            let again = quoted.iter().map(|(name, text)| (*name, text.as_str()));
            let again = read_parameters(again);
            assert_eq!(again.as_ref(), Ok(&parameters), "not as it was written");
        }
        Err(error) => assert!(error.name.chars().count() <= 64, "an endless name"),
    }
}
