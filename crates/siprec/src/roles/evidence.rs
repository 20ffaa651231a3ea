//! What speaks for one party or the other on a line.

use std::cmp::Ordering;

use super::{Confidence, LineFacts, LineRole, Party, RolePolicy};
use crate::identifiers::uri;
use crate::message::Headers;
use crate::metadata::{Participant, Recording, Stream};

/// Cisco's header per participant: `<uri>;media-index="0"`.
const CISCO_PARTICIPANT: &str = "X-Cisco-Recording-Participant";

/// Characters of a label that are repeated in a reason.
const LABEL_CHARS_MAX: usize = 24;

/// All that roles are found by.
pub(super) struct Case<'a> {
    pub(super) all: &'a [LineFacts<'a>],
    pub(super) recording: &'a Recording,
    pub(super) headers: &'a Headers,
    pub(super) policy: &'a RolePolicy,
}

/// Something of each of two lines.
pub(super) struct Pair(pub(super) Option<LineRole>, pub(super) Option<LineRole>);

/// Who sends on a line.
struct Senders {
    /// By index, in the order they were named; those who left included.
    participants: Vec<usize>,
    /// The metadata associates them with the line; else they are taken in their order.
    is_associated: bool,
}

/// A party, why, and how sure.
struct Verdict {
    party: Party,
    reason: String,
    confidence: Confidence,
}

