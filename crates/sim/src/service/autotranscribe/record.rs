//! What a service got, and when.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::Keep;
use crate::speech::Role;

/// REST calls that are remembered.
const ASKED_MAX: usize = 100_000;

/// Complaints about one stream that are remembered.
const COMPLAINTS_MAX: usize = 100;

/// One stream, from its connection on. A record of many facts, all of which some test wants.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// What the `startResponse` called it.
    pub stream_id: String,
    /// The `externalId` of the REST call.
    pub external_id: Option<String>,
    /// The `startStream`, once it was accepted.
    pub start: Option<StartStream>,
    /// The `startStream` as it came.
    pub start_json: Option<serde_json::Value>,
    /// The phrases of all accepted vocabularies, as they came.
    pub vocabulary: Vec<serde_json::Value>,
    /// Bytes of sound between `startStream` and `finishStream`.
    pub audio_bytes: u64,
    /// Bytes of sound after `finishStream`, which are dropped.
    pub late_bytes: u64,
    /// Binary messages.
    pub messages: u64,
    /// SHA-256 of the sound, in hexadecimal, once the stream is over.
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
    /// When the WebSocket opened.
    pub opened_at: Instant,
    /// When the `startStream` came.
    pub started_at: Option<Instant>,
    /// When the first sound came.
    pub first_audio_at: Option<Instant>,
    /// When the `finishStream` came.
    pub finished_at: Option<Instant>,
    /// When the connection was gone.
    pub closed_at: Option<Instant>,
    /// The status code of the `finalResponse`, once it was sent.
    pub final_code: Option<u16>,
}

/// An accepted `startStream` with the defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartStream {
    /// `sender.role`
    pub role: Role,
    /// `sender.externalId`
    pub sender: String,
    /// `language`
    pub language: String,
    /// `smartFormatting`
    pub smart_formatting: bool,
    /// `detailedToken`
    pub detailed_token: bool,
    /// `audioRecordingAllowed`
    pub audio_recording_allowed: bool,
    /// `redactionOutput`
    pub redaction: RedactionOutput,
}

/// `redactionOutput`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedactionOutput {
    /// `redacted`
    Redacted,
    /// `redacted_and_unredacted`
    RedactedAndUnredacted,
    /// `unredacted`
    Unredacted,
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

/// The records of a service.
#[derive(Debug)]
pub(super) struct Records {
    keep: Keep,
    streams: Mutex<Vec<Recorded>>,
    asked: Mutex<Vec<Asked>>,
    changed: Notify,
}

impl Recorded {
    /// Who speaks, once it is known.
    pub fn role(&self) -> Option<Role> {
        self.start.as_ref().map(|start| start.role)
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
            start: None,
            start_json: None,
            vocabulary: Vec::new(),
            audio_bytes: 0,
            late_bytes: 0,
            messages: 0,
            sha256: None,
            samples: Vec::new(),
            arrivals: Vec::new(),
            ahead_max: Duration::ZERO,
            transcripts: Vec::new(),
            complaints: Vec::new(),
            opened_at: now,
            started_at: None,
            first_audio_at: None,
            finished_at: None,
            closed_at: None,
            final_code: None,
        }
    }

    pub(super) fn complain(&mut self, complaint: String) {
        if self.complaints.len() < COMPLAINTS_MAX {
            self.complaints.push(complaint);
        }
    }

    /// Takes what one binary message brought.
    pub(super) fn hear(&mut self, now: Instant, bytes: usize, samples: &[i16], keep: Keep) {
        self.audio_bytes += bytes as u64;
        self.messages += 1;
        let room = keep.samples_max.saturating_sub(self.samples.len());
        self.samples
            .extend_from_slice(&samples[..samples.len().min(room)]);
        if self.arrivals.len() < keep.arrivals_max {
            self.arrivals.push((now, self.audio_bytes / 2));
        }
        let first = *self.first_audio_at.get_or_insert(now);
        let sound = Duration::from_micros(self.audio_bytes / 2 * 125);
        self.ahead_max = self.ahead_max.max(sound.saturating_sub(now - first));
    }
}

impl RedactionOutput {
    /// Reads the wire's spelling.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "redacted" => Some(Self::Redacted),
            "redacted_and_unredacted" => Some(Self::RedactedAndUnredacted),
            "unredacted" => Some(Self::Unredacted),
            _ => None,
        }
    }
}

impl Records {
    pub(super) fn new(keep: Keep) -> Self {
        Self {
            keep,
            streams: Mutex::default(),
            asked: Mutex::default(),
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

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.with_asked(<[Asked]>::to_vec)
    }

    pub(super) fn with_asked<T>(&self, look: impl FnOnce(&[Asked]) -> T) -> T {
        look(&self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) async fn wait_until(&self, mut so: impl FnMut() -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Before looking: a change between the look and the wait must not be missed.
            changed.as_mut().enable();
            if so() {
                return;
            }
            changed.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Recorded>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
