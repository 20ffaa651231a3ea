//! A document into what is known: complete ones replace, partial ones update. RFC 7866 §9.2.

use std::collections::{HashMap, HashSet};

use super::document::{Association, Document};
use super::{Applied, GCI, MetadataLimits, Participant, Recording, Stream};

/// What an id names; it may name one thing only (RFC 7865 §6.10).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Container,
    Participant,
    Stream,
}

struct Merge<'r> {
    recording: &'r mut Recording,
    limits: &'r MetadataLimits,
    /// Every id that is known, and what it names.
    names: HashMap<String, Names>,
    /// Ids of elements of this document that were taken.
    in_document: HashSet<String>,
    is_state_lost: bool,
}

/// Merges a document.
pub(super) fn merge(
    recording: &mut Recording,
    document: Document,
    limits: &MetadataLimits,
) -> Applied {
    let is_partial = document.is_partial;
    if !is_partial {
        let known = std::mem::take(recording);
        let beside = known
            .identifiers
            .into_iter()
            .filter(|(kind, _)| *kind == GCI);
        recording.identifiers.extend(beside);
    }
    recording.ignored = 0;
    let mut merge = Merge::new(recording, limits);
    merge.take(document);
    match (is_partial, merge.is_state_lost) {
        (false, _) => Applied::Complete,
        (true, false) => Applied::Partial,
        (true, true) => Applied::StateLost,
    }
}

impl<'r> Merge<'r> {
    fn new(recording: &'r mut Recording, limits: &'r MetadataLimits) -> Self {
        let participants = recording.participants.iter();
        let streams = recording.streams.iter();
        let names = participants
            .map(|one| (one.id.clone(), Names::Participant))
            .chain(streams.map(|one| (one.id.clone(), Names::Stream)))
            .collect();
        Self {
            recording,
            limits,
            names,
            in_document: HashSet::new(),
            is_state_lost: false,
        }
    }

    fn take(&mut self, document: Document) {
        for id in document.others {
            self.names.entry(id).or_insert(Names::Container);
        }
        for (stream, has_ended) in document.streams {
            self.stream(stream, has_ended);
        }
        for participant in document.participants {
            self.participant(participant);
        }
        self.associations(document.associations);
        self.memberships(&document.memberships);
        let identifiers = document.identifiers.into_iter();
        for identifier in identifiers.chain(document.vendor.identifiers.iter().cloned()) {
            self.identifier(identifier);
        }
        for (name, value) in &document.vendor.headers {
            self.header(name, value);
        }
        document.vendor.mark(&mut self.recording.participants);
        self.recording.is_user_recording |= document.vendor.is_user_recording;
        self.look_for_lost_streams();
    }

    fn stream(&mut self, stream: Stream, has_ended: bool) {
        if !self.is_free(&stream.id, Names::Stream) {
            self.recording.ignored += 1;
            return;
        }
        let streams = &mut self.recording.streams;
        let known = streams
            .iter()
            .position(|known| is_same_stream(known, &stream));
        match known {
            Some(at) if self.in_document.contains(&stream.id) => {
                let contradicts = stream.label.is_some() && streams[at].label != stream.label;
                self.recording.ignored += usize::from(contradicts);
            }
            Some(at) if has_ended => {
                streams.remove(at);
            }
            Some(at) => {
                streams[at].label = stream.label.or_else(|| streams[at].label.take());
                streams[at].is_mixed |= stream.is_mixed;
                self.claim(stream.id, Names::Stream);
            }
            None if has_ended => self.claim(stream.id, Names::Stream),
            None if streams.len() >= self.limits.streams_max => self.recording.ignored += 1,
            None => {
                streams.push(stream.clone());
                self.claim(stream.id, Names::Stream);
            }
        }
    }

    fn participant(&mut self, update: Participant) {
        if !self.is_free(&update.id, Names::Participant) {
            self.recording.ignored += 1;
            return;
        }
        let is_repeated = self.in_document.contains(&update.id);
        self.claim(update.id.clone(), Names::Participant);
        let participants = &mut self.recording.participants;
        let known = participants
            .iter_mut()
            .find(|known| is_same_party(known, &update));
        let Some(known) = known else {
            self.push_participant(update);
            return;
        };
        // Drafts repeat a participant for each of its sessions; another address is another one.
        let contradicts = update.aor.is_some() && known.aor.is_some() && known.aor != update.aor;
        if is_repeated && contradicts {
            self.recording.ignored += 1;
            return;
        }
        if is_repeated {
            add_missing(&mut known.sends, update.sends, self.limits.streams_max);
            add_missing(
                &mut known.receives,
                update.receives,
                self.limits.streams_max,
            );
            known.has_left &= update.has_left;
        } else {
            if !update.sends.is_empty() || !update.receives.is_empty() {
                known.sends = update.sends;
                known.receives = update.receives;
            }
            known.has_left = update.has_left;
        }
        known.is_dummy = update
            .aor
            .as_ref()
            .map_or(known.is_dummy, |_| update.is_dummy);
        known.aor = update.aor.or_else(|| known.aor.take());
        known.name = update.name.or_else(|| known.name.take());
        known.caller_said_by = update.caller_said_by.or(known.caller_said_by);
        known.is_caller = update.is_caller.or(known.is_caller);
    }

