//! One leg as a value: gate → order → decode → fill gaps → the stream's backlog.
//!
//! The gate comes first. Behind a gate that is not open a frame is a length and nothing else, so no
//! decoded sample of it ever exists.

use std::time::Instant;

use crate::audio::{self, Frame};
use crate::backlog::{Backlog, Gap, GapReason};
use crate::conceal::Concealer;
use crate::order::{Held, Order};

mod stats;

pub use stats::{LegConfig, LegStats};

/// Whether sound may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Gate {
    /// Sound passes.
    Open,
    /// Sound becomes silence of its own length; the stream stays open.
    Paused,
    /// Sound is counted and forgotten. How every leg begins.
    #[default]
    Shut,
}

/// One leg's pipeline and its gate. Its clock counts samples at 8 kHz and is never set back.
#[derive(Debug)]
pub struct Leg {
    config: LegConfig,
    gate: Gate,
    /// The leg's clock: where the next sample is expected.
    expected: u64,
    order: Order,
    /// Only if holes are concealed.
    concealer: Option<Box<Concealer>>,
    stats: LegStats,
    /// Whether it has just followed a jump of the other side's clock, short of its last
    /// `quiet_after`.
    following: bool,
    /// When sound last came; what is released later arrived at this time.
    touched: Instant,
}

impl Leg {
    /// With its gate shut and its clock at 0.
    pub fn new(now: Instant, config: LegConfig) -> Self {
        let order = Order::new(config.order_frames);
        let concealer = (!config.conceal_max.is_zero()).then(|| Box::new(Concealer::new()));
        Self {
            config,
            gate: Gate::Shut,
            expected: 0,
            order,
            concealer,
            stats: LegStats::default(),
            following: false,
            touched: now,
        }
    }

    /// Whether sound may pass now.
    pub fn gate(&self) -> Gate {
        self.gate
    }

    /// Where the next sample is expected, on the leg's clock.
    pub fn clock(&self) -> u64 {
        self.expected
    }

    /// What it has seen.
    pub fn stats(&self) -> LegStats {
        self.stats
    }

    /// Opens the gate towards a new stream, whose clock is 0 at `zero` of the leg's clock. What was
    /// said before is gone; a side that has been silent until then is gated up to `zero`, so both
    /// sides' clocks agree.
    pub fn open(&mut self, zero: u64) {
        // A frame may have been gated since the clock was read, and `wobble` may have put one
        // beyond it: the clock goes back by what was gated at most, so it stays the sum of its
        // parts.
        let back = self.expected.saturating_sub(zero).min(self.stats.gated);
        let on = zero.saturating_sub(self.expected);
        self.stats.gated = self.stats.gated - back + on;
        self.expected = self.expected - back + on;
        self.gate = Gate::Open;
    }

    /// Opens the gate again after a pause, towards the same stream.
    pub fn resume(&mut self) {
        self.gate = Gate::Open;
    }

    /// From here on sound becomes silence. What overtook its predecessors goes out first.
    pub fn pause(&mut self, out: &mut Backlog) {
        self.release(self.touched, out);
        out.endpoint(self.touched);
        self.close(Gate::Paused);
    }

    /// From here on sound becomes nothing. What overtook its predecessors goes out first, and the
    /// backlog is finished.
    pub fn shut(&mut self, out: &mut Backlog) {
        self.release(self.touched, out);
        self.close(Gate::Shut);
        out.finish(self.touched);
    }

    /// Takes one frame behind an open gate; behind any other it is as [`Leg::withhold`].
    /// True if a chunk became ready.
    pub fn push(&mut self, now: Instant, frame: Frame<'_>, out: &mut Backlog) -> bool {
        let length = frame.codec.samples(frame.payload.len());
        if self.gate != Gate::Open {
            return self.withhold(now, frame.position, length, Some(out));
        }
        self.count(now, length);
        let ready = self.place(now, frame, out);
        self.release_due(now, out) | ready
    }

    /// Takes the length of one frame behind a gate that is not open. True if a chunk became ready.
    pub fn withhold(
        &mut self,
        now: Instant,
        at: u64,
        length: u64,
        out: Option<&mut Backlog>,
    ) -> bool {
        self.count(now, length);
        self.pass_by(now, at.saturating_add(length), out)
    }

