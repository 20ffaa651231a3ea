//! Sound as it goes over the wire. It comes from behind the gate, decoded, whatever the platform
//! sent: nothing that arrived while a gate was shut can be in it.

use bytes::Bytes;

use call::audio::{self, Chunk};

/// 16-bit linear, little-endian: two bytes a sample.
pub(crate) fn l16(chunk: &Chunk) -> Bytes {
    let mut bytes = vec![0; chunk.samples.len() * 2];
    for (pair, sample) in bytes.chunks_exact_mut(2).zip(&chunk.samples) {
        pair.copy_from_slice(&sample.to_le_bytes());
    }
    Bytes::from(bytes)
}

/// G.711 μ-law: one byte a sample. Sound that came as μ-law goes out as it came, but for the
/// negative zero, which has become the positive one.
pub(crate) fn mulaw(chunk: &Chunk) -> Bytes {
    Bytes::from(audio::encode_pcmu(&chunk.samples))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use call::audio::Codec;

    use super::*;

    fn chunk(samples: Vec<i16>) -> Chunk {
        Chunk {
            position: 0,
            samples,
            arrived: Instant::now(),
        }
    }

    #[test]
    fn linear_sound_is_little_endian() {
        let bytes = l16(&chunk(vec![1, -2, 0x1234]));
        assert_eq!(&bytes[..], [0x01, 0x00, 0xfe, 0xff, 0x34, 0x12]);
    }

    #[test]
    fn what_came_as_mulaw_goes_out_as_it_came() {
        let all: Vec<u8> = (0..=255).collect();
        let mut samples = Vec::new();
        Codec::Pcmu.decode(&all, &mut samples);
        let again = mulaw(&chunk(samples.clone()));
        for (byte, &out) in all.iter().zip(&again) {
            // 0x7f is -0, 0xff is +0.
            let expected = if *byte == 0x7f { 0xff } else { *byte };
            assert_eq!(out, expected, "{byte:#04x}");
        }
        let mut heard = Vec::new();
        Codec::Pcmu.decode(&again, &mut heard);
        assert_eq!(heard, samples);
    }

    #[test]
    fn silence_as_mulaw_is_not_a_zero_byte() {
        assert_eq!(&mulaw(&chunk(vec![0; 2]))[..], [0xff, 0xff]);
    }

    #[test]
    fn any_sample_as_mulaw_is_near_what_it_was() {
        for sample in (i16::MIN..=i16::MAX).step_by(7) {
            let mut heard = Vec::new();
            Codec::Pcmu.decode(&mulaw(&chunk(vec![sample])), &mut heard);
            let (heard, meant) = (i32::from(heard[0]), i32::from(sample));
            // The coarsest step is 1024; above 32124 there is none.
            let near = (heard - meant).abs() <= 8 + meant.abs() / 16 || meant.abs() > 32_124;
            assert!(near, "{meant} became {heard}");
        }
    }
}
