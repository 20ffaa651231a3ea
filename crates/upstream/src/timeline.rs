//! Which moment of the stream's clock a service means: anchors between what was sent over a socket
//! and where it stood in the stream. Never the wall clock.

use std::collections::VecDeque;
use std::time::Duration;

use call::audio::{self, Chunk};
use call::transcript::Utterance;

/// The anchors of one socket. A service counts from the first sample of its own socket, silence
/// that only keeps it content included; the stream's clock runs on through all sockets and knows
/// nothing of that silence.
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
    /// Whether the stream's clock runs from here; if not, what follows is silence of ours.
    runs: bool,
}

impl TimeLine {
    /// How many anchors are kept. A service speaks of what it heard lately, so the oldest can go.
    const ANCHORS_MAX: usize = 256;

    /// A chunk went out over the socket.
    pub(crate) fn sent(&mut self, chunk: &Chunk) {
        if let [first] = self.anchors.make_contiguous()
            && !first.runs
        {
            // Silence before the first sound has its place there.
            first.stream = chunk.position;
        }
        let is_seamless = self
            .anchors
            .back()
            .is_some_and(|last| last.runs && last.at(self.sent) == chunk.position);
        if !is_seamless {
            self.anchor(chunk.position, true);
        }
        self.sent += chunk.len();
    }

    /// Silence went out that is not on the stream's clock.
    pub(crate) fn padded(&mut self, samples: u64) {
        if samples > 0 && self.anchors.back().is_none_or(|last| last.runs) {
            let stream = self.anchors.back().map_or(0, |last| last.at(self.sent));
            self.anchor(stream, false);
        }
        self.sent += samples;
    }

    /// How much was sent over the socket, silence included.
    pub(crate) fn length(&self) -> Duration {
        audio::duration(self.sent)
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
    pub(crate) fn start(&self, at: Duration) -> Duration {
        let socket = self.heard(at);
        let index = self
            .anchors
            .partition_point(|anchor| anchor.socket <= socket);
        self.position(index, socket)
    }

    /// An end belongs to the sample before it: what is said up to a gap does not end behind it.
    pub(crate) fn end(&self, at: Duration) -> Duration {
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
        audio::duration(anchor.map_or(socket, |anchor| anchor.at(socket)))
    }

    fn anchor(&mut self, stream: u64, runs: bool) {
        if self.anchors.len() == Self::ANCHORS_MAX {
            self.anchors.pop_front();
        }
        self.anchors.push_back(Anchor {
            socket: self.sent,
            stream,
            runs,
        });
    }
}

impl Anchor {
    /// The stream's clock when the socket's is at `socket`.
    fn at(&self, socket: u64) -> u64 {
        let on = if self.runs {
            socket.saturating_sub(self.socket)
        } else {
            0
        };
        (self.stream + on).saturating_sub(self.socket.saturating_sub(socket))
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
        line.sent(&chunk(16_000, 800));
        assert_eq!(line.start(ms(0)), ms(2000));
        assert_eq!(line.end(ms(50)), ms(2050));
    }

    #[test]
    fn silence_of_ours_does_not_move_the_streams_clock() {
        let mut line = TimeLine::default();
        line.sent(&chunk(0, 800));
        line.padded(400);
        line.padded(400);
        line.sent(&chunk(800, 800));
        assert_eq!(line.end(ms(100)), ms(100));
        assert_eq!((line.start(ms(150)), line.end(ms(150))), (ms(100), ms(100)));
        assert_eq!((line.start(ms(200)), line.end(ms(250))), (ms(100), ms(150)));
        assert_eq!(line.length(), ms(300));
    }

    #[test]
    fn silence_before_the_first_sound_stands_where_the_sound_begins() {
        let mut line = TimeLine::default();
        line.padded(800);
        line.sent(&chunk(16_000, 800));
        assert_eq!((line.start(ms(0)), line.end(ms(50))), (ms(2000), ms(2000)));
        assert_eq!(
            (line.start(ms(100)), line.end(ms(150))),
            (ms(2000), ms(2050))
        );
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
                        line = TimeLine::default();
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
