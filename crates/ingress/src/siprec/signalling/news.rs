//! What becomes of sessions and their lines as the server tells of them: ports, legs, endings.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use siprec::server::{Input, MediaLine, SessionEnding, SessionFacts, SessionId};
use tokio::sync::watch;

use super::Signalling;
use crate::siprec::calls::Seat;
use crate::siprec::line::{Line, LineLimits};
use crate::siprec::media::{Order, Reception};
use crate::siprec::ports::Lease;
use crate::siprec::session::{Entry, Session};
use crate::siprec::tally::{LineEnd, SessionEnd};
use crate::siprec::{naming, random};

impl Signalling {
    pub(super) fn bind(
        &mut self,
        now: Instant,
        session: SessionId,
        asked: (IpAddr, usize),
    ) -> Input {
        let (address, count) = asked;
        let leases = self.world.ports.lease(now, address, count);
        let ports = leases
            .as_ref()
            .map(|leases| leases.iter().map(Lease::port).collect());
        match leases {
            Some(leases) => self.unclaimed.entry(session).or_default().extend(leases),
            None => self.world.metrics.siprec().ports_exhausted(),
        }
        Input::Bound { session, ports }
    }

    pub(super) fn session_opened(&mut self, now: Instant, facts: SessionFacts) {
        let call = Session::call_of(&facts);
        let clock = self.calls.join(now, &call.guid);
        tracing::info!(
            session = facts.session.0,
            call = %call.guid,
            trunk = facts.trunk,
            peer = %facts.peer.ip(),
            roles = naming::roles_told(&facts.roles),
            "A recording session begins."
        );
        self.world.metrics.siprec().session_opened();
        let id = facts.session;
        let session = Session::new(now, facts, call, clock, &self.world.config);
        self.sessions.insert(id, session);
    }

    pub(super) fn session_ended(&mut self, now: Instant, id: SessionId, ending: SessionEnding) {
        self.unclaimed.remove(&id);
        let Some(mut session) = self.sessions.remove(&id) else {
            return;
        };
        let end = match self.is_closing {
            true => LineEnd::ShutDown,
            false => LineEnd::from(ending),
        };
        for (line, entry) in session.take_lines() {
            self.calls.vacate(&session.call.guid, id, line);
            entry.end(end);
        }
        for (_, entry) in self.over.extract_if(.., |(session, _)| *session == id) {
            entry.end(end);
        }
        self.calls.leave(&session.call.guid);
        let reason = SessionEnd::from(ending);
        self.world.metrics.siprec().session_ended(reason);
        tracing::info!(
            session = id.0,
            call = %session.call.guid,
            trunk = session.facts().trunk,
            reason = reason.as_str(),
            seconds = now.saturating_duration_since(session.began).as_secs(),
            "A recording session is over."
        );
    }

    pub(super) fn line_opened(
        &mut self,
        now: Instant,
        id: SessionId,
        (index, media): (usize, MediaLine),
    ) {
        let lease = self.claim(id, media.port);
        let Some((session, lease)) = self.sessions.get_mut(&id).zip(lease) else {
            tracing::error!(
                session = id.0,
                line = index,
                "A media line has no ports or session."
            );
            return;
        };
        let seat = Seat {
            session: id,
            line: index,
            party: session.party(index),
        };
        let is_alone = session.is_alone(index);
        let side = self.calls.seat(&session.call.guid, seat, is_alone);
        let wanted = session.asks().then(|| self.world.watch_wanted(id, index));
        let introduction = session.introduce(side, (index, &media), wanted);
        let config = &self.world.config;
        let feed =
            self.world
                .intake
                .open_with(now, session.clock.media(), introduction, config.leg);
        let (sender, orders) = watch::channel(Order::Receive(Arc::new(media.clone())));
        let entry = Entry::new(sender, feed.teller(), media.label.clone(), media.is_active);
        let retired = feed.retired();
        let limits = LineLimits {
            source_packets: config.source_packets,
            source_timeout: config.source_timeout,
        };
        let clock = Arc::clone(&session.clock);
        let reception = Reception {
            session: id,
            index,
            line: Line::new((now, random::number()), feed, clock, media, limits),
            lease,
            orders,
            retired,
            signals: self.world.signals.clone(),
            metrics: Arc::clone(&self.world.metrics),
            rtcp_interval: config.rtcp_interval,
            media_timeout: config.media_timeout,
        };
        session.insert(index, entry);
        self.world.readers.begin(reception);
    }

    fn claim(&mut self, session: SessionId, port: u16) -> Option<Lease> {
        let leases = self.unclaimed.get_mut(&session)?;
        let at = leases.iter().position(|lease| lease.port() == port)?;
        Some(leases.swap_remove(at))
    }

    pub(super) fn line_ended(&mut self, id: SessionId, line: usize) {
        if let Some(session) = self.sessions.get_mut(&id)
            && let Some(entry) = session.remove(line)
        {
            self.calls.vacate(&session.call.guid, id, line);
            self.over.push((id, entry));
        }
    }

    pub(super) fn granted(&mut self, id: SessionId, sound: bool, result: Result<(), String>) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if let Err(why) = &result {
            tracing::warn!(
                session = id.0,
                sound,
                why,
                "The peer does not do as it was asked."
            );
        }
        session.granted(sound, result.as_ref().copied().map_err(String::as_str));
    }
}
