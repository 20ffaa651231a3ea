//! Whether every word that was said was heard or told as lost: what was planted on a stream's clock
//! against the finals and gaps that came of it. Pure: it reads lists and gives a tally.

mod tally;
#[cfg(test)]
mod tests;

pub(super) use self::tally::Tally;

use super::phrasebook::Phrasebook;
use crate::speech::Role;

/// A final this near to where its phrase was said is in its place.
const PLACE_MS: i64 = 500;

/// Where a final has several phrases only the first one's place is known well.
const LOOSE_PLACE_MS: i64 = 2_500;

/// A final this far from where its phrase was said is taken for it, and is out of place.
const REACH_MS: i64 = 4_000;

/// A phrase whose first or last sound lies this near to a gap may be lost with it: an ear needs all
/// of a phrase.
const EDGE_MS: i64 = 150;

/// A phrase that was said on a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Planted {
    /// Its place in the book.
    pub(super) phrase: usize,
    /// When it began, on the caller's clock.
    pub(super) at_ms: u64,
}

/// What the gateway told of one stream, with times on the stream's clock.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) finals: Vec<Final>,
    pub(super) gaps: Vec<Gap>,
    /// The status code of its end.
    pub(super) ended: Option<u16>,
}

/// A final transcript.
#[derive(Clone, Debug)]
pub(super) struct Final {
    pub(super) start_ms: u64,
    pub(super) end_ms: u64,
    pub(super) text: String,
}

/// A stretch that was told as lost.
#[derive(Clone, Debug)]
pub(super) struct Gap {
    pub(super) from_ms: u64,
    pub(super) to_ms: u64,
    pub(super) reason: String,
}

/// One stream: what was said while it ran, and what came of it.
pub(super) struct Page<'a> {
    /// How it is called in complaints.
    pub(super) name: &'a str,
    pub(super) role: Role,
    /// Where the stream's clock begins on the caller's, roughly.
    pub(super) origin_ms: u64,
    pub(super) planted: &'a [Planted],
    pub(super) told: &'a Told,
}

/// A phrase that came back.
struct Sighting {
    phrase: usize,
    /// When it was said, on the caller's clock, by the stream's clock and the rough origin.
    at_ms: i64,
    /// When it was over, if that is told: a final that goes over a gap is only right at one end.
    end_ms: Option<i64>,
    /// How far it may be off.
    slack_ms: i64,
}

