//! Reads the gateway's event stream of all calls, and sorts what it tells by stream.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::account::{Final, Gap, Told};
use crate::control::Gateway;

/// How long to wait before the event stream is asked for again.
const AGAIN: Duration = Duration::from_millis(100);

/// Reads until it is dropped.
pub(super) struct Witness {
    seen: Arc<Mutex<Seen>>,
    _reading: JoinSet<()>,
}

/// What was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// By stream id.
    pub(super) streams: HashMap<String, Told>,
    /// Calls that ended, by whose doing and why.
    pub(super) endings: BTreeMap<String, u64>,
    /// Sums over all legs that ended, in samples and frames, as their counters are called.
    pub(super) legs: BTreeMap<String, u64>,
    /// Streams that were cut off, each time.
    pub(super) interrupted: u64,
    /// Streams of which the service counted other bytes than were sent.
    pub(super) mismatches: u64,
    /// Events of other kinds, by kind.
    pub(super) others: BTreeMap<String, u64>,
    /// Events that nobody could read in time.
    pub(super) lost: u64,
}

impl Witness {
    /// Reads from now on, and writes what it reads to a file if one is wanted: a line an event.
    ///
    /// # Errors
    /// When the gateway has no event stream, or there can be no such file.
    pub(super) async fn of(gateway: &Gateway, file: Option<&Path>) -> anyhow::Result<Self> {
        let mut file = file.map(File::create).transpose()?;
        let mut events = gateway.events(None).await?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (gateway, noted) = (gateway.clone(), Arc::clone(&seen));
        let mut reading = JoinSet::new();
        reading.spawn(async move {
            let mut last_id = None;
            loop {
                while let Ok(Some(event)) = events.next().await {
                    last_id.clone_from(&event.id);
                    lock(&noted).note(&event.json());
                    // A full disk does not end a run.
                    drop(file.as_mut().map(|file| writeln!(file, "{}", event.data)));
                }
                events = loop {
                    sleep(AGAIN).await;
                    if let Ok(events) = gateway.events(last_id.as_deref()).await {
                        break events;
                    }
                };
            }
        });
        Ok(Self {
            seen,
            _reading: reading,
        })
    }

    /// Looks at what was told.
    pub(super) fn with<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&lock(&self.seen))
    }

    /// Waits until so many calls have ended, and these streams, which may take longer; false if
    /// they have not in time.
    pub(super) async fn ended(&self, calls: u64, streams: &[&String], within: Duration) -> bool {
        let all_have = |seen: &Seen| {
            let told = streams.iter().map(|stream| seen.streams.get(*stream));
            seen.ended() >= calls
                && told.flatten().filter(|told| told.ended.is_some()).count() == streams.len()
        };
        let wait = async {
            while !self.with(all_have) {
                sleep(AGAIN).await;
            }
        };
        timeout(within, wait).await.is_ok()
    }
}

impl Seen {
    /// Calls that ended.
    pub(super) fn ended(&self) -> u64 {
        self.endings.values().sum()
    }

    /// Stretches that were told as lost, pieces of one counted apart.
    pub(super) fn gaps(&self) -> u64 {
        let streams = self.streams.values();
        streams.map(|told| told.gaps.len() as u64).sum()
    }

    /// Of all legs that ended, in samples or frames.
    pub(super) fn legs(&self, counter: &str) -> u64 {
        self.legs.get(counter).copied().unwrap_or(0)
    }

    fn note(&mut self, event: &Value) {
        let number = |name: &str| event[name].as_u64().unwrap_or(0);
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let kind = text("type");
        match kind.as_str() {
            "transcript" if event["isFinal"] == true => {
                let said = event["alternatives"][0]["text"]
                    .as_str()
                    .unwrap_or_default();
                let told = Final {
                    start_ms: number("startMs"),
                    end_ms: number("endMs"),
                    text: said.to_owned(),
                };
                self.stream(event).finals.push(told);
            }
            "gap" => {
                let gap = Gap {
                    from_ms: number("fromMs"),
                    to_ms: number("toMs"),
                    reason: text("reason"),
                };
                self.stream(event).gaps.push(gap);
            }
            "streamEnded" => {
                let code = event["status"]["code"].as_u64().unwrap_or(0) as u16;
                self.stream(event).ended = Some(code);
            }
            "callEnded" => {
                let ending = format!("{}/{}", text("fault"), text("reason"));
                *self.endings.entry(ending).or_default() += 1;
            }
            "legEnded" => {
                for (name, value) in event["counters"].as_object().into_iter().flatten() {
                    let sum = self.legs.entry(name.clone()).or_default();
                    *sum += value.as_u64().unwrap_or(0);
                }
            }
            "bytesMismatch" => self.mismatches += 1,
            "lost" => self.lost += number("events").max(1),
            "streamInterrupted" => self.interrupted += 1,
            _ => *self.others.entry(kind).or_default() += 1,
        }
    }

    fn stream(&mut self, event: &Value) -> &mut Told {
        let id = event["streamId"].as_str().unwrap_or_default();
        self.streams.entry(id.to_owned()).or_default()
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_told_is_sorted_by_stream() {
        let mut seen = Seen::default();
        for event in [
            json!({"type": "transcript", "streamId": "a", "isFinal": true, "startMs": 10,
                "endMs": 20, "alternatives": [{"text": "Hello."}]}),
            json!({"type": "transcript", "streamId": "a", "isFinal": false, "startMs": 10,
                "endMs": 20, "alternatives": [{"text": "Hel"}]}),
            json!({"type": "gap", "streamId": "b", "role": "agent", "fromMs": 1, "toMs": 3,
                "reason": "outage"}),
            json!({"type": "streamEnded", "streamId": "b", "status": {"code": 1000}}),
            json!({"type": "callEnded", "fault": "client", "reason": "stopped"}),
            json!({"type": "legEnded", "side": "first", "counters": {"received": 160, "late": 0}}),
            json!({"type": "legEnded", "side": "second", "counters": {"received": 320}}),
            json!({"type": "lost", "reason": "restarted"}),
        ] {
            seen.note(&event);
        }
        assert_eq!(seen.streams["a"].finals.len(), 1);
        assert_eq!(seen.streams["a"].finals[0].text, "Hello.");
        let gap = &seen.streams["b"].gaps[0];
        assert_eq!((gap.from_ms, gap.to_ms, &*gap.reason), (1, 3, "outage"));
        assert_eq!(seen.streams["b"].ended, Some(1000));
        assert_eq!((seen.ended(), seen.endings["client/stopped"]), (1, 1));
        assert_eq!((seen.legs("received"), seen.lost), (480, 1));
        assert_eq!(seen.others["transcript"], 1);
    }
}
