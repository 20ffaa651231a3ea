//! One socket of a stream, from the greeting to its end, as a machine that is polled.
//!
//! It is first in line, or carries the stream's sound, or has said all and is still heard. What
//! comes from it can only be about what it has carried: its time line and its counts are its own,
//! so that nothing late from one socket can reach another.

mod hearing;
mod saying;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use call::audio;
use call::start::Status;
use call::transcript::Utterance;

use super::State;
use super::core::Core;
use super::due::Marks;
use super::opening::Opened;
use super::over::{Lost, Over};
use super::replay::{Leavings, Replay};
use super::rollover::Rollover;
use super::timer::Timer;
use crate::guard::Permit;
use crate::metrics::ServiceMetrics;
use crate::pacer::Pacer;
use crate::service::{Dialect, Limits, Message, Retry};
use crate::timeline::TimeLine;
use crate::wire::Link;

/// One socket and what is under way on it.
pub(crate) struct Conversation {
    link: Link,
    dialect: Box<dyn Dialect>,
    service: &'static str,
    limits: Limits,
    counts: Arc<ServiceMetrics>,
    /// To be told whether the service accepts the stream.
    permit: Option<Permit>,
    /// Whether the address was asked for just before.
    fresh: bool,
    /// Whether the stream's sound goes this way.
    is_speaking: bool,
    /// What is to be said before any sound.
    control: VecDeque<Message>,
    pacer: Pacer,
    line: TimeLine,
    /// What it carries away if it is lost: before the service has accepted the stream all sound,
    /// then what is not confirmed.
    replay: Replay,
    /// Finals that end no later repeat what another socket has said.
    repeats_to: Option<u64>,
    /// The last final. What is the same once more is not told.
    last_final: Option<Utterance>,
    /// Samples since the last that was not quiet.
    quiet: u64,
    /// Whether the service has ended an utterance and nothing was said since.
    is_after_final: bool,
    /// Whether the last that was said is that a pause has begun.
    is_at_endpoint: bool,
    /// Samples sent, silence of ours included.
    carried: u64,
    /// Those of them that are being written.
    writing_samples: u64,
    rollover: Option<Rollover>,
    marks: Marks,
    timer: Timer,
}

impl Conversation {
    /// On an open socket. If the service accepts a stream without a word, it has.
    pub(crate) fn new(core: &Core, opened: Opened) -> Self {
        let Opened {
            admission,
            link,
            fresh,
        } = opened;
        let now = Instant::now();
        let service = admission.provider.service();
        let limits = service.limits();
        let mut dialect = service.dialect(&admission.spec);
        let config = &core.deps.config;
        let mut new = Self {
            link,
            control: dialect.greet().into(),
            dialect,
            service: service.name(),
            limits,
            counts: Arc::clone(core.deps.metrics.of(service.name())),
            permit: Some(admission.permit),
            fresh,
            is_speaking: false,
            pacer: Pacer::new(limits),
            line: TimeLine::default(),
            replay: Replay::new(config.replay, core.supply.budget()),
            repeats_to: None,
            last_final: None,
            quiet: 0,
            is_after_final: false,
            is_at_endpoint: false,
            carried: 0,
            writing_samples: 0,
            rollover: None,
            marks: Marks::new(now),
            timer: Timer::new(now + config.response_timeout),
        };
        if limits.accepts_at_open {
            new.accept(core, None);
        }
        new
    }

    /// Ready when the socket is of no more use.
    pub(crate) fn poll(&mut self, core: &mut Core, context: &mut Context<'_>) -> Poll<Over> {
        self.marks.now = Instant::now();
        let over = self
            .hear(core, context)
            .or_else(|| self.send(core, context))
            .or_else(|| self.watch(core, context));
        if self.is_speaking && self.marks.accepted.is_some() {
            core.tell_gaps();
        }
        let Some(over) = over else {
            return Poll::Pending;
        };
        if let Some(utterance) = self.dialect.leftover() {
            self.transcript(core, utterance);
        }
        if let (Some(permit), Over::Lost(lost)) = (self.permit.take(), &over) {
            permit.failed(lost.loss.blame());
        }
        Poll::Ready(over)
    }

