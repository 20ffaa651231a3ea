//! Recording metadata of every dialect in one shape, and how updates are merged. RFC 7865.
//!
//! Elements are known by their local names: the same ones come in four namespaces, with and
//! without prefixes, and with the attribute names of two drafts. Ids are opaque text.

mod charset;
mod document;
pub mod fuzz;
mod merge;
mod vendor;
mod xml;

use std::fmt;

use crate::multipart::Metadata;

/// What is known of a recording session from its metadata. Updates are merged into it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Recording {
    /// Parties, in the order they were first named.
    pub participants: Vec<Participant>,
    /// Streams, in the order they were first named.
    pub streams: Vec<Stream>,
    /// Values that may be call identifiers: kind (`session_id`, `sipSessionID`, `apkt:ucid`,
    /// `ac:AvayaUCID`, `gcid`, `callid`, `group_id`, …) and raw text.
    pub identifiers: Vec<(&'static str, String)>,
    /// Headers of the recorded call that the client copied into its metadata: name and value.
    /// Private.
    pub vendor_headers: Vec<(String, String)>,
    /// The dialect records one user's calls, and its INVITE's From is that user (BroadWorks,
    /// Metaswitch).
    pub is_user_recording: bool,
    /// Elements of the newest document that were left out: their id was taken by another one
    /// (RFC 7865 §6.10), or there were too many.
    pub ignored: usize,
}

/// One party.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Participant {
    /// Opaque.
    pub id: String,
    /// Address of record, as written. Private.
    pub aor: Option<String>,
    /// Display name. Private.
    pub name: Option<String>,
    /// Ids of streams it sends.
    pub sends: Vec<String>,
    /// Ids of streams it receives.
    pub receives: Vec<String>,
    /// Whether it placed the call, where a dialect says so.
    pub is_caller: Option<bool>,
    /// The element that said so: `apkt:callingParty`, `callData`, `origCall`, ….
    pub caller_said_by: Option<&'static str>,
    /// Whether it is the user whose calls are recorded, where a dialect says so (BroadWorks,
    /// Metaswitch).
    pub is_recorded_user: Option<bool>,
    /// Whether it has left (`disassociate-time`, `stop`).
    pub has_left: bool,
    /// Whether it stands for a party that is not known yet (Avaya's `ASBCE`).
    pub is_dummy: bool,
}

/// One stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// Opaque; may be empty.
    pub id: String,
    /// The SDP label it stands for.
    pub label: Option<String>,
    /// `mode` is `mixed`: it carries more than one party.
    pub is_mixed: bool,
}

/// How much metadata is read and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataLimits {
    /// Bytes of a document. Default 256 KiB.
    pub bytes_max: usize,
    /// Elements, texts and comments of a document. Default 8,192.
    pub nodes_max: u32,
    /// Attributes of one element. Default 64.
    pub attributes_max: usize,
    /// Namespace declarations of a document. Default 256.
    pub namespaces_max: usize,
    /// Participants kept, those who left included; they make room first. Default 32.
    pub participants_max: usize,
    /// Streams kept, and ids in one association. Default 32.
    pub streams_max: usize,
    /// Call identifiers kept; copied headers likewise. Default 32.
    pub identifiers_max: usize,
    /// Characters of any text; longer ones are cut. Default 512.
    pub text_chars_max: usize,
}

/// What an update was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Replaced all that was known.
    Complete,
    /// Was merged into what was known.
    Partial,
    /// Refers to something we never heard of: a full snapshot should be asked for (RFC 7866 §9.2).
    /// What could be merged was merged.
    StateLost,
}

/// Why metadata cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMetadata {
    /// Larger, deeper or with more elements than we read.
    #[error("the metadata is larger than we read")]
    TooLarge,
    /// It is no XML, declares entities, or is in a charset we cannot read.
    #[error("the metadata cannot be read: {0}")]
    Unreadable(String),
    /// The root is not a recording.
    #[error("the metadata's root element is not a recording")]
    NotRecording,
}

