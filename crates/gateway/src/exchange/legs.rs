//! Legs that come, are learned of, are refused their sound, and go.

use call::ending::Ending;
use call::leg::Gate;
use call::name::{CallName, LegId, StreamId};
use call::start::{Report, Status};
use call::switchboard::{Input, NewLeg, StateName, StreamView};
use ingress::intake::{Arrival, Introduction, Learned, Opened, Pressed};

use super::{Desk, LegEntry, Sound};
use crate::events::{Dtmf, Event};

impl Desk {
    pub(super) fn arrived(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Ended(leg, ending) => self.leg_ended(leg, ending),
            Arrival::Granted(leg) => self.leg_granted(leg),
            Arrival::Learned(learned) => self.leg_learned(learned),
            Arrival::Opened(opened) => self.leg_opened(opened),
            Arrival::Pressed(leg, pressed) => self.leg_pressed(leg, pressed),
            Arrival::Refused(leg, why) => self.leg_refused(leg, &why),
        }
    }

    fn leg_opened(&mut self, mut opened: Opened) {
        let introduction = &mut opened.introduction;
        let own = introduction.call.clone();
        let call = self.resolve(&own);
        // A second recording of a call may be named otherwise: then that is one more of its names.
        introduction.names.push(own.guid);
        introduction.call = call.clone();
        let new = NewLeg {
            id: opened.id,
            side: introduction.side,
            suggested: introduction.role.as_ref().map(|role| role.role),
        };
        // Before anything is told of the call, so that who follows one of its names hears it all.
        self.add_names(&call, &introduction.names);
        self.began(&call);
        self.entry(&call).identify(&introduction.identifiers);
        let (leg, side) = (new.id, new.side);
        let entry = LegEntry {
            opened,
            sound: Sound::Free,
            role: None,
        };
        self.legs.insert(leg, entry);
        let event = Event::LegOpened { leg, side };
        self.world.bus.publish(&call, event);
        if let Some(role) = self.suggested(leg) {
            self.tell_role(leg, &role);
        }
        self.prepare(&call);
        self.tell(Input::LegOpened(call.clone(), new));
        self.bring_waiting_starts(&call);
    }

    fn leg_learned(&mut self, learned: Learned) {
        let Learned {
            id,
            identifiers,
            names,
            role,
        } = learned;
        let Some(entry) = self.legs.get_mut(&id) else {
            return;
        };
        let introduction = &mut entry.opened.introduction;
        let call = introduction.call.clone();
        let suggested = role.as_ref().map(|role| role.role);
        introduction.role = role;
        introduction.identifiers.clone_from(&identifiers);
        self.entry(&call).identify(&identifiers);
        self.add_names(&call, &names);
        if let Some(role) = self.suggested(id) {
            self.tell_role(id, &role);
        }
        self.tell(Input::LegLearned(id, suggested));
        self.bring_waiting_starts(&call);
    }

    /// The service has accepted a stream. The start is told once the sound comes too: the platform
    /// may still refuse it.
    pub(super) fn stream_ready(&mut self, stream: StreamId, service: &'static str) {
        let entry = self.streams.get_mut(&stream);
        let leg = entry.and_then(|entry| {
            entry.service = Some(service);
            self.legs.get_mut(&entry.leg)
        });
        match leg {
            Some(leg) if leg.sound != Sound::Free => leg.sound = Sound::Behind(stream),
            _ => self.tell(Input::StreamReady(stream)),
        }
    }

    /// The platform sends what is wanted.
    fn leg_granted(&mut self, leg: LegId) {
        let entry = self.legs.get_mut(&leg);
        let sound = entry.map(|entry| std::mem::take(&mut entry.sound));
        if let Some(Sound::Behind(stream)) = sound {
            self.tell(Input::StreamReady(stream));
        }
    }

    /// The platform does not send what the leg's stream waits for: the stream has failed.
    fn leg_refused(&mut self, leg: LegId, why: &str) {
        let Some(stream) = self.stream_of(leg) else {
            tracing::debug!(%leg, why, "The platform refused sound that nobody wants any more.");
            return;
        };
        tracing::warn!(%leg, stream = %stream.id, why, "The platform refused to send sound.");
        let report = Report {
            id: stream.id,
            role: stream.role,
            status: Status::internal(why),
            summary: None,
        };
        self.keep_report(&report);
        if let Some(entry) = self.streams.get(&report.id) {
            entry.handle.abandon();
        }
        self.tell(Input::StreamFailed(report));
    }

    /// Whoever shut the gate meanwhile wants to hear no more of what was before.
    fn leg_pressed(&mut self, leg: LegId, pressed: Pressed) {
        let Some(entry) = self.legs.get(&leg) else {
            return;
        };
        if entry.opened.control.gate() != Gate::Open {
            return;
        }
        let Introduction { call, side, .. } = &entry.opened.introduction;
        let dtmf = Dtmf {
            leg,
            side: *side,
            role: self.stream_of(leg).map(|stream| stream.role),
            key: pressed.key,
            duration: pressed.duration,
        };
        self.world.bus.publish(call, Event::Dtmf(dtmf));
    }

    fn stream_of(&self, leg: LegId) -> Option<StreamView> {
        let call = &self.legs.get(&leg)?.opened.introduction.call;
        let mut streams = self.switchboard.call(call)?.streams.into_iter();
        streams.find(|stream| stream.leg == Some(leg))
    }

    fn leg_ended(&mut self, leg: LegId, ending: Ending) {
        if let Some(LegEntry { opened, .. }) = self.legs.remove(&leg) {
            let Opened {
                introduction,
                control,
                ..
            } = opened;
            let Introduction { call, side, .. } = introduction;
            let stats = control.stats();
            let event = Event::LegEnded {
                leg,
                side,
                ending,
                stats,
            };
            self.world.bus.publish(&call, event);
        }
        self.tell(Input::LegEnded(leg, ending));
    }

    /// A start may have waited under a name of which nobody knew whose it is.
    fn bring_waiting_starts(&mut self, call: &CallName) {
        let awaits = |name: &&CallName| {
            let entry = self.calls.get(*name);
            entry.is_some_and(|entry| entry.state == StateName::Awaited)
        };
        let names = self.names.of(call).iter().filter(awaits).cloned();
        for from in names.collect::<Vec<_>>() {
            let to = call.clone();
            if !self.hand_over(&from, &to) {
                continue;
            }
            tracing::debug!(%from, %to, "A start waited under another name of the call.");
            self.tell(Input::Renamed { from, to });
        }
    }
}

impl LegEntry {
    /// Tells the platform whether sound is wanted, where it has to be told.
    pub(super) fn want(&mut self, is_wanted: bool) {
        self.sound = Sound::Free;
        if let Some(wanted) = &self.opened.introduction.wanted {
            wanted.send_if_modified(|was| std::mem::replace(was, is_wanted) != is_wanted);
            if is_wanted {
                self.sound = Sound::Asked;
            }
        }
    }
}
