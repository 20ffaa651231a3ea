//! What is known of a gateway: its calls, legs and streams, and what was said last. Members that
//! a gateway does not send are taken as nothing.

use std::collections::VecDeque;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::caller::millis;
use crate::report::{Table, count};

/// Lines kept of what was said and of what happened.
const LINES_MAX: usize = 200;

/// A picture of a gateway.
#[derive(Clone, Debug, Default)]
pub struct Board {
    calls: Vec<Call>,
    lines: VecDeque<Line>,
    trouble: Option<String>,
}

/// One thing that was said or happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) guid: String,
    pub(super) kind: Kind,
    pub(super) text: String,
    /// The stream of a transcript that may still change.
    partial: Option<String>,
}

/// What kind of line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Agent,
    Customer,
    Event,
    Warning,
}

/// A call.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Call {
    pub(super) guid: String,
    pub(super) state: String,
    pub(super) legs: Vec<Leg>,
    pub(super) streams: Vec<Stream>,
}

/// One side's sound.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Leg {
    id: u64,
    pub(super) side: String,
    role: Option<String>,
    pub(super) gate: String,
    pub(super) counters: Counters,
}

/// Samples, unless the name says otherwise.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Counters {
    frames: u64,
    received: u64,
    passed: u64,
    filled: u64,
    gated: u64,
    late: u64,
    peak: u16,
}

/// One upstream stream.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Stream {
    leg: Option<u64>,
    state: String,
    sent_bytes: u64,
    transcripts: u64,
    waiting_samples: u64,
}

/// One row of the table of legs.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) guid: String,
    pub(super) state: String,
    pub(super) leg: String,
    pub(super) gate: String,
    /// 0 to 1, on a logarithmic scale.
    pub(super) level: f64,
    pub(super) cells: [String; 8],
}

/// The heads of [`Row::cells`].
pub(super) const CELLS: [&str; 8] = [
    "frames", "received", "passed", "gated", "filled", "stream", "sent", "said",
];

impl Board {
    /// Takes an answer of `GET /v1/calls`.
    pub fn refresh(&mut self, body: &Value) {
        let calls = body["calls"].as_array().cloned().unwrap_or_default();
        let calls = calls
            .into_iter()
            .filter_map(|call| serde_json::from_value(call).ok());
        self.calls = calls.collect();
        self.trouble = None;
    }

    /// Takes the data of an event.
    pub fn tell(&mut self, event: &Value) {
        let Some(line) = Line::of(event) else { return };
        let stream = event["streamId"].as_str();
        if event["type"] == "transcript" {
            self.lines
                .retain(|line| line.partial.is_none() || line.partial.as_deref() != stream);
        }
        self.lines.push_back(line);
        while self.lines.len() > LINES_MAX {
            self.lines.pop_front();
        }
    }

    /// The gateway cannot be asked.
    pub fn trouble(&mut self, why: String) {
        self.trouble = Some(why);
    }

    pub(super) fn trouble_text(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn lines(&self) -> &VecDeque<Line> {
        &self.lines
    }

    /// One row a leg; a call without legs has one of its own.
    pub(super) fn rows(&self) -> Vec<Row> {
        let rows = self.calls.iter().flat_map(|call| {
            let bare = call.legs.is_empty().then(|| Row::of(call, &Leg::default()));
            bare.into_iter()
                .chain(call.legs.iter().map(|leg| Row::of(call, leg)))
        });
        rows.collect()
    }
}

impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["call", "state", "leg", "gate", "level"]
            .into_iter()
            .chain(CELLS);
        let mut table = Table::new(heads);
        for row in self.rows() {
            let level = format!("{:.0} %", row.level * 100.0);
            table.row(
                [row.guid, row.state, row.leg, row.gate, level]
                    .into_iter()
                    .chain(row.cells),
            );
        }
        writeln!(f, "{} calls", self.calls.len())?;
        write!(f, "{table}")
    }
}

impl Row {
    fn of(call: &Call, leg: &Leg) -> Self {
        let Counters {
            frames,
            received,
            passed,
            filled,
            gated,
            late,
            peak,
        } = leg.counters;
        let stream = call
            .streams
            .iter()
            .rev()
            .find(|stream| stream.leg == Some(leg.id));
        let stream = stream.cloned().unwrap_or_default();
        let waiting = match stream.waiting_samples {
            0 => String::new(),
            samples => format!(" +{} ms", millis(samples)),
        };
        Self {
            guid: call.guid.clone(),
            state: call.state.clone(),
            leg: leg.role.clone().unwrap_or_else(|| leg.side.clone()),
            gate: leg.gate.clone(),
            level: level(peak),
            cells: [
                count(frames),
                seconds(received),
                seconds(passed),
                seconds(gated),
                seconds(filled + late),
                format!("{}{waiting}", stream.state),
                format!("{} kB", count(stream.sent_bytes / 1_000)),
                count(stream.transcripts),
            ],
        }
    }
}

