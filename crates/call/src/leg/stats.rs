//! The limits of one leg, and what it has seen.

use std::time::Duration;

/// The limits of one leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegConfig {
    /// A hole of up to so long is filled with what the voice was doing before it, and the rest with
    /// silence; 0 for silence alone. More than 60 ms is as 60 ms.
    pub conceal_max: Duration,
    /// A longer jump of the platform's clock is a discontinuity; a shorter one is filled with
    /// silence.
    pub gap_fill_max: Duration,
    /// How many frames may wait for one that was overtaken; 0 for platforms that keep order by
    /// themselves.
    pub order_frames: usize,
    /// A side that is silent for so long while the other speaks is filled with silence.
    pub quiet_after: Duration,
    /// A frame this near to where it is expected is put there: platforms round their clocks.
    pub wobble: Duration,
}

/// What a leg has seen, in samples unless it says otherwise.
///
/// `passed + filled + quiet + skipped + paused + gated` equals the leg's clock, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegStats {
    /// Frames that came in, in whatever state of the gate. A count of frames.
    pub frames: u64,
    /// Sound that came in, in whatever state of the gate.
    pub received: u64,
    /// Sound that went on to a stream.
    pub passed: u64,
    /// Silence put where the platform lost sound, and what was put there to conceal it.
    pub filled: u64,
    /// Of what was filled, what was concealed.
    pub concealed: u64,
    /// Silence put where the platform had nothing to send on this side.
    pub quiet: u64,
    /// Clock jumped over without any sound.
    pub skipped: u64,
    /// Silence put in place of sound during a pause.
    pub paused: u64,
    /// Clock that ran while the gate was shut.
    pub gated: u64,
    /// Sound that came after its place was taken: late or double, dropped.
    pub late: u64,
    /// Frames that had been overtaken and came in time to be put back. A count of frames.
    pub reordered: u64,
    /// Peak of the newest frame that passed, 0 to 32768.
    pub peak: u16,
}

impl Default for LegConfig {
    fn default() -> Self {
        Self {
            conceal_max: Duration::ZERO,
            gap_fill_max: Duration::from_secs(5),
            order_frames: 3,
            quiet_after: Duration::from_millis(200),
            wobble: Duration::from_millis(5),
        }
    }
}

impl LegStats {
    /// The leg's clock, as the sum of what became of it.
    pub fn clock(&self) -> u64 {
        self.passed + self.filled + self.quiet + self.skipped + self.paused + self.gated
    }
}
