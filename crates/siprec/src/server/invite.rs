//! The INVITE that begins a session.

use std::sync::Arc;
use std::time::Instant;

use crate::answer::{self, LinePlan};
use crate::dialog::Dialog;
use crate::message::{Method, Request};
use crate::multipart::Parts;
use crate::offer::{self, Description};
use crate::server::checks::{self, Formality};
use crate::server::news::learn;
use crate::server::refusal::Refusal;
use crate::server::{Notice, Output, Server, SessionId, Wake};
use crate::session::knowledge::Knowledge;
use crate::session::media::Media;
use crate::session::refresh::{self, Refresh, RefreshPolicy};
use crate::session::{Asked, Errands, Pending, Phase, Session, Wait, direction_before_start};
use crate::trunk::{Trunk, select};

/// An INVITE that will be taken.
struct Opening {
    trunk: usize,
    formality: Formality,
    refresh: Option<Refresh>,
    parts: Parts,
    offer: Result<(Description, Vec<LinePlan>), usize>,
}

impl Server {
    /// Begins a session, or says why not.
    pub(super) fn open(
        &mut self,
        now: Instant,
        asked: &Asked,
        names: &[String],
    ) -> Result<(), Refusal> {
        let opening = self.examine(now, asked, names)?;
        let mut session = self.begin(asked, &opening)?;
        let trunk = self.trunk(session.trunk);
        let notice = learn(&mut session, &opening.parts);
        notice.into_iter().for_each(|notice| self.notice(notice));
        if !trunk.accept_mixed && session.knowledge.is_mixed(&planned(&opening.offer), &trunk) {
            return Err(Refusal::new(488, "m-line 1: it carries both parties mixed"));
        }
        if opening.formality != Formality::Full {
            self.notice(Notice::AcceptedAnyway {
                trunk: trunk.name.clone(),
            });
        }
        session.pending = Some(Pending {
            asked: asked.clone(),
            offer: opening.offer,
            refresh: opening.refresh,
        });
        let id = session.id;
        self.dialogs.insert(session.dialog.our_tag.clone(), id);
        self.sessions.insert(id, session);
        self.supply(now, id);
        Ok(())
    }

    /// Everything that can be wrong with it.
    fn examine(
        &mut self,
        now: Instant,
        asked: &Asked,
        names: &[String],
    ) -> Result<Opening, Refusal> {
        let request = &asked.request;
        let unknown = || Refusal::new(403, "no trunk knows this source");
        let trunk = self
            .trunk_of(&asked.flow, request, names)
            .ok_or_else(unknown)?;
        if !self.rates.take(now, asked.flow.peer.ip()) {
            self.notice(Notice::RateLimited);
            return Err(self.unavailable("the source sends too many INVITEs"));
        }
        self.capacity(Some(trunk)).inspect_err(|refusal| {
            if self.full.is_some_and(|why| refusal.why == why) {
                self.outputs.push_back(Output::Notice(Notice::TurnedAway));
            }
        })?;
        let rules = self.trunk(trunk);
        let formality = checks::formality(&request.headers);
        if !rules.accept_anyway {
            match formality {
                Formality::Full => {}
                Formality::NoFeature => {
                    return Err(Refusal::new(400, "Contact does not say +sip.src"));
                }
                Formality::NoOption => {
                    let refusal = Refusal::new(421, "Require does not say siprec");
                    return Err(refusal.with("Require", "siprec"));
                }
            }
        }
        let refresh = self.timer_of(request)?;
        let parts = checks::parts(request)?;
        let lines = if formality == Formality::NoOption {
            1
        } else {
            2
        };
        let offer = match read_offer(&parts, &rules)? {
            Some((description, plan)) => {
                accepted(&plan)?;
                Ok((description, plan))
            }
            None => Err(lines.min(rules.media.lines_max)),
        };
        Ok(Opening {
            trunk,
            formality,
            refresh,
            parts,
            offer,
        })
    }