    /// From here on the stream's sound goes this way.
    pub(crate) fn speak(&mut self, core: &Core) {
        self.is_speaking = true;
        self.repeats_to = core.repeats_to.filter(|_| core.supply.is_replay());
        self.replay.confirm(core.supply.confirmed_to());
    }

    /// Tells that the stream is accepted, if it is and its sound goes this way.
    pub(crate) fn tell_accepted(&self, core: &mut Core) {
        if self.is_speaking && self.marks.accepted.is_some() {
            core.accepted(self.service);
            if self.marks.finishing.is_some() {
                core.show(State::Finishing);
            }
        }
    }

    /// All has been said; what the service makes of it is still heard.
    pub(crate) fn finish(&mut self) {
        self.is_speaking = false;
        self.marks.finishing = Some(Instant::now());
        self.control.extend(self.dialect.finish());
    }

    /// What was thrown away by order is not sent again.
    pub(crate) fn purge(&mut self, before: u64) {
        self.replay.purge(before);
    }

    /// The socket, and what is left of the talk.
    pub(crate) fn leave(self) -> (Link, Leavings) {
        (self.link, self.replay.leave())
    }

    /// For how long nothing has been said.
    pub(crate) fn pause(&self, now: Instant) -> Duration {
        if self.is_after_final {
            return Rollover::PAUSE;
        }
        let still = now.saturating_duration_since(self.marks.sounded);
        let still = if still < Rollover::PAUSE {
            Duration::ZERO
        } else {
            still
        };
        audio::duration(self.quiet).max(still)
    }

    /// Its service's name.
    pub(crate) fn service(&self) -> &'static str {
        self.service
    }

    /// When the service accepted the stream on it.
    pub(crate) fn accepted(&self) -> Option<Instant> {
        self.marks.accepted
    }

    /// Whether all has been said.
    pub(crate) fn is_finishing(&self) -> bool {
        self.marks.finishing.is_some()
    }

    /// Whether the last that was said is that a pause has begun.
    pub(crate) fn is_at_endpoint(&self) -> bool {
        self.is_at_endpoint
    }

    /// When it is to be replaced, if that is known.
    pub(crate) fn rollover(&self) -> Option<Rollover> {
        self.rollover
    }

    /// When the service is going to end the socket, by its rules or by its word.
    fn foresee(&self, core: &Core, expires: Option<SystemTime>) -> Option<Rollover> {
        let config = &core.deps.config;
        let of = |since, life: Duration, lead| {
            let is_mortal = !life.is_zero();
            is_mortal.then(|| Rollover::new(since, life, lead, config.rollover_window))
        };
        let by_rule = of(
            self.marks.opened,
            self.limits.session_max,
            config.rollover_lead,
        );
        // A moment that has passed is a clock that is wrong.
        let left = expires.and_then(|expires| expires.duration_since(SystemTime::now()).ok());
        let lead = config.rollover_lead.min(Self::EXPIRY_LEAD);
        let by_word = left.and_then(|left| of(self.marks.now, left, lead));
        by_word.map_or(by_rule, |by_word| Some(by_word.earlier(by_rule)))
    }

    /// A service that names the moment is believed to keep to it.
    const EXPIRY_LEAD: Duration = Duration::from_secs(120);

    fn silent(&self, why: &str) -> Over {
        self.lost(why.to_owned(), Retry::Backoff, None)
    }

    fn lost(&self, why: String, retry: Retry, status: Option<Status>) -> Over {
        let lived = Some(self.marks.now - self.marks.opened);
        let mut lost = Lost::new(why, retry, lived, self.fresh);
        lost.status = status;
        Over::Lost(lost)
    }
}
