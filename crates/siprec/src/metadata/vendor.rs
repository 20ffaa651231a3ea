//! What vendors put into the metadata: call identifiers, and who called whom.

use super::document::bounded;
use super::xml::Element;
use super::{MetadataLimits, Participant};
use crate::identifiers::uri;

/// Elements that hold a call identifier wherever they stand, and the identifier's kind.
const IDENTIFIERS: [(&str, &str); 6] = [
    ("AvayaUCID", "ac:AvayaUCID"),
    ("extTrackingID", "extTrackingID"),
    ("GenesysUUID", "ac:GenesysUUID"),
    ("ucid", "apkt:ucid"),
    ("xferredGroupID", "xferredGroupID"),
    ("xferredSessionID", "xferredSessionID"),
];

/// What a document's extensions say of the whole call.
#[derive(Default)]
pub(super) struct Said {
    pub(super) identifiers: Vec<(&'static str, String)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) is_user_recording: bool,
    parties: Vec<Party>,
}

/// One of the two parties of the call.
struct Party {
    /// What participants are told by: an address, a number, an id.
    key: String,
    is_caller: Option<bool>,
    is_recorded_user: Option<bool>,
    said_by: &'static str,
}

/// Reads every extension of a document.
pub(super) fn read(root: Element<'_>, limits: &MetadataLimits) -> Said {
    let mut said = Said::default();
    for element in root.inside() {
        said.identifier(element, limits);
        said.header(element, limits);
        said.party(element, limits);
        let name = element.name().to_ascii_lowercase();
        said.is_user_recording |= name == "broadworksrecordingmetadata";
        if name == "metaswitchrecordingmetadata" {
            said.is_user_recording = true;
            said.recorded_party(element, limits);
        }
    }
    said
}

/// Whether this participant placed the call, where its own extension says true or false (Oracle).
pub(super) fn calling_flag(participant: Element<'_>) -> Option<(&'static str, bool)> {
    let flag = |name| participant.find(name).and_then(truth);
    flag("callingParty").map(|is_caller| ("apkt:callingParty", is_caller))
}

/// Avaya names a participant with the user `ASBCE` until it knows the party.
pub(super) fn is_dummy(aor: &str) -> bool {
    uri::user(aor).is_some_and(|user| user.eq_ignore_ascii_case("ASBCE"))
}

impl Said {
    /// Marks the participants that are known to be the caller or the called party. A key that
    /// fits two participants tells nothing.
    pub(super) fn mark(&self, participants: &mut [Participant]) {
        for party in &self.parties {
            let mut fitting = participants.iter_mut().filter(|one| party.is(one));
            let (Some(one), None) = (fitting.next(), fitting.next()) else {
                continue;
            };
            if one.is_caller.is_none() && party.is_caller.is_some() {
                one.is_caller = party.is_caller;
                one.caller_said_by = Some(party.said_by);
            }
            one.is_recorded_user = one.is_recorded_user.or(party.is_recorded_user);
        }
    }

    fn identifier(&mut self, element: Element<'_>, limits: &MetadataLimits) {
        let in_call_data = element.parent().is_some_and(|parent| parent.is("callData"));
        let known = |(name, _): &&(&str, &str)| element.is(name);
        let kind = match element.name() {
            "callid" if in_call_data => "callid",
            "callID" => "callID",
            "gcid" if in_call_data => "gcid",
            _ => match IDENTIFIERS.iter().find(known) {
                Some((_, kind)) => kind,
                None => return,
            },
        };
        if let Some(value) = element.text() {
            self.identifiers.push((kind, bounded(&value, limits)));
        }
    }

