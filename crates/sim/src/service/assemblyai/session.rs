//! One session without its socket.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::message::{self, Received, Said, Spoken, Telling};
use super::parameters::{Parameters, Refusal};
use super::{Rules, status};
use crate::hearing::Heard;
use crate::service::dialect::{Answer, GOOD_END, Lapses, Oddity, Session};
use crate::service::ear::Ear;

/// The words that end a session for which nothing came.
const INACTIVE: &str = "Session Cancelled: Inactivity timeout exceeded";

/// What a session is opened with.
pub(super) struct Opened {
    pub(super) parameters: Result<Parameters, Refusal>,
    pub(super) rules: Rules,
    /// How long it may last: the service's limit or its token's.
    pub(super) duration_max: Duration,
    /// When that is, in seconds of Unix time.
    pub(super) expires_at: u64,
    /// The version of the protocol that the client speaks.
    pub(super) version: String,
}

/// One session.
pub(super) struct AssemblyAiSession {
    ear: Ear,
    parameters: Parameters,
    rules: Rules,
    duration_max: Duration,
    expires_at: u64,
    version: String,
    stage: Stage,
    opened: Instant,
    last_message: Instant,
    first_audio: Option<Instant>,
    next_heartbeat: Option<Instant>,
    lapses: Lapses,
    turns: u64,
    /// Whether the turn that is being spoken was announced.
    announced: bool,
}

/// How far a session is.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// It takes sound, also before its `Begin` is out.
    Live,
    /// It is refused as soon as it opens.
    Refused(Refusal),
    /// `Terminate` has come, or an error.
    Over,
}

impl AssemblyAiSession {
    pub(super) fn new(mut ear: Ear, opened: Opened, now: Instant) -> Self {
        let (parameters, stage) = match opened.parameters {
            Ok(parameters) => (parameters, Stage::Live),
            Err(refusal) => (Parameters::default(), Stage::Refused(refusal)),
        };
        ear.set_encoding(parameters.encoding);
        ear.record(|recorded| {
            recorded.started_at = Some(now);
            recorded.vocabulary.clone_from(&parameters.keyterms);
            recorded.unknown_parameters.clone_from(&parameters.unknown);
        });
        if stage == Stage::Live && parameters.sample_rate != 8000 {
            ear.complain(format!("nothing is heard at {} Hz", parameters.sample_rate));
            ear.plug();
        }
        let next_heartbeat = parameters.heartbeat.then(|| now + opened.rules.heartbeat);
        Self {
            ear,
            parameters,
            rules: opened.rules,
            duration_max: opened.duration_max,
            expires_at: opened.expires_at,
            version: opened.version,
            stage,
            opened: now,
            last_message: now,
            first_audio: None,
            next_heartbeat,
            lapses: Lapses::default(),
            turns: 0,
            announced: false,
        }
    }

    // Too short, too long or too fast is the client's mistake, and the end.
    fn judge(&mut self, now: Instant, bytes: u64) -> Result<(), Refusal> {
        let input = |error| Refusal {
            code: status::INPUT,
            error,
        };
        let ms = self.parameters.ms(bytes);
        let (least, most) = (self.rules.chunk_min, self.rules.chunk_max);
        if ms < least.as_secs_f64() * 1e3 || ms > most.as_secs_f64() * 1e3 {
            return Err(input(format!(
                "Input Duration Error: Input Duration Violation: {ms:?} ms. Expected between {} \
                 and {} ms",
                least.as_millis(),
                most.as_millis()
            )));
        }
        let first = *self.first_audio.get_or_insert(now);
        let sound = self.parameters.ms(self.ear.bytes() + bytes) / 1e3;
        let time = now.duration_since(first).as_secs_f64();
        let allowed = time * f64::from(self.rules.rate_max_percent) / 100.0;
        if sound > allowed + self.rules.burst.as_secs_f64() + ms / 1e3 {
            return Err(input(format!(
                "Audio Transmission Rate Exceeded: Received {sound:.2} sec. audio in {time:.2} sec"
            )));
        }
        Ok(())
    }

