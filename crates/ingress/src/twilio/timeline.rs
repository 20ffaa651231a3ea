//! Twilio's clock made ours: from timestamps in milliseconds, which begin anywhere and may begin
//! anew, to positions in samples on one clock for both tracks.

use call::audio::SAMPLES_PER_MS;
use call::name::Side;

/// The clock of one stream.
///
/// The first timestamp of any track is position 0 for both, so tracks that begin apart stay apart.
/// A timestamp is believed as long as it is less than [`Timeline::BACK_MAX`] before and
/// [`Timeline::AHEAD_MAX`] after where its track is. One beyond that is a stray; two in a row mean
/// that the platform's clock began anew, and the track goes on seamlessly from where the stream is.
#[derive(Debug, Default)]
pub struct Timeline {
    origin: Option<Origin>,
    tracks: [TrackTime; 2],
}

/// Where a frame belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its first sample.
    pub position: u64,
    /// Samples missing between it and the frame before it.
    pub gap: u64,
    /// Whether the platform's clock began anew with it.
    pub restarted: bool,
}

/// Counts what is missing in the socket's one row of sequence numbers.
#[derive(Debug, Default)]
pub struct Sequence {
    newest: Option<u64>,
    /// By side: whether a number was missing since the side's newest frame.
    broken: [bool; 2],
}

/// What a sequence number tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It came before, or is too late.
    Backward,
    /// So many are missing before it.
    Missing(u64),
    /// It is the next.
    Next,
}

/// A timestamp and the position it stands for.
#[derive(Clone, Copy, Debug)]
struct Origin {
    timestamp: u64,
    position: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct TrackTime {
    /// Position after its newest frame; `None` before its first.
    end: Option<u64>,
    /// Whether its newest timestamp was not believed.
    stray: bool,
}

impl Timeline {
    /// A timestamp this many samples before its track's end is not believed: 2 s.
    pub const BACK_MAX: u64 = 2_000 * SAMPLES_PER_MS;

    /// A timestamp this many samples after its track's end is not believed: 1 h.
    pub const AHEAD_MAX: u64 = 3_600_000 * SAMPLES_PER_MS;

    /// Less than this is the platform's rounding and not a gap: 5 ms.
    pub const WOBBLE: u64 = 5 * SAMPLES_PER_MS;

    /// Places a frame. One without a timestamp follows its track's newest.
    pub fn place(&mut self, side: Side, timestamp: Option<u64>, samples: u64) -> Place {
        let expected = self.expected(side, samples);
        let mut place = match timestamp {
            Some(timestamp) => self.place_timed(side, timestamp, expected),
            None => Place {
                position: expected,
                ..Place::default()
            },
        };
        let track = &mut self.tracks[side as usize];
        let ahead = place.position.saturating_sub(expected);
        if track.end.is_some() && ahead > Self::WOBBLE {
            place.gap = ahead;
        }
        let end = place.position.saturating_add(samples);
        track.end = Some(track.end.map_or(end, |newest| newest.max(end)));
        place
    }

    /// The end of the newest frame of any track.
    pub fn end(&self) -> u64 {
        self.tracks
            .iter()
            .filter_map(|track| track.end)
            .max()
            .unwrap_or(0)
    }

    fn place_timed(&mut self, side: Side, timestamp: u64, expected: u64) -> Place {
        let begin = Origin {
            timestamp,
            position: expected,
        };
        let position = self.origin.get_or_insert(begin).position_of(timestamp);
        let track = &mut self.tracks[side as usize];
        let late = position < i128::from(expected) - i128::from(Self::BACK_MAX);
        let early = position > i128::from(expected) + i128::from(Self::AHEAD_MAX);
        if !late && !early {
            track.stray = false;
            let position = u64::try_from(position).unwrap_or(0);
            return Place {
                position,
                ..Place::default()
            };
        }
        if !std::mem::replace(&mut track.stray, true) {
            // Too late: dropped by its leg. Too early: its time is wrong, its sound is not.
            let position = if late {
                u64::try_from(position).unwrap_or(0)
            } else {
                expected
            };
            return Place {
                position,
                ..Place::default()
            };
        }
        track.stray = false;
        let position = self.end().max(expected);
        self.origin = Some(Origin {
            timestamp,
            position,
        });
        Place {
            position,
            restarted: true,
            ..Place::default()
        }
    }

    /// Where a frame goes that has only its length to tell: after its track's newest, or, as the
    /// first of its track, beside the newest of the other.
    fn expected(&self, side: Side, samples: u64) -> u64 {
        self.tracks[side as usize]
            .end
            .unwrap_or_else(|| self.end().saturating_sub(samples))
    }
}

impl Origin {
    fn position_of(self, timestamp: u64) -> i128 {
        let since = i128::from(timestamp) - i128::from(self.timestamp);
        since * i128::from(SAMPLES_PER_MS) + i128::from(self.position)
    }
}

impl Sequence {
    /// One jump counts for no more missing messages than this.
    pub const MISSING_MAX: u64 = 10_000;

