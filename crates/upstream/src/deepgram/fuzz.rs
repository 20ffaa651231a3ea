//! The bodies of the fuzz targets.

use call::private::Private;
use call::start::StreamOptions;
use call::transcript::Utterance;

use super::conversation::Conversation;
use super::{DeepgramConfig, PARAMETERS, message, query, read_parameters};
use crate::example::stream;
use crate::service::Heard;
use crate::timeline::TimeLine;

/// Whatever a service sends over a socket, a message a line, it is understood or refused, and no
/// final word is lost, told twice or told out of order.
pub fn fuzz(data: &[u8]) {
    let (Ok(text), Some(spec)) = (std::str::from_utf8(data), stream(StreamOptions::default()))
    else {
        return;
    };
    let config = DeepgramConfig::new(Private::default());
    let mut conversation = Conversation::new(&spec, &config);
    conversation.said();
    let (mut told, mut meant) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate() {
        match number % 7 {
            3 => conversation.asked(),
            6 => conversation.finish(),
            _ => {}
        }
        let Ok(heard) = conversation.hear(line) else {
            continue;
        };
        if let Ok(message::Told::Results(results)) = message::read(line, false) {
            let segment = results.segment.filter(|_| results.is_final);
            meant.extend(segment.map(|segment| segment.text));
        }
        if let Heard::Transcript(utterance) = heard {
            told.push(utterance);
        }
    }
    conversation.closed(Some(1011), text);
    told.extend(conversation.leftover());
    for utterance in &mut told {
        assert!(utterance.start <= utterance.end, "it ends before it begins");
        TimeLine::default().place(utterance);
    }
    let words = |utterance: &Utterance| utterance.alternatives[0].text.reveal().clone();
    let told: Vec<_> = told.iter().map(words).collect();
    let is_complete = told.join(" ") == meant.join(" ");
    assert!(is_complete, "a final word is lost or told twice");
}

/// Whatever parameters are asked for, a name and a text a line with `=` between, they are read or
/// refused without repeating what they hold; and what is read makes an address.
pub fn fuzz_parameters(data: &[u8]) {
    let (Ok(text), Some(spec)) = (std::str::from_utf8(data), stream(StreamOptions::default()))
    else {
        return;
    };
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    match read_parameters(pairs) {
        Ok(parameters) => {
            let config = DeepgramConfig {
                parameters,
                ..DeepgramConfig::new(Private::default())
            };
            let (url, _) = query::address(&config.base_url, &config, &spec);
            assert!(url.as_str().parse::<http::Uri>().is_ok(), "no address");
            for (name, _) in url.query_pairs() {
                let is_known = PARAMETERS.rows.iter().any(|row| row.name == name);
                assert!(is_known, "a parameter of nobody's");
            }
        }
        Err(error) => assert!(error.name.chars().count() <= 64, "an endless name"),
    }
}
