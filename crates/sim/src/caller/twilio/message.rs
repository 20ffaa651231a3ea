//! The JSON texts of Media Streams, written as Twilio writes them.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Which of a call's two directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// What Twilio receives from the leg that is streamed.
    Inbound,
    /// What Twilio plays to it.
    Outbound,
}

impl Side {
    /// Both, in the order in which Twilio lists them.
    pub const BOTH: [Self; 2] = [Self::Inbound, Self::Outbound];

    /// `media.track`.
    pub fn track(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// Whether counters are JSON strings, as Twilio's are, or numbers, as lookalikes send them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counters {
    /// `"sequenceNumber":2`.
    Numbers,
    /// `"sequenceNumber":"2"`.
    #[default]
    Strings,
}

/// The identifiers that a stream's messages repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sids {
    /// `AC…`.
    pub account: String,
    /// `CA…`: the guid of the control API.
    pub call: String,
    /// `MZ…`, new with every socket.
    pub stream: String,
}

/// One `media` message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media<'a> {
    /// Its direction.
    pub side: Side,
    /// `sequenceNumber`: shared by all messages of the socket.
    pub sequence: u64,
    /// `media.chunk`: counts this track's messages from 1.
    pub chunk: u64,
    /// `media.timestamp` in milliseconds since the stream began.
    pub timestamp_ms: u64,
    /// μ-law without a header.
    pub payload: &'a [u8],
}

/// Writes messages of one stream.
#[derive(Clone, Debug)]
pub struct Writer {
    counters: Counters,
    sids: Sids,
    /// The stream's id as a JSON string: every message repeats it.
    stream: String,
}

/// The first message of every socket.
pub const CONNECTED: &str = r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#;

impl Writer {
    /// A writer for the stream with these identifiers.
    pub fn new(sids: Sids, counters: Counters) -> Self {
        Self {
            counters,
            stream: quoted(&sids.stream),
            sids,
        }
    }

    /// Whose messages these are.
    pub fn sids(&self) -> &Sids {
        &self.sids
    }

    /// `start`, with the tracks that will follow and the `<Parameter>`s of the TwiML.
    pub fn start(&self, sequence: u64, sides: &[Side], parameters: &[(String, String)]) -> String {
        let tracks: Vec<String> = sides.iter().map(|side| quoted(side.track())).collect();
        let parameters: Vec<String> = parameters
            .iter()
            .map(|(name, value)| format!("{}:{}", quoted(name), quoted(value)))
            .collect();
        format!(
            concat!(
                r#"{{"event":"start","sequenceNumber":{sequence},"start":"#,
                r#"{{"accountSid":{account},"#,
                r#""streamSid":{stream},"callSid":{call},"tracks":[{tracks}],"mediaFormat":"#,
                r#"{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}},"#,
                r#""customParameters":{{{parameters}}}}},"streamSid":{stream}}}"#
            ),
            sequence = self.counter(sequence),
            account = quoted(&self.sids.account),
            call = quoted(&self.sids.call),
            stream = self.stream,
            tracks = tracks.join(","),
            parameters = parameters.join(","),
        )
    }

    /// `media`, appended to a text that may be reused.
    pub fn media(&self, media: &Media<'_>, out: &mut String) {
        let quote = self.quote();
        // Writing to a `String` cannot fail.
        let written = write!(
            out,
            concat!(
                r#"{{"event":"media","sequenceNumber":{q}{sequence}{q},"#,
                r#""media":{{"track":"{track}","#,
                r#""chunk":{q}{chunk}{q},"timestamp":{q}{timestamp}{q},"payload":""#
            ),
            q = quote,
            sequence = media.sequence,
            track = media.side.track(),
            chunk = media.chunk,
            timestamp = media.timestamp_ms,
        );
        debug_assert!(written.is_ok());
        STANDARD.encode_string(media.payload, out);
        out.push_str(r#""},"streamSid":"#);
        out.push_str(&self.stream);
        out.push('}');
    }

    /// `dtmf`; its track is spelled differently from that of `media`.
    pub fn dtmf(&self, sequence: u64, digit: char) -> String {
        format!(
            concat!(
                r#"{{"event":"dtmf","streamSid":{},"sequenceNumber":{},"#,
                r#""dtmf":{{"track":"inbound_track","digit":{}}}}}"#
            ),
            self.stream,
            self.counter(sequence),
            quoted(&digit.to_string()),
        )
    }

    /// `mark`.
    pub fn mark(&self, sequence: u64, name: &str) -> String {
        format!(
            r#"{{"event":"mark","sequenceNumber":{},"streamSid":{},"mark":{{"name":{}}}}}"#,
            self.counter(sequence),
            self.stream,
            quoted(name),
        )
    }

    /// `stop`: the stream was stopped, or the call is over.
    pub fn stop(&self, sequence: u64) -> String {
        format!(
            concat!(
                r#"{{"event":"stop","sequenceNumber":{},"streamSid":{},"#,
                r#""stop":{{"accountSid":{},"callSid":{}}}}}"#
            ),
            self.counter(sequence),
            self.stream,
            quoted(&self.sids.account),
            quoted(&self.sids.call),
        )
    }

    fn quote(&self) -> &'static str {
        match self.counters {
            Counters::Numbers => "",
            Counters::Strings => "\"",
        }
    }

