//! What the service's side of a load run notices: order, damage and latency, out of the stamps in
//! the sound. One ear a stream; what is missing is seen by whoever knows what was sent.

use super::stamp::{self, FRAME, Stamp};
use crate::histogram::Histogram;

/// Listens to one stream.
#[derive(Clone, Debug, Default)]
pub struct Ear {
    /// The beginning of a frame whose end is still to come.
    rest: Vec<i16>,
    next: Option<Stamp>,
    counts: Counts,
    latency: Histogram,
}

/// What one or many ears have noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Samples, stamped or not.
    pub samples: u64,
    /// Messages that carried it.
    pub messages: u64,
    /// Stamped frames in their place.
    pub frames: u64,
    /// Frames whose sound differs from what was sent.
    pub damaged: u64,
    /// Frames of another leg than the stream's first.
    pub foreign: u64,
    /// Frames that came behind a later one, or again.
    pub misplaced: u64,
}

impl Ear {
    /// One message has arrived, at `now_us` of the sender's clock.
    pub fn hear(&mut self, message: &[i16], now_us: u64) {
        self.counts.samples += message.len() as u64;
        self.counts.messages += 1;
        let mut sound = std::mem::take(&mut self.rest);
        sound.extend_from_slice(message);
        let mut at = 0;
        let mut newest = None;
        while let Some(offset) = stamp::find(&sound[at..]) {
            at += offset;
            let Some(frame) = sound.get(at..at + FRAME) else {
                break;
            };
            let Some(stamp) = Stamp::read(frame) else {
                at += 1;
                continue;
            };
            self.place(stamp, frame);
            newest = Some(stamp.sent_us);
            at += FRAME;
        }
        if let Some(sent_us) = newest {
            self.latency.record_us(now_us.saturating_sub(sent_us));
        }
        // Behind the last mark there may be half a frame; without a mark there is nothing to keep.
        if stamp::find(&sound[at..]).is_some() {
            self.rest.extend_from_slice(&sound[at..]);
        }
    }

    /// The leg that is heard; `None` before the first stamp.
    pub fn leg(&self) -> Option<u16> {
        self.next.map(|stamp| stamp.leg)
    }

    /// How many of the leg's stamped frames there were until the newest that was heard.
    pub fn reached(&self) -> u32 {
        self.next.map_or(0, |stamp| stamp.sequence)
    }

    /// What was noticed.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// From the sending of the last frame that a message completes to the message's arrival.
    pub fn latency(&self) -> &Histogram {
        &self.latency
    }

    fn place(&mut self, stamp: Stamp, frame: &[i16]) {
        let next = self.next.get_or_insert(Stamp {
            sequence: 0,
            ..stamp
        });
        let counts = &mut self.counts;
        if stamp.leg != next.leg {
            counts.foreign += 1;
        } else if stamp.sequence < next.sequence {
            counts.misplaced += 1;
        } else {
            counts.frames += 1;
            next.sequence = stamp.sequence + 1;
        }
        counts.damaged += u64::from(!stamp.is_whole(frame));
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.samples += other.samples;
        self.messages += other.messages;
        self.frames += other.frames;
        self.damaged += other.damaged;
        self.foreign += other.foreign;
        self.misplaced += other.misplaced;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::ulaw;

    fn frame(leg: u16, sequence: u32) -> Vec<i16> {
        let stamp = Stamp {
            leg,
            sequence,
            sent_us: u64::from(sequence) * 20_000,
        };
        stamp.write().map(ulaw::decode).to_vec()
    }

    fn frames(sequences: impl IntoIterator<Item = u32>) -> Vec<i16> {
        sequences
            .into_iter()
            .flat_map(|sequence| frame(3, sequence))
            .collect()
    }

    #[test]
    fn however_the_sound_is_cut_every_frame_is_heard_once() {
        let sound = [vec![0; 321], frames(0..50), vec![0; 50]].concat();
        for size in [1, 160, 167, 800, sound.len()] {
            let mut ear = Ear::default();
            sound.chunks(size).for_each(|message| ear.hear(message, 0));
            let counts = ear.counts();
            assert_eq!((counts.frames, counts.damaged), (50, 0), "cut at {size}");
            assert_eq!((ear.leg(), counts.samples), (Some(3), sound.len() as u64));
        }
    }

    #[test]
    fn order_damage_and_crosstalk_are_told_apart() {
        let mut ear = Ear::default();
        ear.hear(&frames([0, 1, 4, 3, 5]), 0);
        let mut damaged = frame(3, 6);
        damaged[150] ^= 1;
        ear.hear(&damaged, 0);
        ear.hear(&frame(9, 7), 0);
        let expected = Counts {
            samples: 7 * 160,
            messages: 3,
            frames: 5,
            damaged: 1,
            foreign: 1,
            misplaced: 1,
        };
        assert_eq!(ear.counts(), expected);
    }

    #[test]
    fn latency_is_that_of_the_last_frame_a_message_completes() {
        let mut ear = Ear::default();
        let sound = frames(0..5);
        ear.hear(&sound[..700], 65_000);
        ear.hear(&sound[700..], 83_000);
        assert_eq!((ear.latency().count(), ear.latency().max_us()), (2, 5_000));
        assert!((3_000..3_050).contains(&ear.latency().quantile_us(0.5)));
    }
}
