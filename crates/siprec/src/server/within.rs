//! Requests inside a dialog. RFC 3261 §12.2.2, §14.2, §15.1.2; RFC 3311; RFC 6086.

use std::time::Instant;

use crate::answer::{LinePlan, LineRefusal};
use crate::dialog::BadInDialog;
use crate::message::{Method, Request, Response};
use crate::server::invite::{accepted, read_offer};
use crate::server::news::learn;
use crate::server::refusal::Refusal;
use crate::server::{Server, SessionEnding, SessionId, Wake, checks};
use crate::session::{Asked, Pending, Phase, Wait};
use crate::transaction::{Flow, ServerId};

impl Server {
    /// A request of a known dialog.
    pub(super) fn within(
        &mut self,
        now: Instant,
        asked: &Asked,
        id: SessionId,
    ) -> Result<Option<Response>, Refusal> {
        let request = &asked.request;
        let session = self.sessions.get_mut(&id).ok_or_else(Refusal::no_dialog)?;
        session
            .dialog
            .take(&request.headers)
            .map_err(|bad| match bad {
                BadInDialog::NotThisDialog => Refusal::no_dialog(),
                BadInDialog::OldCseq => Refusal::new(500, "CSeq is lower than one seen before"),
            })?;
        checks::extensions(&request.headers)?;
        session.came_by(&asked.flow);
        match request.method {
            Method::Bye => {
                let response = self.response(asked, 200);
                self.answer(now, asked, &response, None);
                self.close(now, id, SessionEnding::Bye);
                Ok(None)
            }
            Method::Invite | Method::Update => self.change(now, asked, id),
            Method::Options => Ok(Some(self.capabilities(asked))),
            // We never send a reliable provisional response.
            Method::Prack => Err(Refusal::new(481, "no provisional response waits for it")),
            // RFC 6086 §4.2.2: we take no package; without one it is an INFO of old.
            _ if request.headers.get("Info-Package").is_some() => {
                Err(Refusal::new(469, "no INFO package is taken").with("Recv-Info", ""))
            }
            _ => Ok(Some(self.response(asked, 200))),
        }
    }

    /// A re-INVITE or an UPDATE: SDP, metadata, both or neither.
    fn change(
        &mut self,
        now: Instant,
        asked: &Asked,
        id: SessionId,
    ) -> Result<Option<Response>, Refusal> {
        let request = &asked.request;
        let is_invite = request.method == Method::Invite;
        self.glare(id, is_invite || has_sdp(request))?;
        let refresh = self.timer_of(request)?;
        let parts = checks::parts(request)?;
        let session = self.sessions.get_mut(&id).ok_or_else(Refusal::no_dialog)?;
        let offer = read_offer(&parts, &self.trunks[session.trunk])?;
        if let Some((_, plan)) = &offer {
            usable(plan)?;
        }
        session.dialog.refresh_target(&request.headers);
        session.knowledge.hear(&request.headers, &request.body);
        if request.headers.get("Allow").is_some() {
            session.takes_update = request.headers.has_token("Allow", Method::Update.as_str());
        }
        let notice = learn(session, &parts);
        notice.into_iter().for_each(|notice| self.notice(notice));
        if !is_invite && offer.is_none() {
            let response = self.refreshed(asked, id)?;
            self.tell_learned(id, request);
            self.answer(now, asked, &response, None);
            self.arm_refresh(now, id);
            self.pursue(now, id);
            return Ok(None);
        }
        self.await_ports(
            now,
            id,
            Pending {
                asked: asked.clone(),
                offer: offer.ok_or(0),
                refresh,
            },
        );
        Ok(None)
    }

    fn await_ports(&mut self, now: Instant, id: SessionId, pending: Pending) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.pending = Some(pending);
        }
        self.supply(now, id);
    }

    /// Offers that overlap. RFC 3261 §14.2, RFC 3311 §5.2.
    fn glare(&mut self, id: SessionId, has_offer: bool) -> Result<(), Refusal> {
        let session = self.sessions.get(&id).ok_or_else(Refusal::no_dialog)?;
        if !has_offer {
            return Ok(());
        }
        if session.pending.is_some() {
            let wait = self.draw(10);
            let refusal = Refusal::new(500, "an offer before this one is not answered yet");
            return Err(refusal.with("Retry-After", wait));
        }
        if session.has_offered() {
            return Err(Refusal::new(491, "an offer of ours is not answered yet"));
        }
        Ok(())
    }

    /// CANCEL: 487 while the INVITE is not answered. RFC 3261 §9.2.
    pub(super) fn cancelled(&mut self, now: Instant, invite: ServerId) {
        let is_it = |pending: &Pending| pending.asked.id == invite;
        let found = self.sessions.values_mut().find(|session| {
            let pending = session.pending.as_ref();
            pending.is_some_and(is_it)
        });
        let Some(session) = found else {
            return;
        };
        let id = session.id;
        let phase = session.phase;
        if let Some(pending) = session.pending.take() {
            self.terminated(now, &pending.asked);
        }
        if phase == Phase::Inviting {
            self.close(now, id, SessionEnding::Cancelled);
        }
    }

    /// 487
    pub(super) fn terminated(&mut self, now: Instant, asked: &Asked) {
        self.refuse(now, asked, &Refusal::new(487, "the request was cancelled"));
    }

    /// An ACK to a 2xx.
    pub(super) fn ack(&mut self, now: Instant, flow: Flow, request: &Request) {
        let Some(id) = self.dialog_of(request) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let cseq = request.headers.cseq().map_or(0, |(number, _)| number);
        if !session.dialog.is_of(&request.headers) {
            return;
        }
        let Some(unacked) = session.acknowledged(cseq) else {
            return;
        };
        session.came_by(&flow);
        self.deadlines.clear(Wake::Session(id, Wait::NoAck));
        self.deadlines.clear(Wake::Session(id, Wait::Repeat));
        if unacked.has_offer {
            self.answered(now, id, request);
        }
        self.pursue(now, id);
    }

    /// The answer to our offer comes in the ACK. RFC 3261 §13.2.1.
    fn answered(&mut self, now: Instant, id: SessionId, request: &Request) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let trunk = &self.trunks[session.trunk];
        let read = checks::parts(request).and_then(|parts| {
            let notice = learn(session, &parts);
            let offer = read_offer(&parts, trunk)?;
            let (theirs, plan) =
                offer.ok_or_else(|| Refusal::new(488, "the ACK has no answer to our offer"))?;
            accepted(&plan)?;
            Ok((notice, (theirs, plan)))
        });
        match read {
            Ok((notice, answer)) => {
                let direction = session
                    .errands
                    .direction
                    .unwrap_or_else(|| session.media.direction());
                notice.into_iter().for_each(|notice| self.notice(notice));
                self.adopt_answer(id, answer, direction);
                self.tell_learned(id, request);
            }
            Err(refusal) => self.hang_up(now, id, SessionEnding::BadOffer, &refusal.why),
        }
    }
}

/// A later offer may remove every line, but not offer only what we cannot take.
fn usable(plan: &[LinePlan]) -> Result<(), Refusal> {
    let removed = LinePlan::Rejected(LineRefusal::Removed);
    if plan.iter().all(|line| *line == removed) {
        return Ok(());
    }
    accepted(plan)
}

/// Whether a body that was not taken apart yet has an offer.
fn has_sdp(request: &Request) -> bool {
    checks::parts(request).is_ok_and(|parts| parts.sdp.is_some())
}
