//! A two-party recording with its time line: who says what, when, on which channel.

use std::ops::Range;
use std::path::Path;

use super::{Phrase, Role, SAMPLE_RATE, SAMPLES_PER_MS};

/// Silence after the last word, so that whoever listens hears the end of it.
const TAIL_MS: u64 = 1000;

/// Phrases laid out in time on two channels.
#[derive(Clone, Debug, Default)]
pub struct Conversation {
    segments: Vec<Segment>,
}

/// One phrase, somewhere.
#[derive(Clone, Debug)]
pub struct Segment {
    /// What is said.
    pub phrase: Phrase,
    /// Where it is said.
    pub channel: Channel,
    /// When its first sample is, from the beginning of the recording.
    pub at_ms: u64,
}

/// A channel of a stereo recording, and what Twilio makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// Left; Twilio's `inbound` track: the customer.
    Inbound,
    /// Right; Twilio's `outbound` track: the agent.
    Outbound,
}

impl Conversation {
    /// Silence.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says a phrase at a point in time. Phrases of one channel that overlap are added up.
    pub fn say(&mut self, at_ms: u64, phrase: &Phrase, channel: Channel) -> &mut Self {
        self.segments.push(Segment {
            phrase: phrase.clone(),
            channel,
            at_ms,
        });
        self
    }

    /// Says a phrase so long after everything said until now. A listener needs half a second of
    /// pause to hear two phrases of one channel as two.
    pub fn say_after(&mut self, pause_ms: u64, phrase: &Phrase, channel: Channel) -> &mut Self {
        self.say(self.end_ms() + pause_ms, phrase, channel)
    }

    /// What is said, in the order it was put in.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// When the last word has been said.
    pub fn end_ms(&self) -> u64 {
        self.segments.iter().map(Segment::end_ms).max().unwrap_or(0)
    }

    /// How long the recording is: the last word and a second of silence.
    pub fn duration_ms(&self) -> u64 {
        self.end_ms() + TAIL_MS
    }

    /// From the first secret word to the last, if there is any.
    pub fn secret_span_ms(&self) -> Option<Range<u64>> {
        let secret = || self.segments.iter().filter(|segment| segment.phrase.secret);
        Some(secret().map(|segment| segment.at_ms).min()?..secret().map(Segment::end_ms).max()?)
    }

    /// One channel's sound, `duration_ms` long.
    pub fn channel(&self, channel: Channel) -> Vec<i16> {
        let mut sound = vec![0_i16; (self.duration_ms() * SAMPLES_PER_MS) as usize];
        for segment in self
            .segments
            .iter()
            .filter(|segment| segment.channel == channel)
        {
            let from = (segment.at_ms * SAMPLES_PER_MS) as usize;
            for (out, &sample) in sound[from..].iter_mut().zip(&*segment.phrase.samples) {
                *out = out.saturating_add(sample);
            }
        }
        sound
    }

    /// Both channels as a WAV file: left is inbound, right is outbound.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_wav(&self, path: &Path) -> anyhow::Result<()> {
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: SAMPLE_RATE,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(path, spec)?;
        for (left, right) in self
            .channel(Channel::Inbound)
            .into_iter()
            .zip(self.channel(Channel::Outbound))
        {
            writer.write_sample(left)?;
            writer.write_sample(right)?;
        }
        Ok(writer.finalize()?)
    }
}

impl Segment {
    /// When its last sample is over, rounded up.
    pub fn end_ms(&self) -> u64 {
        self.at_ms + (self.phrase.samples.len() as u64).div_ceil(SAMPLES_PER_MS)
    }
}

impl Channel {
    /// Where a role speaks unless told otherwise.
    pub fn of(role: Role) -> Self {
        match role {
            Role::Agent => Self::Outbound,
            Role::Customer => Self::Inbound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech::Script;

    #[test]
    fn a_phrase_lies_where_it_was_put_and_only_on_its_channel() {
        let phrase = Script::standard().phrase("customer-account").unwrap();
        let mut conversation = Conversation::new();
        conversation
            .say(500, phrase, Channel::Inbound)
            .say_after(250, phrase, Channel::Inbound);
        let left = conversation.channel(Channel::Inbound);
        let length = phrase.samples.len();
        assert!(left[..4000].iter().all(|&sample| sample == 0));
        assert_eq!(left[4000..4000 + length], *phrase.samples);
        let second = (conversation.segments()[1].at_ms * SAMPLES_PER_MS) as usize;
        assert_eq!(left[second..second + length], *phrase.samples);
        assert!(
            conversation
                .channel(Channel::Outbound)
                .iter()
                .all(|&sample| sample == 0)
        );
        assert_eq!(
            left.len() as u64,
            conversation.duration_ms() * SAMPLES_PER_MS
        );
    }

    #[test]
    fn the_wav_has_the_customer_on_the_left() {
        let mut conversation = Conversation::new();
        conversation.say(
            0,
            Script::standard().phrase("customer-account").unwrap(),
            Channel::Inbound,
        );
        let path =
            std::env::temp_dir().join(format!("antiphon-conversation-{}.wav", std::process::id()));
        conversation.write_wav(&path).unwrap();
        let samples: Vec<i16> = hound::WavReader::open(&path)
            .unwrap()
            .samples()
            .map(Result::unwrap)
            .collect();
        std::fs::remove_file(&path).unwrap();
        let (left, right): (Vec<_>, Vec<_>) =
            samples.chunks(2).map(|pair| (pair[0], pair[1])).unzip();
        assert_eq!(left, conversation.channel(Channel::Inbound));
        assert!(right.iter().all(|&sample| sample == 0));
    }
}