impl Line {
    fn of(event: &Value) -> Option<Self> {
        let guid = event["call"]["guid"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let kind = event["type"].as_str()?;
        if kind == "transcript" {
            return Some(Self::said(guid, event));
        }
        let warns = ["bytesMismatch", "gap", "lost", "streamInterrupted", "cut"].contains(&kind);
        Some(Self {
            guid,
            kind: if warns { Kind::Warning } else { Kind::Event },
            text: format!("{kind} {}", details(event)).trim_end().to_owned(),
            partial: None,
        })
    }

    fn said(guid: String, event: &Value) -> Self {
        let alternatives = event["alternatives"].as_array();
        let text = alternatives
            .and_then(|all| all.first())
            .map_or("", |first| first["text"].as_str().unwrap_or_default());
        let is_final = event["isFinal"].as_bool().unwrap_or(true);
        let stream = event["streamId"].as_str().unwrap_or_default().to_owned();
        Self {
            guid,
            kind: if event["sender"]["role"] == "agent" {
                Kind::Agent
            } else {
                Kind::Customer
            },
            text: if is_final {
                text.to_owned()
            } else {
                format!("{text}…")
            },
            partial: (!is_final).then_some(stream),
        }
    }
}

/// The members that an event of this kind adds, but for nested ones.
fn details(event: &Value) -> String {
    let known = ["at", "call", "id", "streamId", "type"];
    let members = event.as_object().into_iter().flatten();
    let told = members.filter(|(name, value)| {
        !known.contains(&name.as_str()) && !value.is_object() && !value.is_array()
    });
    let told = told.map(|(name, value)| match value {
        Value::String(text) => format!("{name}={text}"),
        other => format!("{name}={other}"),
    });
    told.collect::<Vec<_>>().join(" ")
}

/// Full scale is 1, 60 dB below it 0.
fn level(peak: u16) -> f64 {
    if peak == 0 {
        return 0.0;
    }
    let decibels = 20.0 * (f64::from(peak) / 32_768.0).log10();
    (1.0 + decibels / 60.0).clamp(0.0, 1.0)
}

fn seconds(samples: u64) -> String {
    format!("{:.2} s", millis(samples) as f64 / 1_000.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn transcript(is_final: bool, text: &str) -> Value {
        json!({
            "id": "1-2", "at": "2026-01-01T00:00:00.000Z", "type": "transcript",
            "call": {"namespace": "twilio", "guid": "CA1"}, "streamId": "s1",
            "sender": {"role": "agent", "externalId": "a"}, "isFinal": is_final,
            "startMs": 0, "endMs": 900, "alternatives": [{"text": text}]
        })
    }

    #[test]
    fn a_leg_is_shown_with_its_stream() {
        let mut board = Board::default();
        board.refresh(&json!({"calls": [{
            "namespace": "twilio", "guid": "CA1", "state": "streaming", "beganAt": "…",
            "legs": [{"id": 4, "side": "first", "role": "customer", "gate": "open",
                      "counters": {"frames": 1500, "received": 240000, "passed": 232000,
                                   "gated": 8000, "peak": 32768}}],
            "streams": [{"streamId": "s1", "role": "customer", "leg": 4, "state": "ready",
                         "sentBytes": 464000, "transcripts": 3, "waitingSamples": 800}]
        }]}));
        let text = board.to_string();
        let row = text.lines().nth(3).unwrap();
        let words: Vec<&str> = row.split_whitespace().collect();
        let expected = "CA1 streaming customer open 100 % 1,500 30.00 s 29.00 s 1.00 s 0.00 s \
                        ready +100 ms 464 kB 3";
        assert_eq!(words, expected.split_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn missing_members_are_nothing() {
        let mut board = Board::default();
        board.refresh(&json!({"calls": [{"guid": "CA1"}, 7]}));
        assert_eq!((board.calls(), board.rows().len()), (1, 1));
        board.refresh(&json!(null));
        assert_eq!(board.calls(), 0);
    }

    #[test]
    fn a_final_transcript_takes_the_place_of_its_partials() {
        let mut board = Board::default();
        board.tell(&transcript(false, "how"));
        board.tell(&transcript(false, "how may"));
        assert_eq!(board.lines()[0].text, "how may…");
        board.tell(&transcript(true, "How may I help?"));
        let said: Vec<&str> = board
            .lines()
            .iter()
            .map(|line| line.text.as_str())
            .collect();
        assert_eq!(said, ["How may I help?"]);
        assert_eq!(board.lines()[0].kind, Kind::Agent);
    }

    #[test]
    fn events_are_told_with_their_plain_members() {
        let mut board = Board::default();
        board.tell(
            &json!({"type": "gap", "call": {"guid": "CA1"}, "streamId": "s", "fromMs": 1,
                           "toMs": 3, "reason": "overflow", "role": "agent"}),
        );
        let line = &board.lines()[0];
        assert_eq!(
            (line.kind, line.text.as_str()),
            (
                Kind::Warning,
                "gap fromMs=1 reason=overflow role=agent toMs=3"
            )
        );
        board.tell(&json!("nonsense"));
        assert_eq!(board.lines().len(), 1);
    }

    #[test]
    fn the_level_is_logarithmic() {
        assert_eq!((level(0), level(32_768), level(1)), (0.0, 1.0, 0.0));
        assert!((level(1_036) - 0.5).abs() < 0.01);
    }
}