    fn counter(&self, value: u64) -> String {
        let quote = self.quote();
        format!("{quote}{value}{quote}")
    }
}

/// A JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::caller::ulaw;

    fn writer(counters: Counters) -> Writer {
        let sids = Sids {
            account: "AC1".into(),
            call: "CA1".into(),
            stream: "MZ1".into(),
        };
        Writer::new(sids, counters)
    }

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    /// The first frame of the session that Twilio published.
    const CAPTURED: &str = concat!(
        "6/jk2NbZ3uXj5Oz+bmhiYnD07+XWy8bIzdjg6mpNPzk3Nzc2Njg/UXXl2s7Cu7u+xcnLzdr7aGp98/94",
        "++PTztXc3NfV3PRnYGNhXVtfe9vMxcXJzM/X81JAOjY0MjEwMzlDVX3dzsK6tre8wsfK0OxdVFtx/nZw",
        "89fMzNLb3NPS3v5kYXZvXl5q3snBvb3BxsrYakY3Ly0sKysrLjZCZA==",
    );

    #[test]
    fn a_media_message_is_the_captured_one() {
        let payload = STANDARD.decode(CAPTURED).unwrap();
        let media = Media {
            side: Side::Inbound,
            sequence: 2,
            chunk: 1,
            timestamp_ms: 52,
            payload: &payload,
        };
        let mut text = String::new();
        writer(Counters::Strings).media(&media, &mut text);
        assert_eq!(
            text,
            format!(
                concat!(
                    r#"{{"event":"media","sequenceNumber":"2","media":{{"track":"inbound","#,
                    r#""chunk":"1","#,
                    r#""timestamp":"52","payload":"{}"}},"streamSid":"MZ1"}}"#
                ),
                CAPTURED
            )
        );
    }

    #[test]
    fn the_captured_frame_is_made_of_the_samples_that_an_independent_decoder_found() {
        let payload = STANDARD.decode(CAPTURED).unwrap();
        let samples: Vec<i16> = payload
            .iter()
            .take(8)
            .map(|&code| ulaw::decode(code))
            .collect();
        assert_eq!(samples, [196, 56, 308, 620, 684, 588, 428, 292]);
    }

    #[test]
    fn start_has_the_captured_shape() {
        let parameters = [("queue".to_owned(), "a \"b\"".to_owned())];
        let text = writer(Counters::Strings).start(1, &Side::BOTH, &parameters);
        assert_eq!(
            parsed(&text),
            json!({
                "event": "start", "sequenceNumber": "1", "streamSid": "MZ1",
                "start": {
                    "accountSid": "AC1", "streamSid": "MZ1", "callSid": "CA1",
                    "tracks": ["inbound", "outbound"],
                    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                    "customParameters": {"queue": "a \"b\""}
                }
            })
        );
    }

    #[test]
    fn lookalikes_send_numbers() {
        let media = Media {
            side: Side::Outbound,
            sequence: 7,
            chunk: 3,
            timestamp_ms: 92,
            payload: &[],
        };
        let mut text = String::new();
        writer(Counters::Numbers).media(&media, &mut text);
        assert_eq!(
            parsed(&text),
            json!({
                "event": "media", "sequenceNumber": 7, "streamSid": "MZ1",
                "media": {"track": "outbound", "chunk": 3, "timestamp": 92, "payload": ""}
            })
        );
    }

    #[test]
    fn the_small_messages_have_their_documented_shapes() {
        let writer = writer(Counters::Strings);
        assert_eq!(
            parsed(&writer.dtmf(5, '#')),
            json!({"event": "dtmf", "streamSid": "MZ1", "sequenceNumber": "5",
                   "dtmf": {"track": "inbound_track", "digit": "#"}})
        );
        assert_eq!(
            parsed(&writer.mark(6, "m")),
            json!({"event": "mark", "streamSid": "MZ1", "sequenceNumber": "6",
                   "mark": {"name": "m"}})
        );
        assert_eq!(
            parsed(&writer.stop(7)),
            json!({"event": "stop", "streamSid": "MZ1", "sequenceNumber": "7",
                   "stop": {"accountSid": "AC1", "callSid": "CA1"}})
        );
        assert_eq!(
            parsed(CONNECTED),
            json!({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        );
    }
}