    /// The other side's clock has come to `clock`: a side that has nothing to say is filled with
    /// silence. True if a chunk became ready.
    pub fn advance(&mut self, now: Instant, clock: u64, out: Option<&mut Backlog>) -> bool {
        let to = clock.saturating_sub(audio::samples(self.config.quiet_after));
        self.quiet(now, to, out)
    }

    /// The platform had nothing to send before `to`, so nothing of it is lost: it is filled with
    /// silence. True if a chunk became ready.
    pub fn quiet_until(&mut self, now: Instant, to: u64, out: Option<&mut Backlog>) -> bool {
        // What waits for its predecessors waits on, unless this silence is behind it.
        let end = self.order.end().unwrap_or(0).max(self.expected);
        // Nearer than this is a rounded clock.
        let from = end + audio::samples(self.config.wobble);
        to > from && self.quiet(now, to, out)
    }

    fn quiet(&mut self, now: Instant, to: u64, out: Option<&mut Backlog>) -> bool {
        if to <= self.expected {
            return false;
        }
        let Some(out) = out else {
            return false;
        };
        match self.gate {
            Gate::Open => {}
            Gate::Paused => return self.pass_by(now, to, Some(out)),
            Gate::Shut => return false,
        }
        let released = self.release(now, out);
        let silence = to.saturating_sub(self.expected);
        self.expected += silence;
        if silence > audio::samples(self.config.gap_fill_max) {
            // The clock jumped: this side follows it, it is not filled.
            self.stats.skipped += silence;
            self.following = true;
            self.jump(now, silence, out);
            return true;
        }
        self.stats.quiet += silence;
        self.forget();
        out.append_silence(now, silence) | released
    }

    /// Nothing of what was said is kept behind a gate that is not open.
    fn close(&mut self, gate: Gate) {
        self.gate = gate;
        self.stats.peak = 0;
        if let Some(concealer) = &mut self.concealer {
            concealer.wipe();
        }
    }

    fn count(&mut self, now: Instant, length: u64) {
        self.touched = now;
        self.stats.frames += 1;
        self.stats.received += length;
    }

    /// Runs the clock to `to` without sound.
    fn pass_by(&mut self, now: Instant, to: u64, out: Option<&mut Backlog>) -> bool {
        let length = to.saturating_sub(self.expected);
        let from = self.expected;
        self.expected += length;
        match (self.gate, out) {
            (Gate::Paused, Some(out)) if length > audio::samples(self.config.gap_fill_max) => {
                self.stats.skipped += length;
                self.jump(now, length, out);
                true
            }
            (Gate::Paused, Some(out)) => {
                self.stats.paused += length;
                let at = out.end();
                out.note(Gap {
                    from: at,
                    to: at + length,
                    reason: GapReason::Paused,
                });
                out.append_silence(now, length)
            }
            _ => {
                self.stats.gated += self.expected - from;
                false
            }
        }
    }

    fn place(&mut self, now: Instant, frame: Frame<'_>, out: &mut Backlog) -> bool {
        let wobble = audio::samples(self.config.wobble);
        let ahead = frame.position.saturating_sub(self.expected);
        // The last `quiet_after` of a jump that this side followed is part of the jump, not a loss.
        let follows = self.following && ahead <= audio::samples(self.config.quiet_after);
        self.following = false;
        if ahead <= wobble {
            let passed = self.stats.passed;
            let ready = self.write(now, frame, out);
            let in_time = self.stats.passed > passed;
            self.stats.reordered += u64::from(in_time && self.order.is_overtaken(frame.position));
            return ready;
        }
        if follows || ahead > audio::samples(self.config.gap_fill_max) {
            self.release(now, out);
            let jump = frame.position - self.expected;
            self.expected += jump;
            self.stats.skipped += jump;
            self.jump(now, jump, out);
            self.write(now, frame, out);
            return true;
        }
        if self.order.has_room() {
            self.hold(frame);
            return false;
        }
        // The window is full: what has not come by now is lost.
        self.hold(frame);
        self.order
            .first()
            .is_some_and(|held| self.write_after_gap(now, &held, out))
    }

