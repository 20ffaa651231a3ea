//! What the server notices, counted and logged. No private words, and not more lines than one can
//! read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use siprec::server::Notice;

use crate::metrics::Metrics;

/// Lines a window; what is over is only counted.
const LINES_MAX: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);

/// Counts notices and logs the first of each window.
#[derive(Debug)]
pub(crate) struct Notices {
    metrics: Arc<Metrics>,
    began: Option<Instant>,
    lines: u32,
}

impl Notices {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            began: None,
            lines: 0,
        }
    }

    /// One more.
    pub(crate) fn take(&mut self, now: Instant, notice: &Notice) {
        self.metrics.siprec().notice(notice);
        let is_worth_a_line = match notice {
            Notice::Answered { why, .. } => why.is_some(),
            // Its answer says it.
            Notice::Request(_) | Notice::TurnedAway => false,
            _ => true,
        };
        if is_worth_a_line && self.has_room(now) {
            log(notice);
        }
    }

    fn has_room(&mut self, now: Instant) -> bool {
        let is_over = self
            .began
            .is_none_or(|began| now.saturating_duration_since(began) >= WINDOW);
        if is_over {
            let left_out = self.lines.saturating_sub(LINES_MAX);
            if left_out > 0 {
                tracing::info!(left_out, "More notices of SIPREC were only counted.");
            }
            self.began = Some(now);
            self.lines = 0;
        }
        self.lines = self.lines.saturating_add(1);
        self.lines <= LINES_MAX
    }
}

fn log(notice: &Notice) {
    match notice {
        Notice::AcceptedAnyway { trunk } => {
            tracing::info!(
                trunk,
                "A session that does not say siprec was taken anyway."
            );
        }
        Notice::Answered {
            method,
            status,
            why: Some(why),
        } => {
            tracing::info!(method, status, why, "A SIP request was refused.");
        }
        Notice::Answered { .. } | Notice::Request(_) | Notice::TurnedAway => {}
        Notice::BadMetadata { why } => {
            tracing::warn!(
                why,
                "Recording metadata cannot be used; the session goes on."
            );
        }
        Notice::LineRejected { line, why } => {
            tracing::info!(line, why, "A media line was rejected.");
        }
        Notice::RateLimited => tracing::warn!("A source sends more than its rate allows."),
        Notice::RequestFailed { method, status } => {
            tracing::warn!(method, status, "A SIP request of ours failed.");
        }
        Notice::UnknownSource => tracing::info!("A SIP message came from an unknown source."),
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;

    #[test]
    fn a_flood_fills_a_window_and_the_next_begins_anew() {
        let metrics = Arc::new(Metrics::register(&Registry::new()).unwrap());
        let mut notices = Notices::new(metrics);
        let now = Instant::now();
        let lines = |notices: &mut Notices, now| (0..100).filter(|_| notices.has_room(now)).count();
        assert_eq!(lines(&mut notices, now), LINES_MAX as usize);
        assert_eq!(lines(&mut notices, now + WINDOW), LINES_MAX as usize);
    }
}
