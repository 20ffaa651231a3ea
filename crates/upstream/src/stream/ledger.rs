//! What was sent to a service and what it confirmed.

use std::time::Duration;

use call::audio::Chunk;
use call::start::Summary;

/// Counts over all sockets of one stream. A socket that was cut off confirms nothing, and what was
/// taken back from it was not sent.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sent_bytes: u64,
    confirmed: Option<Summary>,
}

impl Ledger {
    pub(crate) fn sent(&mut self, chunk: &Chunk) {
        self.sent_bytes += bytes(chunk);
    }

    pub(crate) fn taken_back(&mut self, chunk: &Chunk) {
        self.sent_bytes = self.sent_bytes.saturating_sub(bytes(chunk));
    }

    /// One socket's summary.
    pub(crate) fn confirmed(&mut self, summary: Summary) {
        let sum = self.confirmed.get_or_insert(Summary {
            audio_bytes: 0,
            audio: Duration::ZERO,
            streaming: Duration::ZERO,
            transcripts: 0,
        });
        sum.audio_bytes = sum.audio_bytes.saturating_add(summary.audio_bytes);
        sum.audio = sum.audio.saturating_add(summary.audio);
        sum.streaming = sum.streaming.saturating_add(summary.streaming);
        sum.transcripts = sum.transcripts.saturating_add(summary.transcripts);
    }

    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// What all sockets together confirmed; `None` if none did.
    pub(crate) fn total(&self) -> Option<Summary> {
        self.confirmed
    }

    /// Sent and confirmed bytes, if they differ.
    pub(crate) fn mismatch(&self) -> Option<(u64, u64)> {
        let confirmed = self.confirmed?.audio_bytes;
        (confirmed != self.sent_bytes).then_some((self.sent_bytes, confirmed))
    }
}

/// Services count L16.
pub(crate) fn bytes(chunk: &Chunk) -> u64 {
    chunk.len() * 2
}
