//! How sessions end: what is outstanding is answered, lines are ended, nothing is kept.

use std::time::Instant;

use crate::message::Method;
use crate::server::ask::Purpose;
use crate::server::refusal::Refusal;
use crate::server::respond::quotable;
use crate::server::{Output, Server, SessionEnding, SessionId, Wake};
use crate::session::{Phase, Wait};
use crate::transaction::Event;

impl Server {
    /// Ends a session by BYE, or by refusing its first INVITE. A BYE must not overtake the ACK:
    /// it waits for it, or for the time after which none will come. RFC 3261 §15.
    pub(super) fn hang_up(
        &mut self,
        now: Instant,
        id: SessionId,
        ending: SessionEnding,
        reason: &str,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        match session.phase {
            Phase::Ended(_) => {}
            Phase::Inviting => {
                if let Some(pending) = session.pending.take() {
                    self.refuse(now, &pending.asked, &Refusal::new(480, reason));
                }
                self.close(now, id, SessionEnding::Cancelled);
            }
            Phase::Open if session.unacked.is_some() => {
                session.errands.hang_up = Some((ending, reason.to_owned()));
            }
            Phase::Open => {
                let mut bye = session.dialog.request(Method::Bye);
                let cause = match ending {
                    SessionEnding::BadOffer => 488,
                    SessionEnding::Expired | SessionEnding::Lost | SessionEnding::NoAck => 408,
                    SessionEnding::Bye | SessionEnding::Cancelled | SessionEnding::Ours => 200,
                };
                let text = quotable(reason);
                let said = format_args!("SIP;cause={cause};text=\"{text}\"").to_string();
                bye.headers.push("Reason", said);
                self.send(now, id, bye, Purpose::Bye);
                self.close(now, id, ending);
            }
        }
    }

    /// Ends a session for its user. Its dialog is gone at once; it itself stays until ports that
    /// were asked for have come.
    pub(super) fn close(&mut self, now: Instant, id: SessionId, ending: SessionEnding) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if matches!(session.phase, Phase::Ended(_)) {
            return;
        }
        session.phase = Phase::Ended(ending);
        session.unacked = None;
        let pending = session.pending.take();
        let news = session.media.end();
        let granting = session.errands.granting.take();
        let is_binding = session.is_binding;
        let tag = session.dialog.our_tag.clone();
        self.dialogs.remove(&tag);
        if let Some(pending) = pending {
            self.terminated(now, &pending.asked);
        }
        self.tell_lines(id, news);
        self.outputs.extend(granting.map(|sound| Output::Granted {
            session: id,
            sound,
            result: Err("the session is over".to_owned()),
        }));
        for wait in Wait::ALL.into_iter().filter(|wait| *wait != Wait::Bind) {
            self.deadlines.clear(Wake::Session(id, wait));
        }
        if !is_binding {
            self.finish(id, ending);
        }
    }

    /// The last word of a session.
    pub(super) fn finish(&mut self, id: SessionId, ending: SessionEnding) {
        self.sessions.remove(&id);
        self.deadlines.clear(Wake::Session(id, Wait::Bind));
        self.outputs.push_back(Output::SessionEnded {
            session: id,
            ending,
        });
    }

    /// A connection is gone; what its sessions still have to say goes over a new one.
    pub(super) fn closed(&mut self, now: Instant, connection: u64) {
        if connection == 0 {
            return;
        }
        self.transactions.closed(now, connection);
        while let Some(event) = self.transactions.poll_event() {
            if let Event::TimedOut(id) = event {
                self.cut_off(now, id);
            }
        }
        for session in self.sessions.values_mut() {
            if session.flow.connection == connection {
                session.flow.connection = 0;
            }
        }
        for errand in self.errands.values_mut() {
            let acks = errand.ack.iter_mut().map(|(flow, _)| flow);
            for flow in acks.chain([&mut errand.flow]) {
                if flow.connection == connection {
                    flow.connection = 0;
                }
            }
        }
    }
}