impl Case<'_> {
    /// The role of the only line.
    pub(super) fn single(&self, line: &LineFacts<'_>) -> LineRole {
        let senders = self.senders(line);
        let verdict = self
            .mixed(line, &senders)
            .or_else(|| self.fork_end())
            .or_else(|| self.trunk_order(true))
            .or_else(|| self.recorded(line, &senders))
            .or_else(|| self.called_or_calling(line, &senders))
            .or_else(|| self.by_header(line, &senders))
            .or_else(|| self.named_first(line, &senders, None))
            .unwrap_or_else(|| self.line_order(true));
        self.role(verdict, &senders)
    }

    /// The roles of two lines: by the first kind of evidence that tells them apart.
    pub(super) fn pair(&self, first: &LineFacts<'_>, second: &LineFacts<'_>) -> [LineRole; 2] {
        let (a, b) = (self.senders(first), self.senders(second));
        let (a_named, b_named) = (self.earliest(&a), self.earliest(&b));
        let named = a_named.and_then(|a_named| Some(a_named.min(b_named?)));
        let kinds: [&dyn Fn() -> [Option<Verdict>; 2]; 5] = [
            &|| [self.trunk_order(true), self.trunk_order(false)],
            &|| [self.recorded(first, &a), self.recorded(second, &b)],
            &|| {
                [
                    self.called_or_calling(first, &a),
                    self.called_or_calling(second, &b),
                ]
            },
            &|| [self.by_header(first, &a), self.by_header(second, &b)],
            &|| {
                [
                    self.named_first(first, &a, named),
                    self.named_first(second, &b, named),
                ]
            },
        ];
        let told = kinds.iter().find_map(|kind| apart(kind()));
        let order = || [self.line_order(true), self.line_order(false)];
        let [first, second] = told.unwrap_or_else(order);
        [self.role(first, &a), self.role(second, &b)]
    }

    fn role(&self, verdict: Verdict, senders: &Senders) -> LineRole {
        let present = |at: &&usize| !self.recording.participants[**at].has_left;
        let present = senders.participants.iter().find(present);
        LineRole {
            party: verdict.party,
            reason: verdict.reason,
            confidence: verdict.confidence,
            participant: present.or_else(|| senders.participants.first()).copied(),
        }
    }

    /// Two who send on the only line; or several participants, and nothing that tells which of
    /// them sends.
    fn mixed(&self, line: &LineFacts<'_>, senders: &Senders) -> Option<Verdict> {
        let stream = self.stream(line).map(|(_, stream)| stream);
        let is_said = self.recording.streams.len() == 1 || line.label.is_some();
        if is_said && stream.is_some_and(|stream| stream.is_mixed) {
            let reason = format!("the stream of {} is said to be mixed", shown(line));
            return Some(verdict(Party::Mixed, reason, Confidence::High));
        }
        let counts = |one: &Participant| !one.has_left && !one.is_dummy;
        let participants = &self.recording.participants;
        let sending = senders
            .participants
            .iter()
            .filter(|at| counts(&participants[**at]));
        if senders.is_associated && sending.count() > 1 {
            let reason = format!("more than one participant sends {}", shown(line));
            return Some(verdict(Party::Mixed, reason, Confidence::High));
        }
        let several = participants.iter().filter(|one| counts(one)).count() > 1;
        let is_open = if senders.is_associated {
            stream.is_none()
        } else {
            self.recording.streams.len() < 2
        };
        (several && is_open).then(|| {
            let reason = "there is one line and more than one participant".to_owned();
            verdict(Party::Mixed, reason, Confidence::Medium)
        })
    }

    /// A phone forks two dialogs and marks in From which end each one carries.
    fn fork_end(&self) -> Option<Verdict> {
        let from = self.from()?;
        let (party, mark) = match (uri::param(from, "x-nearend"), uri::param(from, "x-farend")) {
            (Some(_), None) => (Party::Agent, "x-nearend"),
            (None, Some(_)) => (Party::Customer, "x-farend"),
            _ => return None,
        };
        let reason = format!("{mark} in the From header");
        Some(verdict(party, reason, Confidence::Medium))
    }

    fn trunk_order(&self, is_first: bool) -> Option<Verdict> {
        let is_customer = self.policy.customer_first? == is_first;
        let party = if is_customer {
            Party::Customer
        } else {
            Party::Agent
        };
        let reason = "the trunk's order".to_owned();
        Some(verdict(party, reason, Confidence::High))
    }

    /// The user whose calls are recorded is the centre's, whoever called.
    fn recorded(&self, line: &LineFacts<'_>, senders: &Senders) -> Option<Verdict> {
        let mut participants = senders.participants.iter();
        let is_recorded =
            participants.find_map(|&at| self.recording.participants[at].is_recorded_user)?;
        let (party, who) = if is_recorded {
            (Party::Agent, "the user that the metadata says is recorded")
        } else {
            (
                Party::Customer,
                "the other party of the user that is recorded",
            )
        };
        let confidence = if senders.is_associated {
            Confidence::High
        } else {
            Confidence::Low
        };
        Some(verdict(
            party,
            format!("{who} sends {}", shown(line)),
            confidence,
        ))
    }

    /// The first of a line's senders of whom the metadata says whether he called.
    fn called_or_calling(&self, line: &LineFacts<'_>, senders: &Senders) -> Option<Verdict> {
        let participants = senders
            .participants
            .iter()
            .map(|&at| &self.recording.participants[at]);
        let (is_caller, said_by) = participants
            .filter_map(|one| one.is_caller.zip(one.caller_said_by.or(Some("metadata"))))
            .next()?;
        let (link, confidence) = if senders.is_associated {
            ("sends", Confidence::High)
        } else {
            ("is taken, by order, for", Confidence::Low)
        };
        let reason = format!("{said_by} of the participant that {link} {}", shown(line));
        Some(verdict(self.party(is_caller), reason, confidence))
    }

    fn by_header(&self, line: &LineFacts<'_>, senders: &Senders) -> Option<Verdict> {
        self.end_of_media_index(line)
            .or_else(|| self.recorded_user(line, senders))
    }

    /// Cisco: the participant of this m-line is the near or the far end of From.
    fn end_of_media_index(&self, line: &LineFacts<'_>) -> Option<Verdict> {
        let is_of_line = |value: &&str| {
            let index = uri::param(value, "media-index").flatten();
            index.and_then(|index| index.parse().ok()) == Some(line.index)
        };
        let user = self.headers.values(CISCO_PARTICIPANT).find(is_of_line);
        let user = user.and_then(uri::user)?;
        let from = self.from()?;
        let is_end = |name| {
            let address = uri::param(from, name).flatten();
            address.and_then(uri::user) == Some(user)
        };
        let (party, end) = match (is_end("x-nearendaddr"), is_end("x-farendaddr")) {
            (true, false) => (Party::Agent, "near"),
            (false, true) => (Party::Customer, "far"),
            _ => return None,
        };
        let reason = format!("media-index of the {end} end in {CISCO_PARTICIPANT}");
        Some(verdict(party, reason, Confidence::Medium))
    }

    /// BroadWorks and Metaswitch record a user of theirs and put him into From.
    fn recorded_user(&self, line: &LineFacts<'_>, senders: &Senders) -> Option<Verdict> {
        let correlation = self.headers.get("X-BroadWorks-Correlation-Info");
        if !senders.is_associated || !(self.recording.is_user_recording || correlation.is_some()) {
            return None;
        }
        let user = self.from().and_then(uri::user)?;
        let is_user = |at: &usize| {
            let aor = self.recording.participants[*at].aor.as_deref();
            aor.and_then(uri::user) == Some(user)
        };
        senders.participants.iter().any(is_user).then(|| {
            let reason = format!("From is the recorded user, who sends {}", shown(line));
            verdict(Party::Agent, reason, Confidence::Medium)
        })
    }

    /// Clients name the caller first. `first`: the earliest of both lines; else of all.
    fn named_first(
        &self,
        line: &LineFacts<'_>,
        senders: &Senders,
        first: Option<usize>,
    ) -> Option<Verdict> {
        let of_all = || {
            self.recording
                .participants
                .iter()
                .position(|one| !one.is_dummy)
        };
        let is_first = first.or_else(of_all) == Some(self.earliest(senders)?);
        let order = if is_first {
            "named first"
        } else {
            "not named first"
        };
        let (link, confidence) = if senders.is_associated {
            ("sends", Confidence::Medium)
        } else {
            ("is taken, by order, for", Confidence::Low)
        };
        let reason = format!("the participant that {link} {} is {order}", shown(line));
        Some(verdict(self.party(is_first), reason, confidence))
    }

    fn earliest(&self, senders: &Senders) -> Option<usize> {
        let known = |at: &usize| !self.recording.participants[*at].is_dummy;
        senders.participants.iter().copied().filter(known).min()
    }

    fn line_order(&self, is_first: bool) -> Verdict {
        let reason = "the order of the lines, the caller's first".to_owned();
        verdict(self.party(is_first), reason, Confidence::Low)
    }

    fn party(&self, is_caller: bool) -> Party {
        if is_caller == self.policy.caller_is_customer {
            Party::Customer
        } else {
            Party::Agent
        }
    }

    /// By the metadata's streams and associations. Where nothing is associated at all, the first
    /// line (or its stream) is the first participant's, as old clients mean it.
    fn senders(&self, line: &LineFacts<'_>) -> Senders {
        let participants = self.recording.participants.iter().enumerate();
        if self.has_no_associations() {
            let position = self
                .stream(line)
                .map(|(at, _)| at)
                .or_else(|| self.position(line));
            let real = participants.filter(|(_, one)| !one.is_dummy && !one.has_left);
            let mut taken = real.map(|(at, _)| at).skip(position.unwrap_or(usize::MAX));
            return Senders {
                participants: taken.next().into_iter().collect(),
                is_associated: false,
            };
        }
        let id = self.stream(line).map(|(_, stream)| &stream.id);
        let id = id.filter(|id| !id.is_empty());
        let sends = |one: &Participant| id.is_some_and(|id| one.sends.contains(id));
        Senders {
            participants: participants
                .filter(|(_, one)| sends(one))
                .map(|(at, _)| at)
                .collect(),
            is_associated: true,
        }
    }

    /// The line's stream: by its label; where the SDP has no labels, by order if the numbers of
    /// streams and lines are the same.
    fn stream(&self, line: &LineFacts<'_>) -> Option<(usize, &Stream)> {
        let mut streams = self.recording.streams.iter().enumerate();
        if let Some(label) = line.label {
            let is_labelled = |stream: &Stream| stream.label.as_deref() == Some(label.trim());
            return streams.find(|(_, stream)| is_labelled(stream));
        }
        let without = self.all.iter().all(|line| line.label.is_none());
        let position = self.position(line)?;
        let comparable = without && self.recording.streams.len() == self.all.len();
        streams.nth(position).filter(|_| comparable)
    }

    fn position(&self, line: &LineFacts<'_>) -> Option<usize> {
        self.all.iter().position(|known| known.index == line.index)
    }

    fn has_no_associations(&self) -> bool {
        let mut participants = self.recording.participants.iter();
        participants.all(|one| one.sends.is_empty())
    }

    fn from(&self) -> Option<&str> {
        self.headers.get("From")
    }
}

