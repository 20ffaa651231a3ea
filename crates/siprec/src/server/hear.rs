//! What our own requests are answered.

use std::time::{Duration, Instant};

use crate::message::{Method, Response};
use crate::multipart::{self, BodyLimits};
use crate::offer::Direction;
use crate::server::ask::{Errand, Purpose};
use crate::server::invite::{accepted, read_offer};
use crate::server::news::learn;
use crate::server::refusal::Refusal;
use crate::server::{Notice, Server, SessionEnding, SessionId, Wake, digest};
use crate::session::{Wait, refresh};
use crate::transaction::ClientId;

/// How long a `Retry-After` may ask us to wait before a re-INVITE is given up.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// Until a refresh by UPDATE that met another request is sent again.
const REFRESH_AGAIN: Duration = Duration::from_secs(2);

impl Server {
    /// A response to a request of ours.
    pub(super) fn response_came(&mut self, now: Instant, id: ClientId, response: &Response) {
        if response.status < 200 {
            return;
        }
        if let Some((flow, bytes)) = self.errands.get(&id).and_then(|errand| errand.ack.clone()) {
            self.transactions.send(flow, bytes);
            return;
        }
        let Some(errand) = self.errands.remove(&id) else {
            return;
        };
        if matches!(response.status, 401 | 407) && !errand.is_authorized {
            self.authorize(now, id, errand, response);
            return;
        }
        let session = errand.session;
        let purpose = errand.purpose;
        if response.status < 300 {
            if errand.request.method == Method::Invite {
                self.acknowledge(now, id, errand, response);
            }
            self.succeeded(now, (session, id), purpose, response);
        } else {
            let method = errand.request.method.label();
            self.failed(now, (session, id), (purpose, method), Some(response));
        }
        self.pursue(now, session);
    }

    /// No response came.
    pub(super) fn timed_out(&mut self, now: Instant, id: ClientId) {
        if self
            .errands
            .get(&id)
            .is_some_and(|errand| errand.ack.is_some())
        {
            return;
        }
        if let Some(errand) = self.errands.remove(&id) {
            let what = (errand.purpose, errand.request.method.label());
            self.failed(now, (errand.session, id), what, None);
        }
    }

    /// The connection of a request is gone: that says nothing of its dialog. It is sent once more,
    /// over a new connection.
    pub(super) fn cut_off(&mut self, now: Instant, id: ClientId) {
        if self
            .errands
            .get(&id)
            .is_some_and(|errand| errand.is_rerouted)
        {
            self.timed_out(now, id);
            return;
        }
        if let Some(mut errand) = self.errands.remove(&id) {
            errand.is_rerouted = true;
            errand.flow.connection = 0;
            self.dispatch_again(now, id, errand);
        }
    }

    /// Once more with the trunk's credentials. RFC 3261 §22.2.
    fn authorize(&mut self, now: Instant, id: ClientId, mut errand: Errand, response: &Response) {
        let cnonce = self.token();
        let credentials = self.trunks[errand.trunk].credentials.clone();
        let challenged = (response.status, &response.headers);
        let is_answered = credentials.is_some_and(|credentials| {
            let request = &mut errand.request;
            digest::authorize(request, challenged, &credentials, &cnonce)
        });
        if is_answered {
            errand.is_authorized = true;
            self.dispatch_again(now, id, errand);
        } else {
            let what = (errand.purpose, errand.request.method.label());
            self.failed(now, (errand.session, id), what, Some(response));
        }
    }

    /// The ACK to a 2xx, now and to each of its repetitions. RFC 3261 §13.2.2.4.
    fn acknowledge(&mut self, now: Instant, id: ClientId, mut errand: Errand, response: &Response) {
        errand.dialog.refresh_target(&response.headers);
        let cseq = errand
            .request
            .headers
            .cseq()
            .map_or(0, |(number, _)| number);
        let mut ack = errand.dialog.ack(cseq);
        let hop = self.hop(&errand.dialog, &errand.flow, &ack);
        let via = self.via(&hop);
        ack.headers.push("Via", via);
        for name in ["Authorization", "Proxy-Authorization"] {
            for value in errand.request.headers.all(name) {
                ack.headers.push(name, value);
            }
        }
        let bytes = ack.encode();
        self.transactions.send(hop.clone(), bytes.clone());
        errand.ack = Some((hop, bytes));
        self.errands.insert(id, errand);
        let until = now + 64 * self.config.timers.t1;
        self.deadlines.set(Wake::Forget(id), until);
    }

    fn via(&mut self, hop: &crate::transaction::Flow) -> String {
        let host = self
            .reached(hop)
            .filter(|at| !at.ip().is_unspecified())
            .unwrap_or(hop.local);
        let transport = format!("{:?}", hop.transport).to_ascii_uppercase();
        format!("SIP/2.0/{transport} {host};branch={};rport", self.branch())
    }

