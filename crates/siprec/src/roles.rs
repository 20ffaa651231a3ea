//! Who speaks on which media line, with the reason and how sure we are.
//!
//! Evidence in its order: the trunk's own order of lines, what the metadata says in so many words,
//! headers, which participant was named first, the order of lines. The order of labels is none.

mod evidence;

use crate::message::Headers;
use crate::metadata::Recording;

use evidence::{Case, Pair};

/// Whom a line was given to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineRole {
    /// The party.
    pub party: Party,
    /// A sentence without private words: `apkt:callingParty of the participant that sends label 1`.
    pub reason: String,
    /// How sure we are.
    pub confidence: Confidence,
    /// Which participant of the metadata sends it, by index.
    pub participant: Option<usize>,
}

/// The two parties, and both on one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// The contact centre's person.
    Agent,
    /// The other.
    Customer,
    /// One line carries both.
    Mixed,
}

/// How sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// By order only.
    Low,
    /// By a header or one indirect sign.
    Medium,
    /// The metadata says it in so many words, or configuration does.
    High,
}

/// What a trunk says about roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolePolicy {
    /// The first accepted line is the customer's (true), the agent's (false), or metadata decides.
    pub customer_first: Option<bool>,
    /// The calling party is the customer (an inbound contact centre) or the agent.
    pub caller_is_customer: bool,
}

/// A line as roles see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineFacts<'a> {
    /// Index of the m-line.
    pub index: usize,
    /// Its `a=label`.
    pub label: Option<&'a str>,
}

impl Party {
    /// The other one of two parties.
    pub fn other(self) -> Self {
        match self {
            Self::Agent => Self::Customer,
            Self::Customer => Self::Agent,
            Self::Mixed => Self::Mixed,
        }
    }
}

/// Gives a role to each accepted line, in their order. Two lines never get the same role; one line
/// alone may be `Mixed`. There are two parties: a third line and those behind it get none.
pub fn assign(
    lines: &[LineFacts<'_>],
    recording: &Recording,
    headers: &Headers,
    policy: &RolePolicy,
) -> Vec<LineRole> {
    let roles = follow(&[], lines, recording, headers, policy);
    roles.into_iter().map(|(_, role)| role).collect()
}

/// The roles after an update, by index of the m-line. A line keeps its party through holds,
/// transfers and conferences unless the evidence is better than that of its first role. Lines that
/// have a role come before new ones; there are two parties, so at most two lines get one.
pub fn follow(
    previous: &[(usize, LineRole)],
    lines: &[LineFacts<'_>],
    recording: &Recording,
    headers: &Headers,
    policy: &RolePolicy,
) -> Vec<(usize, LineRole)> {
    let role_before = |line: &LineFacts<'_>| {
        let mut known = previous.iter();
        known
            .find(|(index, _)| *index == line.index)
            .map(|(_, role)| role)
    };
    let known = lines.iter().filter(|line| role_before(line).is_some());
    let new = lines.iter().filter(|line| role_before(line).is_none());
    let mut chosen: Vec<_> = known.chain(new).take(2).copied().collect();
    chosen.sort_by_key(|line| line.index);
    let case = Case {
        all: lines,
        recording,
        headers,
        policy,
    };
    match chosen.as_slice() {
        [] => Vec::new(),
        [only] => {
            let fresh = case.single(only);
            vec![(only.index, keep(role_before(only), fresh))]
        }
        [first, second, ..] => {
            let fresh = case.pair(first, second);
            let before = Pair(role_before(first).cloned(), role_before(second).cloned());
            let [a, b] = keep_pair(&before, fresh);
            vec![(first.index, a), (second.index, b)]
        }
    }
}

/// The better founded of the two; the earlier one in doubt.
fn keep(before: Option<&LineRole>, fresh: LineRole) -> LineRole {
    match before {
        Some(before) if before.confidence >= fresh.confidence && before.party != fresh.party => {
            LineRole {
                participant: fresh.participant,
                ..before.clone()
            }
        }
        _ => fresh,
    }
}

/// What one of two lines was decides for both.
fn keep_pair(before: &Pair, fresh: [LineRole; 2]) -> [LineRole; 2] {
    let two_parties = |role: &&LineRole| role.party != Party::Mixed;
    let first = before.0.as_ref().filter(two_parties);
    let second = before.1.as_ref().filter(two_parties);
    let strength = |role: &LineRole| role.confidence;
    let Some(strongest) = first.map(strength).max(second.map(strength)) else {
        return fresh;
    };
    let first_party = match (first, second) {
        (Some(first), Some(second)) if second.confidence > first.confidence => second.party.other(),
        (Some(first), _) => first.party,
        (None, Some(second)) => second.party.other(),
        (None, None) => fresh[0].party,
    };
    let [a, b] = fresh;
    if a.party == first_party || a.confidence.max(b.confidence) > strongest {
        return [a, b];
    }
    let kept = |role: Option<&LineRole>, fresh: LineRole, party| LineRole {
        party,
        reason: match role.filter(|role| role.party == party) {
            Some(role) => role.reason.clone(),
            None => "the other line has the other party".to_owned(),
        },
        confidence: strongest,
        participant: fresh.participant,
    };
    [
        kept(first, a, first_party),
        kept(second, b, first_party.other()),
    ]
}

#[cfg(test)]
mod tests;