    /// Whoever left makes room.
    fn push_participant(&mut self, participant: Participant) {
        let participants = &mut self.recording.participants;
        if participants.len() >= self.limits.participants_max {
            let Some(left) = participants.iter().position(|one| one.has_left) else {
                self.recording.ignored += 1;
                return;
            };
            participants.remove(left);
        }
        participants.push(participant);
    }

    /// The associations of a participant in one document together replace what it sent and
    /// received; one without streams says that it does neither (RFC 7865 §6.8.1).
    fn associations(&mut self, associations: Vec<Association>) {
        let mut replaced = HashSet::new();
        for association in associations {
            let participants = &mut self.recording.participants;
            let known = participants
                .iter_mut()
                .find(|one| one.id == association.participant);
            let Some(known) = known.filter(|one| !one.id.is_empty()) else {
                self.is_state_lost = true;
                continue;
            };
            if association.has_ended {
                known.sends.retain(|id| !association.sends.contains(id));
                known
                    .receives
                    .retain(|id| !association.receives.contains(id));
                continue;
            }
            if replaced.insert(association.participant) {
                known.sends.clear();
                known.receives.clear();
            }
            add_missing(&mut known.sends, association.sends, self.limits.streams_max);
            add_missing(
                &mut known.receives,
                association.receives,
                self.limits.streams_max,
            );
        }
    }

    /// A participant has left when it has left every session that the document puts it into.
    fn memberships(&mut self, memberships: &[(String, bool)]) {
        let mut stays: HashMap<&str, bool> = HashMap::new();
        for (participant, has_left) in memberships {
            *stays.entry(participant).or_default() |= !has_left;
        }
        for (participant, stays) in stays {
            let participants = &mut self.recording.participants;
            match participants.iter_mut().find(|one| one.id == participant) {
                Some(known) => known.has_left = !stays,
                None => self.is_state_lost = true,
            }
        }
    }

    fn identifier(&mut self, identifier: (&'static str, String)) {
        let identifiers = &mut self.recording.identifiers;
        if identifiers.contains(&identifier) {
            return;
        }
        if identifiers.len() >= self.limits.identifiers_max {
            self.recording.ignored += 1;
            return;
        }
        identifiers.push(identifier);
    }

    fn header(&mut self, name: &str, value: &str) {
        let headers = &mut self.recording.vendor_headers;
        if let Some(known) = headers.iter_mut().find(|(known, _)| known == name) {
            value.clone_into(&mut known.1);
        } else if headers.len() < self.limits.identifiers_max {
            headers.push((name.to_owned(), value.to_owned()));
        } else {
            self.recording.ignored += 1;
        }
    }

    fn look_for_lost_streams(&mut self) {
        let names = &self.names;
        let is_lost = |id: &String| names.get(id) != Some(&Names::Stream);
        let participants = self.recording.participants.iter();
        let mut present = participants.filter(|one| !one.has_left);
        self.is_state_lost |= present.any(|one| one.sends.iter().any(is_lost));
    }

    fn is_free(&self, id: &str, names: Names) -> bool {
        id.is_empty() || self.names.get(id).is_none_or(|known| *known == names)
    }

    fn claim(&mut self, id: String, names: Names) {
        if !id.is_empty() {
            self.names.insert(id.clone(), names);
            self.in_document.insert(id);
        }
    }
}

/// Streams without an id are told apart by their labels.
fn is_same_stream(known: &Stream, other: &Stream) -> bool {
    known.id == other.id && (!known.id.is_empty() || known.label == other.label)
}

/// Participants without an id are told apart by their addresses.
fn is_same_party(known: &Participant, other: &Participant) -> bool {
    known.id == other.id && (!known.id.is_empty() || known.aor == other.aor)
}

fn add_missing(known: &mut Vec<String>, more: Vec<String>, max: usize) {
    for id in more {
        if known.len() < max && !known.contains(&id) {
            known.push(id);
        }
    }
}
