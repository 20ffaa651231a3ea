//! The clock of one recorded call: what was heard, and how late it is where nothing is heard.
//!
//! Sound moves the clock by its own timestamps. While every line is silent (hold, inactive lines)
//! wall time moves it, so that silence keeps its length. RFC 7866 §8.1.6.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use call::audio;
use call::feed::MediaClock;
use rtp::receiver::NtpReference;

/// Shared by all lines of a session, and by both sessions of a call that has two.
#[derive(Debug)]
pub(crate) struct SessionClock {
    began: Instant,
    media: MediaClock,
    /// Microseconds from `began` to the last sound of any line.
    sounded: AtomicU64,
    /// How far the media clock is before wall time, in samples of [`FRACTION`] parts.
    ahead: AtomicI64,
    /// Where the clock stands on the peer's NTP clock, by the line that knew first.
    reference: OnceLock<NtpReference>,
}

/// As long as a leg waits before it takes a side to be quiet.
const SILENT_AFTER: Duration = Duration::from_millis(200);

const FRACTION: i64 = 256;

/// A peer's clock may be slower than ours by one part in so many. Packets are delayed, never
/// early, so what is furthest ahead is nearest to the truth, and yields only to a slow clock.
const DRIFT: i64 = 4096;

impl SessionClock {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            began: now,
            media: MediaClock::default(),
            sounded: AtomicU64::new(0),
            ahead: AtomicI64::new(0),
            reference: OnceLock::new(),
        }
    }

    /// What legs share.
    pub(crate) fn media(&self) -> &MediaClock {
        &self.media
    }

    /// Where the clock should be now if sound went on, in samples.
    pub(crate) fn wall(&self, now: Instant) -> u64 {
        let ahead = self.ahead.load(Ordering::Relaxed) / FRACTION;
        audio::samples(self.since(now)).saturating_add_signed(ahead)
    }

    /// Sound has just moved the media clock.
    pub(crate) fn sounded(&self, now: Instant) {
        let since = self.since(now);
        let last = Duration::from_micros(self.sounded.load(Ordering::Relaxed));
        let yielded = audio::samples(since.saturating_sub(last)) as i64 * FRACTION / DRIFT;
        let known = self.ahead.load(Ordering::Relaxed).saturating_sub(yielded);
        let seen = self.media.now() as i64 - audio::samples(since) as i64;
        let ahead = known.max(seen.saturating_mul(FRACTION));
        self.ahead.store(ahead, Ordering::Relaxed);
        let micros = since.as_micros() as u64;
        self.sounded.store(micros, Ordering::Relaxed);
    }

    /// Time has passed: if every line is silent, so much silence has passed too.
    pub(crate) fn tick(&self, now: Instant) {
        let sounded = Duration::from_micros(self.sounded.load(Ordering::Relaxed));
        if self.since(now).saturating_sub(sounded) >= SILENT_AFTER {
            self.media.advance_to(self.wall(now));
        }
    }

    /// What all lines refer to, once one of them knows it.
    pub(crate) fn reference(&self, known: Option<NtpReference>) -> Option<NtpReference> {
        match (self.reference.get(), known) {
            (Some(reference), _) => Some(*reference),
            (None, Some(known)) => Some(*self.reference.get_or_init(|| known)),
            (None, None) => None,
        }
    }

    fn since(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 8000;

    fn at(began: Instant, millis: u64) -> Instant {
        began + Duration::from_millis(millis)
    }

    #[test]
    fn silence_of_all_lines_is_as_long_as_it_takes() {
        let began = Instant::now();
        let clock = SessionClock::new(began);
        clock.media.advance_to(SECOND);
        clock.sounded(at(began, 1000));
        clock.tick(at(began, 31_000));
        assert_eq!(clock.media.now(), 31 * SECOND);
    }

    #[test]
    fn sound_alone_moves_the_clock_while_it_comes() {
        let began = Instant::now();
        let clock = SessionClock::new(began);
        clock.media.advance_to(SECOND);
        clock.sounded(at(began, 1000));
        clock.tick(at(began, 1150));
        assert_eq!(clock.media.now(), SECOND);
    }

    /// What was said before a hold was late by a second, after hours; what is said behind it is as
    /// late, and must not be taken for older than the silence between.
    #[test]
    fn a_hold_adds_its_own_length_to_a_clock_that_drifted() {
        let began = Instant::now();
        let clock = SessionClock::new(began);
        for second in 1..=10_000 {
            clock.media.advance_to(second * (SECOND - 1) + SECOND / 2);
            clock.sounded(at(began, second * 1000));
        }
        let before = clock.media.now();
        clock.tick(at(began, 10_060_000));
        let hold = clock.media.now() - before;
        assert!(hold.abs_diff(60 * SECOND) < SECOND / 20, "{hold} samples");
    }

    #[test]
    fn a_burst_after_a_stall_does_not_set_the_clock_back() {
        let began = Instant::now();
        let clock = SessionClock::new(began);
        clock.media.advance_to(10 * SECOND);
        clock.sounded(at(began, 10_000));
        clock.media.advance_to(10 * SECOND + 160);
        clock.sounded(at(began, 10_500));
        let late = (10 * SECOND + SECOND / 2) - clock.wall(at(began, 10_500));
        assert!(late <= 2, "{late} samples");
    }

    #[test]
    fn a_session_that_was_never_heard_runs_by_the_wall() {
        let began = Instant::now();
        let clock = SessionClock::new(began);
        clock.tick(at(began, 3000));
        assert_eq!(clock.media.now(), 3 * SECOND);
    }
}
