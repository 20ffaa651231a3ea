//! What a service says, and what it means by going.

use std::task::{Context, Poll};
use std::time::SystemTime;

use tracing::{debug, warn};

use call::audio;
use call::start::Status;
use call::transcript::Utterance;

use super::Conversation;
use crate::metrics::Unknown;
use crate::service::{Final, Gibberish, Heard, Retry};
use crate::stream::account;
use crate::stream::core::Core;
use crate::stream::over::Over;
use crate::wire::{Received, WireError};

impl Conversation {
    /// Hears everything that has come.
    pub(super) fn hear(&mut self, core: &mut Core, context: &mut Context<'_>) -> Option<Over> {
        loop {
            let received = match self.link.poll_hear(context) {
                Poll::Pending => return None,
                Poll::Ready(Err(error)) => return Some(self.cut(core, &error)),
                Poll::Ready(Ok(received)) => received,
            };
            self.marks.heard = self.marks.now;
            self.marks.pinged = None;
            match received {
                Received::Binary => core.deps.metrics.unknown(Unknown::Binary),
                Received::Life => {}
                Received::Text(text) => match self.dialect.hear(&text) {
                    Ok(Heard::Final(last)) => return Some(self.finale(core, last)),
                    heard => self.understand(core, heard),
                },
            }
        }
    }

    fn understand(&mut self, core: &mut Core, heard: Result<Heard, Gibberish>) {
        let metrics = &core.deps.metrics;
        match heard {
            Ok(Heard::Final(_) | Heard::Nothing) => {}
            Ok(Heard::Ready { expires }) => {
                if self.marks.accepted.is_none() {
                    self.accept(core, expires);
                    self.tell_accepted(core);
                }
            }
            Ok(Heard::Received(received)) => {
                let lag = self.line.length().saturating_sub(received);
                self.counts.received(lag);
            }
            Ok(Heard::Transcript(utterance)) => self.transcript(core, utterance),
            Ok(Heard::Unknown) => metrics.unknown(Unknown::Kind),
            Ok(Heard::VocabularyRefused(status)) => {
                metrics.vocabulary_refused();
                let code = status.code;
                core.span
                    .in_scope(|| warn!(code, "The vocabulary was not taken."));
            }
            Ok(Heard::Warning(status)) => {
                self.counts.warned();
                let code = status.code;
                core.span
                    .in_scope(|| warn!(code, "The service warns of something."));
            }
            Err(gibberish) => {
                metrics.unknown(Unknown::Gibberish);
                core.span
                    .in_scope(|| debug!(%gibberish, "A message was not understood."));
            }
        }
    }

    /// From here on only what is not confirmed is kept, and no more than is wanted.
    pub(super) fn accept(&mut self, core: &Core, expires: Option<SystemTime>) {
        self.marks.accepted = Some(self.marks.now);
        self.marks.sounded = self.marks.now;
        self.rollover = self.foresee(core, expires);
        self.replay.age();
        core.deps
            .metrics
            .accepted(self.marks.now - self.marks.opened);
        if let Some(permit) = self.permit.take() {
            permit.accepted();
        }
    }

    /// Somebody said something, at a time of this socket's clock.
    pub(super) fn transcript(&mut self, core: &mut Core, mut utterance: Utterance) {
        self.line.place(&mut utterance);
        let end = audio::samples(utterance.end);
        let is_repeated = self.repeats_to.is_some_and(|to| end <= to) || self.is_twice(&utterance);
        if utterance.is_final {
            self.replay.confirm(end);
            self.is_after_final = true;
            self.last_final = Some(utterance.clone());
        }
        if !is_repeated {
            core.utterance(utterance);
        } else if utterance.is_final {
            self.counts.repeated();
        }
    }

    /// Whether the service has told the very same before. Where it gives no times, who knows?
    fn is_twice(&self, utterance: &Utterance) -> bool {
        let has_times = utterance.end > utterance.start;
        utterance.is_final && has_times && self.last_final.as_ref() == Some(utterance)
    }

    /// The service's last message.
    fn finale(&mut self, core: &mut Core, last: Final) -> Over {
        let Final {
            status,
            retry,
            summary,
        } = last;
        let is_accepted = self.marks.accepted.is_some();
        let expected = self
            .marks
            .finishing
            .filter(|_| is_accepted || status.is_ok());
        if let Some(summary) = summary.filter(|_| is_accepted || expected.is_some()) {
            let carried = account::bytes(self.carried);
            let carried = self.limits.counts_bytes.then_some(carried);
            core.supply.account_mut().confirm(summary, carried);
        }
        if let Some(since) = expected {
            core.deps.metrics.final_heard(self.marks.now - since);
            if status.is_ok() {
                self.replay.confirm(u64::MAX);
            }
            return Over::Finished(status, summary);
        }
        let retry = if status.is_ok() {
            Retry::Backoff
        } else {
            retry
        };
        let Status { code, description } = &status;
        let why = format!("the service ended the stream with status {code}: {description}");
        self.lost(why, retry, Some(status))
    }

    /// The socket is gone.
    pub(super) fn cut(&mut self, core: &mut Core, error: &WireError) -> Over {
        if let WireError::Closed(code, reason) = error
            && let Some(last) = self.dialect.closed(*code, reason)
        {
            return self.finale(core, last);
        }
        let is_accepted = self.marks.accepted.is_some();
        let why = error.to_string();
        match (self.marks.finishing, error.retry()) {
            (Some(_), _) if is_accepted => {
                self.counts.end_ack_missed();
                Over::Finished(Status::internal(why), None)
            }
            (_, Retry::Token) if is_accepted => self.lost(why, Retry::Backoff, None),
            (_, retry) => self.lost(why, retry, None),
        }
    }

    /// No final message came. That nothing was summed up does not mean that nothing was heard.
    pub(super) fn no_final(&mut self) -> Over {
        let why = "the service sent no final message in time";
        if self.marks.accepted.is_some() {
            self.counts.end_ack_missed();
            return Over::Finished(Status::internal(why), None);
        }
        self.silent(why)
    }
}
