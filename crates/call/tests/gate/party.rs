//! Two legs on one clock, and every stream they have had. Each frame carries a mark of its own:
//! negative if it came while the gate was not open, positive if it was. Silence is 0.

use std::collections::HashMap;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use call::audio::{Chunk, Codec, Frame};
use call::backlog::Taken;
use call::feed::{self, ChunkSource, LegControl, LegFeed, LineConfig, MediaClock};
use call::leg::{Gate, LegConfig};

use crate::chance::Chance;

/// Samples a frame.
pub(crate) const FRAME: u64 = 160;
/// `LegConfig::wobble` in samples: how far sound may be put from where it says it is.
const WOBBLE: u64 = 40;

pub(crate) type Holds = Result<(), String>;

pub(crate) struct Table {
    chance: Chance,
    now: Instant,
    clock: MediaClock,
    parties: Vec<Party>,
    /// Where each mark's frame begins, on the legs' clock.
    marks: HashMap<i16, u64>,
    pub(crate) heard: u64,
    pub(crate) withheld: u64,
}

/// One leg.
struct Party {
    feed: Option<LegFeed>,
    control: LegControl,
    lines: Vec<Line>,
    /// Where its platform is, on the legs' clock.
    position: u64,
}

/// One opening's stream.
struct Line {
    source: Option<ChunkSource>,
    /// Where its clock is 0, on the legs' clock.
    zero: u64,
    /// The end of the newest chunk.
    end: u64,
    /// Taken and not sent yet.
    in_hand: Option<Chunk>,
    /// Marks up to this one were said before the opening, or were to be thrown away since.
    forbidden: i16,
}

/// The samples of a frame that all have one value.
pub(crate) fn marked(mark: i16) -> Vec<u8> {
    mark.to_le_bytes().repeat(FRAME as usize)
}

/// All that is left in a stream.
pub(crate) fn drain(source: &mut ChunkSource) -> Vec<i16> {
    let mut heard = Vec::new();
    while let Some(chunk) = take(source) {
        heard.extend(chunk.samples);
    }
    assert!(source.is_ended(), "the leg is over and its stream is not");
    heard
}

fn take(source: &mut ChunkSource) -> Option<Chunk> {
    match source.poll_take(&Context::from_waker(Waker::noop())) {
        Poll::Ready(Taken::Chunk(chunk)) => Some(chunk),
        Poll::Ready(_) | Poll::Pending => None,
    }
}

impl Table {
    pub(crate) fn new(chance: Chance, now: Instant) -> Self {
        let clock = MediaClock::default();
        let parties = (0..2).map(|_| Party::new(now, &clock)).collect();
        Self {
            chance,
            now,
            clock,
            parties,
            marks: HashMap::new(),
            heard: 0,
            withheld: 0,
        }
    }

    /// Anything may happen.
    pub(crate) fn step(&mut self) -> Holds {
        let at = self.chance.below(self.parties.len());
        match self.chance.below(100) {
            0..50 => self.push(at),
            50..56 => self.parties[at].catch_up(self.now),
            56..61 => self.open(at),
            61..64 => self.shut(at),
            64..68 => self.pause(at),
            68..74 => {
                self.parties[at].control.resume();
            }
            74..90 => return self.take(at),
            90..95 => self.put_back(at),
            95..97 => self.drop_source(at),
            97 => self.end(at),
            _ => self.both(),
        }
        Ok(())
    }

    /// What must hold after every step.
    pub(crate) fn check(&self) -> Holds {
        for source in self
            .parties
            .iter()
            .flat_map(|party| &party.lines)
            .filter_map(Line::source)
        {
            let counts = source.counts();
            let told = counts.taken + counts.dropped + source.waiting();
            if counts.appended != told {
                return Err(format!("{counts:?} and {} waiting", source.waiting()));
            }
        }
        Ok(())
    }

    /// Both legs end; all that is left is heard.
    pub(crate) fn close(&mut self) -> Holds {
        for at in 0..self.parties.len() {
            self.parties[at].feed = None;
            for line in 0..self.parties[at].lines.len() {
                while self.take_from(at, line)? {}
                let source = self.parties[at].lines[line].source.as_ref();
                if source.is_some_and(|source| !source.is_ended() || source.waiting() > 0) {
                    return Err("the leg is over and its stream is not".to_owned());
                }
            }
        }
        self.check()
    }

    /// A frame comes, where it should or elsewhere.
    fn push(&mut self, at: usize) {
        let (now, mark) = (self.now, self.marks.len() as i16 + 1);
        let party = &mut self.parties[at];
        let position = match self.chance.below(100) {
            0..70 => party.step(1),
            70..75 => {
                let lost = self.chance.next() % 3;
                party.step(lost);
                party.step(1)
            }
            75..85 => party.position + FRAME * (self.chance.next() % 4),
            85..90 => party.position.saturating_sub(FRAME),
            90..98 => (party.step(1) + self.chance.next() % 80).saturating_sub(WOBBLE),
            _ => {
                party.step(500);
                party.step(1)
            }
        };
        let is_open = party.control.gate() == Gate::Open;
        let Some(feed) = &party.feed else { return };
        if !is_open {
            self.withheld += FRAME;
        }
        if feed.gate() != Gate::Open && self.chance.percent(50) {
            return feed.withhold(now, position, FRAME);
        }
        self.marks.insert(mark, position);
        let payload = marked(if is_open { mark } else { -mark });
        feed.push(
            now,
            Frame {
                position,
                codec: Codec::L16,
                payload: &payload,
            },
        );
    }

