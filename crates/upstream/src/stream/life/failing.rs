//! What follows a loss.

use std::time::Duration;

use tokio::time::Instant;

use super::{Life, Resume};
use crate::guard::Blocked;
use crate::retry::{Verdict, chance};
use crate::service::Retry;
use crate::stream::conversation::Conversation;
use crate::stream::core::Last;
use crate::stream::over::Lost;

impl Life {
    /// So many failures in a row, and the stream turns to another service, if there is one.
    const TURN_AFTER_LOSSES: u32 = 2;
    /// So long a pause is not waited for either, if there is another service.
    const TURN_AFTER: Duration = Duration::from_secs(1);

    /// The live socket is lost.
    pub(super) fn lose(&mut self, live: Conversation, lost: Lost) {
        let service = live.service();
        self.core.is_cut_off = true;
        let unconfirmed = self.take_back(live);
        match self.next.take() {
            None => self.failed(lost, service),
            Some(next) => {
                // Another is at hand.
                let now = Instant::now();
                self.core.retries.lost(now, lost.loss, chance());
                self.core.interrupted(&lost);
                self.lost = Some(lost);
                self.go_live(next);
                self.tell_accepted();
            }
        }
        self.core.unconfirmed(unconfirmed);
    }

    /// A socket is lost or was not had, and none is live.
    pub(super) fn failed(&mut self, lost: Lost, service: &'static str) {
        self.core.is_cut_off = true;
        if self.core.supply.is_exhausted() {
            self.last = Some(self.core.cut_short(lost));
            return;
        }
        if lost.loss.retry == Retry::Token {
            // What else was fetched ahead of time is no better.
            self.core.deps.routes.forget(&self.core.spec.call);
        }
        let now = Instant::now();
        let verdict = self.core.retries.lost(now, lost.loss, chance());
        if self.is_another(verdict, service) {
            self.core.interrupted(&lost);
            self.resume(Resume::At(now), lost);
            return;
        }
        let is_over = match verdict {
            Verdict::Again(_) | Verdict::AgainWithSound => false,
            Verdict::Credential | Verdict::Exhausted(_) => !self.may_go_on(),
            Verdict::Never => true,
        };
        if is_over {
            return self.fail(lost);
        }
        self.core.interrupted(&lost);
        match verdict {
            Verdict::Again(pause) => self.pause(now + pause, lost),
            Verdict::AgainWithSound => self.resume(Resume::WithSound, lost),
            Verdict::Exhausted(pause) => self.probe(now, pause, lost),
            // The guard knows, and gives no leave before it is worth while.
            Verdict::Credential | Verdict::Never => {
                self.pause(now + self.core.deps.config.retry.backoff_max, lost);
            }
        }
    }

    /// No service gives leave to open a socket.
    pub(super) fn blocked(&mut self, blocked: Blocked) {
        let now = Instant::now();
        let why = blocked.why.to_owned();
        let mut lost = Lost::new(why, Retry::After(blocked.after), None, true);
        // A service's own last word is worth more than ours.
        lost.status = self.lost.take().and_then(|known| known.status);
        match self.core.retries.blocked(now, blocked.after, chance()) {
            Verdict::Exhausted(pause) if self.may_go_on() => self.probe(now, pause, lost),
            Verdict::Again(pause) if !self.is_start_vain(now + pause) => {
                self.pause(now + pause, lost);
            }
            _ => self.fail(lost),
        }
    }

    /// Whether a stream that no service has accepted yet would wait until then for nothing: whoever
    /// started it wants to know sooner.
    fn is_start_vain(&self, until: Instant) -> bool {
        let patience = self.core.deps.config.response_timeout;
        !self.core.was_accepted && until > self.core.began + patience
    }

    /// Whether the stream turns to another service at once.
    fn is_another(&mut self, verdict: Verdict, service: &'static str) -> bool {
        let choice = &mut self.core.choice;
        match verdict {
            Verdict::Again(pause) => {
                let is_enough = pause > Self::TURN_AFTER
                    || self.core.retries.in_a_row() >= Self::TURN_AFTER_LOSSES;
                is_enough && choice.pass(service)
            }
            Verdict::AgainWithSound => false,
            Verdict::Credential | Verdict::Exhausted(_) => choice.pass(service),
            Verdict::Never => choice.refuse(service),
        }
    }

    /// A stream that was accepted once is not given up while its call lives.
    fn may_go_on(&self) -> bool {
        self.core.was_accepted && !self.core.supply.is_ended()
    }

    fn probe(&mut self, now: Instant, pause: Duration, lost: Lost) {
        self.core.degrade(&lost);
        // Not all streams of a service that is back come back together.
        let interval = self.core.deps.config.probe_interval;
        let interval = interval.mul_f64(0.8 + 0.2 * chance());
        self.pause(now + interval.max(pause), lost);
    }

    /// All services had their turn; the best one is next.
    fn pause(&mut self, until: Instant, lost: Lost) {
        self.core.choice.next_round();
        self.resume(Resume::At(until), lost);
    }

    fn resume(&mut self, resume: Resume, lost: Lost) {
        self.resume = resume;
        self.lost = Some(lost);
    }

    fn fail(&mut self, lost: Lost) {
        self.last = Some(Last::Failed(self.core.report(lost)));
    }
}
