//! What one session hears: bytes to samples, samples to phrases, and all of it into the record.

use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest, Sha256};

use super::record::{Recorded, Records, Transcript};
use super::settings::{Arrival, Observer, Settings};
use crate::caller::ulaw;
use crate::hearing::{Heard, Hearing};
use crate::speech::Role;

/// How sound is written, always mono at 8 kHz.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Encoding {
    /// 16 bits a sample, the low byte first.
    #[default]
    L16,
    /// G.711 μ-law.
    MuLaw,
}

/// Hears one session and keeps its record.
pub(super) struct Ear {
    records: Arc<Records>,
    place: usize,
    stream_id: String,
    external_id: String,
    encoding: Encoding,
    hearing: Option<Hearing>,
    observer: Option<Observer>,
    role: Option<Role>,
    digest: Sha256,
    bytes: u64,
    samples: u64,
    /// The first byte of a sample whose second byte is in the next message.
    half_sample: Option<u8>,
    decoded: Vec<i16>,
}

impl Encoding {
    /// Bytes in a second.
    pub(super) fn bytes_per_second(self) -> u64 {
        match self {
            Self::L16 => 16_000,
            Self::MuLaw => 8_000,
        }
    }
}

impl Ear {
    /// Listens for the session with that place in the records.
    pub(super) fn new(settings: &Settings, records: Arc<Records>, place: usize) -> Self {
        let (stream_id, external_id) = records.update(place, |recorded| {
            let external_id = recorded.external_id.clone().unwrap_or_default();
            (recorded.stream_id.clone(), external_id)
        });
        Self {
            records,
            place,
            stream_id,
            external_id,
            encoding: Encoding::default(),
            hearing: settings.lexicon.clone().map(Hearing::new),
            observer: settings.observer.clone(),
            role: None,
            digest: Sha256::new(),
            bytes: 0,
            samples: 0,
            half_sample: None,
            decoded: Vec::new(),
        }
    }

    /// An ear with records of its own, for tests of sessions without a service around them.
    #[cfg(test)]
    pub(super) fn alone(settings: &Settings) -> (Self, Arc<Records>) {
        let records = Arc::new(Records::new(settings.keep));
        let opened = Recorded::open(
            "stream-1".to_owned(),
            Some("CA1".to_owned()),
            Instant::now(),
        );
        let place = records.open(opened).unwrap();
        (Self::new(settings, records.clone(), place), records)
    }

    /// The session's place in the records.
    pub(super) fn place(&self) -> usize {
        self.place
    }

    /// The session's id.
    pub(super) fn stream_id(&self) -> &str {
        &self.stream_id
    }

    /// How sound is written from now on.
    pub(super) fn set_encoding(&mut self, encoding: Encoding) {
        self.encoding = encoding;
    }

    /// How sound is written.
    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Hears nothing any more; sound is only kept and counted.
    pub(super) fn plug(&mut self) {
        self.hearing = None;
    }

    /// It is known who speaks.
    pub(super) fn speaks(&mut self, role: Role) {
        self.role = Some(role);
        self.record(|recorded| recorded.speaker = Some(role));
    }

    /// Who speaks, as far as it is known.
    pub(super) fn role(&self) -> Option<Role> {
        self.role
    }

    /// Bytes of sound until now.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Samples until now.
    pub(super) fn samples(&self) -> u64 {
        self.samples
    }

    /// Milliseconds of sound until now.
    pub(super) fn heard_ms(&self) -> u64 {
        self.samples / 8
    }

    /// Takes a binary message and gives the utterances that ended in it.
    pub(super) fn listen(&mut self, now: Instant, bytes: &[u8]) -> Vec<Heard> {
        self.bytes += bytes.len() as u64;
        self.digest.update(bytes);
        self.decode(bytes);
        self.samples += self.decoded.len() as u64;
        let keep = self.records.keep();
        let torn = self.encoding == Encoding::L16 && !bytes.len().is_multiple_of(2);
        self.record(|recorded| {
            recorded.hear(now, bytes.len(), &self.decoded, keep);
            if bytes.is_empty() || torn {
                recorded.complain(format!("a binary message of {} bytes", bytes.len()));
            }
        });
        if let Some(observer) = &self.observer {
            observer(Arrival {
                stream: self.place,
                external_id: &self.external_id,
                role: self.role,
                sound: &self.decoded,
                samples: self.samples,
                at: now,
            });
        }
        let heard = self
            .hearing
            .as_mut()
            .map(|hearing| hearing.hear(&self.decoded))
            .unwrap_or_default();
        heard.iter().for_each(|heard| self.recognise(heard));
        heard
    }

    /// Takes a binary message that comes too late.
    pub(super) fn ignore(&self, bytes: &[u8]) {
        self.record(|recorded| recorded.late_bytes += bytes.len() as u64);
    }

    /// Ends the utterance that is being said. What follows can be heard again.
    pub(super) fn finish(&mut self) -> Option<Heard> {
        let heard = self.hearing.as_mut().and_then(Hearing::finish)?;
        self.recognise(&heard);
        Some(heard)
    }

    /// When what is being said began, in milliseconds of the session's sound.
    pub(super) fn speaking_since_ms(&self) -> Option<u64> {
        self.hearing.as_ref()?.speaking_since_ms()
    }

    /// What was heard went out with these words.
    pub(super) fn transcribed(&self, now: Instant, heard: &Heard, text: String) {
        let transcript = Transcript::of(heard, text, now);
        self.record(|recorded| recorded.transcripts.push(transcript));
    }

    /// Notes something the client should not have done.
    pub(super) fn complain(&self, complaint: String) {
        self.record(|recorded| recorded.complain(complaint));
    }

    /// Notes anything.
    pub(super) fn record<T>(&self, update: impl FnOnce(&mut Recorded) -> T) -> T {
        self.records.update(self.place, update)
    }

    /// The connection is gone.
    pub(super) fn close(&self, now: Instant) {
        let digest = self.digest.clone().finalize();
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        self.record(|recorded| {
            recorded.closed_at = Some(now);
            recorded.sha256 = Some(sha256);
        });
    }

    // A voice tells who speaks where no message has, and what does not belong there.
    fn recognise(&mut self, heard: &Heard) {
        let Some(phrase) = &heard.phrase else {
            return;
        };
        match self.role {
            None => self.speaks(phrase.role),
            Some(role) if role != phrase.role => {
                self.complain(format!("{} speaks on the stream of {role}", phrase.role));
            }
            Some(_) => {}
        }
    }

    fn decode(&mut self, bytes: &[u8]) {
        self.decoded.clear();
        if self.encoding == Encoding::MuLaw {
            let samples = bytes.iter().map(|&code| ulaw::decode(code));
            self.decoded.extend(samples);
            return;
        }
        let mut rest = bytes;
        if let (Some(low), Some((&high, tail))) = (self.half_sample, bytes.split_first()) {
            self.decoded.push(i16::from_le_bytes([low, high]));
            self.half_sample = None;
            rest = tail;
        }
        let pairs = rest.chunks_exact(2);
        self.half_sample = pairs.remainder().first().copied().or(self.half_sample);
        self.decoded
            .extend(pairs.map(|pair| i16::from_le_bytes([pair[0], pair[1]])));
    }
}
