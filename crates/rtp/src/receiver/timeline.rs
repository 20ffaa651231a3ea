//! Timestamps of one source on the session's clock, in samples at 8 kHz.

use super::ReceiverConfig;
use super::sequence::Standing;

/// Timestamps run faster or slower than arrival by up to 1 in so many, over a long silence.
const DRIFT: i64 = 1000;

/// So many times the agreement, a line may be away from the session's clock in all.
const ASTRAY: i64 = 10;

/// The line's own clock. Its timestamps drift against ours by some parts in a million; both lines
/// come from one box and drift together, so this is left as it is while sound goes on.
#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    /// The newest sound in order.
    anchor: Option<Anchor>,
    /// Where the sound that has been placed ends.
    end: i64,
    /// What was sent before this number belongs to the time before the last beginning.
    since: u64,
    begun: bool,
}

/// One packet of sound, as it comes in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    pub(super) timestamp: u32,
    pub(super) samples: i64,
    /// The session's clock.
    pub(super) wall: i64,
    /// Where the senders' reports say that it belongs.
    pub(super) reported: Option<i64>,
}

/// Where a packet of sound belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    /// It goes on from what came before.
    At(i64),
    /// The line begins anew here.
    Anew(i64),
    /// Its place is before the last beginning.
    Late,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    timestamp: u32,
    position: i64,
    wall: i64,
    samples: i64,
}

impl Timeline {
    /// The next sound is of another source, or after a jump.
    pub(super) fn part(&mut self) {
        self.anchor = None;
        self.since = 0;
    }

    /// Whether a timestamp may follow at this time.
    pub(super) fn agrees(&self, config: &ReceiverConfig, arrived: &Arrived) -> bool {
        self.anchor
            .is_some_and(|anchor| anchor.agrees(config, arrived))
    }

    /// Samples from the newest sound to this timestamp, and the samples of a packet.
    pub(super) fn since(&self, timestamp: u32) -> Option<(i64, i64)> {
        let anchor = self.anchor?;
        Some((anchor.elapsed(timestamp), anchor.samples))
    }

    pub(super) fn place(
        &mut self,
        config: &ReceiverConfig,
        standing: Standing,
        arrived: &Arrived,
    ) -> Spot {
        let spot = match (self.anchor, standing) {
            (None, _) => self.begin(config, arrived),
            (Some(anchor), Standing::Behind(number)) => {
                return self.put_back(anchor, number, arrived);
            }
            (Some(anchor), _) => self.follow(config, anchor, arrived),
        };
        let (Spot::At(position) | Spot::Anew(position)) = spot else {
            return spot;
        };
        if let (Spot::Anew(_), Standing::Ahead(number) | Standing::Behind(number)) =
            (spot, standing)
        {
            self.since = number;
        }
        self.anchor = Some(Anchor {
            timestamp: arrived.timestamp,
            position,
            wall: arrived.wall,
            samples: arrived.samples,
        });
        self.begun = true;
        self.end = self.end.max(position + arrived.samples);
        spot
    }

    /// The first sound of a source stands where the clock is when it comes, unless the reports know
    /// better.
    fn begin(&self, config: &ReceiverConfig, arrived: &Arrived) -> Spot {
        let agreement = samples(config.agreement);
        let near = |at: &i64| (at - arrived.wall).abs() <= agreement;
        let position = arrived.reported.filter(near).unwrap_or(arrived.wall);
        match self.begun {
            true => Spot::Anew(position.max(self.end)),
            false => Spot::At(position.max(0)),
        }
    }

    fn follow(&self, config: &ReceiverConfig, anchor: Anchor, arrived: &Arrived) -> Spot {
        let agreement = samples(config.agreement);
        let by_timestamp = anchor.position + anchor.elapsed(arrived.timestamp);
        let astray = (arrived.wall - by_timestamp).abs();
        if !anchor.agrees(config, arrived) || astray > ASTRAY * agreement {
            return Spot::Anew(arrived.wall.max(self.end));
        }
        let elapsed = anchor.elapsed(arrived.timestamp);
        let is_spurt = |passed: i64| passed - anchor.samples >= samples(config.spurt_gap);
        if !is_spurt(elapsed.max(arrived.wall - anchor.wall)) {
            return Spot::At(by_timestamp);
        }
        // Nothing has come for a while: the time to put right what a stall of the network left
        // behind, or what the reports know better. If the sender was not silent by its own
        // timestamps, and the reports agree with them, sound was held up on its way: it goes on
        // where it was.
        let near = |at: &i64| (at - by_timestamp).abs() <= agreement;
        let right = match arrived.reported.filter(near) {
            Some(reported) if is_spurt(elapsed) => reported,
            None if astray > agreement => arrived.wall,
            Some(_) | None => by_timestamp,
        };
        Spot::At(match right {
            _ if right == by_timestamp => by_timestamp,
            _ => right.max(self.end),
        })
    }

    /// Overtaken by what is placed already; it moves nothing.
    fn put_back(&mut self, anchor: Anchor, number: u64, arrived: &Arrived) -> Spot {
        let position = anchor.position + anchor.elapsed(arrived.timestamp);
        if number < self.since || position < 0 || position >= anchor.position {
            return Spot::Late;
        }
        self.end = self.end.max(position + arrived.samples);
        Spot::At(position)
    }
}

impl Anchor {
    fn elapsed(&self, timestamp: u32) -> i64 {
        i64::from(timestamp.wrapping_sub(self.timestamp) as i32)
    }

    fn agrees(&self, config: &ReceiverConfig, arrived: &Arrived) -> bool {
        let by_timestamp = self.elapsed(arrived.timestamp);
        let by_arrival = arrived.wall - self.wall;
        let tolerance = samples(config.agreement) + by_arrival.max(0) / DRIFT;
        by_timestamp > 0 && (by_timestamp - by_arrival).abs() <= tolerance
    }
}

pub(super) fn samples(duration: std::time::Duration) -> i64 {
    (duration.as_micros() / 125).min(1 << 40) as i64
}
