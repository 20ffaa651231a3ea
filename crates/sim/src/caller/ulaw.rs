//! G.711 μ-law, both ways, written from the Recommendation and shared with nobody.

/// Digital silence: positive zero.
pub const SILENCE: u8 = 0xff;

const BIAS: i32 = 0x84;
const CLIP: i32 = 0x7fff - BIAS;

/// The code nearest to a sample; louder than the scale is clipped.
pub fn encode(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(CLIP) + BIAS;
    // The bias makes bit 7 or a higher one the leading bit, so the segment is never negative.
    let segment = 24 - magnitude.leading_zeros() as i32;
    let step = (magnitude >> (segment + 3)) & 0x0f;
    !(sign | (segment << 4) as u8 | step as u8)
}

/// The sample a code stands for.
pub const fn decode(code: u8) -> i16 {
    let code = !code;
    let magnitude = ((((code & 0x0f) as i32) << 3) + BIAS) << ((code >> 4) & 7);
    (if code & 0x80 == 0 {
        magnitude - BIAS
    } else {
        BIAS - magnitude
    }) as i16
}

/// A whole passage of sound.
pub fn encode_all(samples: &[i16]) -> Vec<u8> {
    samples.iter().map(|&sample| encode(sample)).collect()
}

/// The little-endian L16 that a speech service must receive for these codes.
pub fn l16(codes: &[u8]) -> Vec<u8> {
    codes
        .iter()
        .flat_map(|&code| decode(code).to_le_bytes())
        .collect()
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn every_code_survives_a_round_trip_but_negative_zero() {
        for code in 0..=u8::MAX {
            let expected = if code == 0x7f { SILENCE } else { code };
            assert_eq!(encode(decode(code)), expected, "code {code:#04x}");
        }
    }

    #[test]
    fn the_table_is_the_published_one() {
        let all: Vec<u8> = (0..=u8::MAX).collect();
        let digest = Sha256::digest(l16(&all));
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "3dab54339e520bb2c924826e3b72a917a2b612e9fd12fc867500f1d983a75827"
        );
        assert_eq!(
            (decode(0x00), decode(0x80), decode(0x7e)),
            (-32_124, 32_124, -8)
        );
    }

    #[test]
    fn a_sample_is_never_further_from_its_code_than_half_a_step() {
        for sample in i16::MIN..=i16::MAX {
            let error = (i32::from(decode(encode(sample))) - i32::from(sample)).abs();
            let step = (i32::from(sample).abs() + BIAS) / 16 + 1;
            assert!(
                error <= step / 2 + 5 || i32::from(sample).abs() > CLIP,
                "sample {sample}"
            );
        }
    }
}