/// Both verdicts if they differ; one alone gives the other line the other party.
fn apart(verdicts: [Option<Verdict>; 2]) -> Option<[Verdict; 2]> {
    let excluded = |known: &Verdict| Verdict {
        party: known.party.other(),
        reason: "the other line has the other party".to_owned(),
        confidence: known.confidence,
    };
    match verdicts {
        [Some(a), Some(b)] => match (a.party == b.party, a.confidence.cmp(&b.confidence)) {
            (false, _) => Some([a, b]),
            (true, Ordering::Greater) => apart([Some(a), None]),
            (true, Ordering::Less) => apart([None, Some(b)]),
            (true, Ordering::Equal) => None,
        },
        [Some(a), None] => {
            let other = excluded(&a);
            Some([a, other])
        }
        [None, Some(b)] => Some([excluded(&b), b]),
        [None, None] => None,
    }
}

fn verdict(party: Party, reason: String, confidence: Confidence) -> Verdict {
    Verdict {
        party,
        reason,
        confidence,
    }
}

/// A label is text of the network: only a short word is repeated.
fn shown(line: &LineFacts<'_>) -> String {
    let is_word = |label: &&str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        label.len() <= LABEL_CHARS_MAX && label.chars().all(plain)
    };
    match line.label.filter(is_word) {
        Some(label) => format!("label {label}"),
        None => format!("m-line {}", line.index),
    }
}
