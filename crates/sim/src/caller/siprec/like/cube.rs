//! Cisco CUBE: both lines inactive until the callee answers, a third part that may be skipped.

use super::metadata::{RFC, Style, complete};
use super::plain::{BODY, HEAD, SDP};
use super::{Body, Connection, Description, EVENTS, Early, Head, Scene, Shape};

pub(super) const SHAPE: Shape = Shape {
    early: Early::Inactive,
    head: Head {
        require: Some("100rel,siprec"),
        supported: Some("timer,resource-priority,replaces,sdp-anat"),
        users: ["5550150", "5550100"],
        more: |scene| {
            let session = format!("{};remote={}", scene.ids.guid_hex(), scene.group.simple());
            vec![
                ("Min-SE", "1800".to_owned()),
                ("Cisco-Guid", scene.ids.guid_decimal()),
                ("Session-ID", session),
            ]
        },
        ..HEAD
    },
    body: Body {
        boundary: "uniqueBoundary",
        preamble: "\r\n",
        close: "--uniqueBoundary--\r\n",
        sdp: "Content-Disposition: session;handling=required\r\nContent-Type: application/sdp",
        metadata: "Content-Disposition: recording-session\r\n\
                   Content-Type: application/rs-metadata+xml",
        more: |scene| {
            let guid = scene.ids.guid_hex();
            Some(format!(
                "Content-Disposition: signal;handling=optional\r\n\
                 Content-Type: application/gtd\r\n\r\nIAM,\r\nGCI,{guid}"
            ))
        },
        ..BODY
    },
    sdp: Description {
        origin: "CiscoSystemsSIP-GW-UserAgent",
        name: "SIP Call",
        connection: Connection::Both,
        formats: [&[], &[EVENTS, (19, "CN/8000", "")]],
        ..SDP
    },
    metadata: Some(|scene| complete(scene, &STYLE)),
    guid: |scene| scene.ids.guid_decimal(),
    ..super::plain::SHAPE
};

const STYLE: Style = Style {
    session: sip_session,
    ..RFC
};

fn sip_session(scene: &Scene) -> String {
    let (ours, theirs) = (scene.ids.guid_hex(), scene.group.simple());
    format!("<sipSessionID>{ours};remote={theirs}</sipSessionID>\r\n")
}
