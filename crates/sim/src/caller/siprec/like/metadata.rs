//! The recording metadata of RFC 7865, in the spellings that are on the wire.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use super::Scene;

/// How a dialect spells the RFC.
pub(super) struct Style {
    /// Before every element's name, with its colon.
    pub(super) prefix: &'static str,
    pub(super) namespace: &'static str,
    /// `datamode` or `dataMode`.
    pub(super) mode: &'static str,
    pub(super) id: fn(Uuid) -> String,
    /// The session's id.
    pub(super) session_id: fn(&Scene) -> String,
    pub(super) aor: fn(&Scene, usize) -> String,
    pub(super) time: fn(&Scene) -> String,
    /// Children of `group`; `None`: no group.
    pub(super) group: fn(&Scene) -> Option<String>,
    /// Further children of `session`.
    pub(super) session: fn(&Scene) -> String,
    /// Further children of a `participant`.
    pub(super) participant: fn(&Scene, usize) -> String,
    /// Whether streams and their associations are told.
    pub(super) streams: bool,
    /// What stands before the end.
    pub(super) last: fn(&Scene) -> String,
}

/// The spelling of the RFC's own examples.
pub(super) const RFC: Style = Style {
    prefix: "",
    namespace: "urn:ietf:params:xml:ns:recording:1",
    mode: "datamode",
    id: base64,
    session_id: |scene| base64(scene.session),
    aor: Scene::aor,
    time: Scene::time,
    group: |_| None,
    session: |_| String::new(),
    participant: |_, _| String::new(),
    streams: true,
    last: |_| String::new(),
};

/// 16 bytes in 24 letters.
pub(super) fn base64(id: Uuid) -> String {
    STANDARD.encode(id.as_bytes())
}

/// `urn:uuid:…`
pub(super) fn urn(id: Uuid) -> String {
    format!("urn:uuid:{id}")
}

/// A complete snapshot.
pub(super) fn complete(scene: &Scene, style: &Style) -> String {
    let p = style.prefix;
    let (session, time) = ((style.session_id)(scene), (style.time)(scene));
    let bound = p.trim_end_matches(':');
    let bound = if bound.is_empty() {
        String::new()
    } else {
        format!(":{bound}")
    };
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
         <{p}recording xmlns{bound}=\"{}\">\r\n<{p}{mode}>complete</{p}{mode}>\r\n",
        style.namespace,
        mode = style.mode,
    );
    let mut put = |text: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        xml.write_fmt(text).unwrap_or_default();
    };
    let group = (style.group)(scene);
    if let Some(group) = &group {
        let id = (style.id)(scene.group);
        put(format_args!(
            "<{p}group group_id=\"{id}\">\r\n\
             <{p}associate-time>{time}</{p}associate-time>{group}</{p}group>\r\n"
        ));
    }
    put(format_args!("<{p}session session_id=\"{session}\">\r\n"));
    if group.is_some() {
        let id = (style.id)(scene.group);
        put(format_args!("<{p}group-ref>{id}</{p}group-ref>\r\n"));
    }
    let more = (style.session)(scene);
    put(format_args!(
        "{more}<{p}start-time>{time}</{p}start-time>\r\n</{p}session>\r\n"
    ));
    put(format_args!("{}", participants(scene, style)));
    if style.streams {
        put(format_args!("{}", streams(scene, style, &session)));
    }
    put(format_args!("{}</{p}recording>", (style.last)(scene)));
    xml
}

fn participants(scene: &Scene, style: &Style) -> String {
    let p = style.prefix;
    let each = scene.participants.iter().enumerate().map(|(index, party)| {
        let (id, aor) = ((style.id)(party.id), (style.aor)(scene, index));
        let (name, more) = (&party.name, (style.participant)(scene, index));
        format!(
            "<{p}participant participant_id=\"{id}\">\r\n<{p}nameID aor=\"{aor}\">\
             <{p}name xml:lang=\"en\">{name}</{p}name></{p}nameID>{more}\r\n\
             </{p}participant>\r\n"
        )
    });
    each.collect()
}

fn streams(scene: &Scene, style: &Style, session: &str) -> String {
    let (p, time) = (style.prefix, (style.time)(scene));
    let mut xml = String::new();
    for stream in &scene.streams {
        let (id, label) = ((style.id)(stream.id), &stream.label);
        xml += &format!(
            "<{p}stream stream_id=\"{id}\" session_id=\"{session}\">\r\n\
             <{p}label>{label}</{p}label>\r\n</{p}stream>\r\n"
        );
    }
    xml += &format!(
        "<{p}sessionrecordingassoc session_id=\"{session}\">\r\n\
         <{p}associate-time>{time}</{p}associate-time>\r\n</{p}sessionrecordingassoc>\r\n"
    );
    for party in &scene.participants {
        let id = (style.id)(party.id);
        xml += &format!(
            "<{p}participantsessionassoc participant_id=\"{id}\" session_id=\"{session}\">\r\n\
             <{p}associate-time>{time}</{p}associate-time>\r\n</{p}participantsessionassoc>\r\n"
        );
    }
    for (index, party) in scene.participants.iter().enumerate() {
        let id = (style.id)(party.id);
        xml += &format!("<{p}participantstreamassoc participant_id=\"{id}\">\r\n");
        if !scene.early {
            for stream in scene.sends(index) {
                xml += &format!("<{p}send>{}</{p}send>\r\n", (style.id)(stream.id));
            }
            for stream in scene.hears(index) {
                xml += &format!("<{p}recv>{}</{p}recv>\r\n", (style.id)(stream.id));
            }
        }
        xml += &format!("</{p}participantstreamassoc>\r\n");
    }
    xml
}
