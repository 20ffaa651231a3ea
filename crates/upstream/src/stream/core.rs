//! What of a stream outlives its sockets: its sound, its counts, its losses, and its last word.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{Span, debug, info_span, warn};

use call::audio;
use call::backlog::{Gap, GapReason};
use call::feed::ChunkSource;
use call::start::{Report, Status, StreamSpec, Summary};
use call::transcript::Utterance;

use super::choice::Choice;
use super::over::Lost;
use super::stretches::Stretches;
use super::supply::{Forsaken, Supply};
use super::{Deps, News, Shared, State};
use crate::metrics::Outcome;
use crate::retry::Retries;
use crate::service::Retry;

/// What outlives the sockets.
pub(crate) struct Core {
    pub(crate) deps: Arc<Deps>,
    pub(crate) spec: Arc<StreamSpec>,
    pub(crate) supply: Supply,
    pub(crate) shared: Arc<Shared>,
    pub(crate) retries: Retries,
    pub(crate) choice: Choice,
    /// When it was begun.
    pub(crate) began: Instant,
    /// Whether a service has ever accepted it.
    pub(crate) was_accepted: bool,
    /// Whether there is no accepted socket now, so that what overflows is an outage's doing.
    pub(crate) is_cut_off: bool,
    /// Whether it has been without a service for so long that it is tried but slowly.
    pub(crate) is_degraded: bool,
    /// What a socket that begins with sound sent before says up to here was said before.
    pub(crate) repeats_to: Option<u64>,
    /// Whether the last news is out.
    pub(crate) is_over: bool,
    pub(crate) span: Span,
}

/// The last news.
pub(crate) enum Last {
    Abandoned,
    Failed(Report),
    Finished(Report),
}

impl Core {
    /// A final that ends no later than this behind one of the socket before is the same.
    const REPEAT: Duration = Stretches::TAIL;

    pub(crate) fn new(
        deps: Arc<Deps>,
        spec: StreamSpec,
        source: ChunkSource,
        shared: Arc<Shared>,
    ) -> Self {
        let span = info_span!("stream", call = %spec.call, stream = %spec.id, role = %spec.role);
        deps.metrics.stream_began();
        let route = deps.routes.of(spec.role, &spec.wish);
        let route = route.iter().map(|provider| provider.name());
        let began = Instant::now();
        Self {
            retries: Retries::new(began, deps.config.retry),
            choice: Choice::new(route.collect(), deps.config.fail_over_running),
            deps,
            spec: Arc::new(spec),
            supply: Supply::new(source),
            shared,
            began,
            was_accepted: false,
            is_cut_off: true,
            is_degraded: false,
            repeats_to: None,
            is_over: false,
            span,
        }
    }

    /// A service has accepted the stream on the socket that carries its sound.
    pub(crate) fn accepted(&mut self, service: &'static str) {
        self.was_accepted = true;
        self.tell_gaps();
        self.is_cut_off = false;
        self.recover();
        self.retries.accepted();
        self.choice.accepted(service);
        self.show(State::Ready);
        self.span
            .in_scope(|| debug!(service, "The service has accepted the stream."));
        self.tell(News::Ready { service });
    }

    /// Another socket carries the sound on.
    pub(crate) fn rolled_over(&mut self, from: &'static str, to: &'static str) {
        self.retries.lived_well();
        self.choice.accepted(to);
        self.deps.metrics.of(from).rolled_over();
        self.span
            .in_scope(|| debug!(from, to, "Another socket carries the stream on."));
        if from != to {
            self.tell(News::Ready { service: to });
        }
    }

    /// The socket that carried the sound is lost, or none was had.
    pub(crate) fn interrupted(&mut self, lost: &Lost) {
        let (attempt, class) = (self.retries.in_a_row(), lost.loss.retry.as_str());
        let code = lost.status.as_ref().map(|status| status.code);
        // The service's own words may be anything; its code says enough for a log.
        let why = lost.status.is_none().then_some(lost.why.as_str());
        self.deps.metrics.retried(lost.loss.retry);
        if self.is_degraded {
            self.span
                .in_scope(|| debug!(attempt, class, code, why, "The stream is still cut off."));
            return;
        }
        self.show(State::Opening);
        self.span
            .in_scope(|| warn!(attempt, class, code, why, "The stream is interrupted."));
        self.tell(News::Interrupted {
            attempt,
            why: lost.why.clone(),
        });
    }

    /// It has been without a service for long, and is tried but slowly from here on.
    pub(crate) fn degrade(&mut self, lost: &Lost) {
        if !self.is_degraded {
            self.is_degraded = true;
            self.deps.metrics.degraded(true);
            self.show(State::Degraded);
            self.span
                .in_scope(|| warn!("The stream is without a service for long."));
            let why = lost.why.clone();
            self.tell(News::Degraded { why });
        }
        // An outage may be long; nobody shall wait for its end to hear of it.
        self.tell_gaps();
    }

