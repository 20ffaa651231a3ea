//! One stream without its socket: what each message does to it and what is answered. It does not
//! wait and has no clock; whoever drives it brings the time.

#[cfg(test)]
mod tests;

use std::time::Instant;

use serde_json::{Map, Value};

use super::message::{self, Refusal, Said, Summary};
use super::start::StartStream;
use super::{Rules, status};
use crate::hearing::Heard;
use crate::service::dialect::{Answer, Lapses, Oddity, Session};
use crate::service::ear::Ear;

/// One stream.
pub(super) struct AutoTranscribeSession {
    ear: Ear,
    rules: Rules,
    stage: Stage,
    opened: Instant,
    started: Instant,
    last_message: Instant,
    lapses: Lapses,
    transcripts: u64,
    /// Until where it has made remarks, in milliseconds of sound.
    remarked_ms: u64,
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

impl AutoTranscribeSession {
    pub(super) fn new(ear: Ear, rules: Rules, now: Instant) -> Self {
        Self {
            ear,
            rules,
            stage: Stage::Awaited,
            opened: now,
            started: now,
            last_message: now,
            lapses: Lapses::default(),
            transcripts: 0,
            remarked_ms: 0,
        }
    }

    fn start(&mut self, now: Instant, fields: Map<String, Value>) -> Vec<Answer> {
        let (start, complaints) = match message::read_start(&fields, &self.rules) {
            Ok(accepted) => accepted,
            Err(refusal) => return self.refuse(now, refusal),
        };
        self.started = now;
        self.ear.speaks(start.role);
        self.ear.record(|recorded| {
            recorded.start = Some(start.clone());
            recorded.start_json = Some(fields.into());
            recorded.started_at = Some(now);
            complaints
                .into_iter()
                .for_each(|complaint| recorded.complain(complaint));
        });
        self.stage = Stage::Started(start);
        vec![Answer::Text(message::start_response(self.ear.stream_id()))]
    }

    fn learn(&mut self, now: Instant, fields: &Map<String, Value>) -> Vec<Answer> {
        let rules = self.rules;
        let present = self.ear.record(|recorded| recorded.vocabulary.len());
        match message::read_vocabulary(fields, present, &rules) {
            Ok(phrases) => {
                self.ear
                    .record(|recorded| recorded.vocabulary.extend(phrases));
                vec![Answer::Text(message::vocabulary_response(status::OK))]
            }
            Err(refusal) if rules.vocabulary_refusal_ends => self.refuse(now, refusal),
            Err(refusal) => {
                self.ear.complain(refusal.why);
                vec![Answer::Text(message::vocabulary_response(refusal.code))]
            }
        }
    }

    fn listen(&mut self, now: Instant, bytes: &[u8]) -> Vec<Answer> {
        let mut heard = self.ear.listen(now, bytes);
        heard.extend(self.remark());
        heard
            .iter()
            .filter_map(|heard| self.transcribe(now, heard))
            .collect()
    }

    /// Something was said, whatever it was.
    fn remark(&mut self) -> Option<Heard> {
        let every = self.rules.remark_every.as_millis() as u64;
        let (start_ms, end_ms) = (self.remarked_ms, self.ear.heard_ms());
        if every == 0 || end_ms < start_ms + every {
            return None;
        }
        self.remarked_ms = end_ms;
        Some(Heard {
            start_ms,
            end_ms,
            phrase: None,
            likeness: 0.0,
        })
    }

    fn finish(&mut self, now: Instant) -> Vec<Answer> {
        let heard = self.ear.finish();
        let mut answers: Vec<_> = heard
            .and_then(|heard| self.transcribe(now, &heard))
            .into_iter()
            .collect();
        self.stage = Stage::Finished;
        self.ear.record(|recorded| recorded.finished_at = Some(now));
        answers.push(self.final_response(now, status::OK));
        answers.push(good_close());
        answers
    }

    fn transcribe(&mut self, now: Instant, heard: &Heard) -> Option<Answer> {
        let Stage::Started(start) = &self.stage else {
            return None;
        };
        let texts = message::alternatives(heard, start);
        let answer = message::transcript(heard, &texts, start.detailed_token);
        self.transcripts += 1;
        self.ear.transcribed(now, heard, texts[0].clone());
        Some(Answer::Transcript(answer))
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
        self.ear
            .complain(format!("{}: {}", refusal.code, refusal.why));
        self.fail(now, refusal.code)
    }

    fn final_response(&self, now: Instant, code: u16) -> Answer {
        let summary = Summary {
            audio_bytes: self
                .ear
                .bytes()
                .saturating_add_signed(self.lapses.bytes_off),
            streaming_seconds: (now - self.opened).as_millis().div_ceil(1000) as u64,
            transcripts: self.transcripts,
        };
        Answer::Final(
            code,
            message::final_response(self.ear.stream_id(), code, summary),
        )
    }

    fn idle_at(&self) -> Instant {
        self.last_message + self.rules.idle_timeout
    }
}

impl Session for AutoTranscribeSession {
    fn has_begun(&self) -> bool {
        matches!(self.stage, Stage::Started(_))
    }

    fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Awaited => Some(self.idle_at()),
            Stage::Started(_) => Some(self.idle_at().min(self.started + self.rules.duration_max)),
            Stage::Finished | Stage::Failed => None,
        }
    }

    fn tick(&mut self, now: Instant) -> Vec<Answer> {
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

    fn text(&mut self, now: Instant, text: &str) -> Vec<Answer> {
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

    fn binary(&mut self, now: Instant, bytes: &[u8]) -> Vec<Answer> {
        self.last_message = now;
        match self.stage {
            Stage::Started(_) => self.listen(now, bytes),
            Stage::Awaited => self.out_of_order(now, "audio before startStream"),
            Stage::Finished => {
                self.ear.ignore(bytes);
                Vec::new()
            }
            Stage::Failed => Vec::new(),
        }
    }

    fn stop(&mut self, now: Instant) -> Vec<Answer> {
        self.fail(now, status::SHUTTING_DOWN)
    }

    fn fail(&mut self, now: Instant, code: u16) -> Vec<Answer> {
        if let Stage::Failed = self.stage {
            return Vec::new();
        }
        self.stage = Stage::Failed;
        vec![self.final_response(now, code), good_close()]
    }

    fn go_wrong(&mut self, lapses: Lapses) {
        self.lapses = lapses;
    }

    fn oddity(&self, kind: Oddity) -> Option<String> {
        match kind {
            Oddity::Huge => Some(message::huge()),
            Oddity::Unknown => Some(message::unknown()),
            Oddity::Warning => None,
        }
    }

    fn ear(&self) -> &Ear {
        &self.ear
    }
}

fn good_close() -> Answer {
    Answer::Close(1000, String::new())
}
