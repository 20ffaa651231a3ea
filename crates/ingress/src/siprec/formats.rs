//! What the payload numbers of one media line mean.

use call::audio;
use rtp::receiver::PayloadKind;
use siprec::offer::{Codec, Format};

/// One entry a payload number that was agreed: a handful. Of a number that was agreed twice the
/// last one counts.
#[derive(Clone, Debug)]
pub(crate) struct Formats(Vec<(u8, Option<Meaning>)>);

/// What one payload number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    pub(crate) kind: PayloadKind,
    /// Of sound.
    pub(crate) codec: Option<audio::Codec>,
}

impl Formats {
    /// What was agreed. A number that is none, or a codec that is not decoded, means nothing.
    pub(crate) fn new(agreed: &[Format]) -> Self {
        let numbered = agreed.iter().filter_map(|format| {
            let number = format.number.parse::<u8>().ok()?;
            (number < 128).then(|| (number, meaning(format)))
        });
        Self(numbered.collect())
    }

    /// What a packet's payload number means.
    pub(crate) fn meaning(&self, payload_type: u8) -> Option<Meaning> {
        let mut agreed = self.0.iter().rev();
        agreed.find(|(number, _)| *number == payload_type)?.1
    }
}

fn meaning(format: &Format) -> Option<Meaning> {
    let sound = |codec: audio::Codec| {
        let plain = format.clock_rate == audio::SAMPLE_RATE && format.channels == 1;
        let bytes_per_sample = codec.bytes_per_sample() as u8;
        plain.then_some(Meaning {
            kind: PayloadKind::Sound { bytes_per_sample },
            codec: Some(codec),
        })
    };
    let silent = |kind| Some(Meaning { kind, codec: None });
    match format.codec {
        Codec::ComfortNoise => silent(PayloadKind::ComfortNoise),
        Codec::G729 | Codec::Other => None,
        Codec::L16 => sound(audio::Codec::L16),
        Codec::Pcma => sound(audio::Codec::Pcma),
        Codec::Pcmu => sound(audio::Codec::Pcmu),
        Codec::TelephoneEvent => silent(PayloadKind::Events(format.clock_rate)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(number: &str, codec: Codec, clock_rate: u32) -> Format {
        Format {
            number: number.to_owned(),
            codec,
            name: String::new(),
            clock_rate,
            channels: 1,
            parameters: None,
        }
    }

    #[test]
    fn numbers_mean_what_was_agreed_and_nothing_else() {
        let formats = Formats::new(&[
            format("0", Codec::Pcmu, 8000),
            format("96", Codec::L16, 8000),
            format("97", Codec::L16, 44_100),
            format("18", Codec::G729, 8000),
            format("19", Codec::ComfortNoise, 8000),
            format("107", Codec::TelephoneEvent, 48_000),
            format("128", Codec::Pcma, 8000),
            format("*", Codec::Pcma, 8000),
        ]);
        let kind = |number| formats.meaning(number).map(|meaning| meaning.kind);
        let sound = |bytes_per_sample| Some(PayloadKind::Sound { bytes_per_sample });
        assert_eq!(kind(0), sound(1));
        assert_eq!(kind(96), sound(2));
        assert_eq!(kind(19), Some(PayloadKind::ComfortNoise));
        assert_eq!(kind(107), Some(PayloadKind::Events(48_000)));
        for number in [8, 18, 97, 128, 255] {
            assert_eq!(kind(number), None, "{number}");
        }
    }
}
