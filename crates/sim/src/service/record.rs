//! What a service got, and when.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::settings::Keep;
use crate::changes;
use crate::hearing::Heard;
use crate::speech::Role;

pub use super::autotranscribe::start::{RedactionOutput, StartStream};

/// REST calls that are remembered.
const ASKED_MAX: usize = 100_000;

/// WebSockets that are remembered, open or refused.
const KNOCKS_MAX: usize = 100_000;

/// Complaints about one stream that are remembered, and faults that happened to it.
const COMPLAINTS_MAX: usize = 100;

/// Bytes of one stream's text messages that are remembered.
const SAID_BYTES_MAX: usize = 1 << 20;

/// One stream, from its connection on. A record of many facts, all of which some test wants.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// What the service called it.
    pub stream_id: String,
    /// What the client called the call; AutoTranscribe: the `externalId` of the REST call.
    pub external_id: Option<String>,
    /// The query of the WebSocket's URL, without tokens and keys.
    pub query: Vec<(String, String)>,
    /// Names in the query that the service does not know, and passes over.
    pub unknown_parameters: Vec<String>,
    /// The text messages, in order, as many as are kept.
    pub said: Vec<String>,
    /// AutoTranscribe's `startStream`, once it was accepted.
    pub start: Option<StartStream>,
    /// The first message as it came, where it says how to go on.
    pub start_json: Option<serde_json::Value>,
    /// All words and phrases the client wants to be listened for, as they came.
    pub vocabulary: Vec<serde_json::Value>,
    /// Bytes of sound between the beginning and the end.
    pub audio_bytes: u64,
    /// Samples these bytes stand for.
    pub audio_samples: u64,
    /// Bytes of sound after the end, which are dropped.
    pub late_bytes: u64,
    /// Binary messages.
    pub messages: u64,
    /// SHA-256 of the sound as it came, in hexadecimal, once the stream is over.
    pub sha256: Option<String>,
    /// The sound, as much of it as is kept.
    pub samples: Vec<i16>,
    /// When binary messages came and how many samples there were with each, as many as are kept.
    pub arrivals: Vec<(Instant, u64)>,
    /// How far the sound was ahead of the clock at most, counted from its first message.
    pub ahead_max: Duration,
    /// What was heard.
    pub transcripts: Vec<Transcript>,
    /// What the client did that it should not.
    pub complaints: Vec<String>,
    /// What goes wrong on purpose, from when that is decided, as the switches are called:
    /// `close:1011`.
    pub faults: Vec<String>,
    /// When the WebSocket opened.
    pub opened_at: Instant,
    /// When the stream began: with the `startStream` where there is one.
    pub started_at: Option<Instant>,
    /// When the first sound came.
    pub first_audio_at: Option<Instant>,
    /// When the client said that it was the end.
    pub finished_at: Option<Instant>,
    /// When the connection was gone.
    pub closed_at: Option<Instant>,
    /// The status code of the last message, once it was sent; 1000 is a good end.
    pub final_code: Option<u16>,
    /// Who speaks, as far as it is known.
    pub(super) speaker: Option<Role>,
}

/// One utterance as it was heard and sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Transcript {
    /// From the beginning of the stream's sound.
    pub start_ms: u64,
    /// From the beginning of the stream's sound.
    pub end_ms: u64,
    /// The first alternative.
    pub text: String,
    /// The phrase that was heard, whoever's it is; `None` for nonsense.
    pub phrase: Option<Arc<str>>,
    /// When it was heard.
    pub at: Instant,
}

/// One REST call.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its `externalId`.
    pub external_id: Option<String>,
    /// The HTTP status of the answer.
    pub status: u16,
    /// When it came.
    pub at: Instant,
}

/// One WebSocket that somebody wanted to open.
#[derive(Clone, Debug)]
pub struct Knock {
    /// The HTTP status of the answer; 101 opened it.
    pub status: u16,
    /// The close code, if it was opened only to be closed.
    pub closed: Option<u16>,
    /// What was done to it on purpose, as the switch is called: `upgrade:503`.
    pub fault: Option<String>,
    /// When it was answered.
    pub at: Instant,
}

/// The records of a service.
#[derive(Debug)]
pub(super) struct Records {
    keep: Keep,
    streams: Mutex<Vec<Recorded>>,
    asked: Mutex<Vec<Asked>>,
    knocks: Mutex<Vec<Knock>>,
    changed: Notify,
}

impl Recorded {
    /// Who speaks, once it is known: because a message said so, or because a phrase was heard.
    pub fn role(&self) -> Option<Role> {
        self.speaker
    }

    /// Text messages that have this `type`, or this `message`, as JSON, in order.
    pub fn said_of_type(&self, kind: &str) -> Vec<serde_json::Value> {
        let json = self
            .said
            .iter()
            .filter_map(|text| serde_json::from_str::<serde_json::Value>(text).ok());
        json.filter(|json| json["type"] == kind || json["message"] == kind)
            .collect()
    }

    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// What was heard, as texts.
    pub fn texts(&self) -> Vec<&str> {
        self.transcripts
            .iter()
            .map(|transcript| transcript.text.as_str())
            .collect()
    }

