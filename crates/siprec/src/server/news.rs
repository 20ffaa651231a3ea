//! What a session's user hears: lines, facts.

use crate::message::Request;
use crate::metadata::Applied;
use crate::multipart::Parts;
use crate::server::{MediaLine, Notice, Output, Server, SessionFacts, SessionId};
use crate::session::Session;
use crate::session::media::LineNews;

impl Server {
    /// Tells what became of lines.
    pub(super) fn tell_lines(&mut self, session: SessionId, news: Vec<LineNews>) {
        let boxed = |media: MediaLine| Box::new(media);
        self.outputs.extend(news.into_iter().map(|news| match news {
            LineNews::Changed(line, media) => Output::LineChanged {
                session,
                line,
                media: boxed(media),
            },
            LineNews::Ended(line) => Output::LineEnded { session, line },
            LineNews::Opened(line, media) => Output::LineOpened {
                session,
                line,
                media: boxed(media),
            },
        }));
    }

    /// Looks anew at identifiers and roles. The facts, if they differ from those told.
    pub(super) fn review(&mut self, id: SessionId, request: &Request) -> Option<Box<SessionFacts>> {
        let identifiers_max = self.config.limits.identifiers_max;
        let session = self.sessions.get_mut(&id)?;
        let trunk = self.trunks.get(session.trunk)?;
        let lines = session.media.open_lines();
        let knowledge = &mut session.knowledge;
        let has_changed = knowledge.review(&request.headers, &lines, trunk, identifiers_max);
        has_changed.then(|| {
            Box::new(SessionFacts {
                session: id,
                trunk: trunk.name.clone(),
                identifiers: knowledge.identifiers().to_vec(),
                roles: knowledge.roles().to_vec(),
                recording: knowledge.minimised(&trunk.keep),
                peer: session.flow.peer,
            })
        })
    }

    /// Looks anew, and tells if that changed anything.
    pub(super) fn tell_learned(&mut self, id: SessionId, request: &Request) {
        let facts = self.review(id, request);
        self.outputs.extend(facts.map(Output::SessionLearned));
    }
}

/// Takes in what a body says beside SDP. What is wrong with metadata never ends a session. RFC
/// 7866 §9.2.
pub(super) fn learn(session: &mut Session, parts: &Parts) -> Option<Notice> {
    match session.knowledge.apply(parts) {
        Ok(Some(Applied::StateLost)) => session.errands.is_snapshot_due = true,
        Ok(_) => {}
        Err(bad) => {
            return Some(Notice::BadMetadata {
                why: bad.to_string(),
            });
        }
    }
    None
}