    fn listen(&mut self, now: Instant, bytes: &[u8]) -> Vec<Answer> {
        let mut answers = Vec::new();
        for heard in self.ear.listen(now, bytes) {
            answers.extend(self.turn(now, &heard));
        }
        if let Some(since_ms) = self.ear.speaking_since_ms() {
            answers.extend(self.announce(since_ms));
        }
        answers
    }

    // Somebody speaks; only models that always format say so.
    fn announce(&mut self, since_ms: u64) -> Option<Answer> {
        let first = !std::mem::replace(&mut self.announced, true);
        let says_so = first && self.parameters.formats_always();
        says_so.then(|| Answer::Text(message::speech_started(since_ms)))
    }

    // All that is told of a turn: its beginning, what is not final, the raw and the formatted end.
    fn turn(&mut self, now: Instant, heard: &Heard) -> Vec<Answer> {
        let mut answers: Vec<_> = self.announce(heard.start_ms).into_iter().collect();
        self.announced = false;
        let spoken = Spoken::of(heard, self.parameters.redact);
        let raw = Telling {
            order: self.turns,
            formatted: false,
            flagged: !self.lapses.unflagged,
            language: self.parameters.language_detection,
        };
        let formatted = Telling {
            formatted: true,
            ..raw
        };
        self.turns += 1;
        if self.parameters.partials {
            answers.extend(spoken.partials(raw).into_iter().map(Answer::Text));
        }
        let always = self.parameters.formats_always();
        // Who does not say which copy is the formatted one sends no second copy.
        let twice = self.parameters.format_turns && !always && raw.flagged;
        let formats = always || self.parameters.format_turns;
        if !formats || twice {
            answers.push(Answer::Transcript(spoken.turn(raw)));
        }
        if formats {
            answers.push(Answer::Transcript(spoken.turn(formatted)));
        }
        let text = if formats {
            spoken.formatted
        } else {
            spoken.raw
        };
        self.ear.transcribed(now, heard, text);
        answers
    }

    fn force_endpoint(&mut self, now: Instant) -> Vec<Answer> {
        match self.ear.finish() {
            Some(heard) => self.turn(now, &heard),
            None => Vec::new(),
        }
    }

    fn terminate(&mut self, now: Instant) -> Vec<Answer> {
        let mut answers = self.force_endpoint(now);
        self.stage = Stage::Over;
        self.ear.record(|recorded| recorded.finished_at = Some(now));
        let termination = message::termination(self.received(now));
        answers.push(Answer::Final(GOOD_END, termination));
        answers.push(Answer::Close(1000, String::new()));
        answers
    }

    fn update(&mut self, now: Instant, fields: &Map<String, Value>) -> Vec<Answer> {
        match self.parameters.update(fields) {
            Err(refusal) => return self.refuse(refusal),
            Ok(unknown) => {
                for name in unknown {
                    self.ear.complain(format!("{name} cannot be updated"));
                }
            }
        }
        if fields.contains_key("keyterms_prompt") {
            let keyterms = &self.parameters.keyterms;
            self.ear
                .record(|recorded| recorded.vocabulary.clone_from(keyterms));
        }
        let wanted = self.parameters.heartbeat;
        let next = self.next_heartbeat.unwrap_or(now + self.rules.heartbeat);
        self.next_heartbeat = wanted.then_some(next);
        Vec::new()
    }

    fn refuse(&mut self, refusal: Refusal) -> Vec<Answer> {
        self.ear
            .complain(format!("{}: {}", refusal.code, refusal.error));
        self.error(refusal.code, &refusal.error)
    }

    // An error is said before the close, and again beside its code.
    fn error(&mut self, code: u16, error: &str) -> Vec<Answer> {
        self.stage = Stage::Over;
        vec![
            Answer::Final(code, message::error(code, error)),
            Answer::Close(code, as_reason(error)),
        ]
    }

