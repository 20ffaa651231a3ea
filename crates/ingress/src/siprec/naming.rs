//! What a session and its lines are called, and who speaks, in the gateway's words.

use std::hash::{DefaultHasher, Hash, Hasher};

use call::name::{Guid, Role};
use siprec::identifiers::Identifier;
use siprec::roles::{Confidence, LineRole, Party};
use siprec::server::{SessionFacts, SessionId};

use crate::intake::SuggestedRole;

/// Most identifiers of one session that are kept.
const IDENTIFIERS_MAX: usize = 32;

/// Longest text of an identifier that is shown, in bytes.
const TEXT_BYTES_MAX: usize = 256;

/// The guid that names the call: the best identifier's normal form. There is always a Call-ID.
pub(crate) fn guid(session: SessionId, identifiers: &[Identifier]) -> Guid {
    let mut known = identifiers.iter();
    known
        .find_map(|identifier| sane(&identifier.normal))
        .unwrap_or_else(|| fallback(session))
}

/// Other guids under which a command may name the call.
pub(crate) fn names(call: &Guid, identifiers: &[Identifier]) -> Vec<Guid> {
    let mut names: Vec<Guid> = Vec::new();
    for name in identifiers
        .iter()
        .take(IDENTIFIERS_MAX)
        .filter_map(|identifier| sane(&identifier.normal))
    {
        if name != *call && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Whose session it is, which line it came on, and every identifier: as it came, and in normal form
/// where that is another.
pub(crate) fn identifiers(
    facts: &SessionFacts,
    label: Option<&str>,
) -> Vec<(&'static str, String)> {
    let mut told = vec![("trunk", facts.trunk.clone())];
    told.extend(label.map(|label| ("label", cut(label))));
    for identifier in facts.identifiers.iter().take(IDENTIFIERS_MAX) {
        let key = match identifier.source {
            "Call-ID" => "callId",
            source => source,
        };
        for text in [&identifier.raw, &identifier.normal] {
            let entry = (key, cut(text));
            if !told.contains(&entry) {
                told.push(entry);
            }
        }
    }
    told
}

/// Who speaks on a line, as the server has it.
pub(crate) fn role(role: &LineRole) -> SuggestedRole {
    SuggestedRole {
        role: match role.party {
            Party::Agent => Role::Agent,
            Party::Customer => Role::Customer,
            Party::Mixed => Role::Mixed,
        },
        reason: role.reason.clone(),
        confidence: confidence(role.confidence),
    }
}

/// `0: customer (high: …), 1: agent (low: …)`, without private words.
pub(crate) fn roles_told(roles: &[(usize, LineRole)]) -> String {
    let told: Vec<String> = roles
        .iter()
        .map(|(line, known)| {
            let LineRole { reason, .. } = known;
            let role = role(known);
            format!("{line}: {} ({}: {reason})", role.role, role.confidence)
        })
        .collect();
    told.join(", ")
}

fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::High => "high",
        Confidence::Low => "low",
        Confidence::Medium => "medium",
    }
}

/// A text as a guid: what a guid cannot hold becomes `_`, and a text that is too long keeps its
/// beginning and a hash of the whole, so that two of them seldom become one.
fn sane(text: &str) -> Option<Guid> {
    const HASH_CHARS: usize = 17;
    let visible = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    let mut name: String = text.trim().chars().map(visible).collect();
    if name.len() > Guid::CHARS_MAX {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        name.truncate(Guid::CHARS_MAX - HASH_CHARS);
        name.push_str(&format!("~{:016x}", hasher.finish()));
    }
    Guid::parse(&name).ok()
}

fn fallback(session: SessionId) -> Guid {
    Guid::parse(&format!("session-{}", session.0)).expect("it is short and visible")
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn identifier(source: &'static str, raw: &str, normal: &str) -> Identifier {
        Identifier {
            source,
            raw: raw.to_owned(),
            normal: normal.to_owned(),
        }
    }

    fn facts(identifiers: Vec<Identifier>) -> SessionFacts {
        SessionFacts {
            session: SessionId(7),
            trunk: "main".to_owned(),
            identifiers,
            roles: Vec::new(),
            recording: siprec::metadata::Recording::default(),
            peer: "192.0.2.1:5060".parse().unwrap(),
        }
    }

    #[test]
    fn the_best_identifier_names_the_call_and_the_others_are_names_besides() {
        let known = [
            identifier("User-to-User", "00FA08", "00025000160955721139"),
            identifier("Cisco-Guid", "1-2-3-4", "0000000001-2"),
            identifier("session_id", "00FA08", "00025000160955721139"),
            identifier("Call-ID", "a b@c", "a b@c"),
        ];
        let call = guid(SessionId(7), &known);
        assert_eq!(call.as_str(), "00025000160955721139");
        let names = names(&call, &known);
        let texts: Vec<&str> = names.iter().map(Guid::as_str).collect();
        assert_eq!(texts, ["0000000001-2", "a_b@c"]);
    }

    #[test]
    fn a_session_without_any_identifier_has_a_name_all_the_same() {
        let known = [identifier("Call-ID", "", " ")];
        assert_eq!(guid(SessionId(7), &known).as_str(), "session-7");
    }

    #[test]
    fn raw_and_normal_forms_are_told_once_each() {
        let facts = facts(vec![
            identifier("User-to-User", "00FA08", "0002"),
            identifier("Call-ID", "abc", "abc"),
        ]);
        let told = identifiers(&facts, Some("1"));
        let expected = [
            ("trunk", "main"),
            ("label", "1"),
            ("User-to-User", "00FA08"),
            ("User-to-User", "0002"),
            ("callId", "abc"),
        ];
        assert_eq!(told, expected.map(|(key, text)| (key, text.to_owned())));
    }

    #[test]
    fn two_long_texts_with_one_beginning_are_two_names() {
        let long = "x".repeat(200);
        let (one, other) = (sane(&format!("{long}1")), sane(&format!("{long}2")));
        assert!(one.is_some() && one != other);
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_or_none(text in "\\PC{0,300}") {
            let name = sane(&text);
            prop_assert_eq!(name.is_none(), text.trim().is_empty());
            prop_assert!(cut(&text).len() <= TEXT_BYTES_MAX);
        }
    }
}