    fn open(&mut self, at: usize) {
        let chunk_samples = self.chance.one_of(&[160, 800, 801]);
        let config = LineConfig {
            chunk_samples,
            chunks_max: self.chance.one_of(&[1, 5, 1_000]),
        };
        let party = &mut self.parties[at];
        let zero = self.clock.now();
        let source = party.control.open(zero, config);
        assert_eq!(
            source.is_some(),
            party.feed.is_some(),
            "only a live leg can be opened"
        );
        if source.is_some() {
            party.lines.push(Line {
                source,
                zero,
                end: 0,
                in_hand: None,
                forbidden: self.marks.len() as i16,
            });
        }
    }

    /// The two sides are opened at one reading of the clock, as a start does.
    fn both(&mut self) {
        (0..self.parties.len()).for_each(|at| self.open(at));
    }

    fn shut(&mut self, at: usize) {
        let discard = self.chance.percent(30);
        let was_shut = self.parties[at].control.gate() == Gate::Shut;
        self.parties[at].control.shut(discard);
        assert_eq!(self.parties[at].control.gate(), Gate::Shut);
        self.discarded(at, discard && !was_shut);
    }

    fn pause(&mut self, at: usize) {
        let discard = self.chance.percent(30);
        let was_shut = self.parties[at].control.gate() == Gate::Shut;
        self.parties[at].control.pause(discard);
        assert_ne!(self.parties[at].control.gate(), Gate::Open);
        self.discarded(at, discard && !was_shut);
    }

    fn discarded(&mut self, at: usize, discard: bool) {
        if let Some(line) = self.parties[at].lines.last_mut().filter(|_| discard) {
            line.forbidden = self.marks.len() as i16;
        }
    }

    fn take(&mut self, at: usize) -> Holds {
        let line = self.chance.below(self.parties[at].lines.len());
        if line < self.parties[at].lines.len() {
            self.take_from(at, line)?;
        }
        Ok(())
    }

    /// Whether there was a chunk to take; it is looked at sample by sample.
    fn take_from(&mut self, at: usize, line: usize) -> Result<bool, String> {
        let line = &mut self.parties[at].lines[line];
        let Some(chunk) = line.source.as_mut().and_then(take) else {
            return Ok(false);
        };
        if chunk.position < line.end {
            return Err(format!("{} comes after {}", chunk.position, line.end));
        }
        line.end = chunk.position + chunk.len();
        self.heard += chunk.len();
        for (sample, at) in chunk.samples.iter().zip(line.zero + chunk.position..) {
            if *sample < 0 {
                return Err(format!("mark {sample} came behind the gate and was heard"));
            }
            if *sample > 0 && *sample <= line.forbidden {
                return Err(format!("mark {sample} was heard and had to be forgotten"));
            }
            let said = self.marks.get(sample).filter(|_| *sample > 0);
            if said.is_some_and(|from| at + WOBBLE < *from || at >= from + FRAME + WOBBLE) {
                return Err(format!(
                    "mark {sample} was said at {said:?} and heard at {at}"
                ));
            }
        }
        line.in_hand = Some(chunk);
        Ok(true)
    }

    /// What could not be sent goes back.
    fn put_back(&mut self, at: usize) {
        for line in &mut self.parties[at].lines {
            if let (Some(source), Some(chunk)) = (&mut line.source, line.in_hand.take()) {
                line.end = chunk.position;
                source.untake(chunk);
            }
        }
    }

    fn drop_source(&mut self, at: usize) {
        if let Some(line) = self.parties[at].lines.last_mut() {
            line.source = None;
        }
    }

    /// The leg ends; another comes in its place.
    fn end(&mut self, at: usize) {
        let party = &mut self.parties[at];
        party.feed = None;
        assert_eq!(party.control.gate(), Gate::Shut);
        if self.chance.percent(70) {
            let (feed, control) = feed::leg(self.now, LegConfig::default(), self.clock.clone());
            (party.feed, party.control) = (Some(feed), control);
        }
    }
}

impl Party {
    fn new(now: Instant, clock: &MediaClock) -> Self {
        let (feed, control) = feed::leg(now, LegConfig::default(), clock.clone());
        Self {
            feed: Some(feed),
            control,
            lines: Vec::new(),
            position: 0,
        }
    }

    fn catch_up(&self, now: Instant) {
        if let Some(feed) = &self.feed {
            feed.catch_up(now);
        }
    }

    /// The platform goes on by so many frames; where it was.
    fn step(&mut self, frames: u64) -> u64 {
        let position = self.position;
        self.position += frames * FRAME;
        position
    }
}

impl Line {
    fn source(&self) -> Option<&ChunkSource> {
        self.source.as_ref()
    }
}
