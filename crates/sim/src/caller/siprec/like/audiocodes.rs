//! AudioCodes Mediant: a feature tag without its `+sip.`, Opus among the formats, the UCID without
//! its protocol byte.

use super::metadata::{RFC, Style, complete};
use super::plain::{BODY, HEAD, SDP};
use super::{Body, Connection, Description, Head, Shape};

pub(super) const SHAPE: Shape = Shape {
    head: Head {
        contact: |uri| format!("<{uri}>;src"),
        users: ["5550150", "5550100"],
        more: |scene| {
            let agent = "Mediant SW/v.7.40A.500.781".to_owned();
            let id = scene.ids.uuid.simple().to_string();
            vec![("User-Agent", agent), ("x-audc-call-id", id)]
        },
        ..HEAD
    },
    body: Body {
        boundary: "boundary_ac1b7",
        close: "--boundary_ac1b7--\r\n",
        ..BODY
    },
    sdp: Description {
        origin: "AudiocodesGW",
        name: "SBC-Call",
        connection: Connection::Media,
        formats: [
            &[],
            &[
                (111, "OPUS/48000/2", "useinbandfec=1"),
                (126, "telephone-event/8000", "0-15"),
            ],
        ],
        ..SDP
    },
    metadata: Some(|scene| complete(scene, &STYLE)),
    ..super::plain::SHAPE
};

const STYLE: Style = Style {
    session: |scene| {
        let ucid = scene.ids.ucid.wrapped();
        let ucid = ucid.trim_start_matches("00");
        format!("<ac:AvayaUCID xmlns:ac=\"urn:ietf:params:xml:ns:Avaya\">{ucid}</ac:AvayaUCID>\r\n")
    },
    ..RFC
};
