//! One stream without its socket: what each message does to it and what is answered. It does not
//! wait and has no clock; whoever drives it brings the time.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest, Sha256};

use super::message::{self, Refusal, Said, Summary};
use super::record::{Records, StartStream, Transcript};
use super::{Arrival, Observer, Rules, status};
use crate::hearing::{Heard, Hearing, Lexicon};
use crate::speech::Role;

/// What a stream lives on.
pub(super) struct Surroundings {
    pub(super) rules: Rules,
    pub(super) lexicon: Option<Arc<Lexicon>>,
    pub(super) observer: Option<Observer>,
    pub(super) records: Arc<Records>,
    /// The stream's place in the records.
    pub(super) place: usize,
    pub(super) stream_id: String,
    pub(super) external_id: String,
}

/// One stream.
pub(super) struct Session {
    around: Surroundings,
    stage: Stage,
    opened: Instant,
    started: Instant,
    last_message: Instant,
    /// What the summary is off by, on purpose.
    pub(super) bytes_off: i64,
    hearing: Option<Hearing>,
    digest: Sha256,
    audio_bytes: u64,
    transcripts: u64,
    /// The first byte of a sample whose second byte is in the next message.
    half_sample: Option<u8>,
    decoded: Vec<i16>,
}

/// What shall be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Close the socket; nothing follows.
    Close,
    /// A `finalResponse`.
    Final(u16, String),
    /// Any other message.
    Text(String),
}

/// How far a stream is.
enum Stage {
    /// No `startStream` yet.
    Awaited,
    /// It takes sound.
    Started(StartStream),
    /// `finishStream` has come.
    Finished,
    /// It was refused, or it timed out.
    Failed,
}

impl Session {
    pub(super) fn new(around: Surroundings, now: Instant) -> Self {
        let hearing = around.lexicon.clone().map(Hearing::new);
        Self {
            around,
            stage: Stage::Awaited,
            opened: now,
            started: now,
            last_message: now,
            bytes_off: 0,
            hearing,
            digest: Sha256::new(),
            audio_bytes: 0,
            transcripts: 0,
            half_sample: None,
            decoded: Vec::new(),
        }
    }

    /// Who speaks, while the stream takes sound.
    pub(super) fn role(&self) -> Option<Role> {
        match &self.stage {
            Stage::Started(start) => Some(start.role),
            _ => None,
        }
    }

    /// Bytes of sound until now.
    pub(super) fn audio_bytes(&self) -> u64 {
        self.audio_bytes
    }

