//! One session without its socket: one answer for each piece of sound, and one for its end.

use std::time::Instant;

use super::Rules;
use super::message::{self, Said};
use crate::hearing::Heard;
use crate::service::dialect::{Answer, GOOD_END, Lapses, Oddity, Session};
use crate::service::ear::Ear;

/// The code with which a server closes that has met with an error.
const ERROR: u16 = 1011;

/// One session.
pub(super) struct VoskSession {
    ear: Ear,
    rules: Rules,
    words: bool,
    is_over: bool,
    /// Heard, and not told yet: one message has room for one answer.
    untold: Vec<Heard>,
    has_sound: bool,
}

impl VoskSession {
    pub(super) fn new(ear: Ear, rules: Rules) -> Self {
        Self {
            ear,
            rules,
            words: false,
            is_over: false,
            untold: Vec::new(),
            has_sound: false,
        }
    }

    fn configure(&mut self, said: Said) -> Vec<Answer> {
        let Said::Config {
            sample_rate,
            words,
            phrases,
            unknown,
        } = said
        else {
            return Vec::new();
        };
        if self.has_sound {
            self.ear
                .complain("a config behind the first sound".to_owned());
        }
        self.words = words.unwrap_or(self.words);
        let rate = sample_rate.unwrap_or_else(|| f64::from(self.rules.sample_rate));
        if rate != 8000.0 {
            self.ear.complain(format!("nothing is heard at {rate} Hz"));
            self.ear.plug();
        }
        self.ear.record(|recorded| {
            recorded.vocabulary = phrases;
            recorded.unknown_parameters = unknown;
        });
        Vec::new()
    }

    /// What is untold becomes one message; `None` if nothing was heard.
    fn tell(&mut self, now: Instant) -> Option<String> {
        let heard = std::mem::take(&mut self.untold);
        for heard in &heard {
            self.ear.transcribed(now, heard, message::text(heard));
        }
        (!heard.is_empty()).then(|| message::result(&heard, self.words))
    }

    fn finish(&mut self, now: Instant) -> Vec<Answer> {
        self.untold.extend(self.ear.finish());
        self.is_over = true;
        self.ear.record(|recorded| recorded.finished_at = Some(now));
        let last = self.tell(now);
        let last = last.unwrap_or_else(|| message::result(&[], self.words));
        vec![
            Answer::Final(GOOD_END, last),
            Answer::Close(1000, String::new()),
        ]
    }
}

impl Session for VoskSession {
    fn has_begun(&self) -> bool {
        !self.is_over
    }

    fn text(&mut self, now: Instant, text: &str) -> Vec<Answer> {
        if self.is_over {
            return Vec::new();
        }
        match message::read(text) {
            Ok(Said::End) => self.finish(now),
            Ok(config) => self.configure(config),
            Err(why) => {
                self.ear.complain(why);
                self.fail(now, ERROR)
            }
        }
    }

    fn binary(&mut self, now: Instant, bytes: &[u8]) -> Vec<Answer> {
        if self.is_over {
            self.ear.ignore(bytes);
            return Vec::new();
        }
        self.has_sound = true;
        self.untold.extend(self.ear.listen(now, bytes));
        vec![match self.tell(now) {
            Some(result) => Answer::Transcript(result),
            None => Answer::Text(message::partial(self.ear.speaking_since_ms().is_some())),
        }]
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn tick(&mut self, _now: Instant) -> Vec<Answer> {
        Vec::new()
    }

    /// The server has no words for its errors.
    fn fail(&mut self, _now: Instant, code: u16) -> Vec<Answer> {
        self.is_over = true;
        vec![Answer::Close(code, String::new())]
    }

    fn stop(&mut self, now: Instant) -> Vec<Answer> {
        self.fail(now, 1001)
    }

    /// There are no sums and no flags to be wrong in.
    fn go_wrong(&mut self, _faults: Lapses) {}

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
