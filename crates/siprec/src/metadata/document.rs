//! One metadata document, taken apart and not yet merged: RFC 7865 §9 and its drafts.

use super::vendor::{self, Said};
use super::xml::Element;
use super::{BadMetadata, MetadataLimits, Participant, Stream};

/// Elements that tell when something ended.
const ENDS: [&str; 5] = [
    "disassociate-time",
    "disassociate_time",
    "end-time",
    "stop",
    "stop-time",
];

/// What one document says.
#[derive(Default)]
pub(super) struct Document {
    pub(super) is_partial: bool,
    pub(super) participants: Vec<Participant>,
    /// Streams, and whether they have ended.
    pub(super) streams: Vec<(Stream, bool)>,
    /// Ids of sessions and groups.
    pub(super) others: Vec<String>,
    pub(super) associations: Vec<Association>,
    /// Ids of participants with a session, and whether they have left it.
    pub(super) memberships: Vec<(String, bool)>,
    pub(super) identifiers: Vec<(&'static str, String)>,
    pub(super) vendor: Said,
}

/// Who sends and receives what.
#[derive(Default)]
pub(super) struct Association {
    pub(super) participant: String,
    pub(super) sends: Vec<String>,
    pub(super) receives: Vec<String>,
    pub(super) has_ended: bool,
}

/// Reads a document from its root.
pub(super) fn read(root: Element<'_>, limits: &MetadataLimits) -> Result<Document, BadMetadata> {
    if !root.is("recording") && !root.is("recording_metadata") {
        return Err(BadMetadata::NotRecording);
    }
    let mut reader = Reader {
        document: Document::default(),
        limits,
    };
    reader.identifier("group_id", root.attribute(&["id"]));
    reader.children(root);
    reader.document.vendor = vendor::read(root, limits);
    reader.document.vendor.is_user_recording |= root.is("recording_metadata");
    Ok(reader.document)
}

/// A text of the document, as long as it may be.
pub(super) fn bounded(text: &str, limits: &MetadataLimits) -> String {
    text.chars().take(limits.text_chars_max).collect()
}

struct Reader<'l> {
    document: Document,
    limits: &'l MetadataLimits,
}

impl Reader<'_> {
    /// Early drafts have participants and streams inside their session.
    fn children(&mut self, parent: Element<'_>) {
        for child in parent.children() {
            match child.name().to_ascii_lowercase().as_str() {
                "datamode" => {
                    let mode = child.text().unwrap_or_default();
                    self.document.is_partial = mode.eq_ignore_ascii_case("partial");
                }
                "group" => self.container(child, "group_id"),
                "participant" => self.participant(child),
                "participantsessionassoc" => self.membership(child),
                "participantstreamassoc" => self.association(child),
                "session" => self.container(child, "session_id"),
                "stream" => self.stream(child),
                _ => {}
            }
        }
    }

    fn container(&mut self, element: Element<'_>, kind: &'static str) {
        let id = element.attribute(&[kind, "id"]);
        self.identifier(kind, id);
        if let Some(id) = id {
            self.document.others.push(bounded(id, self.limits));
        }
        for child in element.children().filter(|child| child.is("sipSessionID")) {
            self.identifier("sipSessionID", child.text().as_deref());
        }
        self.children(element);
    }

    fn participant(&mut self, element: Element<'_>) {
        let text = |text: String| bounded(&text, self.limits);
        let name_id = element.child("nameID");
        let aor_element = |parent: Element<'_>| parent.child("aor").and_then(Element::text);
        let aor = name_id
            .and_then(|name_id| name_id.attribute(&["aor"]).map(str::to_owned))
            .or_else(|| name_id.and_then(aor_element))
            .or_else(|| element.attribute(&["aor"]).map(str::to_owned))
            .or_else(|| aor_element(element));
        let name = name_id
            .and_then(|name_id| name_id.child("name"))
            .or_else(|| element.child("name"))
            .and_then(Element::text);
        let (caller_said_by, is_caller) = vendor::calling_flag(element).unzip();
        self.document.participants.push(Participant {
            id: self.id(element, &["participant_id", "id"]),
            is_dummy: aor.as_deref().is_some_and(vendor::is_dummy),
            aor: aor.map(text),
            name: name.map(text),
            sends: self.stream_ids(element, "send"),
            receives: self.stream_ids(element, "recv"),
            is_caller,
            caller_said_by,
            is_recorded_user: None,
            has_left: has_ended(element),
        });
    }

    fn stream(&mut self, element: Element<'_>) {
        let mode = element.child("mode").and_then(Element::text);
        let label = element
            .child("label")
            .and_then(Element::text)
            .or_else(|| element.attribute(&["label"]).map(str::to_owned));
        let stream = Stream {
            id: self.id(element, &["stream_id", "id"]),
            label: label.map(|label| bounded(&label, self.limits)),
            is_mixed: mode.is_some_and(|mode| mode.eq_ignore_ascii_case("mixed")),
        };
        self.document.streams.push((stream, has_ended(element)));
    }

    fn association(&mut self, element: Element<'_>) {
        self.document.associations.push(Association {
            participant: self.id(element, &["participant_id", "participant", "id"]),
            sends: self.stream_ids(element, "send"),
            receives: self.stream_ids(element, "recv"),
            has_ended: has_ended(element),
        });
    }

    fn membership(&mut self, element: Element<'_>) {
        let participant = self.id(element, &["participant_id", "participant", "id"]);
        let has_left = has_ended(element);
        self.document.memberships.push((participant, has_left));
    }

    fn identifier(&mut self, kind: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            let value = bounded(value, self.limits);
            self.document.identifiers.push((kind, value));
        }
    }

    fn id(&self, element: Element<'_>, names: &[&str]) -> String {
        bounded(element.attribute(names).unwrap_or_default(), self.limits)
    }

    /// Ids of the streams in `send` or `recv`: as text, as attribute, or as `id` elements.
    fn stream_ids(&self, element: Element<'_>, name: &str) -> Vec<String> {
        let found = element.children().filter(|child| child.is(name));
        let ids = found.flat_map(|child| {
            let inner = child.children().filter(|inner| inner.is("id"));
            let own = child
                .text()
                .or_else(|| child.attribute(&["stream_id", "id"]).map(str::to_owned));
            own.into_iter().chain(inner.filter_map(Element::text))
        });
        let ids = ids.take(self.limits.streams_max);
        ids.map(|id| bounded(&id, self.limits)).collect()
    }
}

fn has_ended(element: Element<'_>) -> bool {
    element
        .children()
        .any(|child| ENDS.iter().any(|end| child.is(end)))
}
