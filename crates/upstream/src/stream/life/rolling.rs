//! Replacing a socket before its service ends it.

use std::task::{Context, Poll};

use tokio::time::Instant;

use super::{Life, Resume};
use crate::guard::Purpose;
use crate::retry::{Verdict, chance};
use crate::stream::over::{Lost, Over};

impl Life {
    /// What the live socket's foreseen end asks for now.
    pub(super) fn roll(&mut self, context: &mut Context<'_>) -> bool {
        let Some(live) = self.live.as_ref().filter(|live| !live.is_finishing()) else {
            return false;
        };
        let Some(rollover) = live.rollover() else {
            return false;
        };
        let now = Instant::now();
        let ready = match (&self.next, &self.opening) {
            (Some(next), _) => match next.accepted() {
                Some(ready) => ready,
                None => return false,
            },
            (None, Some(_)) => return false,
            (None, None) => {
                let open_at = rollover.open_at.max(self.roll_at);
                if !self.timer.is_due(context, now, open_at) {
                    return false;
                }
                if self.has_overlap {
                    self.open(Purpose::Rollover);
                    return true;
                }
                open_at
            }
        };
        if rollover.is_time(now, ready, live.pause(now)) {
            self.switch();
            return true;
        }
        // A pause that would not do now may do a little later.
        self.timer.is_due(context, now, now + Self::LOOK);
        false
    }

    /// The live socket has said all; the next one, or the one that is opened when the other is
    /// gone, goes on.
    fn switch(&mut self) {
        let Some(mut old) = self.live.take() else {
            return;
        };
        old.finish();
        self.lost = None;
        match self.next.take() {
            Some(next) => {
                self.core.rolled_over(old.service(), next.service());
                self.go_live(next);
            }
            None => {
                self.core.is_cut_off = true;
                self.resume = Resume::WhenAlone;
            }
        }
        self.old.push(*old);
    }

    /// What became of the one that is to be next.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> bool {
        let Some(next) = &mut self.next else {
            return false;
        };
        let Poll::Ready(over) = next.poll(&mut self.core, context) else {
            return false;
        };
        let service = next.service();
        self.next = None;
        if let Over::Lost(lost) = over {
            self.not_rolled(&lost, service);
        }
        true
    }

    /// The next socket was not had. The live one lives on, and it is tried again.
    pub(super) fn not_rolled(&mut self, lost: &Lost, service: &'static str) {
        let now = Instant::now();
        self.core.deps.metrics.retried(lost.loss.retry);
        let live = self.live.as_ref();
        if lost.is_conflict && live.is_some_and(|live| live.service() == service) {
            // It was accepted once and is refused now: one at a time, then.
            self.has_overlap = false;
            return;
        }
        if lost.is_conflict {
            self.core.choice.refuse(service);
        }
        let pause = match self.rolling.lost(now, lost.loss, chance()) {
            Verdict::Again(pause) => pause,
            _ => self.core.deps.config.retry.backoff_max,
        };
        self.roll_at = now + pause;
    }
}
