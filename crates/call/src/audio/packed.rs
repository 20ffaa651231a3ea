//! Sound that is kept for a while, in half the bytes where it came as G.711: then every sample is
//! one of 256 values, and its code is as good as itself.

use std::sync::OnceLock;

use super::Codec;

/// Samples, kept small and given back exactly.
#[derive(Clone, PartialEq, Eq)]
pub struct Packed(Packing);

#[derive(Clone, PartialEq, Eq)]
enum Packing {
    Codes(Codec, Box<[u8]>),
    Samples(Box<[i16]>),
}

/// Both ways between the samples of a codec and its codes.
struct Table {
    samples: [i16; 256],
    /// By sample, as it would be without a sign; of a value that is none of its samples, any code.
    codes: Box<[u8]>,
}

impl Packed {
    /// Keeps these samples.
    pub fn new(samples: &[i16]) -> Self {
        let codes = [Codec::Pcmu, Codec::Pcma]
            .into_iter()
            .find_map(|codec| Some(Packing::Codes(codec, Table::of(codec).encode(samples)?)));
        Self(codes.unwrap_or_else(|| Packing::Samples(samples.into())))
    }

    /// What was kept.
    pub fn unpacked(&self) -> Vec<i16> {
        match &self.0 {
            Packing::Codes(codec, codes) => {
                let mut samples = Vec::with_capacity(codes.len());
                codec.decode(codes, &mut samples);
                samples
            }
            Packing::Samples(samples) => samples.to_vec(),
        }
    }

    /// How many samples it is.
    pub fn len(&self) -> u64 {
        match &self.0 {
            Packing::Codes(_, codes) => codes.len() as u64,
            Packing::Samples(samples) => samples.len() as u64,
        }
    }

    /// Whether there is no sound in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes it takes.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Packing::Codes(_, codes) => codes.len(),
            Packing::Samples(samples) => size_of_val::<[i16]>(samples),
        }
    }

    /// Overwrites it with silence, so that nothing of it stays in memory.
    pub fn wipe(&mut self) {
        match &mut self.0 {
            Packing::Codes(_, codes) => codes.fill(0),
            Packing::Samples(samples) => samples.fill(0),
        }
    }
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packed({} samples)", self.len())
    }
}

impl Table {
    fn of(codec: Codec) -> &'static Self {
        static PCMA: OnceLock<Table> = OnceLock::new();
        static PCMU: OnceLock<Table> = OnceLock::new();
        let table = if codec == Codec::Pcma { &PCMA } else { &PCMU };
        table.get_or_init(|| Self::new(codec))
    }

    fn new(codec: Codec) -> Self {
        let every: [u8; 256] = std::array::from_fn(|code| code as u8);
        let mut decoded = Vec::with_capacity(every.len());
        codec.decode(&every, &mut decoded);
        let samples = std::array::from_fn(|code| decoded[code]);
        let mut codes = vec![0; 1 << 16].into_boxed_slice();
        for code in every {
            codes[Self::place(samples[usize::from(code)])] = code;
        }
        Self { samples, codes }
    }

    /// The codes of these samples, if every one of them has one.
    fn encode(&self, samples: &[i16]) -> Option<Box<[u8]>> {
        let mut codes = Vec::with_capacity(samples.len());
        for &sample in samples {
            let code = self.codes[Self::place(sample)];
            if self.samples[usize::from(code)] != sample {
                return None;
            }
            codes.push(code);
        }
        Some(codes.into_boxed_slice())
    }

    fn place(sample: i16) -> usize {
        usize::from(sample.cast_unsigned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(codec: Codec, codes: &[u8]) -> Vec<i16> {
        let mut samples = Vec::new();
        codec.decode(codes, &mut samples);
        samples
    }

    #[test]
    fn what_came_as_g711_takes_a_byte_a_sample() {
        let every: Vec<u8> = (0..=255).collect();
        for codec in [Codec::Pcmu, Codec::Pcma] {
            let samples = decoded(codec, &every);
            let packed = Packed::new(&samples);
            assert_eq!(packed.bytes(), 256, "{codec:?}");
            assert_eq!(packed.unpacked(), samples, "{codec:?}");
        }
    }

    #[test]
    fn one_sample_that_is_no_code_keeps_all_as_they_are() {
        let mut samples = decoded(Codec::Pcmu, &[7; 100]);
        samples[99] += 1;
        let packed = Packed::new(&samples);
        assert_eq!((packed.bytes(), packed.len()), (200, 100));
        assert_eq!(packed.unpacked(), samples);
    }

    #[test]
    fn what_is_wiped_is_gone() {
        let linear: &[i16] = &[1, 2, 3];
        for samples in [linear, &decoded(Codec::Pcmu, &[9; 3])] {
            let mut packed = Packed::new(samples);
            packed.wipe();
            let left = packed.unpacked();
            assert!(left.windows(2).all(|pair| pair[0] == pair[1]), "{left:?}");
            assert_ne!(left, samples);
        }
    }

    proptest! {
        #[test]
        fn every_sample_comes_back(samples: Vec<i16>, codes: Vec<u8>, mu: bool) {
            prop_assert_eq!(Packed::new(&samples).unpacked(), samples);
            let codec = if mu { Codec::Pcmu } else { Codec::Pcma };
            let samples = decoded(codec, &codes);
            let packed = Packed::new(&samples);
            prop_assert_eq!(packed.bytes(), codes.len());
            prop_assert_eq!(packed.unpacked(), samples);
        }
    }
}
