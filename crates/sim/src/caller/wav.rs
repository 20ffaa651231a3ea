//! Recorded calls out of WAV files: 8 kHz, 16 bits, one channel a party.

use std::path::Path;

use anyhow::{Context, bail, ensure};

use super::SAMPLE_RATE;

/// What both parties say, on one clock. The shorter one is silent at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// The first channel: what the platform hears from the leg that is streamed.
    pub inbound: Vec<i16>,
    /// The second channel: what the platform plays to that leg. Empty in a mono file.
    pub outbound: Vec<i16>,
}

impl Recording {
    /// Reads a mono or stereo file.
    ///
    /// # Errors
    /// When the file is missing, is not 8 kHz 16-bit PCM, or has more than two channels.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let mut reader = hound::WavReader::open(path)
            .with_context(|| format!("cannot read the WAV file {}", path.display()))?;
        let spec = reader.spec();
        ensure!(
            spec.sample_rate == SAMPLE_RATE
                && spec.bits_per_sample == 16
                && spec.sample_format == hound::SampleFormat::Int,
            "{} is {} Hz with {} bits; a telephone call is 8000 Hz with 16",
            path.display(),
            spec.sample_rate,
            spec.bits_per_sample,
        );
        let samples: Vec<i16> = reader.samples::<i16>().collect::<Result<_, _>>()?;
        match spec.channels {
            1 => Ok(Self {
                inbound: samples,
                outbound: Vec::new(),
            }),
            2 => Ok(Self {
                inbound: samples.iter().step_by(2).copied().collect(),
                outbound: samples.iter().skip(1).step_by(2).copied().collect(),
            }),
            more => bail!(
                "{} has {more} channels; a call has one or two",
                path.display()
            ),
        }
    }

    /// The length in samples: the longer party's.
    pub fn samples(&self) -> usize {
        self.inbound.len().max(self.outbound.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(channels: u16, sample_rate: u32, samples: &[i16]) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("antiphon-{}.wav", uuid::Uuid::new_v4()));
        let spec = hound::WavSpec {
            channels,
            sample_rate,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&path, spec).unwrap();
        for &sample in samples {
            writer.write_sample(sample).unwrap();
        }
        writer.finalize().unwrap();
        path
    }

    #[test]
    fn the_first_channel_is_inbound_and_the_second_outbound() {
        let path = write(2, 8_000, &[1, -1, 2, -2, 3, -3]);
        let recording = Recording::read(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        assert_eq!(recording.inbound, [1, 2, 3]);
        assert_eq!(recording.outbound, [-1, -2, -3]);
        assert_eq!(recording.samples(), 3);
    }

    #[test]
    fn another_sample_rate_is_refused_in_words() {
        let path = write(1, 16_000, &[0; 4]);
        let error = Recording::read(&path).unwrap_err().to_string();
        std::fs::remove_file(path).unwrap();
        assert!(error.contains("16000 Hz"), "{error}");
    }
}
