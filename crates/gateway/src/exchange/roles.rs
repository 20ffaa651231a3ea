//! Who speaks on a leg, why, and how sure that is, in words for the API and the log.

use call::name::{LegId, Namespace};
use call::start::{Grounds, StreamSpec};
use ingress::intake::SuggestedRole;

use super::Desk;
use crate::events::Event;
use crate::switchboard_task::LegRole;

impl Desk {
    /// Of a leg whose stream is being opened.
    pub(super) fn role_of(&self, leg: LegId, spec: &StreamSpec, grounds: Grounds) -> LegRole {
        let suggested = self.suggested(leg);
        let (reason, confidence) = match (grounds, suggested) {
            (Grounds::Suggestion, Some(suggested)) => {
                return LegRole {
                    role: spec.role,
                    ..suggested
                };
            }
            (Grounds::Order, _) => match spec.call.namespace {
                Namespace::Siprec => ("mediaLineOrder of the start", "high"),
                Namespace::Twilio => ("trackMap of the start", "high"),
                Namespace::AmazonConnect | Namespace::GenesysAudioHook => {
                    ("the platform's order", "high")
                }
            },
            (Grounds::Remainder, _) => ("the other leg has the other role", "medium"),
            (Grounds::Side | Grounds::Suggestion, _) => (
                "the first side is the customer's if nobody says otherwise",
                "low",
            ),
        };
        LegRole {
            role: spec.role,
            reason: reason.to_owned(),
            confidence,
        }
    }

    /// Tells who speaks on a leg, if that is not what was told before.
    pub(super) fn tell_role(&mut self, leg: LegId, role: &LegRole) {
        let Some(entry) = self.legs.get_mut(&leg) else {
            return;
        };
        if entry.role.as_ref() == Some(role) {
            return;
        }
        entry.role = Some(role.clone());
        let introduction = &entry.opened.introduction;
        let event = Event::LegRole {
            leg,
            side: introduction.side,
            role: role.clone(),
        };
        self.world.bus.publish(&introduction.call, event);
    }

    /// As the platform suggests, before a start.
    pub(super) fn suggested(&self, leg: LegId) -> Option<LegRole> {
        let suggested = self.legs.get(&leg)?.opened.introduction.role.as_ref()?;
        let SuggestedRole {
            role,
            reason,
            confidence,
        } = suggested.clone();
        Some(LegRole {
            role,
            reason,
            confidence,
        })
    }
}