    fn received(&self, now: Instant) -> Received {
        let bytes = self.ear.bytes();
        let told = bytes.saturating_add_signed(self.lapses.bytes_off);
        Received {
            audio_ms: self.parameters.ms(told) as u64,
            session_ms: now.duration_since(self.opened).as_millis() as u64,
        }
    }

    fn inactive_at(&self) -> Option<Instant> {
        let asked = self.parameters.inactivity_timeout;
        let timeout = self.rules.inactivity_timeout.or(asked)?;
        Some(self.last_message + timeout)
    }

    fn is_live(&self) -> bool {
        self.stage == Stage::Live
    }
}

impl Session for AssemblyAiSession {
    fn open(&mut self, now: Instant) -> Vec<Answer> {
        self.last_message = now;
        if let Stage::Refused(refusal) = &self.stage {
            let refusal = refusal.clone();
            return self.refuse(refusal);
        }
        let id = self.ear.stream_id();
        let begin = message::begin(id, self.expires_at, &self.parameters, &self.version);
        vec![Answer::Text(begin)]
    }

    fn has_begun(&self) -> bool {
        self.is_live()
    }

    fn text(&mut self, now: Instant, text: &str) -> Vec<Answer> {
        if !self.is_live() {
            return Vec::new();
        }
        self.last_message = now;
        match message::read(text) {
            Err(refusal) => self.refuse(refusal),
            Ok(Said::ForceEndpoint) => self.force_endpoint(now),
            Ok(Said::KeepAlive) => Vec::new(),
            Ok(Said::Terminate) => self.terminate(now),
            Ok(Said::UpdateConfiguration(fields)) => self.update(now, &fields),
        }
    }

    fn binary(&mut self, now: Instant, bytes: &[u8]) -> Vec<Answer> {
        if !self.is_live() {
            self.ear.ignore(bytes);
            return Vec::new();
        }
        self.last_message = now;
        match self.judge(now, bytes.len() as u64) {
            Ok(()) => self.listen(now, bytes),
            Err(refusal) => self.refuse(refusal),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let ends = self.is_live().then(|| self.opened + self.duration_max);
        let others = [self.inactive_at(), self.next_heartbeat];
        let others = others.into_iter().flatten().filter(|_| self.is_live());
        ends.into_iter().chain(others).min()
    }

    fn tick(&mut self, now: Instant) -> Vec<Answer> {
        if !self.is_live() {
            return Vec::new();
        }
        if now >= self.opened + self.duration_max {
            return self.fail(now, status::EXPIRED);
        }
        if self.inactive_at().is_some_and(|at| now >= at) {
            return self.error(status::INVALID, INACTIVE);
        }
        match &mut self.next_heartbeat {
            Some(next) if now >= *next => {
                *next = now + self.rules.heartbeat;
                vec![Answer::Text(message::heartbeat(self.received(now)))]
            }
            _ => Vec::new(),
        }
    }

    fn fail(&mut self, _now: Instant, code: u16) -> Vec<Answer> {
        if !self.is_live() {
            return Vec::new();
        }
        self.error(code, status::description(code))
    }

    fn stop(&mut self, now: Instant) -> Vec<Answer> {
        self.fail(now, status::CANCELLED)
    }

    fn go_wrong(&mut self, lapses: Lapses) {
        self.lapses = lapses;
    }

    fn oddity(&self, kind: Oddity) -> Option<String> {
        Some(match kind {
            Oddity::Huge => message::huge(),
            Oddity::Unknown => message::unknown(),
            Oddity::Warning => message::warning(),
        })
    }

    fn ear(&self) -> &Ear {
        &self.ear
    }
}

// A close frame has room for 123 bytes of words.
fn as_reason(error: &str) -> String {
    let mut reason = error.to_owned();
    while reason.len() > 123 {
        reason.pop();
    }
    reason
}