    /// `<apkt:header label="X"><value>…` (Oracle) and what stands in `ExtensionParameters`
    /// (Telnyx).
    fn header(&mut self, element: Element<'_>, limits: &MetadataLimits) {
        let is_parameter = element
            .parent()
            .is_some_and(|up| up.is("ExtensionParameters"));
        if self.headers.len() >= limits.identifiers_max || !(element.is("header") || is_parameter) {
            return;
        }
        let tag = is_parameter.then_some(element.name());
        let Some(name) = element.attribute(&["label", "name"]).or(tag) else {
            return;
        };
        let value = element
            .child("value")
            .and_then(Element::text)
            .or_else(|| element.attribute(&["value"]).map(str::to_owned))
            .or_else(|| element.text());
        if let Some(value) = value {
            let header = (bounded(name, limits), bounded(&value, limits));
            self.headers.push(header);
        }
    }

    /// Ribbon's `fromhdr` and `tohdr`, BroadWorks' numbers inside `origCall` or `termCall`,
    /// NetSapiens' `callingParty` and `calledParty`.
    fn party(&mut self, element: Element<'_>, limits: &MetadataLimits) {
        let (is_caller, said_by) = match element.name().to_ascii_lowercase().as_str() {
            "calledparty" => (false, "calledParty"),
            "calledpartynumber" => (false, "calledPartyNumber"),
            "callingparty" => (true, "callingParty"),
            "callingpartynumber" => (true, "callingPartyNumber"),
            "fromhdr" => (true, "callData fromhdr"),
            "tohdr" => (false, "callData tohdr"),
            _ => return,
        };
        let key = element
            .attribute(&["participant_id", "participant", "aor"])
            .map(str::to_owned)
            .or_else(|| element.text())
            .or_else(|| element.inside().find_map(Element::text));
        let draft_owner = element.parent().filter(|up| up.is("extensiondata"));
        let owner = draft_owner.and_then(|up| up.attribute(&["participant_id", "parent"]));
        let (key, is_caller) = match (truth(element), owner, key) {
            (Some(is_true), Some(owner), _) => (owner.to_owned(), is_true == is_caller),
            (None, _, Some(key)) => (key, is_caller),
            _ => return,
        };
        // BroadWorks: the recorded user placed an `origCall` and received a `termCall`.
        let up = element.parent();
        let is_in = |name| up.is_some_and(|up| up.is(name));
        let is_recorded_user = match (is_in("origCall"), is_in("termCall")) {
            (true, _) => Some(is_caller),
            (_, true) => Some(!is_caller),
            _ => None,
        };
        self.add(
            Party {
                key: bounded(&key, limits),
                is_caller: Some(is_caller),
                is_recorded_user,
                said_by,
            },
            limits,
        );
    }

    /// Metaswitch says whom it records and whether that party placed the call.
    fn recorded_party(&mut self, element: Element<'_>, limits: &MetadataLimits) {
        let text = |name| element.find(name).and_then(Element::text);
        let Some(recorded) = text("recordedParty") else {
            return;
        };
        let call_type = text("callType").unwrap_or_default().to_ascii_lowercase();
        let says = |words: [&str; 2]| words.iter().any(|word| call_type.contains(word));
        // The first words win: "originating" has "in" in it.
        let is_caller = match (says(["orig", "out"]), says(["term", "in"])) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        };
        self.add(
            Party {
                key: bounded(&recorded, limits),
                is_caller,
                is_recorded_user: Some(true),
                said_by: "callType",
            },
            limits,
        );
    }

    fn add(&mut self, party: Party, limits: &MetadataLimits) {
        if self.parties.len() < limits.participants_max {
            self.parties.push(party);
        }
    }
}

impl Party {
    fn is(&self, participant: &Participant) -> bool {
        let same_id = !participant.id.is_empty() && participant.id == self.key;
        let user = uri::user(&self.key);
        let same_user = user.is_some() && participant.aor.as_deref().and_then(uri::user) == user;
        same_id || same_user
    }
}

fn truth(element: Element<'_>) -> Option<bool> {
    let text = element.text()?;
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" => Some(true),
        "0" | "false" | "no" => Some(false),
        _ => None,
    }
}
