//! Who takes part in the recorded call and which stream carries whom: what metadata tells.

use jiff::Timestamp;
use uuid::Uuid;

use super::identity::Identifiers;

/// One recorded call as one recording session shows it.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) ids: Identifiers,
    /// The communication session.
    pub(super) session: Uuid,
    /// What survives transfers.
    pub(super) group: Uuid,
    /// How many sessions of the group came before.
    pub(super) sequence: u32,
    /// The caller first.
    pub(super) participants: Vec<Participant>,
    /// One for each media line.
    pub(super) streams: Vec<Stream>,
    /// The callee has not answered yet.
    pub(super) early: bool,
    /// The recording client's own host.
    pub(super) host: String,
    /// The Call-ID of the recording session itself.
    pub(super) dialog: String,
    pub(super) begun: Timestamp,
}

#[derive(Clone, Debug)]
pub(super) struct Participant {
    pub(super) id: Uuid,
    /// The number.
    pub(super) user: String,
    pub(super) name: String,
}

#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) id: Uuid,
    pub(super) label: String,
    /// Who is heard on it, by index.
    pub(super) speakers: Vec<usize>,
}

impl Scene {
    /// `sip:5550100@198.51.100.20`
    pub(super) fn aor(&self, index: usize) -> String {
        format!("sip:{}", self.address(index))
    }

    /// The same without its scheme.
    pub(super) fn address(&self, index: usize) -> String {
        format!("{}@198.51.100.20", self.participants[index].user)
    }

    /// With zone and milliseconds, as RFC 7865 wants it.
    pub(super) fn time(&self) -> String {
        self.begun.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
    }

    /// Without a zone.
    pub(super) fn bare_time(&self) -> String {
        self.begun.strftime("%Y-%m-%dT%H:%M:%S").to_string()
    }

    /// The streams on which a participant is heard.
    pub(super) fn sends(&self, participant: usize) -> impl Iterator<Item = &Stream> {
        let streams = self.streams.iter();
        streams.filter(move |stream| stream.speakers.contains(&participant))
    }

    /// The streams that a participant hears.
    pub(super) fn hears(&self, participant: usize) -> impl Iterator<Item = &Stream> {
        let streams = self.streams.iter();
        streams.filter(move |stream| !stream.speakers.contains(&participant))
    }
}

impl Participant {
    pub(super) fn new(user: &str, name: &str) -> Self {
        Self {
            id: Uuid::new_v4(),
            user: user.to_owned(),
            name: name.to_owned(),
        }
    }
}

impl Stream {
    pub(super) fn new(label: &str, speakers: Vec<usize>) -> Self {
        Self {
            id: Uuid::new_v4(),
            label: label.to_owned(),
            speakers,
        }
    }
}