    fn succeeded(
        &mut self,
        now: Instant,
        which: (SessionId, ClientId),
        purpose: Purpose,
        response: &Response,
    ) {
        let (id, client) = which;
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if purpose == Purpose::Bye {
            return;
        }
        session.dialog.refresh_target(&response.headers);
        if matches!(purpose, Purpose::Point(_) | Purpose::Refresh) {
            session.refresh = refresh::agreed(&response.headers);
            self.arm_refresh(now, id);
        }
        if let Purpose::Point(direction) = purpose {
            if let Some(session) = self.sessions.get_mut(&id) {
                session
                    .errands
                    .inviting
                    .take_if(|inviting| *inviting == client);
            }
            self.pointed(id, direction, response);
        }
    }

    /// The answer to our re-INVITE.
    fn pointed(&mut self, id: SessionId, direction: Direction, response: &Response) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let trunk = &self.trunks[session.trunk];
        let limits = BodyLimits::default();
        let read = multipart::split_message(&response.headers, &response.body, &limits)
            .map_err(Refusal::from)
            .and_then(|parts| {
                let notice = learn(session, &parts);
                let answer = read_offer(&parts, trunk)?;
                let (theirs, plan) =
                    answer.ok_or_else(|| Refusal::new(488, "the 200 has no answer"))?;
                accepted(&plan)?;
                Ok((notice, (theirs, plan)))
            });
        match read {
            Ok((notice, answer)) => {
                notice.into_iter().for_each(|notice| self.notice(notice));
                self.adopt_answer(id, answer, direction);
            }
            Err(refusal) => self.refuse_grant(id, &refusal.why),
        }
    }

    /// A request of ours failed; `None`: nobody answered.
    fn failed(
        &mut self,
        now: Instant,
        which: (SessionId, ClientId),
        what: (Purpose, &'static str),
        response: Option<&Response>,
    ) {
        let (id, client) = which;
        let (purpose, method) = what;
        let status = response.map_or(0, |response| response.status);
        self.notice(Notice::RequestFailed { method, status });
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session
            .errands
            .inviting
            .take_if(|inviting| *inviting == client);
        match (purpose, status) {
            (Purpose::Bye, _) => {}
            (_, 481) => self.close(now, id, SessionEnding::Lost),
            (_, 0 | 408) => {
                self.hang_up(now, id, SessionEnding::Lost, "a request was not answered");
            }
            (Purpose::Snapshot, _) => {}
            (_, 422) => self.longer(now, id, response),
            (Purpose::Refresh, 405 | 501) => {
                session.takes_update = false;
                self.refresh(now, id);
            }
            (Purpose::Refresh, _) => {
                self.deadlines
                    .set(Wake::Session(id, Wait::Refresh), now + REFRESH_AGAIN);
            }
            (Purpose::Point(direction), _) => self.turned_down(now, id, direction, response),
        }
    }

    /// Our session interval is too small for the peer. RFC 4028 §7.3.
    fn longer(&mut self, now: Instant, id: SessionId, response: Option<&Response>) {
        let least = response.and_then(|response| response.headers.number("Min-SE"));
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let least = least.map(|seconds| Duration::from_secs(u64::from(seconds)));
        let (Some(timer), Some(least)) = (&mut session.refresh, least) else {
            return;
        };
        if least <= timer.interval {
            // It has what it asks for: another request would be answered the same.
            self.refuse_grant(id, "the SRC refuses the session interval it asked for");
            return;
        }
        timer.interval = least;
        session.errands.min_se = Some(least);
        self.refresh(now, id);
    }

    /// Our re-INVITE met another one, or was refused.
    fn turned_down(
        &mut self,
        now: Instant,
        id: SessionId,
        direction: Direction,
        response: Option<&Response>,
    ) {
        let status = response.map_or(0, |response| response.status);
        let retry = response.and_then(|response| response.headers.number("Retry-After"));
        let retry = retry.map(|seconds| Duration::from_secs(u64::from(seconds)));
        // The Call-ID is never ours, so we wait 0 to 2 s in steps of 10 ms. RFC 3261 §14.1.
        let wait = match (status, retry) {
            (491, _) => Some(Duration::from_millis(10) * self.draw(200)),
            (500 | 503, Some(retry)) if retry <= RETRY_MAX => Some(retry),
            _ => None,
        };
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if let Some(wait) = wait {
            session.errands.is_refresh_due |= session.media.direction() == direction;
            self.deadlines
                .set(Wake::Session(id, Wait::Backoff), now + wait);
        } else {
            self.refuse_grant(id, &format!("the SRC answered our re-INVITE with {status}"));
        }
    }
}
