//! A stamp that lives in the sound itself: whoever gets the decoded samples can tell which leg a
//! frame is of, which of its frames, and when it was sent. It survives μ-law exactly, so every
//! sample that a bridge changes shows.

use crate::caller::ulaw;

/// Samples of a stamped frame: 20 ms.
pub const FRAME: usize = 160;

/// No other part of a frame has these codes.
const MARK: [u8; 8] = [0x00, 0x80, 0x10, 0x90, 0x00, 0x80, 0x08, 0x88];
/// Hexadecimal digits are this code and the fifteen above it.
const DIGIT: u8 = 0xb0;
const LEG_DIGITS: usize = 4;
const SEQUENCE_DIGITS: usize = 6;
const TIME_DIGITS: usize = 10;
const CHECK_DIGITS: usize = 2;
const DIGITS: usize = LEG_DIGITS + SEQUENCE_DIGITS + TIME_DIGITS + CHECK_DIGITS;
const BODY: usize = MARK.len() + DIGITS;

/// What a frame tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Which leg, from 0.
    pub leg: u16,
    /// Which of the leg's stamped frames, from 0; 24 bits.
    pub sequence: u32,
    /// When it was sent, in microseconds of the sender's clock; 40 bits.
    pub sent_us: u64,
}

impl Stamp {
    /// The frame, as μ-law.
    pub fn write(self) -> [u8; FRAME] {
        let mut frame = [0; FRAME];
        frame[..MARK.len()].copy_from_slice(&MARK);
        let fields = u128::from(self.leg) << (4 * (SEQUENCE_DIGITS + TIME_DIGITS))
            | u128::from(self.sequence & 0xff_ffff) << (4 * TIME_DIGITS)
            | u128::from(self.sent_us & 0xff_ffff_ffff);
        let mut sum = 0_u8;
        for (index, code) in frame[MARK.len()..BODY - CHECK_DIGITS]
            .iter_mut()
            .enumerate()
        {
            let digit = (fields >> (4 * (DIGITS - CHECK_DIGITS - 1 - index))) as u8 & 0x0f;
            sum = check(sum, digit);
            *code = DIGIT + digit;
        }
        frame[BODY - 2] = DIGIT + (sum >> 4);
        frame[BODY - 1] = DIGIT + (sum & 0x0f);
        for (index, code) in frame[BODY..].iter_mut().enumerate() {
            *code = self.filler(index);
        }
        frame
    }

    /// Reads the stamp of a frame that begins at the first sample.
    pub fn read(sound: &[i16]) -> Option<Self> {
        let mut codes = sound.iter().map(|&sample| exact(sample));
        for mark in MARK {
            codes.next().flatten().filter(|&code| code == mark)?;
        }
        let mut digits =
            codes.map_while(|code| code?.checked_sub(DIGIT).filter(|&digit| digit < 16));
        let mut sum = 0;
        let mut number = |length: usize| {
            (0..length).try_fold(0_u64, |number, _| {
                let digit = digits.next()?;
                sum = check(sum, digit);
                Some(number << 4 | u64::from(digit))
            })
        };
        let leg = number(LEG_DIGITS)? as u16;
        let sequence = number(SEQUENCE_DIGITS)? as u32;
        let sent_us = number(TIME_DIGITS)?;
        let expected = sum;
        let found = digits.next()? << 4 | digits.next()?;
        (found == expected).then_some(Self {
            leg,
            sequence,
            sent_us,
        })
    }

    /// Whether the rest of the frame is what was sent with this stamp.
    pub fn is_whole(self, frame: &[i16]) -> bool {
        let mut body = frame.iter().skip(BODY).take(FRAME - BODY).enumerate();
        body.all(|(index, &sample)| sample == ulaw::decode(self.filler(index)))
    }

    /// Quiet codes that differ from frame to frame.
    fn filler(self, index: usize) -> u8 {
        let turn = index as u32 * 7 + self.sequence * 13 + u32::from(self.leg) * 29;
        0x40 + (turn % 0x3f) as u8
    }
}

/// Where the next frame may begin: the first sample of the mark.
pub fn find(sound: &[i16]) -> Option<usize> {
    let first = ulaw::decode(MARK[0]);
    sound.iter().position(|&sample| sample == first)
}

fn check(sum: u8, digit: u8) -> u8 {
    sum.rotate_left(3) ^ digit
}

/// The code of a sample that is exactly one.
fn exact(sample: i16) -> Option<u8> {
    let code = ulaw::encode(sample);
    (ulaw::decode(code) == sample).then_some(code)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STAMP: Stamp = Stamp {
        leg: 999,
        sequence: 70_000,
        sent_us: 61_234_567_890,
    };

    fn decoded(stamp: Stamp) -> Vec<i16> {
        stamp.write().map(ulaw::decode).to_vec()
    }

    proptest! {
        #[test]
        fn a_stamp_survives_the_codec(
            leg: u16, sequence in 0..0x100_0000_u32, sent_us in 0..1_u64 << 40,
        ) {
            let stamp = Stamp { leg, sequence, sent_us };
            let sound = decoded(stamp);
            prop_assert_eq!(Stamp::read(&sound), Some(stamp));
            prop_assert!(stamp.is_whole(&sound));
            prop_assert_eq!(find(&sound), Some(0));
        }

        #[test]
        fn a_changed_sample_shows(at in 0..FRAME, sample: i16) {
            let before = decoded(STAMP);
            let mut sound = before.clone();
            sound[at] = sample;
            let unchanged = Stamp::read(&sound) == Some(STAMP) && STAMP.is_whole(&sound);
            prop_assert_eq!(unchanged, sound == before);
        }

        #[test]
        fn arbitrary_sound_does_not_panic(
            sound in proptest::collection::vec(any::<i16>(), 0..400),
        ) {
            if let Some(stamp) = Stamp::read(&sound) {
                stamp.is_whole(&sound);
            }
            find(&sound);
        }
    }

    #[test]
    fn the_wrong_byte_order_is_not_a_stamp() {
        let swapped: Vec<i16> = decoded(STAMP).into_iter().map(i16::swap_bytes).collect();
        assert_eq!(Stamp::read(&swapped), None);
    }

    #[test]
    fn digits_and_mark_are_different_codes() {
        assert!(MARK.iter().all(|code| !(DIGIT..DIGIT + 16).contains(code)));
        assert!((0..FRAME).all(|index| !MARK.contains(&STAMP.filler(index))));
    }
}