    /// Takes the next number.
    pub fn step(&mut self, number: u64) -> Step {
        let Some(newest) = self.newest else {
            self.newest = Some(number);
            return Step::Next;
        };
        match number.checked_sub(newest) {
            None | Some(0) => Step::Backward,
            Some(1) => {
                self.newest = Some(number);
                Step::Next
            }
            Some(step) => {
                self.newest = Some(number);
                self.broken = [true; 2];
                Step::Missing((step - 1).min(Self::MISSING_MAX))
            }
        }
    }

    /// Whether a number was missing since this was last asked for this side.
    pub fn was_broken(&mut self, side: Side) -> bool {
        std::mem::take(&mut self.broken[side as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: u64 = 160;
    const FIRST: Side = Side::First;
    const SECOND: Side = Side::Second;

    fn at(timeline: &mut Timeline, side: Side, timestamp: u64) -> u64 {
        timeline.place(side, Some(timestamp), FRAME).position
    }

    #[test]
    fn the_first_timestamp_of_any_track_is_the_zero_of_both() {
        let mut timeline = Timeline::default();
        assert_eq!(at(&mut timeline, FIRST, 52), 0);
        assert_eq!(at(&mut timeline, FIRST, 72), 160);
        assert_eq!(at(&mut timeline, SECOND, 3_000), 2_948 * 8);
        assert_eq!(timeline.end(), 2_948 * 8 + FRAME);
    }

    #[test]
    fn a_track_that_begins_a_little_before_the_zero_begins_at_the_zero() {
        let mut timeline = Timeline::default();
        assert_eq!(at(&mut timeline, FIRST, 52), 0);
        assert_eq!(at(&mut timeline, SECOND, 50), 0);
        assert_eq!(at(&mut timeline, SECOND, 70), 144);
    }

    #[test]
    fn frames_without_a_timestamp_follow_each_other() {
        let mut timeline = Timeline::default();
        let mut untimed = |side| timeline.place(side, None, FRAME).position;
        assert_eq!(
            [
                untimed(FIRST),
                untimed(SECOND),
                untimed(FIRST),
                untimed(SECOND)
            ],
            [0, 0, 160, 160]
        );
        assert_eq!(at(&mut timeline, FIRST, 5_000), 320);
        assert_eq!(timeline.place(FIRST, None, FRAME).position, 480);
        assert_eq!(at(&mut timeline, FIRST, 5_040), 640);
    }

    #[test]
    fn a_clock_that_begins_anew_goes_on_where_the_stream_is_for_both_tracks() {
        let mut timeline = Timeline::default();
        for timestamp in (10_052..20_052).step_by(20) {
            at(&mut timeline, FIRST, timestamp);
            at(&mut timeline, SECOND, timestamp);
        }
        let end = timeline.end();
        assert_eq!(end, 80_000);
        // The first of them could be a straggler, so it is left where it would be late.
        assert_eq!(at(&mut timeline, FIRST, 0), 0);
        let restart = timeline.place(FIRST, Some(20), FRAME);
        assert_eq!(
            restart,
            Place {
                position: end,
                gap: 0,
                restarted: true
            }
        );
        assert_eq!(at(&mut timeline, SECOND, 20), end);
        assert_eq!(at(&mut timeline, FIRST, 40), end + FRAME);
    }

    #[test]
    fn one_straggler_moves_no_clock() {
        let mut timeline = Timeline::default();
        for timestamp in (0..10_000).step_by(20) {
            at(&mut timeline, FIRST, timestamp);
        }
        assert_eq!(at(&mut timeline, FIRST, 1_000), 8_000);
        assert_eq!(
            timeline.place(FIRST, Some(10_000), FRAME),
            Place {
                position: 80_000,
                ..Place::default()
            }
        );
    }

    #[test]
    fn a_time_that_cannot_be_is_not_believed() {
        let mut timeline = Timeline::default();
        at(&mut timeline, FIRST, 0);
        assert_eq!(at(&mut timeline, FIRST, u64::MAX), FRAME);
        assert_eq!(at(&mut timeline, FIRST, 40), 2 * FRAME);
        assert_eq!(at(&mut timeline, FIRST, u64::MAX - 20), 3 * FRAME);
        let restart = timeline.place(FIRST, Some(u64::MAX), FRAME);
        assert_eq!(
            restart,
            Place {
                position: 4 * FRAME,
                gap: 0,
                restarted: true
            }
        );
    }

    #[test]
    fn a_jump_ahead_is_a_gap_and_wobble_is_none() {
        let mut timeline = Timeline::default();
        let gaps: Vec<_> = [0, 20, 41, 59, 80, 200]
            .map(|timestamp| timeline.place(FIRST, Some(timestamp), FRAME).gap)
            .into();
        assert_eq!(gaps, [0, 0, 0, 0, 0, 800]);
    }

    #[test]
    fn sequence_numbers_tell_what_is_missing() {
        let mut sequence = Sequence::default();
        let steps = [1, 2, 5, 4, 5, 6, u64::MAX].map(|number| sequence.step(number));
        use Step::{Backward, Missing, Next};
        let all = Missing(Sequence::MISSING_MAX);
        assert_eq!(
            steps,
            [Next, Next, Missing(2), Backward, Backward, Next, all]
        );
        assert!(sequence.was_broken(FIRST) && !sequence.was_broken(FIRST));
        assert!(sequence.was_broken(SECOND));
    }
}