impl Page<'_> {
    /// Each planted word once: heard, told as lost, or missing. What came back more than was
    /// planted is counted beside.
    pub(super) fn settle(&self, book: &Phrasebook) -> Tally {
        let mut tally = Tally::default();
        let sightings = self.sightings(book, &mut tally);
        let shift = self.shift(&sightings, book);
        let mut heard = vec![0_u64; self.planted.len()];
        for sighting in &sightings {
            match self.nearest(sighting, shift, book, &heard) {
                Some((place, off)) if off <= REACH_MS => {
                    heard[place] += 1;
                    if off > sighting.slack_ms {
                        let id = &book.entry(sighting.phrase).id;
                        tally.misplaced += book.entry(sighting.phrase).words;
                        tally.complain(format!("{}: {id} is {off} ms out of place", self.name));
                    }
                }
                _ => self.uncalled(sighting, shift, book, &mut tally),
            }
        }
        for (planted, times) in self.planted.iter().zip(heard) {
            tally += self.enter(planted, times, shift, book);
        }
        for gap in &self.told.gaps {
            let lasted = gap.to_ms.saturating_sub(gap.from_ms);
            *tally.gap_ms.entry(gap.reason.clone()).or_default() += lasted;
        }
        tally
    }

    fn sightings(&self, book: &Phrasebook, tally: &mut Tally) -> Vec<Sighting> {
        let mut sightings = Vec::new();
        for told in &self.told.finals {
            let mentions = book.read(&told.text);
            tally.finals += 1;
            tally.nonsense += u64::from(mentions.is_empty());
            let alone = mentions.len() == 1;
            let lasted = told.end_ms.saturating_sub(told.start_ms) as f64;
            sightings.extend(mentions.iter().map(|mention| Sighting {
                phrase: mention.phrase,
                at_ms: (self.origin_ms + told.start_ms) as i64 + (lasted * mention.at) as i64,
                end_ms: alone.then_some((self.origin_ms + told.end_ms) as i64),
                slack_ms: if alone { PLACE_MS } else { LOOSE_PLACE_MS },
            }));
        }
        sightings
    }

    /// How far the rough origin is off: the median over all that can be told.
    fn shift(&self, sightings: &[Sighting], book: &Phrasebook) -> i64 {
        let alone = sightings.iter().filter(|found| found.end_ms.is_some());
        let offs = alone.filter_map(|found| {
            let same = self
                .planted
                .iter()
                .filter(|said| said.phrase == found.phrase);
            let offs = same.map(|said| found.off(said, 0, book));
            offs.min_by_key(|off| off.abs())
        });
        let mut offs: Vec<i64> = offs.filter(|off| off.abs() <= REACH_MS).collect();
        offs.sort_unstable();
        offs.get(offs.len() / 2).copied().unwrap_or(0)
    }

    /// The planted phrase nearest to a sighting, and how far it is from it; of two that are equally
    /// near the one that has not been heard.
    fn nearest(
        &self,
        found: &Sighting,
        shift: i64,
        book: &Phrasebook,
        heard: &[u64],
    ) -> Option<(usize, i64)> {
        let all = self.planted.iter().enumerate();
        let same = all.filter(|(_, said)| said.phrase == found.phrase);
        let offs = same.map(|(place, said)| (place, found.off(said, shift, book).abs()));
        offs.min_by_key(|(place, off)| (*off, heard[*place]))
    }

    /// A phrase came back that was not said on this stream.
    fn uncalled(&self, found: &Sighting, shift: i64, book: &Phrasebook, tally: &mut Tally) {
        let (entry, at_ms) = (book.entry(found.phrase), found.at_ms + shift);
        let what = if entry.secret {
            tally.leaked += entry.words;
            "was said in a pause"
        } else if entry.role != self.role {
            tally.foreign += entry.words;
            "was said by the other party"
        } else {
            tally.unplanted += entry.words;
            "was not said there"
        };
        let (name, id) = (self.name, &entry.id);
        tally.complain(format!("{name}: {id} at {at_ms} ms {what}"));
    }

    fn enter(&self, said: &Planted, times: u64, shift: i64, book: &Phrasebook) -> Tally {
        let mut tally = Tally::default();
        let entry = book.entry(said.phrase);
        let from = said.at_ms as i64 - self.origin_ms as i64 - shift;
        let to = from + entry.length_ms as i64;
        let told = self.is_told(from, to) || self.is_torn(from, to, book);
        tally.planted += entry.words;
        match times {
            0 if told => tally.told += entry.words,
            0 => {
                tally.missing += entry.words;
                let (name, id, at) = (self.name, &entry.id, said.at_ms);
                let told = "is neither heard nor told as lost";
                tally.complain(format!("{name}: {id} at {at} ms ({from} ms) {told}"));
            }
            _ => {
                tally.heard += entry.words;
                tally.heard_and_told += if told { entry.words } else { 0 };
                tally.twice += entry.words * (times - 1);
                if times > 1 {
                    let (name, id, at) = (self.name, &entry.id, said.at_ms);
                    tally.complain(format!("{name}: {id} at {at} ms was heard {times} times"));
                }
            }
        }
        tally
    }

    /// Whether it was spoilt by what is next to it: a final without a phrase covers it and goes
    /// over a gap, behind which the sound was joined on.
    fn is_torn(&self, from: i64, to: i64, book: &Phrasebook) -> bool {
        let covers = |told: &&Final| {
            let (start, end) = (told.start_ms as i64, told.end_ms as i64);
            start < to && from < end && self.is_told(start, end)
        };
        let mut covering = self.told.finals.iter().filter(covers);
        covering.any(|told| book.read(&told.text).is_empty())
    }

    /// Whether any of a stretch of the stream's clock was told as lost. A pause is no loss.
    fn is_told(&self, from: i64, to: i64) -> bool {
        let losses = self.told.gaps.iter().filter(|gap| gap.reason != "paused");
        let mut touching = losses
            .filter(|gap| (gap.from_ms as i64) < to + EDGE_MS && from - EDGE_MS < gap.to_ms as i64);
        touching.next().is_some()
    }
}

impl Sighting {
    /// How much later the phrase was said than it was found, by the end at which that is less.
    fn off(&self, said: &Planted, shift: i64, book: &Phrasebook) -> i64 {
        let at = said.at_ms as i64;
        let end = at + book.entry(said.phrase).length_ms as i64;
        let at_start = at - (self.at_ms + shift);
        let at_end = self.end_ms.map(|found| end - (found + shift));
        at_end
            .filter(|at_end| at_end.abs() < at_start.abs())
            .unwrap_or(at_start)
    }
}