impl Default for MetadataLimits {
    fn default() -> Self {
        Self {
            bytes_max: 256 * 1024,
            nodes_max: 8192,
            attributes_max: 64,
            namespaces_max: 256,
            participants_max: 32,
            streams_max: 32,
            identifiers_max: 32,
            text_chars_max: 512,
        }
    }
}

impl Recording {
    /// Takes in one metadata document of any dialect.
    pub fn apply(&mut self, metadata: &Metadata) -> Result<Applied, BadMetadata> {
        self.apply_within(metadata, &MetadataLimits::default())
    }

    /// Takes in one metadata document of any dialect, within limits of one's own. After an error
    /// nothing has changed.
    pub fn apply_within(
        &mut self,
        metadata: &Metadata,
        limits: &MetadataLimits,
    ) -> Result<Applied, BadMetadata> {
        if metadata.bytes.len() > limits.bytes_max {
            return Err(BadMetadata::TooLarge);
        }
        let text = charset::decode(&metadata.bytes, metadata.charset.as_deref())?;
        let document = xml::with_root(&text, limits, |root| document::read(root, limits))??;
        Ok(merge::merge(self, document, limits))
    }

    /// Adds the call identifier of a GTD part, which stands beside the metadata
    /// ([`crate::multipart::Parts::gtd`]). It outlives complete updates.
    pub fn add_gci(&mut self, gci: &str) {
        self.identifiers.retain(|(kind, _)| *kind != GCI);
        self.identifiers.insert(0, (GCI, gci.to_owned()));
    }

    /// What may be kept and shown: addresses and names only where `keep` has `aor` or `name`,
    /// copied headers only where it has their names. RFC 7865 §10. Roles and updates need the
    /// whole; this is for what leaves the session.
    pub fn minimised(&self, keep: &[String]) -> Self {
        let keeps = |word: &str| keep.iter().any(|kept| kept.eq_ignore_ascii_case(word));
        let mut kept = self.clone();
        for participant in &mut kept.participants {
            participant.aor = participant.aor.take().filter(|_| keeps("aor"));
            participant.name = participant.name.take().filter(|_| keeps("name"));
        }
        kept.vendor_headers.retain(|(name, _)| keeps(name));
        kept
    }
}

/// The body of a snapshot request. RFC 7866 §9.2, RFC 7865 §7.
pub fn snapshot_request(reason: &str) -> String {
    let mut escaped = String::with_capacity(reason.len());
    for c in reason.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
         <requestsnapshot xmlns=\"urn:ietf:params:xml:ns:recording:1\">\r\n\
         <requestreason xml:lang=\"en\">{escaped}</requestreason>\r\n\
         </requestsnapshot>\r\n"
    )
}

/// Kind of the identifier that comes in a GTD part.
pub(crate) const GCI: &str = "GCI";

/// Stands for a private text in debug output.
struct Dots;

impl fmt::Debug for Dots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("•••")
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self
            .vendor_headers
            .iter()
            .map(|(name, _)| (name, Dots))
            .collect();
        f.debug_struct("Recording")
            .field("participants", &self.participants)
            .field("streams", &self.streams)
            .field("identifiers", &self.identifiers)
            .field("vendor_headers", &headers)
            .field("is_user_recording", &self.is_user_recording)
            .field("ignored", &self.ignored)
            .finish()
    }
}

impl fmt::Debug for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Participant")
            .field("id", &self.id)
            .field("aor", &self.aor.as_ref().map(|_| Dots))
            .field("name", &self.name.as_ref().map(|_| Dots))
            .field("sends", &self.sends)
            .field("receives", &self.receives)
            .field("is_caller", &self.is_caller)
            .field("caller_said_by", &self.caller_said_by)
            .field("is_recorded_user", &self.is_recorded_user)
            .field("has_left", &self.has_left)
            .field("is_dummy", &self.is_dummy)
            .finish()
    }
}

#[cfg(test)]
mod tests;
