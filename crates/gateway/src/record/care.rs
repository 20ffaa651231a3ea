//! When the store is tried again, what is told of it and how often, and when it is tidied up.

use std::time::{Duration, Instant};

use super::RecorderConfig;
use super::keeping::Trouble;

/// The recorder's sense of time.
#[derive(Debug)]
pub(super) struct Care {
    retry_max: Duration,
    expire_interval: Duration,
    /// Not to be tried before.
    next_try: Option<Instant>,
    pause: Duration,
    /// What the log knows of.
    told: Option<Trouble>,
    /// How often in a row a failure said nothing that is known.
    others: u32,
    falls: u32,
    tidy_at: Option<Instant>,
    untold: u64,
    told_at: Option<Instant>,
}

impl Care {
    const PAUSE_MIN: Duration = Duration::from_millis(100);
    const TOLD_EVERY: Duration = Duration::from_secs(60);
    /// After so many failures in a row that say nothing known, one event may be to blame.
    const OTHERS_MAX: u32 = 3;

    pub(super) fn new(config: &RecorderConfig) -> Self {
        Self {
            retry_max: config.retry_max,
            expire_interval: config.expire_interval,
            next_try: None,
            pause: Duration::ZERO,
            told: None,
            others: 0,
            falls: 0,
            tidy_at: None,
            untold: 0,
            told_at: None,
        }
    }

    /// How long until the store may be tried again.
    pub(super) fn pause(&self, now: Instant) -> Duration {
        let next = self.next_try;
        next.map_or(Duration::ZERO, |next| next.saturating_duration_since(now))
    }

    /// How long nothing is to be done, if nothing happens.
    pub(super) fn idle(&self, now: Instant) -> Duration {
        let left = |at: Instant| at.saturating_duration_since(now);
        let tidy = self.tidy_at.map_or(Duration::ZERO, left);
        match self.next_try {
            Some(next) => tidy.min(left(next)),
            None => tidy,
        }
    }

    /// The store failed; whether that is news.
    pub(super) fn failed(&mut self, trouble: Trouble, now: Instant) -> bool {
        self.pause = (self.pause * 2).max(Self::PAUSE_MIN).min(self.retry_max);
        self.next_try = Some(now + self.pause);
        self.others = match trouble {
            Trouble::Other => self.others + 1,
            _ => 0,
        };
        self.told.replace(trouble) != Some(trouble)
    }

    /// Whether one event may be to blame for the failures.
    pub(super) fn suspects(&self) -> bool {
        self.others >= Self::OTHERS_MAX
    }

    /// The store took what it was given; whether that is news.
    pub(super) fn succeeded(&mut self) -> bool {
        self.next_try = None;
        self.pause = Duration::ZERO;
        (self.others, self.falls) = (0, 0);
        self.told.take().is_some()
    }

    /// It is tried at once.
    pub(super) fn at_once(&mut self) {
        self.next_try = None;
    }

    /// Whether it is time to tidy up, which is then put off until later.
    pub(super) fn is_time_to_tidy(&mut self, now: Instant) -> bool {
        let is_time = self.tidy_at.is_none_or(|at| at <= now);
        if is_time {
            self.tidy_at = Some(now + self.expire_interval);
        }
        is_time
    }

    /// There is more to tidy up.
    pub(super) fn tidy_on(&mut self, now: Instant) {
        self.tidy_at = Some(now);
    }

    /// Events were lost; how many the log is to be told of now.
    pub(super) fn lost(&mut self, events: u64, now: Instant) -> Option<u64> {
        self.untold += events;
        let is_due = |told: Instant| now.saturating_duration_since(told) >= Self::TOLD_EVERY;
        let is_news = self.untold > 0 && self.told_at.is_none_or(is_due);
        is_news.then(|| {
            self.told_at = Some(now);
            std::mem::take(&mut self.untold)
        })
    }

    /// The thread fell; whether it did so before and has kept nothing since.
    pub(super) fn fell(&mut self) -> bool {
        self.falls += 1;
        self.falls > 1
    }
}
