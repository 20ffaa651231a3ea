//! Which moment of the stream's clock a service means: anchors between what was sent over a socket
//! and where it stood in the stream. Never the wall clock.

use std::collections::VecDeque;
use std::time::Duration;

use call::audio::{self, Chunk};
use call::transcript::Utterance;

/// The anchors of the present socket. A service counts from the first sample of its own socket; the
/// stream's clock runs on through all of them.
#[derive(Debug, Default)]
pub(crate) struct TimeLine {
    /// Where sent sound is not seamless; the first is the socket's beginning.
    anchors: VecDeque<Anchor>,
    /// Samples sent over this socket.
    sent: u64,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    socket: u64,
    stream: u64,
}

impl TimeLine {
    /// How many anchors are kept. A service speaks of what it heard lately, so the oldest can go.
    const ANCHORS_MAX: usize = 256;

    /// A new socket counts from 0.
    pub(crate) fn socket_opened(&mut self) {
        self.anchors.clear();
        self.sent = 0;
    }

    /// A chunk went out over the socket.
    pub(crate) fn sent(&mut self, chunk: &Chunk) {
        let seamless = self.anchors.back().is_some_and(|last| {
            last.stream.saturating_add(self.sent - last.socket) == chunk.position
        });
        if !seamless {
            if self.anchors.len() == Self::ANCHORS_MAX {
                self.anchors.pop_front();
            }
            self.anchors.push_back(Anchor {
                socket: self.sent,
                stream: chunk.position,
            });
        }
        self.sent += chunk.len();
    }

    /// Puts an utterance's times, which are the socket's, onto the stream's clock.
    pub(crate) fn place(&self, utterance: &mut Utterance) {
        utterance.start = self.start(utterance.start);
        utterance.end = self.end(utterance.end).max(utterance.start);
        for token in utterance
            .alternatives
            .iter_mut()
            .flat_map(|one| &mut one.tokens)
        {
            token.start = self.start(token.start);
            token.end = self.end(token.end).max(token.start);
        }
    }

    /// A beginning belongs to the sample that follows it.
    fn start(&self, at: Duration) -> Duration {
        let socket = self.heard(at);
        let index = self
            .anchors
            .partition_point(|anchor| anchor.socket <= socket);
        self.position(index, socket)
    }

    /// An end belongs to the sample before it: what is said up to a gap does not end behind it.
    fn end(&self, at: Duration) -> Duration {
        let socket = self.heard(at);
        let index = self
            .anchors
            .partition_point(|anchor| anchor.socket < socket);
        self.position(index, socket)
    }

    /// Nothing can have been heard later than it was sent.
    fn heard(&self, at: Duration) -> u64 {
        audio::samples(at.min(audio::duration(self.sent)))
    }

    fn position(&self, index: usize, socket: u64) -> Duration {
        let anchor = self.anchors.get(index.saturating_sub(1));
        audio::duration(anchor.map_or(socket, |anchor| {
            (anchor.stream + socket.saturating_sub(anchor.socket))
                .saturating_sub(anchor.socket.saturating_sub(socket))
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};
    use std::time::Instant;

    use call::audio::{Codec, Frame};
    use call::backlog::Taken;
    use call::feed::{LineConfig, MediaClock, leg};
    use call::leg::LegConfig;
    use proptest::prelude::*;

    use super::*;

    fn chunk(position: u64, samples: usize) -> Chunk {
        Chunk {
            position,
            samples: vec![0; samples],
            arrived: Instant::now(),
        }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn an_end_at_a_gap_stays_before_it_and_a_beginning_is_behind_it() {
        let mut line = TimeLine::default();
        line.sent(&chunk(0, 800));
        line.sent(&chunk(8800, 800));
        assert_eq!(line.end(ms(100)), ms(100));
        assert_eq!(line.start(ms(100)), ms(1100));
        assert_eq!(line.start(ms(150)), ms(1150));
    }

    #[test]
    fn a_new_socket_counts_from_zero_on_the_same_clock() {
        let mut line = TimeLine::default();
        line.sent(&chunk(0, 800));
        line.socket_opened();
        line.sent(&chunk(16_000, 800));
        assert_eq!(line.start(ms(0)), ms(2000));
        assert_eq!(line.end(ms(50)), ms(2050));
    }

    #[test]
    fn a_time_beyond_what_was_sent_is_its_end() {
        let mut line = TimeLine::default();
        assert_eq!(line.end(Duration::MAX), ms(0));
        line.sent(&chunk(800, 800));
        assert_eq!(line.end(Duration::MAX), ms(200));
    }

    /// What can happen to a stream, with how much of it.
    #[derive(Clone, Debug)]
    enum Step {
        /// Samples of sound come in.
        Sound(u64),
        /// Samples are lost on the way in.
        Jump(u64),
        /// So many chunks go out.
        Send(u8),
        /// The socket dies; the newest so many chunks were not written yet.
        Reconnect(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1u64..2000).prop_map(Step::Sound),
            (1u64..60_000).prop_map(Step::Jump),
            (1u8..8).prop_map(Step::Send),
            (0u8..3).prop_map(Step::Reconnect),
        ]
    }

    proptest! {
        /// Every sample a service hears has a place of its own, and the service's times lead there.
        #[test]
        fn every_time_leads_to_the_sample_that_was_heard_then(
            steps in prop::collection::vec(step(), 1..60),
        ) {
            let now = Instant::now();
            let (feed, control) = leg(now, LegConfig::default(), MediaClock::default());
            let config = LineConfig { chunk_samples: 160, chunks_max: 10 };
            let mut source = control.open(0, config).unwrap();
            let (mut line, mut at) = (TimeLine::default(), 0);
            let mut heard: Vec<u64> = Vec::new();
            let mut sent: Vec<Chunk> = Vec::new();
            let mut lost = 0;
            for step in steps {
                match step {
                    Step::Sound(samples) => {
                        let payload = vec![0xff; samples as usize];
                        let codec = Codec::Pcmu;
                        feed.push(now, Frame { position: at, codec, payload: &payload });
                        at += samples;
                    }
                    Step::Jump(samples) => at += samples,
                    Step::Send(chunks) => for _ in 0..chunks {
                        let context = Context::from_waker(Waker::noop());
                        let std::task::Poll::Ready(Taken::Chunk(chunk)) = source.poll_take(&context)
                            else { break };
                        line.sent(&chunk);
                        heard.extend(chunk.position..chunk.position + chunk.len());
                        sent.push(chunk);
                    },
                    Step::Reconnect(unwritten) => {
                        for _ in 0..unwritten {
                            let Some(chunk) = sent.pop() else { break };
                            source.untake(chunk);
                        }
                        lost += sent.iter().map(Chunk::len).sum::<u64>();
                        sent.clear();
                        heard.clear();
                        line.socket_opened();
                    }
                }
                // All samples are accounted for.
                let counts = source.counts();
                let kept = sent.iter().map(Chunk::len).sum::<u64>();
                prop_assert_eq!(counts.taken, kept + lost);
                prop_assert_eq!(counts.appended, counts.taken + counts.dropped + source.waiting());
                // Times lead to the samples, whole milliseconds apart as services count.
                let mut before = Duration::ZERO;
                for (index, &position) in heard.iter().enumerate().step_by(8 * 5) {
                    let start = line.start(audio::duration(index as u64));
                    prop_assert_eq!(start, audio::duration(position));
                    let end = line.end(audio::duration(index as u64 + 1));
                    prop_assert_eq!(end, audio::duration(position + 1));
                    prop_assert!(start >= before);
                    before = start;
                }
            }
        }
    }
}
