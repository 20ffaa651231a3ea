//! `[upstream.retry]` and `[upstream.guard]`: how patient streams are with a service, each by
//! itself and all together.

use std::time::Duration;

use upstream::guard::GuardConfig;
use upstream::retry::RetryConfig;

use super::{DAY, ms, s};
use crate::config::kind::{Count, Period};
use crate::config::section::{Field, Section, Settings, preset};
use crate::config::words::{Service, Words};

settings! {
    /// A stream that is cut off is begun anew, with pauses that double from one loss to the next.
    pub struct Retry {
        /// After so many losses in a row a stream that no service has ever accepted is given up,
        /// and any other is tried again only every `upstream.probe_interval`.
        retries_max: u32 = preset(Count(0..=1_000), retry().retries_max);
        /// The same after so long without being accepted.
        outage_max: Duration = preset(Period(s(0)..=DAY), retry().outage_max);
        /// A socket that lived so long makes earlier losses forgotten.
        healthy_after: Duration =
            preset(Period(s(0)..=DAY), retry().healthy_after);
        /// The most the first pause lasts.
        backoff_base: Duration =
            preset(Period(ms(1)..=s(60)), retry().backoff_base);
        /// The most any pause lasts.
        backoff_max: Duration =
            preset(Period(ms(1)..=s(600)), retry().backoff_max);
        /// The least any pause lasts.
        backoff_min: Duration =
            preset(Period(ms(1)..=s(60)), retry().backoff_min);
    }
    check not_crossed
}

settings! {
    /// What all streams together may ask of one service, so that one that is unwell is not trampled
    /// on. Each service is counted by itself; how many sockets may be opened is in its own section.
    pub struct Guard {
        /// How many streams may retry at once before their rate counts. As many as there are legs,
        /// and a blip that costs all their sockets is mended at once.
        retries_burst: u32 = preset(Count(1..=1_000_000), guard().retries_burst);
        /// How many retries are allowed for each hundred sockets opened for other reasons.
        retries_percent: u32 = preset(Count(0..=1_000), guard().retries_percent);
        /// How many retries a second are allowed in any case. 0: any number.
        retries_per_second: u32 = preset(Count(0..=100_000), guard().retries_per_second);
        /// How many streams may wait for their turn.
        waiting_max: usize = preset(Count(1..=1_000_000), guard().waiting_max);
        /// How long a stream waits for its turn; no longer than its backlog keeps its sound.
        patience: Duration = preset(Period(s(0)..=s(600)), guard().patience);
        /// A service that asks for patience is given no more than this.
        hold_max: Duration = preset(Period(s(0)..=s(3_600)), guard().hold_max);
        /// Older attempts to open a socket say nothing of the service any more.
        window: Duration = preset(Period(s(1)..=s(3_600)), guard().window);
        /// Fewer attempts than this say nothing of it.
        attempts_min: u32 = preset(Count(1..=100_000), guard().attempts_min);
        /// When so many of a hundred attempts fail, the service is left alone.
        failures_percent: u32 = preset(Count(1..=100), guard().failures_percent);
        /// It is left alone for a random time, at least so long; then one stream probes it.
        probe_after_min: Duration = preset(Period(ms(100)..=s(3_600)), guard().probe_after_min);
        /// At most so long.
        probe_after_max: Duration = preset(Period(ms(100)..=s(3_600)), guard().probe_after_max);
    }
    check not_crossed
}

impl Retry {
    /// What a stream is told.
    pub(super) fn of_a_stream(&self) -> RetryConfig {
        RetryConfig {
            retries_max: self.retries_max,
            outage_max: self.outage_max,
            healthy_after: self.healthy_after,
            backoff_base: self.backoff_base,
            backoff_max: self.backoff_max,
            backoff_min: self.backoff_min,
        }
    }

    fn not_crossed(&self, s: &mut Section<'_>) {
        if self.backoff_min > self.backoff_max {
            s.refuse("backoff_min", "is more than upstream.retry.backoff_max");
        }
    }
}

impl Guard {
    /// What the guard of a service is told; `opens` is what its own section says.
    pub(super) fn of(&self, service: Service, opens: Option<(u32, u32)>) -> GuardConfig {
        let presets = GuardConfig::of(service.word());
        let (opens_burst, opens_per_minute) =
            opens.unwrap_or((presets.opens_burst, presets.opens_per_minute));
        GuardConfig {
            opens_burst,
            opens_per_minute,
            retries_burst: self.retries_burst,
            retries_percent: self.retries_percent,
            retries_per_second: self.retries_per_second,
            waiting_max: self.waiting_max,
            patience: self.patience,
            hold_max: self.hold_max,
            window: self.window,
            attempts_min: self.attempts_min,
            failures_percent: self.failures_percent,
            probe_after_min: self.probe_after_min,
            probe_after_max: self.probe_after_max,
        }
    }

    fn not_crossed(&self, s: &mut Section<'_>) {
        if self.probe_after_min > self.probe_after_max {
            s.refuse(
                "probe_after_min",
                "is more than upstream.guard.probe_after_max",
            );
        }
    }
}

fn retry() -> RetryConfig {
    RetryConfig::default()
}

fn guard() -> GuardConfig {
    GuardConfig::default()
}