    fn hold(&mut self, frame: Frame<'_>) {
        let length = frame.codec.samples(frame.payload.len());
        let Frame {
            position,
            codec,
            payload,
        } = frame;
        let is_overtaken = self.order.is_overtaken(position);
        if self.order.hold(Held {
            position,
            codec,
            payload: payload.to_vec(),
        }) {
            self.stats.reordered += u64::from(is_overtaken);
        } else {
            self.stats.late += length;
        }
    }

    /// Writes what is held and no longer waits for anything.
    fn release_due(&mut self, now: Instant, out: &mut Backlog) -> bool {
        let wobble = audio::samples(self.config.wobble);
        let mut ready = false;
        while let Some(held) = self.order.due(self.expected + wobble) {
            let frame = Frame {
                position: held.position,
                codec: held.codec,
                payload: &held.payload,
            };
            ready |= self.write(now, frame, out);
        }
        ready
    }

    /// Writes all that is held, with silence for what is missing between.
    fn release(&mut self, now: Instant, out: &mut Backlog) -> bool {
        let mut ready = false;
        while let Some(held) = self.order.first() {
            ready |= self.write_after_gap(now, &held, out);
        }
        ready
    }

    fn write_after_gap(&mut self, now: Instant, held: &Held, out: &mut Backlog) -> bool {
        let lost = held.position.saturating_sub(self.expected);
        let at = out.end();
        if lost > 0 {
            out.note(Gap {
                from: at,
                to: at + lost,
                reason: GapReason::Lost,
            });
            self.expected += lost;
            self.stats.filled += lost;
        }
        let filled = self.fill(now, lost, out);
        let frame = Frame {
            position: held.position,
            codec: held.codec,
            payload: &held.payload,
        };
        self.write(now, frame, out) | filled
    }

    /// Fills a hole: with what the voice would have gone on to do, then with silence.
    fn fill(&mut self, now: Instant, lost: u64, out: &mut Backlog) -> bool {
        let Some(concealer) = self.concealer.as_deref_mut().filter(|_| lost > 0) else {
            return out.append_silence(now, lost);
        };
        let max = audio::samples(self.config.conceal_max);
        let mut concealed = 0;
        let ready = out.append(now, |samples| {
            concealed = concealer.conceal(lost, max, samples);
        });
        self.stats.concealed += concealed;
        out.append_silence(now, lost - concealed) | ready
    }

    /// Decodes a frame to the end of the backlog, without the part whose place is taken.
    fn write(&mut self, now: Instant, frame: Frame<'_>, out: &mut Backlog) -> bool {
        let length = frame.codec.samples(frame.payload.len());
        let behind = self.expected.saturating_sub(frame.position);
        let taken = if behind <= audio::samples(self.config.wobble) {
            0
        } else {
            behind.min(length)
        };
        self.stats.late += taken;
        let rest = &frame.payload[taken as usize * frame.codec.bytes_per_sample()..];
        let fresh = length - taken;
        self.expected += fresh;
        self.stats.passed += fresh;
        if fresh == 0 {
            return false;
        }
        let mut peak = 0;
        let concealer = self.concealer.as_deref_mut();
        let ready = out.append(now, |samples| {
            let before = samples.len();
            frame.codec.decode(rest, samples);
            let fresh = &mut samples[before..];
            if let Some(concealer) = concealer {
                concealer.hear(fresh);
            }
            peak = fresh
                .iter()
                .map(|sample| sample.unsigned_abs())
                .max()
                .unwrap_or(0);
        });
        self.stats.peak = peak;
        ready
    }

    fn jump(&mut self, now: Instant, length: u64, out: &mut Backlog) {
        let at = out.end();
        out.note(Gap {
            from: at,
            to: at + length,
            reason: GapReason::Discontinuity,
        });
        self.forget();
        out.skip(now, length);
    }

    fn forget(&mut self) {
        if let Some(concealer) = &mut self.concealer {
            concealer.forget();
        }
    }
}

#[cfg(test)]
mod tests;
