//! Avaya SBCE: the feature tag inside the brackets, the UCID in every message and as session id,
//! and a made-up participant until the true one is known.

use uuid::Uuid;

use super::metadata::{RFC, Style, complete};
use super::plain::{BODY, HEAD, SDP};
use super::{Body, Description, Early, Head, Scene, Shape};
use crate::caller::siprec::scene::Participant;

pub(super) const SHAPE: Shape = Shape {
    early: Early::OneLine,
    head: Head {
        supported: Some("replaces, 100rel"),
        contact: |uri| format!("<{uri};+sip.src>"),
        users: ["5550150", "ASBCE"],
        more: |scene| {
            let ucid = scene.ids.ucid.wrapped();
            vec![
                ("User-to-User", format!("{ucid};encoding=hex")),
                (
                    "Allow",
                    "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE".to_owned(),
                ),
            ]
        },
        ..HEAD
    },
    body: Body {
        boundary: "foobar",
        preamble: "\r\n",
        close: "--foobar--\r\n",
        sdp: "Content-Type: application/sdp",
        ..BODY
    },
    sdp: Description {
        origin: "-",
        name: "SipCall",
        formats: [
            &[(18, "G729/8000", "annexb=no")],
            &[(97, "telephone-event/8000", "0-15")],
        ],
        labels: ["10", "20", "30"],
        ..SDP
    },
    metadata: Some(metadata),
    ..super::plain::SHAPE
};

const STYLE: Style = Style {
    mode: "dataMode",
    id: short_hex,
    session_id: |scene| scene.ids.ucid.wrapped(),
    time: Scene::bare_time,
    ..RFC
};

fn short_hex(id: Uuid) -> String {
    id.simple().to_string()[..20].to_owned()
}

fn metadata(scene: &Scene) -> String {
    if !scene.early {
        return complete(scene, &STYLE);
    }
    let mut scene = scene.clone();
    scene.participants.truncate(1);
    scene.participants.push(Participant::new("ASBCE", "ASBCE"));
    let label = SHAPE.sdp.labels[1];
    let empty = format!(
        "<stream stream_id=\"\" session_id=\"{}\">\r\n<label>{label}</label>\r\n</stream>\r\n\
         </recording>",
        scene.ids.ucid.wrapped()
    );
    scene.early = false;
    complete(&scene, &STYLE).replace("</recording>", &empty)
}
