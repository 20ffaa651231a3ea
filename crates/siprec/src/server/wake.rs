//! What happens when a wait is over.

use std::time::Instant;

use crate::server::{Server, SessionEnding, SessionId, Wake};
use crate::session::{Phase, Wait};

impl Server {
    /// A deadline has passed.
    pub(super) fn wake(&mut self, now: Instant, wake: Wake) {
        match wake {
            Wake::Forget(client) => {
                self.errands.remove(&client);
            }
            Wake::Session(id, Wait::Backoff) => self.pursue(now, id),
            Wake::Session(id, Wait::Bind) => self.unbound(now, id),
            Wake::Session(id, Wait::Expiry) => {
                self.hang_up(now, id, SessionEnding::Expired, "the session timer ran out");
            }
            Wake::Session(id, Wait::Grant) => {
                self.refuse_grant(id, "the SRC did not answer our re-INVITE in time");
                self.pursue(now, id);
            }
            Wake::Session(id, Wait::NoAck) => self.unacknowledged(now, id),
            Wake::Session(id, Wait::Refresh) => self.refresh(now, id),
            Wake::Session(id, Wait::Repeat) => self.repeat(now, id),
        }
    }

    /// The 200 again, ever more slowly. RFC 3261 §13.3.1.4.
    fn repeat(&mut self, now: Instant, id: SessionId) {
        let t2 = self.config.timers.t2;
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let Some(unacked) = &mut session.unacked else {
            return;
        };
        self.transactions
            .respond(now, unacked.id, &unacked.response);
        unacked.interval = (unacked.interval * 2).min(t2);
        let wake = Wake::Session(id, Wait::Repeat);
        self.deadlines.set(wake, now + unacked.interval);
    }

    /// BYE after 64 × T1 without an ACK.
    fn unacknowledged(&mut self, now: Instant, id: SessionId) {
        self.deadlines.clear(Wake::Session(id, Wait::Repeat));
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.unacked = None;
        let wished = session.errands.hang_up.take();
        let no_ack = || {
            (
                SessionEnding::NoAck,
                "the 200 was not acknowledged".to_owned(),
            )
        };
        let (ending, reason) = wished.unwrap_or_else(no_ack);
        self.hang_up(now, id, ending, &reason);
    }

    /// Nobody said what became of the ports.
    fn unbound(&mut self, now: Instant, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.is_binding = false;
        match session.phase {
            Phase::Ended(ending) => self.finish(id, ending),
            Phase::Inviting | Phase::Open if session.pending.is_none() => {}
            Phase::Inviting | Phase::Open => self.no_ports(now, id),
        }
    }
}