    /// When [`Session::tick`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Awaited => Some(self.idle_at()),
            Stage::Started(_) => Some(
                self.idle_at()
                    .min(self.started + self.around.rules.duration_max),
            ),
            Stage::Finished | Stage::Failed => None,
        }
    }

    /// The time has come.
    pub(super) fn tick(&mut self, now: Instant) -> Vec<Answer> {
        match self.deadline() {
            Some(deadline) if now >= deadline => {
                let code = if now >= self.idle_at() {
                    status::IDLE
                } else {
                    status::DURATION
                };
                self.fail(now, code)
            }
            _ => Vec::new(),
        }
    }

    /// A text message.
    pub(super) fn text(&mut self, now: Instant, text: &str) -> Vec<Answer> {
        self.last_message = now;
        if let Stage::Failed = self.stage {
            return Vec::new();
        }
        let said = match message::read(text) {
            Ok(said) => said,
            // Whatever it is, it is too late for it.
            Err(_) if matches!(self.stage, Stage::Finished) => {
                return self.out_of_order(now, "after finishStream");
            }
            Err(refusal) => return self.refuse(now, refusal),
        };
        match (said, &self.stage) {
            (_, Stage::Finished) => self.out_of_order(now, "after finishStream"),
            (Said::Start(fields), Stage::Awaited) => self.start(now, fields),
            (Said::Start(_), _) => self.out_of_order(now, "a second startStream"),
            (_, Stage::Awaited) => self.out_of_order(now, "before startStream"),
            (Said::Finish, _) => self.finish(now),
            (Said::Vocabulary(fields), _) => self.learn(now, &fields),
        }
    }

    /// A binary message.
    pub(super) fn binary(&mut self, now: Instant, bytes: &[u8]) -> Vec<Answer> {
        self.last_message = now;
        match self.stage {
            Stage::Started(_) => self.listen(now, bytes),
            Stage::Awaited => self.out_of_order(now, "audio before startStream"),
            Stage::Finished => {
                self.record(|recorded| recorded.late_bytes += bytes.len() as u64);
                Vec::new()
            }
            Stage::Failed => Vec::new(),
        }
    }

    /// Ends the stream with an error of the service's own.
    pub(super) fn fail(&mut self, now: Instant, code: u16) -> Vec<Answer> {
        if let Stage::Failed = self.stage {
            return Vec::new();
        }
        self.stage = Stage::Failed;
        vec![self.final_response(now, code), Answer::Close]
    }

    /// The connection is gone.
    pub(super) fn closed(self, now: Instant) {
        let digest = self.digest.clone().finalize();
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        self.record(|recorded| {
            recorded.closed_at = Some(now);
            recorded.sha256 = Some(sha256);
        });
    }

    /// The `finalResponse` was sent.
    pub(super) fn ended(&self, code: u16) {
        self.record(|recorded| recorded.final_code = Some(code));
    }

    /// Notes something the client should not have done.
    pub(super) fn complain(&self, complaint: String) {
        self.record(|recorded| recorded.complain(complaint));
    }

    fn start(
        &mut self,
        now: Instant,
        fields: serde_json::Map<String, serde_json::Value>,
    ) -> Vec<Answer> {
        let (start, complaints) = match message::read_start(&fields, &self.around.rules) {
            Ok(accepted) => accepted,
            Err(refusal) => return self.refuse(now, refusal),
        };
        self.started = now;
        self.record(|recorded| {
            recorded.start = Some(start.clone());
            recorded.start_json = Some(fields.into());
            recorded.started_at = Some(now);
            complaints
                .into_iter()
                .for_each(|complaint| recorded.complain(complaint));
        });
        self.stage = Stage::Started(start);
        vec![Answer::Text(message::start_response(
            &self.around.stream_id,
        ))]
    }

    fn learn(
        &mut self,
        now: Instant,
        fields: &serde_json::Map<String, serde_json::Value>,
    ) -> Vec<Answer> {
        let rules = self.around.rules;
        let present = self.record(|recorded| recorded.vocabulary.len());
        match message::read_vocabulary(fields, present, &rules) {
            Ok(phrases) => {
                self.record(|recorded| recorded.vocabulary.extend(phrases));
                vec![Answer::Text(message::vocabulary_response(status::OK))]
            }
            Err(refusal) if rules.vocabulary_refusal_ends => self.refuse(now, refusal),
            Err(refusal) => {
                self.complain(refusal.why);
                vec![Answer::Text(message::vocabulary_response(refusal.code))]
            }
        }
    }

    fn listen(&mut self, now: Instant, bytes: &[u8]) -> Vec<Answer> {
        self.audio_bytes += bytes.len() as u64;
        self.digest.update(bytes);
        self.decode(bytes);
        let keep = self.around.records.keep();
        self.record(|recorded| {
            recorded.hear(now, bytes.len(), &self.decoded, keep);
            if bytes.is_empty() || !bytes.len().is_multiple_of(2) {
                recorded.complain(format!("a binary message of {} bytes", bytes.len()));
            }
        });
        if let (Some(observer), Some(role)) = (&self.around.observer, self.role()) {
            let (stream, samples) = (self.around.place, self.audio_bytes / 2);
            let (external_id, sound) = (self.around.external_id.as_str(), self.decoded.as_slice());
            observer(Arrival {
                stream,
                external_id,
                role,
                sound,
                samples,
                at: now,
            });
        }
        let heard = self
            .hearing
            .as_mut()
            .map(|hearing| hearing.hear(&self.decoded))
            .unwrap_or_default();
        heard
            .into_iter()
            .filter_map(|heard| self.transcribe(now, &heard))
            .collect()
    }

    fn finish(&mut self, now: Instant) -> Vec<Answer> {
        let heard = self.hearing.as_mut().and_then(Hearing::finish);
        let mut answers: Vec<_> = heard
            .and_then(|heard| self.transcribe(now, &heard))
            .into_iter()
            .collect();
        self.stage = Stage::Finished;
        self.record(|recorded| recorded.finished_at = Some(now));
        answers.push(self.final_response(now, status::OK));
        answers.push(Answer::Close);
        answers
    }

    fn transcribe(&mut self, now: Instant, heard: &Heard) -> Option<Answer> {
        let Stage::Started(start) = &self.stage else {
            return None;
        };
        let texts = message::alternatives(heard, start);
        let answer = message::transcript(heard, &texts, start.detailed_token);
        self.transcripts += 1;
        self.record(|recorded| {
            recorded.transcripts.push(Transcript {
                start_ms: heard.start_ms,
                end_ms: heard.end_ms,
                text: texts[0].clone(),
                phrase: heard.phrase.as_ref().map(|phrase| phrase.id.clone()),
                at: now,
            });
        });
        Some(Answer::Text(answer))
    }

    fn decode(&mut self, bytes: &[u8]) {
        self.decoded.clear();
        let mut rest = bytes;
        if let (Some(low), Some((&high, tail))) = (self.half_sample, bytes.split_first()) {
            self.decoded.push(i16::from_le_bytes([low, high]));
            self.half_sample = None;
            rest = tail;
        }
        let pairs = rest.chunks_exact(2);
        self.half_sample = pairs.remainder().first().copied().or(self.half_sample);
        self.decoded
            .extend(pairs.map(|pair| i16::from_le_bytes([pair[0], pair[1]])));
    }

    fn out_of_order(&mut self, now: Instant, why: &str) -> Vec<Answer> {
        self.refuse(
            now,
            Refusal {
                code: status::ORDER,
                why: why.to_owned(),
            },
        )
    }

    fn refuse(&mut self, now: Instant, refusal: Refusal) -> Vec<Answer> {
        self.complain(format!("{}: {}", refusal.code, refusal.why));
        self.fail(now, refusal.code)
    }

    fn final_response(&self, now: Instant, code: u16) -> Answer {
        let summary = Summary {
            audio_bytes: self.audio_bytes.saturating_add_signed(self.bytes_off),
            streaming_seconds: (now - self.opened).as_millis().div_ceil(1000) as u64,
            transcripts: self.transcripts,
        };
        Answer::Final(
            code,
            message::final_response(&self.around.stream_id, code, summary),
        )
    }

    fn idle_at(&self) -> Instant {
        self.last_message + self.around.rules.idle_timeout
    }

    fn record<T>(&self, update: impl FnOnce(&mut super::record::Recorded) -> T) -> T {
        self.around.records.update(self.around.place, update)
    }
}
