//! One session without its socket: sound in, results out, and a watch on silence of the client.

use std::time::Instant;

use super::Rules;
use super::message::{self, NO_SOUND, Said, Spoken, TIMEOUT, Telling};
use super::parameters::Parameters;
use crate::hearing::Heard;
use crate::service::dialect::{Answer, GOOD_END, Lapses, Oddity, Session};
use crate::service::ear::Ear;

/// How an utterance ends by itself.
const ENDED: Telling = Telling {
    is_final: true,
    speech_final: true,
    from_finalize: false,
};

/// One session.
pub(super) struct DeepgramSession {
    ear: Ear,
    parameters: Parameters,
    rules: Rules,
    is_over: bool,
    last_message: Instant,
    lapses: Lapses,
    announced: bool,
    /// Until where it has told what it heard.
    told_ms: u64,
}

impl DeepgramSession {
    pub(super) fn new(mut ear: Ear, parameters: Parameters, rules: Rules, now: Instant) -> Self {
        ear.set_encoding(parameters.encoding);
        ear.record(|recorded| {
            let terms = parameters.keyterms.iter().cloned();
            recorded.vocabulary = terms.map(serde_json::Value::from).collect();
            recorded.unknown_parameters.clone_from(&parameters.unknown);
            recorded.started_at = Some(now);
        });
        if parameters.sample_rate != 8000 {
            ear.complain(format!("nothing is heard at {} Hz", parameters.sample_rate));
            ear.plug();
        }
        Self {
            ear,
            parameters,
            rules,
            is_over: false,
            last_message: now,
            lapses: Lapses::default(),
            announced: false,
            told_ms: 0,
        }
    }

    fn listen(&mut self, now: Instant, bytes: &[u8]) -> Vec<Answer> {
        let mut answers = Vec::new();
        for heard in self.ear.listen(now, bytes) {
            answers.extend(self.tell(now, &heard, ENDED));
        }
        if let Some(since_ms) = self.ear.speaking_since_ms() {
            answers.extend(self.announce(since_ms));
        }
        answers
    }

    fn announce(&mut self, since_ms: u64) -> Option<Answer> {
        let first = !std::mem::replace(&mut self.announced, true);
        (first && self.parameters.vad_events)
            .then(|| Answer::Text(message::speech_started(since_ms)))
    }

    fn tell(&mut self, now: Instant, heard: &Heard, telling: Telling) -> Vec<Answer> {
        let mut answers: Vec<_> = self.announce(heard.start_ms).into_iter().collect();
        self.announced = false;
        let Parameters {
            smart_format,
            redact,
            interim_results,
            utterance_end_ms,
            ..
        } = self.parameters;
        let spoken = Spoken::of(heard, smart_format, redact);
        if interim_results {
            answers.push(Answer::Text(spoken.interim()));
        }
        let results = spoken.results(telling, self.rules.piece_words);
        answers.extend(results.into_iter().map(Answer::Transcript));
        if utterance_end_ms.is_some() {
            answers.push(Answer::Text(message::utterance_end(heard.end_ms)));
        }
        self.told_ms = heard.end_ms;
        self.ear.transcribed(now, heard, spoken.text);
        answers
    }

    /// What is being said is told now.
    fn finalize(&mut self, now: Instant) -> Vec<Answer> {
        let telling = Telling {
            from_finalize: true,
            ..ENDED
        };
        match self.ear.finish() {
            Some(heard) => self.tell(now, &heard, telling),
            None => {
                let (from_ms, to_ms) = (self.told_ms, self.ear.heard_ms().max(self.told_ms));
                vec![Answer::Text(message::nothing(from_ms, to_ms, telling))]
            }
        }
    }

    fn close_stream(&mut self, now: Instant) -> Vec<Answer> {
        let heard = self.ear.finish();
        let mut answers = match heard {
            Some(heard) => self.tell(now, &heard, ENDED),
            None => Vec::new(),
        };
        self.is_over = true;
        self.ear.record(|recorded| recorded.finished_at = Some(now));
        let bytes = self
            .ear
            .bytes()
            .saturating_add_signed(self.lapses.bytes_off);
        let ms = bytes * 1000 / self.ear.encoding().bytes_per_second();
        let metadata = message::metadata(self.ear.stream_id(), ms);
        answers.push(Answer::Final(GOOD_END, metadata));
        answers.push(Answer::Close(1000, String::new()));
        answers
    }
}

impl Session for DeepgramSession {
    fn has_begun(&self) -> bool {
        !self.is_over
    }

    fn text(&mut self, now: Instant, text: &str) -> Vec<Answer> {
        if self.is_over {
            return Vec::new();
        }
        self.last_message = now;
        match message::read(text) {
            Ok(Said::CloseStream) => self.close_stream(now),
            Ok(Said::Finalize) => self.finalize(now),
            Ok(Said::KeepAlive) => Vec::new(),
            Err(why) => {
                self.ear.complain(why);
                self.fail(now, NO_SOUND)
            }
        }
    }

    fn binary(&mut self, now: Instant, bytes: &[u8]) -> Vec<Answer> {
        if self.is_over {
            self.ear.ignore(bytes);
            return Vec::new();
        }
        self.last_message = now;
        if bytes.is_empty() {
            self.ear
                .complain("an empty message, which ends the session".to_owned());
            return self.close_stream(now);
        }
        self.listen(now, bytes)
    }

    fn deadline(&self) -> Option<Instant> {
        (!self.is_over).then(|| self.last_message + self.rules.idle_timeout)
    }

    fn tick(&mut self, now: Instant) -> Vec<Answer> {
        if self.deadline().is_some_and(|at| now >= at) {
            return self.fail(now, TIMEOUT);
        }
        Vec::new()
    }

    fn fail(&mut self, _now: Instant, code: u16) -> Vec<Answer> {
        if std::mem::replace(&mut self.is_over, true) {
            return Vec::new();
        }
        let reason = message::reason(code);
        vec![
            Answer::Final(code, message::error(reason)),
            Answer::Close(code, reason.to_owned()),
        ]
    }

    fn stop(&mut self, now: Instant) -> Vec<Answer> {
        self.fail(now, TIMEOUT)
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