    /// The ids of the phrases that were heard; nonsense is `???`.
    pub fn heard(&self) -> Vec<&str> {
        self.transcripts
            .iter()
            .map(|transcript| transcript.phrase.as_deref().unwrap_or("???"))
            .collect()
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.closed_at.is_some()
    }

    pub(super) fn open(stream_id: String, external_id: Option<String>, now: Instant) -> Self {
        Self {
            stream_id,
            external_id,
            query: Vec::new(),
            unknown_parameters: Vec::new(),
            said: Vec::new(),
            start: None,
            start_json: None,
            vocabulary: Vec::new(),
            audio_bytes: 0,
            audio_samples: 0,
            late_bytes: 0,
            messages: 0,
            sha256: None,
            samples: Vec::new(),
            arrivals: Vec::new(),
            ahead_max: Duration::ZERO,
            transcripts: Vec::new(),
            complaints: Vec::new(),
            faults: Vec::new(),
            opened_at: now,
            started_at: None,
            first_audio_at: None,
            finished_at: None,
            closed_at: None,
            final_code: None,
            speaker: None,
        }
    }

    pub(super) fn complain(&mut self, complaint: String) {
        if self.complaints.len() < COMPLAINTS_MAX {
            self.complaints.push(complaint);
        }
    }

    pub(super) fn strike(&mut self, fault: String) {
        if self.faults.len() < COMPLAINTS_MAX {
            self.faults.push(fault);
        }
    }

    /// Takes a text message.
    pub(super) fn note_said(&mut self, text: &str) {
        let kept: usize = self.said.iter().map(String::len).sum();
        if kept + text.len() <= SAID_BYTES_MAX {
            self.said.push(text.to_owned());
        }
    }

    /// Takes what one binary message brought.
    pub(super) fn hear(&mut self, now: Instant, bytes: usize, samples: &[i16], keep: Keep) {
        self.audio_bytes += bytes as u64;
        self.audio_samples += samples.len() as u64;
        self.messages += 1;
        let room = keep.samples_max.saturating_sub(self.samples.len());
        self.samples
            .extend_from_slice(&samples[..samples.len().min(room)]);
        if self.arrivals.len() < keep.arrivals_max {
            self.arrivals.push((now, self.audio_samples));
        }
        let first = *self.first_audio_at.get_or_insert(now);
        let sound = Duration::from_micros(self.audio_samples * 125);
        self.ahead_max = self.ahead_max.max(sound.saturating_sub(now - first));
    }
}

impl Transcript {
    /// What was heard, and the words that were sent for it.
    pub(super) fn of(heard: &Heard, text: String, at: Instant) -> Self {
        Self {
            start_ms: heard.start_ms,
            end_ms: heard.end_ms,
            text,
            phrase: heard.phrase.as_ref().map(|phrase| phrase.id.clone()),
            at,
        }
    }
}

impl Records {
    pub(super) fn new(keep: Keep) -> Self {
        Self {
            keep,
            streams: Mutex::default(),
            asked: Mutex::default(),
            knocks: Mutex::default(),
            changed: Notify::new(),
        }
    }

    pub(super) fn keep(&self) -> Keep {
        self.keep
    }

    /// Opens a record and gives its place; `None` when there are too many.
    pub(super) fn open(&self, recorded: Recorded) -> Option<usize> {
        let mut streams = self.lock();
        if streams.len() >= self.keep.streams_max {
            return None;
        }
        streams.push(recorded);
        let place = streams.len() - 1;
        drop(streams);
        self.changed.notify_waiters();
        Some(place)
    }

    pub(super) fn update<T>(&self, place: usize, update: impl FnOnce(&mut Recorded) -> T) -> T {
        let updated = update(&mut self.lock()[place]);
        self.changed.notify_waiters();
        updated
    }

    pub(super) fn streams(&self) -> Vec<Recorded> {
        self.lock().clone()
    }

    pub(super) fn with_streams<T>(&self, look: impl FnOnce(&[Recorded]) -> T) -> T {
        look(&self.lock())
    }

    pub(super) fn ask(&self, asked: Asked) {
        let mut all = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < ASKED_MAX {
            all.push(asked);
        }
        drop(all);
        self.changed.notify_waiters();
    }

    pub(super) fn knock(&self, knock: Knock) {
        let mut all = self.knocks.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < KNOCKS_MAX {
            all.push(knock);
        }
        drop(all);
        self.changed.notify_waiters();
    }

    pub(super) fn with_knocks<T>(&self, look: impl FnOnce(&[Knock]) -> T) -> T {
        look(&self.knocks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.with_asked(<[Asked]>::to_vec)
    }

    pub(super) fn with_asked<T>(&self, look: impl FnOnce(&[Asked]) -> T) -> T {
        look(&self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) async fn wait_until(&self, so: impl FnMut() -> bool) {
        changes::wait_until(&self.changed, so).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Recorded>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