    pub(crate) fn utterance(&mut self, utterance: Utterance) {
        self.deps.metrics.transcript();
        self.shared.transcripts.fetch_add(1, Ordering::Relaxed);
        self.tell(News::Utterance(utterance));
    }

    /// What the next socket says up to a little behind this, if it begins with a replay, has been
    /// said.
    pub(crate) fn finals_came_to(&mut self, end: Option<u64>) {
        if let Some(end) = end.filter(|end| *end > 0) {
            self.repeats_to = Some(end.saturating_add(audio::samples(Self::REPEAT)));
        }
    }

    /// Passes on what the leg has noted. What overflowed for lack of a socket is an outage.
    pub(crate) fn tell_gaps(&mut self) {
        while let Some(mut gap) = self.supply.take_gap() {
            if self.is_cut_off && gap.reason == GapReason::Overflow {
                gap.reason = GapReason::Outage;
            }
            self.gap(gap);
        }
    }

    pub(crate) fn unconfirmed(&self, stretches: Stretches) {
        for gap in stretches.unconfirmed() {
            self.gap(gap);
        }
    }

    pub(crate) fn forsaken(&self, forsaken: Forsaken) {
        self.unconfirmed(forsaken.unconfirmed);
        for gap in forsaken.unsent {
            self.gap(gap);
        }
    }

    pub(crate) fn finished(&mut self, status: Status, summary: Option<Summary>) -> Last {
        let account = self.supply.account();
        let summary = summary.and_then(|_| account.total());
        let mismatch = account.mismatch().filter(|_| summary.is_some());
        if let Some((sent_bytes, confirmed_bytes)) = mismatch {
            self.deps.metrics.byte_mismatch();
            self.span.in_scope(|| {
                warn!(
                    sent_bytes,
                    confirmed_bytes, "The service confirmed another number of bytes."
                );
            });
            self.tell(News::Mismatch {
                sent_bytes,
                confirmed_bytes,
            });
        }
        let mut report = self.report_of(status);
        report.summary = summary;
        Last::Finished(report)
    }

    /// The sound had ended, and so does the stream, with whatever the service said last.
    pub(crate) fn cut_short(&self, lost: Lost) -> Last {
        let report = self.report(lost);
        if self.was_accepted {
            Last::Finished(report)
        } else {
            Last::Failed(report)
        }
    }

    pub(crate) fn report(&self, lost: Lost) -> Report {
        let has_last_word = lost.status.is_some();
        let status = lost.status.unwrap_or_else(|| Status::internal(lost.why));
        let mut report = self.report_of(status);
        report.summary = self.supply.account().total().filter(|_| has_last_word);
        report
    }

    /// The last news, after all gaps.
    pub(crate) fn end(&mut self, last: Last) {
        self.tell_gaps();
        let mut forsaken = Forsaken::default();
        self.supply.purge(&mut forsaken);
        self.supply.give_up(&mut forsaken);
        self.forsaken(forsaken);
        let (outcome, state, news) = match last {
            Last::Abandoned => {
                let report = self.report_of(Status::internal("the stream was abandoned"));
                (Outcome::Abandoned, State::Failed, News::Failed(report))
            }
            Last::Failed(report) => {
                let code = report.status.code;
                self.span
                    .in_scope(|| warn!(code, "The stream is given up."));
                (Outcome::Failed, State::Failed, News::Failed(report))
            }
            Last::Finished(report) => {
                let code = report.status.code;
                self.span
                    .in_scope(|| debug!(code, "The stream has finished."));
                (Outcome::Finished, State::Finished, News::Finished(report))
            }
        };
        self.is_over = true;
        self.recover();
        self.deps.metrics.stream_ended(outcome);
        self.show(state);
        self.tell(news);
    }

    /// As [`Core::end`], for a stream whose task is ended under it.
    pub(crate) fn end_untold(&mut self) {
        if !self.is_over {
            let why = "the stream's task was ended".to_owned();
            let report = self.report(Lost::new(why, Retry::Unknown, None, true));
            self.end(Last::Failed(report));
        }
    }

    pub(crate) fn show(&self, state: State) {
        self.shared.state.store(state as u8, Ordering::Relaxed);
        self.show_counts();
    }

    pub(crate) fn show_counts(&self) {
        let sent = super::account::bytes(self.supply.account().sent());
        self.shared.sent_bytes.store(sent, Ordering::Relaxed);
        self.shared
            .waiting
            .store(self.supply.waiting(), Ordering::Relaxed);
    }

    fn recover(&mut self) {
        if std::mem::take(&mut self.is_degraded) {
            self.deps.metrics.degraded(false);
        }
    }

    fn gap(&self, gap: Gap) {
        let length = audio::duration(gap.to.saturating_sub(gap.from));
        self.deps.metrics.gap(gap.reason, length);
        self.tell(News::Gap(gap));
    }

    fn report_of(&self, status: Status) -> Report {
        Report {
            id: self.spec.id.clone(),
            role: self.spec.role,
            status,
            summary: None,
        }
    }

    fn tell(&self, news: News) {
        self.deps.listener.tell(&self.spec, news);
    }
}
