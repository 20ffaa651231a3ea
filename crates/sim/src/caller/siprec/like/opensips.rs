//! OpenSIPS before 2024: no streams in the metadata; the first label is the first participant's.

use super::metadata::{RFC, Style, complete};
use super::plain::{BODY, HEAD, SDP};
use super::{Body, Description, Head, Shape};

pub(super) const SHAPE: Shape = Shape {
    head: Head {
        supported: None,
        contact: |uri| format!("<{uri}>; +sip.src"),
        more: |_| Vec::new(),
        ..HEAD
    },
    body: Body {
        boundary: "OSS-unique-boundary-42",
        preamble: "\r\n",
        close: "--OSS-unique-boundary-42--",
        sdp: "Content-Type: application/sdp",
        ..BODY
    },
    sdp: Description {
        origin: "-",
        formats: [&[], &[(108, "telephone-event/8000", "0-16")]],
        labels: ["0", "1", "2"],
        attributes: &["maxptime:150", "3gOoBTC"],
        ..SDP
    },
    metadata: Some(|scene| complete(scene, &STYLE)),
    guid: |scene| scene.ids.call_id.clone(),
    ..super::plain::SHAPE
};

const STYLE: Style = Style {
    time: |scene| format!("{}+0000", scene.bare_time()),
    session: |scene| format!("<sipSessionID>{}</sipSessionID>\r\n", scene.ids.call_id),
    streams: false,
    ..RFC
};
