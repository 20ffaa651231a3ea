//! What a line's sound is coded in.

use crate::caller::{alaw, ulaw};

/// A codec at 8 kHz.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Codec {
    /// 16 bits, the high byte first.
    L16,
    /// G.711 A-law.
    Pcma,
    /// G.711 μ-law.
    Pcmu,
}

impl Codec {
    /// The payload number it is offered with.
    pub fn number(self) -> u8 {
        match self {
            Self::L16 => 96,
            Self::Pcma => 8,
            Self::Pcmu => 0,
        }
    }

    /// As it stands in `a=rtpmap`.
    pub fn map(self) -> &'static str {
        match self {
            Self::L16 => "L16/8000",
            Self::Pcma => "PCMA/8000",
            Self::Pcmu => "PCMU/8000",
        }
    }

    /// Bytes of one sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::L16 => 2,
            Self::Pcma | Self::Pcmu => 1,
        }
    }

    /// Samples as they go over the wire.
    pub fn encode(self, samples: &[i16]) -> Vec<u8> {
        match self {
            Self::L16 => samples
                .iter()
                .flat_map(|sample| sample.to_be_bytes())
                .collect(),
            Self::Pcma => samples.iter().map(|&sample| alaw::encode(sample)).collect(),
            Self::Pcmu => ulaw::encode_all(samples),
        }
    }

    /// What a service must hear of these codes.
    pub fn decode(self, codes: &[u8]) -> Vec<i16> {
        match self {
            Self::L16 => codes
                .chunks_exact(2)
                .map(|pair| i16::from_be_bytes([pair[0], pair[1]]))
                .collect(),
            Self::Pcma => codes.iter().map(|&code| alaw::decode(code)).collect(),
            Self::Pcmu => codes.iter().map(|&code| ulaw::decode(code)).collect(),
        }
    }
}
