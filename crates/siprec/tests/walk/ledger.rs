//! What may never happen, written down as it goes.

use std::collections::{BTreeMap, BTreeSet};

use siprec::message::{Message, Method};
use siprec::server::{Output, SessionId};

/// How often each thing was met.
pub(crate) type Visits = BTreeMap<String, u64>;

#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) visits: Visits,
    /// Sessions for which ports were asked or that were opened, and their open lines with ports.
    pub(crate) sessions: BTreeMap<SessionId, BTreeMap<usize, u16>>,
    opened: BTreeSet<SessionId>,
    ended: BTreeSet<SessionId>,
    /// Answers that are owed for `Wanted`.
    owed: BTreeMap<SessionId, u32>,
    /// Final responses by branch and method.
    finals: BTreeMap<(String, String), Vec<u8>>,
    /// INVITEs whose ACK the server has heard: Call-ID and CSeq.
    acknowledged: BTreeSet<(String, u32)>,
}

impl Ledger {
    pub(crate) fn met(&mut self, what: &str) {
        *self.visits.entry(what.to_owned()).or_default() += 1;
    }

    pub(crate) fn want(&mut self, session: SessionId) {
        *self.owed.entry(session).or_default() += 1;
    }

    pub(crate) fn acknowledge(&mut self, call_id: &str, cseq: u32) {
        self.acknowledged.insert((call_id.to_owned(), cseq));
    }

    /// Running sessions that were opened.
    pub(crate) fn running(&self) -> Vec<SessionId> {
        self.opened.difference(&self.ended).copied().collect()
    }

    pub(crate) fn output(&mut self, output: &Output) -> Result<(), String> {
        let fail = |what: &str| Err(format!("{what}: {output:?}"));
        match output {
            Output::BindPorts { session, .. } => {
                self.met("BindPorts");
                self.sessions.entry(*session).or_default();
                if self.ended.contains(session) {
                    return fail("ports for a session that is over");
                }
            }
            Output::SessionOpened(facts) => {
                self.met("SessionOpened");
                if !self.opened.insert(facts.session) || self.ended.contains(&facts.session) {
                    return fail("opened twice");
                }
            }
            Output::SessionLearned(facts) => {
                self.met("SessionLearned");
                if !self.runs(facts.session) {
                    return fail("learned of no session");
                }
            }
            Output::Granted {
                session,
                sound,
                result,
            } => {
                let word = if result.is_ok() { "Ok" } else { "Err" };
                self.met(&format!("Granted {sound} {word}"));
                let owed = self.owed.entry(*session).or_default();
                if *owed == 0 {
                    return fail("granted, but not wanted");
                }
                *owed -= 1;
            }
            Output::SessionEnded { session, ending } => {
                self.met(&format!("SessionEnded {ending:?}"));
                let lines = self.sessions.remove(session).unwrap_or_default();
                if !lines.is_empty() {
                    return fail("over with open lines");
                }
                if !self.ended.insert(*session) {
                    return fail("over twice");
                }
            }
            _ => return self.line(output),
        }
        Ok(())
    }

    fn line(&mut self, output: &Output) -> Result<(), String> {
        let fail = |what: &str| Err(format!("{what}: {output:?}"));
        match output {
            Output::LineOpened {
                session,
                line,
                media,
            } => {
                self.met("LineOpened");
                let is_taken = self
                    .sessions
                    .values()
                    .any(|lines| lines.values().any(|port| *port == media.port));
                let lines = self.sessions.entry(*session).or_default();
                if is_taken || lines.insert(*line, media.port).is_some() {
                    return fail("a line or a port twice");
                }
                if !self.runs(*session) {
                    return fail("a line of no session");
                }
            }
            Output::LineChanged {
                session,
                line,
                media,
            } => {
                self.met("LineChanged");
                let known = self.sessions.get(session).and_then(|lines| lines.get(line));
                if known != Some(&media.port) {
                    return fail("changed, but not open");
                }
            }
            Output::LineEnded { session, line } => {
                self.met("LineEnded");
                let lines = self.sessions.entry(*session).or_default();
                if lines.remove(line).is_none() || self.ended.contains(session) {
                    return fail("ended, but not open");
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What the server sends.
    pub(crate) fn sent(&mut self, message: &Message) -> Result<(), String> {
        match message {
            Message::Request(request) => {
                self.met(&format!("asked {}", request.method.as_str()));
                Ok(())
            }
            Message::Response(response) if response.status < 200 => Ok(()),
            Message::Response(response) => {
                let headers = &response.headers;
                let (number, method) = headers.cseq().ok_or("a response without CSeq")?;
                let branch = headers
                    .top_via()
                    .and_then(|via| via.branch().map(str::to_owned));
                let call_id = headers.call_id().unwrap_or_default().to_owned();
                let key = (branch.unwrap_or_default(), method.as_str().to_owned());
                let bytes = response.encode();
                match self.finals.get(&key) {
                    None => {
                        self.met(&format!("answered {} {}", method.as_str(), response.status));
                        self.finals.insert(key, bytes);
                    }
                    Some(before) if *before != bytes => {
                        let texts = [before, &bytes].map(|text| String::from_utf8_lossy(text));
                        return Err(format!("answered twice differently:\n{}", texts.join("\n")));
                    }
                    Some(_) if response.status == 200 && method == Method::Invite => {
                        self.met("repeated 200");
                        if self.acknowledged.contains(&(call_id, number)) {
                            return Err("a 200 after its ACK".to_owned());
                        }
                    }
                    Some(_) => {}
                }
                Ok(())
            }
        }
    }

    pub(crate) fn is_over(&self, session: SessionId) -> bool {
        self.ended.contains(&session)
    }

    /// When everything is over.
    pub(crate) fn is_settled(&self) -> Result<(), String> {
        let owed = self.owed.iter().filter(|(_, count)| **count > 0).count();
        if owed > 0 {
            return Err(format!("{owed} wishes were never answered"));
        }
        match self.sessions.len() {
            0 => Ok(()),
            left => Err(format!("{left} sessions never ended")),
        }
    }

    fn runs(&self, session: SessionId) -> bool {
        self.opened.contains(&session) && !self.ended.contains(&session)
    }
}
