//! The sums of an account.

use std::collections::BTreeMap;

use serde::Serialize;

/// Complaints that are kept in words.
const COMPLAINTS_MAX: usize = 20;

/// What became of the words of one stream, or of many. Wide because it is a record, one member a
/// figure; words where nothing else is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    /// Said while a stream ran.
    pub(crate) planted: u64,
    /// Of them, in a final transcript at least once.
    pub(crate) heard: u64,
    /// Of them, not heard, and in a stretch that was told as lost.
    pub(crate) told: u64,
    /// Of them, neither.
    pub(crate) missing: u64,
    /// Heard once more than said.
    pub(crate) twice: u64,
    /// Heard, and in a stretch of which was told that it may be lost.
    pub(crate) heard_and_told: u64,
    /// Heard far from where they were said.
    pub(crate) misplaced: u64,
    /// Heard, but never said on the stream.
    pub(crate) unplanted: u64,
    /// Heard, and said while nobody was to hear.
    pub(crate) leaked: u64,
    /// Heard on the stream of the other party.
    pub(crate) foreign: u64,
    /// Final transcripts.
    pub(crate) finals: u64,
    /// Final transcripts without any phrase: pieces of one.
    pub(crate) nonsense: u64,
    /// Milliseconds that were told as lost, by reason.
    pub(crate) gap_ms: BTreeMap<String, u64>,
    /// The first complaints in words.
    pub(crate) complaints: Vec<String>,
}

impl Tally {
    pub(super) fn complain(&mut self, complaint: String) {
        if self.complaints.len() < COMPLAINTS_MAX {
            self.complaints.push(complaint);
        }
    }

    /// What must not be, in words.
    pub(crate) fn faults(&self) -> Vec<String> {
        let counted = [
            (self.missing, "words are neither heard nor told as lost"),
            (self.twice, "words were heard twice"),
            (self.leaked, "words of a pause were heard"),
            (self.foreign, "words were heard at the wrong role"),
            (self.unplanted, "words were heard that nobody said there"),
            (self.misplaced, "words were heard out of their place"),
        ];
        let counted = counted.into_iter().filter(|(number, _)| *number > 0);
        let mut faults: Vec<String> = counted
            .map(|(number, what)| format!("{number} {what}"))
            .collect();
        if self.planted == 0 {
            faults.push("nothing was said".to_owned());
        }
        if self.planted != self.heard + self.told + self.missing {
            faults.push("the account does not add up".to_owned());
        }
        faults
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.planted += other.planted;
        self.heard += other.heard;
        self.told += other.told;
        self.missing += other.missing;
        self.twice += other.twice;
        self.heard_and_told += other.heard_and_told;
        self.misplaced += other.misplaced;
        self.unplanted += other.unplanted;
        self.leaked += other.leaked;
        self.foreign += other.foreign;
        self.finals += other.finals;
        self.nonsense += other.nonsense;
        for (reason, ms) in other.gap_ms {
            *self.gap_ms.entry(reason).or_default() += ms;
        }
        for complaint in other.complaints {
            self.complain(complaint);
        }
    }
}
