//! What of a stream outlives its sockets: its clock, its counts, its losses, and its last word.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use tokio::time::{Instant, sleep};
use tracing::{Instrument, Span, debug, info_span, warn};

use call::audio;
use call::backlog::{Gap, GapReason, Taken};
use call::feed::ChunkSource;
use call::start::{Report, Status, StreamSpec, Summary};
use call::transcript::Utterance;

use super::conversation::Conversation;
use super::ledger::Ledger;
use super::{Deps, News, Shared, State};
use crate::metrics::Outcome;
use crate::retry::{Loss, Retries, Verdict, chance};
use crate::service::Retry;
use crate::timeline::TimeLine;
use crate::wire::Link;

/// What outlives the sockets.
pub(crate) struct Core {
    pub(crate) deps: Arc<Deps>,
    pub(crate) spec: StreamSpec,
    pub(crate) source: ChunkSource,
    shared: Arc<Shared>,
    pub(crate) line: TimeLine,
    pub(crate) ledger: Ledger,
    retries: Retries,
    /// Whether the service has ever accepted it.
    was_accepted: bool,
    /// Whether there is no accepted socket now, so that what overflows is an outage's doing.
    cut_off: bool,
    /// The socket of a finished stream, to be closed politely once everybody knows.
    pub(crate) farewell: Option<Link>,
    /// Whether the last news is out.
    is_over: bool,
    pub(crate) span: Span,
}

/// How one socket, or the attempt to get one, ended.
pub(crate) enum Over {
    Finished(Status, Option<Summary>),
    Lost(Lost),
}

/// A socket that ended although the stream has not.
pub(crate) struct Lost {
    pub(crate) why: String,
    pub(crate) loss: Loss,
    /// The service's own last word, if it gave one.
    pub(crate) status: Option<Status>,
}

/// The last news.
enum Last {
    Abandoned,
    Failed(Report),
    Finished(Report),
}

impl Core {
    pub(crate) fn new(
        deps: Arc<Deps>,
        spec: StreamSpec,
        source: ChunkSource,
        shared: Arc<Shared>,
    ) -> Self {
        let span = info_span!("stream", call = %spec.call, stream = %spec.id, role = %spec.role);
        deps.metrics.stream_began();
        Self {
            retries: Retries::new(Instant::now(), deps.config.retry),
            deps,
            spec,
            source,
            shared,
            line: TimeLine::default(),
            ledger: Ledger::default(),
            was_accepted: false,
            cut_off: true,
            farewell: None,
            is_over: false,
            span,
        }
    }

    /// Lives until the last news is told. Gives back a socket that is still to be closed.
    pub(crate) async fn run(mut self) -> Option<Link> {
        let abandon = self.shared.abandon.clone();
        let last = tokio::select! {
            biased;
            () = abandon.cancelled() => Last::Abandoned,
            last = self.live() => last,
        };
        self.end(last);
        self.farewell.take()
    }

    async fn live(&mut self) -> Last {
        loop {
            let lost = match self.attempt().await {
                Over::Finished(status, summary) => return self.finished(status, summary),
                Over::Lost(lost) => lost,
            };
            self.cut_off = true;
            if self.is_nothing_left() {
                return self.cut_short(lost);
            }
            let verdict = self.retries.lost(Instant::now(), lost.loss, chance());
            if verdict == Verdict::GiveUp {
                return Last::Failed(self.report(lost));
            }
            if lost.loss.retry == Retry::Token {
                // What else was fetched ahead of time is no better.
                self.deps.service.forget(&self.spec.call);
            }
            self.interrupted(&lost);
            match verdict {
                Verdict::Again(pause) => sleep(pause).await,
                _ => self.sound().await,
            }
            if self.is_nothing_left() {
                return self.cut_short(lost);
            }
        }
    }

    /// One socket, from its address to its end.
    async fn attempt(&mut self) -> Over {
        self.show(State::Opening);
        let began = Instant::now();
        let open = async {
            let lost = |why: String, retry, fresh| Lost {
                why,
                loss: Loss {
                    retry,
                    lived: None,
                    fresh,
                },
                status: None,
            };
            let service = &self.deps.service;
            let located = service.locate(&self.spec).await;
            let located = located.map_err(|error| lost(error.to_string(), error.retry, true))?;
            let fresh = located.fresh;
            let link = self.deps.wire.connect(located.request).await;
            let link = link.map_err(|error| lost(error.to_string(), error.retry(), fresh))?;
            Ok((link, fresh))
        };
        // Boxed: what it takes to open a socket is many times what it takes to keep one.
        match Box::pin(open.instrument(self.span.clone())).await {
            Ok((link, fresh)) => {
                self.deps.metrics.opened(began.elapsed());
                Conversation::new(self, link, fresh).run().await
            }
            Err(lost) => Over::Lost(lost),
        }
    }

    /// Waits until there is something to say, or nothing more will come.
    async fn sound(&mut self) {
        poll_fn(|context| match self.source.poll_take(context) {
            Poll::Ready(Taken::Chunk(chunk)) => {
                self.source.untake(chunk);
                Poll::Ready(())
            }
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        })
        .await;
    }

