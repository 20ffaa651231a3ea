//! Ribbon (Sonus): a namespace prefix, a session timer always, addresses without a scheme, and the
//! caller on the second line.

use super::metadata::{RFC, Style, complete};
use super::plain::{BODY, HEAD, SDP};
use super::{Body, Connection, Description, Head, Scene, Shape};

pub(super) const SHAPE: Shape = Shape {
    order: [1, 0],
    head: Head {
        supported: Some("timer,100rel"),
        users: ["SIPREC-SRS", "SIPREC-SRC"],
        more: |_| {
            let accepted = "application/sdp, application/rs-metadata-request";
            vec![
                ("Accept", accepted.to_owned()),
                ("Session-Expires", "1800".to_owned()),
                ("Min-SE", "90".to_owned()),
            ]
        },
        ..HEAD
    },
    body: Body {
        boundary: "sonus-content-delim",
        preamble: "\r\n",
        close: "",
        sdp: "Content-Disposition: session; handling=required\r\nContent-Type: application/sdp",
        metadata: "Content-Disposition: recording-session\r\n\
                   Content-Type: application/rs-metadata+xml",
        ..BODY
    },
    sdp: Description {
        origin: "Sonus_UAC",
        name: "SIP Media Capabilities",
        connection: Connection::Media,
        attributes: &["maxptime:20"],
        ..SDP
    },
    metadata: Some(|scene| complete(scene, &STYLE)),
    guid: |scene| scene.ids.number.to_string(),
    ..super::plain::SHAPE
};

const STYLE: Style = Style {
    prefix: "tns:",
    namespace: "urn:ietf:params:xml:ns:recording",
    aor: Scene::address,
    group: |scene| Some(call_data(scene)),
    ..RFC
};

fn call_data(scene: &Scene) -> String {
    let (from, to) = (scene.aor(0), scene.aor(1));
    let (call_id, number) = (&scene.ids.call_id, scene.ids.number);
    format!(
        "<callData xmlns='urn:ietf:params:xml:ns:callData'>\r\n\
         <fromhdr>\"Extension\" &lt;{from}&gt;;tag=a1</fromhdr>\r\n\
         <tohdr>&lt;{to}&gt;;tag=b2</tohdr>\r\n\
         <callid>{call_id}</callid>\r\n<gcid>{number}</gcid>\r\n</callData>\r\n"
    )
}