    fn begin(&mut self, asked: &Asked, opening: &Opening) -> Result<Session, Refusal> {
        let request = &asked.request;
        let dialog = Dialog::accept(request, &self.token());
        let dialog = dialog.ok_or_else(|| Refusal::bad_header("Contact"))?;
        let trunk = self.trunk(opening.trunk);
        let address = select::media_address(&trunk, &asked.flow, self.reached(&asked.flow));
        let origin = u64::from(self.draw(u32::MAX - 1)) + 1;
        let mut knowledge = Knowledge::new(request.headers.clone());
        knowledge.spelling(&request.headers, &request.body);
        self.sessions_begun += 1;
        Ok(Session {
            id: SessionId(self.sessions_begun),
            trunk: opening.trunk,
            flow: asked.flow.clone(),
            dialog,
            phase: Phase::Inviting,
            pending: None,
            unacked: None,
            media: Media::new(address, origin, direction_before_start(&trunk)),
            knowledge,
            refresh: None,
            errands: Errands::default(),
            is_binding: false,
            takes_update: request.headers.has_token("Allow", Method::Update.as_str()),
        })
    }

    /// The session timer that an INVITE or UPDATE leads to, or 422. RFC 4028 §9.
    pub(super) fn timer_of(&self, request: &Request) -> Result<Option<Refresh>, Refusal> {
        let policy = RefreshPolicy {
            wanted: self.config.session_expires,
            min: self.config.min_se,
        };
        refresh::agree(&request.headers, policy).map_err(|refresh::TooSmall(min)| {
            Refusal::new(422, "Session-Expires is too small").with("Min-SE", min.as_secs())
        })
    }

    /// Asks for the ports that an offer still needs, or goes on.
    pub(super) fn supply(&mut self, now: Instant, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let Some(pending) = &session.pending else {
            return;
        };
        if session.is_binding {
            return;
        }
        let count = match &pending.offer {
            Ok((_, plan)) => session.media.missing(plan),
            Err(_) if session.media.is_agreed() => 0,
            Err(count) => session.media.missing_to_offer(*count),
        };
        if count == 0 {
            self.settle(now, id);
            return;
        }
        session.is_binding = true;
        let wake = Wake::Session(id, Wait::Bind);
        self.deadlines.set(wake, now + self.config.limits.bind_wait);
        self.outputs.push_back(Output::BindPorts {
            session: id,
            address: session.flow.local.ip(),
            count,
        });
    }

    /// The rules of a trunk.
    pub(super) fn trunk(&self, index: usize) -> Arc<Trunk> {
        self.trunks[index].clone()
    }
}

/// The offer of a request and what we make of it; `None`: there is none.
pub(super) fn read_offer(
    parts: &Parts,
    trunk: &Trunk,
) -> Result<Option<(Description, Vec<LinePlan>)>, Refusal> {
    let Some(sdp) = &parts.sdp else {
        return Ok(None);
    };
    let description = offer::parse(sdp)?;
    let plan = answer::plan(&description, &trunk.media);
    Ok(Some((description, plan)))
}

/// 488 if no line is left.
pub(super) fn accepted(plan: &[LinePlan]) -> Result<(), Refusal> {
    let is_accepted = |line: &LinePlan| matches!(line, LinePlan::Accepted(_));
    if plan.iter().any(is_accepted) {
        Ok(())
    } else {
        Err(Refusal::no_line(plan))
    }
}

/// Lines that will be received: index and label.
fn planned(offer: &Result<(Description, Vec<LinePlan>), usize>) -> Vec<(usize, Option<String>)> {
    let Ok((description, plan)) = offer else {
        return Vec::new();
    };
    let lines = description.lines.iter().zip(plan).enumerate();
    lines
        .filter(|(_, (_, plan))| matches!(plan, LinePlan::Accepted(_)))
        .map(|(index, (line, _))| (index, line.label.clone()))
        .collect()
}