    /// Whether another socket would have nothing to carry.
    fn is_nothing_left(&self) -> bool {
        self.source.is_ended() && self.source.waiting() == 0
    }

    fn finished(&mut self, status: Status, summary: Option<Summary>) -> Last {
        let summary = summary.and_then(|_| self.ledger.total());
        if let Some((sent_bytes, confirmed_bytes)) =
            self.ledger.mismatch().filter(|_| summary.is_some())
        {
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
        Last::Finished(Report {
            id: self.spec.id.clone(),
            role: self.spec.role,
            status,
            summary,
        })
    }

    /// The sound had ended, and so does the stream, with whatever the service said last.
    fn cut_short(&self, lost: Lost) -> Last {
        let report = self.report(lost);
        if self.was_accepted {
            Last::Finished(report)
        } else {
            Last::Failed(report)
        }
    }

    fn report(&self, lost: Lost) -> Report {
        Report {
            id: self.spec.id.clone(),
            role: self.spec.role,
            summary: lost.status.as_ref().and_then(|_| self.ledger.total()),
            status: lost.status.unwrap_or_else(|| Status::internal(lost.why)),
        }
    }

    fn interrupted(&mut self, lost: &Lost) {
        let (attempt, class) = (self.retries.in_a_row(), lost.loss.retry.as_str());
        let code = lost.status.as_ref().map(|status| status.code);
        // The service's own words may be anything; its code says enough for a log.
        let why = lost.status.is_none().then_some(lost.why.as_str());
        self.show(State::Opening);
        self.deps.metrics.retried(lost.loss.retry);
        self.span
            .in_scope(|| warn!(attempt, class, code, why, "The stream is interrupted."));
        self.tell(News::Interrupted {
            attempt,
            why: lost.why.clone(),
        });
    }

    pub(crate) fn accepted(&mut self) {
        self.was_accepted = true;
        self.tell_gaps();
        self.cut_off = false;
        self.retries.accepted();
        self.show(State::Ready);
        self.span
            .in_scope(|| debug!("The service has accepted the stream."));
        self.tell(News::Ready);
    }

    pub(crate) fn utterance(&mut self, mut utterance: Utterance) {
        self.line.place(&mut utterance);
        self.deps.metrics.transcript();
        self.shared.transcripts.fetch_add(1, Ordering::Relaxed);
        self.tell(News::Utterance(utterance));
    }

    /// Passes on what the leg has noted. What overflowed for lack of a socket is an outage.
    pub(crate) fn tell_gaps(&mut self) {
        while let Some(mut gap) = self.source.take_gap() {
            if self.cut_off && gap.reason == GapReason::Overflow {
                gap.reason = GapReason::Outage;
            }
            self.gap(gap);
        }
    }

    fn gap(&self, gap: Gap) {
        let length = audio::duration(gap.to.saturating_sub(gap.from));
        self.deps.metrics.gap(gap.reason, length);
        self.tell(News::Gap(gap));
    }

    /// What still waits when the stream is given up will never be heard.
    fn drop_waiting(&mut self) {
        let context = Context::from_waker(Waker::noop());
        let mut gap: Option<Gap> = None;
        while let Poll::Ready(Taken::Chunk(chunk)) = self.source.poll_take(&context) {
            let to = chunk.position + chunk.len();
            match &mut gap {
                Some(gap) => gap.to = to,
                None => {
                    gap = Some(Gap {
                        from: chunk.position,
                        to,
                        reason: GapReason::Outage,
                    });
                }
            }
        }
        if let Some(gap) = gap {
            self.gap(gap);
        }
    }

    fn end(&mut self, last: Last) {
        self.tell_gaps();
        let (outcome, state, news) = match last {
            Last::Abandoned => {
                let status = Status::internal("the stream was abandoned");
                let (id, role) = (self.spec.id.clone(), self.spec.role);
                let report = Report {
                    id,
                    role,
                    status,
                    summary: None,
                };
                (Outcome::Abandoned, State::Failed, News::Failed(report))
            }
            Last::Failed(report) => {
                self.drop_waiting();
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
        self.deps.metrics.stream_ended(outcome);
        self.show(state);
        self.tell(news);
    }

    fn tell(&self, news: News) {
        self.deps.listener.tell(&self.spec, news);
    }

    pub(crate) fn show(&self, state: State) {
        self.shared.state.store(state as u8, Ordering::Relaxed);
        self.show_counts();
    }

    pub(crate) fn show_counts(&self) {
        self.shared
            .sent_bytes
            .store(self.ledger.sent_bytes(), Ordering::Relaxed);
        self.shared
            .waiting
            .store(self.source.waiting(), Ordering::Relaxed);
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if !self.is_over {
            let loss = Loss {
                retry: Retry::Unknown,
                lived: None,
                fresh: true,
            };
            let why = "the stream's task was ended".to_owned();
            let report = self.report(Lost {
                why,
                loss,
                status: None,
            });
            self.end(Last::Failed(report));
        }
    }
}
