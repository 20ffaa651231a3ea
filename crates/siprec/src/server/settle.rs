//! An offer gets its answer: when ports are there, lines open and the 200 goes out.

use std::time::Instant;

use crate::answer::{LinePlan, LineRefusal};
use crate::message::{Method, Response};
use crate::offer::{Description, Direction};
use crate::server::refusal::Refusal;
use crate::server::{Notice, Output, Server, SessionEnding, SessionId, Wake};
use crate::session::media::LineNews;
use crate::session::refresh::Refresher;
use crate::session::{Asked, Pending, Phase, Session, Unacked, Wait};

impl Server {
    /// Ports came, or there are none.
    pub(super) fn bound(&mut self, now: Instant, id: SessionId, ports: Option<Vec<u16>>) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.is_binding = false;
        self.deadlines.clear(Wake::Session(id, Wait::Bind));
        if let Phase::Ended(ending) = session.phase {
            self.finish(id, ending);
            return;
        }
        match ports {
            Some(ports) if !ports.is_empty() => {
                session.media.supply(ports);
                self.supply(now, id);
            }
            _ => self.no_ports(now, id),
        }
    }

    /// The first offer is refused; a later one is answered without the lines that lack a port.
    pub(super) fn no_ports(&mut self, now: Instant, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if session.phase == Phase::Open {
            self.settle(now, id);
            return;
        }
        if let Some(pending) = session.pending.take() {
            let refusal = self.unavailable("there is no port left for its media");
            self.refuse(now, &pending.asked, &refusal);
        }
        self.close(now, id, SessionEnding::Cancelled);
    }

    /// Answers the offer that waits, with the ports there are.
    pub(super) fn settle(&mut self, now: Instant, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let Some(pending) = session.pending.take() else {
            return;
        };
        let is_first = session.phase == Phase::Inviting;
        let direction = session
            .errands
            .direction
            .unwrap_or_else(|| session.media.direction());
        let has_offer = pending.offer.is_err();
        let rejected = rejected(&pending);
        let media = &mut session.media;
        let (sdp, news) = match pending.offer.clone() {
            Ok((theirs, plan)) => {
                let news = media.adopt(theirs, plan, direction, &mut self.random);
                (media.answer(), news)
            }
            Err(_) if media.is_agreed() => (media.reoffer(direction), Vec::new()),
            Err(count) => {
                let policy = &self.trunks[session.trunk].media;
                media.offer(count, policy, &mut self.random)
            }
        };
        session.phase = Phase::Open;
        session.refresh = pending.refresh;
        self.outputs
            .extend(rejected.into_iter().map(Output::Notice));
        self.tell(id, &pending, is_first, news);
        self.accept(now, id, pending, (sdp, has_offer));
        self.arm_refresh(now, id);
        self.grant(id);
    }

    /// The session first, then its lines, then what was learned.
    fn tell(&mut self, id: SessionId, pending: &Pending, is_first: bool, news: Vec<LineNews>) {
        let facts = self.review(id, &pending.asked.request);
        if is_first {
            self.outputs.extend(facts.map(Output::SessionOpened));
            self.tell_lines(id, news);
        } else {
            self.tell_lines(id, news);
            self.outputs.extend(facts.map(Output::SessionLearned));
        }
    }

    /// The 200, with our answer or offer.
    fn accept(&mut self, now: Instant, id: SessionId, pending: Pending, ours: (String, bool)) {
        let (sdp, has_offer) = ours;
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        let asked = pending.asked;
        let mut response = self.success(&asked, &session, pending.refresh);
        response.headers.push("Content-Type", "application/sdp");
        response.body = sdp.into_bytes();
        self.sessions.insert(id, session);
        self.answer(now, &asked, &response, None);
        if asked.request.method != Method::Invite {
            return;
        }
        let cseq = asked.request.headers.cseq().map_or(0, |(number, _)| number);
        self.await_ack(
            now,
            id,
            Unacked {
                id: asked.id,
                cseq,
                response,
                interval: self.config.timers.t1,
                has_offer,
            },
        );
    }

    /// The 200 is repeated until its ACK comes. RFC 3261 §13.3.1.4.
    fn await_ack(&mut self, now: Instant, id: SessionId, unacked: Unacked) {
        let t1 = self.config.timers.t1;
        self.deadlines
            .set(Wake::Session(id, Wait::Repeat), now + t1);
        self.deadlines
            .set(Wake::Session(id, Wait::NoAck), now + 64 * t1);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.unacked = Some(unacked);
        }
    }

    /// Starts the session timer anew after a refresh.
    pub(super) fn arm_refresh(&mut self, now: Instant, id: SessionId) {
        let refresh = self.sessions.get(&id).and_then(|session| session.refresh);
        self.deadlines.clear(Wake::Session(id, Wait::Expiry));
        self.deadlines.clear(Wake::Session(id, Wait::Refresh));
        let Some(refresh) = refresh else {
            return;
        };
        self.deadlines
            .set(Wake::Session(id, Wait::Expiry), now + refresh.expiry());
        if refresh.refresher == Refresher::Ours {
            self.deadlines
                .set(Wake::Session(id, Wait::Refresh), now + refresh.half());
        }
    }

    /// The answer to an UPDATE without an offer.
    pub(super) fn refreshed(&mut self, asked: &Asked, id: SessionId) -> Result<Response, Refusal> {
        let refresh = self.timer_of(&asked.request)?;
        let mut session = self.sessions.remove(&id).ok_or_else(Refusal::no_dialog)?;
        session.refresh = refresh;
        let response = self.success(asked, &session, refresh);
        self.sessions.insert(id, session);
        Ok(response)
    }

    /// A wish that the media has come round to is granted.
    pub(super) fn grant(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let is_there = session.errands.direction == Some(session.media.direction())
            && session.errands.inviting.is_none();
        if !is_there {
            return;
        }
        if let Some(sound) = session.errands.granting.take() {
            self.deadlines.clear(Wake::Session(id, Wait::Grant));
            self.outputs.push_back(Output::Granted {
                session: id,
                sound,
                result: Ok(()),
            });
        }
    }

    /// A wish that cannot be met: the media stays as it is.
    pub(super) fn refuse_grant(&mut self, id: SessionId, why: &str) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.errands.direction = Some(session.media.direction());
        if let Some(sound) = session.errands.granting.take() {
            self.deadlines.clear(Wake::Session(id, Wait::Grant));
            self.outputs.push_back(Output::Granted {
                session: id,
                sound,
                result: Err(why.to_owned()),
            });
        }
    }

    /// The peer's answer to an offer of ours, which holds from now on in this direction.
    pub(super) fn adopt_answer(
        &mut self,
        id: SessionId,
        answer: (Description, Vec<LinePlan>),
        direction: Direction,
    ) {
        let (theirs, plan) = answer;
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let news = session
            .media
            .adopt(theirs, plan, direction, &mut self.random);
        self.tell_lines(id, news);
        self.grant(id);
    }
}

/// Lines of an offer that we reject for a reason of our own.
fn rejected(pending: &Pending) -> Vec<Notice> {
    let Ok((_, plan)) = &pending.offer else {
        return Vec::new();
    };
    let rejected = plan
        .iter()
        .enumerate()
        .filter_map(|(line, plan)| match plan {
            LinePlan::Accepted(_) | LinePlan::Rejected(LineRefusal::Removed) => None,
            LinePlan::Rejected(why) => Some(Notice::LineRejected {
                line,
                why: why.to_string(),
            }),
        });
    rejected.collect()
}

impl Session {
    /// Stops repeating the 200.
    pub(crate) fn acknowledged(&mut self, cseq: u32) -> Option<Unacked> {
        self.unacked.take_if(|unacked| unacked.cseq == cseq)
    }
}
