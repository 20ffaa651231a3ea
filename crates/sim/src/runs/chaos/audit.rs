//! What the service itself has noticed: who spoke where, what it was not to hear, and what its
//! clients did that they should not.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::weather::Storms;
use crate::service::Running;
use crate::service::record::Recorded;
use crate::speech::{Role, Script};

/// Utterances that are remembered.
const HEARD_MAX: usize = 100_000;

/// Kinds of complaints that are told apart.
const KINDS_MAX: usize = 50;

/// Sums over all lives of the service.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Audit {
    /// Sessions that were opened.
    pub(super) sessions: u64,
    /// Sessions that were broken on purpose, by how.
    pub(super) faults: BTreeMap<String, u64>,
    /// WebSockets that were refused on purpose.
    pub(super) refused: u64,
    /// Phrases that were heard on the stream of the other party.
    pub(super) foreign: u64,
    /// Secret phrases that were heard.
    pub(super) leaked: u64,
    /// What clients did wrong on sessions on which nothing else was, by what.
    pub(super) complaints: BTreeMap<String, u64>,
    pub(super) storms: Storms,
    /// What was heard, a line an utterance: for a look at what was lost on the way back.
    #[serde(skip)]
    heard: Vec<String>,
}

impl Audit {
    /// Adds one life of the service, at its end.
    pub(super) fn read(&mut self, running: &Running) {
        running.with_streams(|streams| streams.iter().for_each(|stream| self.note(stream)));
        let refused = running.knocks();
        let refused = refused.iter().filter(|knock| knock.fault.is_some());
        self.refused += refused.count() as u64;
    }

    fn note(&mut self, stream: &Recorded) {
        self.sessions += 1;
        for fault in &stream.faults {
            let kind = fault.split(':').next().unwrap_or_default();
            *self.faults.entry(kind.to_owned()).or_default() += 1;
        }
        self.remember(stream);
        for id in stream.heard() {
            let phrase = Script::standard().phrase(id);
            self.leaked += u64::from(phrase.is_some_and(|phrase| phrase.secret));
        }
        for complaint in &stream.complaints {
            if complaint.contains(" speaks on the stream of ") {
                self.foreign += 1;
            } else if stream.faults.is_empty() && !is_of_a_break(complaint) {
                let kind = complaint.replace(|letter: char| letter.is_ascii_digit(), "#");
                if self.complaints.len() < KINDS_MAX || self.complaints.contains_key(&kind) {
                    *self.complaints.entry(kind).or_default() += 1;
                }
            }
        }
    }
}

impl Audit {
    /// Adds what was heard to a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn append_to(&self, path: &Path) -> anyhow::Result<()> {
        let mut file = OpenOptions::new().append(true).open(path)?;
        Ok(self
            .heard
            .iter()
            .try_for_each(|line| writeln!(file, "{line}"))?)
    }

    fn remember(&mut self, stream: &Recorded) {
        for transcript in &stream.transcripts {
            if self.heard.len() >= HEARD_MAX {
                return;
            }
            let ago = transcript.at.elapsed().as_millis() as u64;
            let line = serde_json::json!({
                "type": "heardByService",
                "at": (jiff::Timestamp::now() - Duration::from_millis(ago)).to_string(),
                "guid": stream.external_id,
                "role": stream.role().map(Role::as_str),
                "session": stream.stream_id,
                "sessionMs": transcript.start_ms,
                "phrase": transcript.phrase.as_deref(),
                "faults": stream.faults,
            });
            self.heard.push(line.to_string());
        }
    }
}

/// What is noted when a socket ends for whatever reason.
fn is_of_a_break(complaint: &str) -> bool {
    complaint.starts_with("the connection broke") || complaint.starts_with("the close frame")
}
