//! What became of every sample that a stream took from its leg.

use std::time::Duration;

use call::audio::Chunk;
use call::start::Summary;

/// The counts of one stream over all its sockets. Of every sample that was taken exactly one is
/// true: it was sent, at least once; or it was dropped, and told as a gap; or it still waits.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Up to where the stream's sound has been sent, on the stream's clock.
    sent_to: u64,
    /// Samples sent, each counted once however often it was sent.
    sent: u64,
    /// Samples dropped unsent after they were taken.
    dropped: u64,
    /// Bytes that those sockets carried whose service counts bytes and has summed up.
    carried_bytes: u64,
    /// Bytes that it confirmed on those.
    confirmed_bytes: u64,
    /// What all services together summed up.
    confirmed: Option<Summary>,
}

impl Account {
    /// A chunk goes out; tells how many of its samples, the last ones, do so for the first time.
    pub(crate) fn send(&mut self, chunk: &Chunk) -> u64 {
        let fresh = self.unsent(chunk);
        self.sent += fresh;
        self.sent_to = self.sent_to.max(chunk.position + chunk.len());
        fresh
    }

    /// A chunk of which so many samples went out for the first time did not reach anybody. To be
    /// told of the newest first.
    pub(crate) fn take_back(&mut self, chunk: &Chunk, fresh: u64) {
        if fresh > 0 {
            self.sent -= fresh;
            self.sent_to = chunk.position + chunk.len() - fresh;
        }
    }

    /// How many samples of a chunk, the last ones, have never been sent.
    pub(crate) fn unsent(&self, chunk: &Chunk) -> u64 {
        let end = chunk.position + chunk.len();
        end.saturating_sub(self.sent_to.max(chunk.position))
    }

    /// So many samples will not be sent.
    pub(crate) fn drop(&mut self, samples: u64) {
        self.dropped += samples;
    }

    /// One socket's summary. `carried` is how many bytes it carried, silence of ours included, if
    /// the service counts them too.
    pub(crate) fn confirm(&mut self, summary: Summary, carried: Option<u64>) {
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
        if let Some(carried) = carried {
            self.carried_bytes += carried;
            self.confirmed_bytes = self.confirmed_bytes.saturating_add(summary.audio_bytes);
        }
    }

    /// Samples sent, each counted once.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Samples dropped after they were taken.
    #[cfg(test)]
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What all sockets together confirmed; `None` if none did.
    pub(crate) fn total(&self) -> Option<Summary> {
        self.confirmed
    }

    /// Carried and confirmed bytes of the sockets that were summed up, if they differ.
    pub(crate) fn mismatch(&self) -> Option<(u64, u64)> {
        let both = (self.carried_bytes, self.confirmed_bytes);
        (both.0 != both.1).then_some(both)
    }
}

/// Services count L16.
pub(crate) fn bytes(samples: u64) -> u64 {
    samples * 2
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn chunk(position: u64, samples: usize) -> Chunk {
        Chunk {
            position,
            samples: vec![0; samples],
            arrived: Instant::now(),
        }
    }

    fn summary(audio_bytes: u64) -> Summary {
        Summary {
            audio_bytes,
            audio: Duration::ZERO,
            streaming: Duration::ZERO,
            transcripts: 1,
        }
    }

    #[test]
    fn what_is_sent_twice_counts_once() {
        let mut account = Account::default();
        assert_eq!(account.send(&chunk(0, 800)), 800);
        assert_eq!(account.send(&chunk(0, 800)), 0);
        assert_eq!(account.send(&chunk(400, 800)), 400);
        assert_eq!(account.send(&chunk(8000, 800)), 800);
        assert_eq!(account.sent(), 2000);
    }

    #[test]
    fn what_is_taken_back_was_not_sent() {
        let mut account = Account::default();
        account.send(&chunk(0, 800));
        account.send(&chunk(800, 800));
        // Half of it had been sent before.
        let fresh = account.send(&chunk(1200, 800));
        account.take_back(&chunk(1200, 800), fresh);
        account.take_back(&chunk(800, 800), 800);
        assert_eq!(account.sent(), 800);
        assert_eq!(account.unsent(&chunk(400, 800)), 400);
        account.take_back(&chunk(0, 800), 0);
        assert_eq!(account.sent(), 800);
    }

    #[test]
    fn only_sockets_that_were_summed_up_can_mismatch() {
        let mut account = Account::default();
        assert_eq!((account.total(), account.mismatch()), (None, None));
        account.confirm(summary(3200), Some(3200));
        assert_eq!(account.mismatch(), None);
        account.confirm(summary(0), None);
        assert_eq!(account.mismatch(), None);
        account.confirm(summary(1598), Some(1600));
        assert_eq!(account.mismatch(), Some((4800, 4798)));
        let total = account.total().unwrap();
        assert_eq!((total.audio_bytes, total.transcripts), (4798, 3));
    }
}
