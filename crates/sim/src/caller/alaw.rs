//! G.711 A-law, both ways, written from the Recommendation and shared with nobody.

/// The code for the quietest positive value: A-law has no zero.
pub const SILENCE: u8 = 0xd5;

/// The code nearest to a sample; louder than the scale is clipped.
pub fn encode(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    // 13 bits, of which the negative ones are counted from -1.
    let magnitude = i32::from(if sample < 0 { !sample } else { sample }) >> 3;
    let magnitude = magnitude.min(0xfff);
    let segment = 27 - (magnitude | 0x1f).leading_zeros() as i32;
    let shift = segment.max(1);
    let step = (magnitude >> shift) & 0x0f;
    (sign | (segment << 4) as u8 | step as u8) ^ 0x55
}

/// The sample a code stands for.
pub const fn decode(code: u8) -> i16 {
    let code = code ^ 0x55;
    let step = ((code & 0x0f) as i32) << 4;
    let segment = (code >> 4 & 7) as i32;
    let magnitude = match segment {
        0 => step + 8,
        _ => (step + 0x108) << (segment - 1),
    };
    (if code & 0x80 == 0 {
        -magnitude
    } else {
        magnitude
    }) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_a_round_trip() {
        for code in 0..=u8::MAX {
            assert_eq!(encode(decode(code)), code, "code {code:#04x}");
        }
    }

    #[test]
    fn the_values_are_those_of_the_recommendation() {
        assert_eq!((decode(0xd5), decode(0x55)), (8, -8));
        assert_eq!((decode(0xaa), decode(0x2a)), (32_256, -32_256));
        assert_eq!((decode(0x80), decode(0xc5)), (5_504, 264));
    }

    #[test]
    fn a_sample_is_never_further_from_its_code_than_half_a_step() {
        for sample in i16::MIN..=i16::MAX {
            let error = (i32::from(decode(encode(sample))) - i32::from(sample)).abs();
            let step = (i32::from(sample).abs() / 16).max(16) + 16;
            assert!(error <= step / 2 + 8, "sample {sample} is {error} off");
        }
    }
}
