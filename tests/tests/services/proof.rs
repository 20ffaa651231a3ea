//! What was told of a call, and whether it is what had to be told.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rig::served::name;
use rig::told::of;
use rig::{World, phrase};
use serde_json::Value;
use sim::service::Protocol;

use crate::page;

/// How far a transcript may be from where its phrase was said.
const OFF_MS: u64 = 150;

/// The last sound of a phrase that was heard: where its final ends before the sound does.
const TAIL_MS: u64 = 250;

/// What a role's stream goes through, one word an event; a gap is its reason, unless it is a tail.
pub(crate) fn course(told: &[Value], role: &str) -> Vec<String> {
    let word = |event: &Value| {
        let by = event["role"]
            .as_str()
            .or_else(|| event["sender"]["role"].as_str());
        if by != Some(role) {
            return None;
        }
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        match event["type"].as_str()? {
            "gap" => Some(text("reason")).filter(|_| !is_tail(event)),
            "streamReady" => Some(text("service")),
            "bytesMismatch" => Some("mismatch".to_owned()),
            "streamDegraded" => Some("degraded".to_owned()),
            "streamEnded" => Some(format!("ended {}", event["status"]["code"])),
            "streamInterrupted" => Some("interrupted".to_owned()),
            "streamOpened" => Some("opened".to_owned()),
            _ => None,
        }
    };
    told.iter().filter_map(word).collect()
}

/// Fails unless a role's stream went through this.
pub(crate) fn assert_course(told: &[Value], role: &str, expected: &[&str]) {
    assert_eq!(course(told, role), expected, "{role}");
}

/// The final transcripts of a phrase.
pub(crate) fn heard<'a>(told: &'a [Value], id: &str) -> Vec<&'a Value> {
    let finals = of(told, "transcript", "").into_iter();
    finals
        .filter(|event| event["isFinal"] == true && is_of(event, id))
        .collect()
}

/// Whether a gap is but the last sound of a phrase.
pub(crate) fn is_tail(gap: &Value) -> bool {
    gap["reason"] == "unconfirmed" && length_ms(gap) <= TAIL_MS
}

/// Fails unless each phrase was told once, by who said it, where it was said.
pub(crate) fn assert_each_heard_once(
    told: &[Value],
    said: &[(&str, u64)],
    lost: &[(&str, u64, u64)],
    protocol: Protocol,
) {
    let mut times = BTreeMap::<&str, u64>::new();
    for (id, _) in said {
        *times.entry(id).or_default() += 1;
    }
    for (id, due_ms) in said {
        let events = heard(told, id);
        assert_eq!(events.len() as u64, times[id], "{id}: {events:?}");
        let role = phrase(id).role.as_str();
        for event in &events {
            assert_eq!(event["sender"]["role"], role, "{id}");
        }
        let starts: Vec<_> = events
            .iter()
            .map(|event| event["startMs"].as_u64().unwrap())
            .collect();
        assert!(
            starts.iter().any(|at| at.abs_diff(*due_ms) <= OFF_MS),
            "{}: {id} is told at {starts:?}, not at {due_ms} ms",
            name(protocol)
        );
    }
    if lost.is_empty() {
        let finals = of(told, "transcript", "").into_iter();
        let finals: Vec<_> = finals.filter(|event| event["isFinal"] == true).collect();
        assert_eq!(finals.len(), said.len(), "{finals:?}");
    }
}

/// Nobody heard it, and that was told.
pub(crate) fn assert_lost(told: &[Value], id: &str, (from_ms, to_ms): (u64, u64)) {
    assert!(heard(told, id).is_empty(), "{id} was heard");
    let role = phrase(id).role.as_str();
    let overlap = |gap: &&Value| {
        let to = to_ms.min(gap["toMs"].as_u64().unwrap());
        to.saturating_sub(from_ms.max(gap["fromMs"].as_u64().unwrap()))
    };
    let gaps = of(told, "gap", role);
    let covered: u64 = gaps.iter().map(overlap).sum();
    // The speaker may have paused for breath at either end.
    assert!(
        covered + 500 >= to_ms - from_ms,
        "{id}, {from_ms} to {to_ms} ms, is not in {gaps:?}"
    );
}

/// What is told as gaps is what the metric counts.
pub(crate) async fn assert_gaps_are_counted(world: &World, told: &[Value]) {
    let mut all = BTreeMap::<String, u64>::new();
    for gap in of(told, "gap", "") {
        let reason = gap["reason"].as_str().unwrap().to_owned();
        *all.entry(reason).or_default() += length_ms(gap);
    }
    for (reason, ms) in all {
        let series = format!("antiphon_upstream_gap_seconds_total{{reason=\"{reason}\"}}");
        let counted = world.metric(&series).await;
        let told = ms as f64 / 1e3;
        assert!(
            (counted - told).abs() < 0.01,
            "{reason}: {counted}, {told} told"
        );
    }
}

/// Nothing that was logged until now is private.
pub(crate) fn nothing_said_is_logged(guid: &str) {
    static READ: Mutex<usize> = Mutex::new(0);
    let lines = page::lines();
    assert!(lines.iter().any(|line| line.contains(guid)));
    // A story that fails here need not fail the others.
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    for line in lines.iter().skip(*read) {
        // No key is pressed in these stories: a digit by itself is an id.
        if let Some(leak) = page::leak(line).filter(|leak| leak.len() > 1) {
            panic!("{leak} is in the log: {line}");
        }
    }
    *read = lines.len();
}

/// How long a gap is, in milliseconds.
pub(crate) fn length_ms(gap: &Value) -> u64 {
    gap["toMs"].as_u64().unwrap() - gap["fromMs"].as_u64().unwrap()
}

fn is_of(event: &Value, id: &str) -> bool {
    let text = event["alternatives"][0]["text"]
        .as_str()
        .unwrap_or_default();
    let phrase = phrase(id);
    let forms = [
        phrase.text.to_string(),
        phrase.redacted(),
        phrase.spoken.to_string(),
    ];
    forms.iter().any(|form| plain(form) == plain(text))
}

/// What all services write alike.
fn plain(text: &str) -> String {
    let letters = text
        .chars()
        .filter(|letter| letter.is_alphanumeric() || *letter == '#');
    letters.flat_map(char::to_lowercase).collect()
}
