//! What a session's metadata and headers have told: identifiers, parties, roles.

use crate::identifiers::{self, Identifier};
use crate::message::Headers;
use crate::metadata::{Applied, BadMetadata, Recording};
use crate::multipart::Parts;
use crate::roles::{self, LineFacts, LineRole, Party};
use crate::trunk::Trunk;

/// Cisco's network-based recording names its parties here, and anew when they change.
const PARTICIPANT: &str = "X-Cisco-Recording-Participant";

/// What is known of a session.
pub(crate) struct Knowledge {
    /// Of the first INVITE, or of a later one that named other parties.
    headers: Headers,
    recording: Recording,
    identifiers: Vec<Identifier>,
    roles: Vec<(usize, LineRole)>,
    /// Metadata updates since a snapshot was asked for; `None`: never asked.
    since_snapshot: Option<u32>,
    /// The metadata's media type, as the peer writes it: a snapshot request uses the same.
    content_type: &'static str,
}

impl Knowledge {
    /// By the headers of the first INVITE.
    pub(crate) fn new(headers: Headers) -> Self {
        Self {
            headers,
            recording: Recording::default(),
            identifiers: Vec::new(),
            roles: Vec::new(),
            since_snapshot: None,
            content_type: METADATA_TYPES[0],
        }
    }

    /// Takes in what a body says beside SDP. A snapshot is due when the return is
    /// [`Applied::StateLost`].
    pub(crate) fn apply(&mut self, parts: &Parts) -> Result<Option<Applied>, BadMetadata> {
        if let Some(gci) = &parts.gtd {
            self.recording.add_gci(gci);
        }
        let Some(metadata) = &parts.metadata else {
            return Ok(None);
        };
        self.since_snapshot = self.since_snapshot.map(|count| count.saturating_add(1));
        self.recording.apply(metadata).map(Some)
    }

    /// Takes in the headers of a later request and the message body's spelling of the types.
    pub(crate) fn hear(&mut self, headers: &Headers, body: &[u8]) {
        if headers.get(PARTICIPANT).is_some() {
            self.headers = headers.clone();
        }
        self.spelling(headers, body);
    }

    /// RFC 9806 renamed the type; older clients know only the old name.
    pub(crate) fn spelling(&mut self, headers: &Headers, body: &[u8]) {
        let whole = headers.get("Content-Type").unwrap_or_default().as_bytes();
        let says = |text: &[u8], word: &str| {
            text.windows(word.len())
                .any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
        };
        let known = METADATA_TYPES
            .into_iter()
            .find(|word| says(whole, word) || says(body, word));
        self.content_type = known.unwrap_or(self.content_type);
    }

    /// Identifiers and roles anew; whether anything changed.
    pub(crate) fn review(
        &mut self,
        headers: &Headers,
        lines: &[(usize, Option<String>)],
        trunk: &Trunk,
        identifiers_max: usize,
    ) -> bool {
        let mut all = self.headers.clone();
        for (name, value) in headers.iter() {
            if !all.all(name).any(|known| known == value) {
                all.push(name, value);
            }
        }
        let mut found = identifiers::extract(&all, &self.recording, &trunk.identifiers);
        for identifier in &self.identifiers {
            if !found.contains(identifier) {
                found.push(identifier.clone());
            }
        }
        found.truncate(identifiers_max);
        let roles = self.roles_of(lines, trunk);
        let has_changed = found != self.identifiers || roles != self.roles;
        self.identifiers = found;
        self.roles = roles;
        has_changed
    }

    /// Whether the only line carries both parties.
    pub(crate) fn is_mixed(&self, lines: &[(usize, Option<String>)], trunk: &Trunk) -> bool {
        let roles = self.roles_of(lines, trunk);
        matches!(roles.as_slice(), [(_, role)] if role.party == Party::Mixed)
    }

    /// Whether a snapshot may be asked for now; if so it counts as asked.
    pub(crate) fn may_ask(&mut self, updates_per_snapshot: u32) -> bool {
        let may = self
            .since_snapshot
            .is_none_or(|count| count >= updates_per_snapshot);
        if may {
            self.since_snapshot = Some(0);
        }
        may
    }

    /// The metadata type the peer knows.
    pub(crate) fn content_type(&self) -> &'static str {
        self.content_type
    }

    /// Best first.
    pub(crate) fn identifiers(&self) -> &[Identifier] {
        &self.identifiers
    }

    /// By line.
    pub(crate) fn roles(&self) -> &[(usize, LineRole)] {
        &self.roles
    }

    /// The metadata without what the trunk does not keep. RFC 7865 §10.
    pub(crate) fn minimised(&self, keep: &[String]) -> Recording {
        self.recording.minimised(keep)
    }

    fn roles_of(&self, lines: &[(usize, Option<String>)], trunk: &Trunk) -> Vec<(usize, LineRole)> {
        let lines = lines
            .iter()
            .map(|(index, label)| LineFacts {
                index: *index,
                label: label.as_deref(),
            })
            .collect::<Vec<_>>();
        roles::follow(
            &self.roles,
            &lines,
            &self.recording,
            &self.headers,
            &trunk.roles,
        )
    }
}

/// The longer name first: it contains the other.
const METADATA_TYPES: [&str; 2] = ["application/rs-metadata+xml", "application/rs-metadata"];
