//! NetSapiens: a transfer is a new session of the same group, counted up.

use super::metadata::{RFC, Style, base64, complete};
use super::plain::{BODY, HEAD};
use super::{Body, Head, Scene, Shape};

pub(super) const SHAPE: Shape = Shape {
    transfer_anew: true,
    head: Head {
        more: |_| Vec::new(),
        ..HEAD
    },
    body: Body {
        boundary: "ns-boundary",
        close: "--ns-boundary--\r\n",
        ..BODY
    },
    metadata: Some(|scene| complete(scene, &STYLE)),
    guid: |scene| base64(scene.group),
    ..super::plain::SHAPE
};

const STYLE: Style = Style {
    group: |_| Some(String::new()),
    session: |scene| {
        let (from, to) = (&scene.ids.call_id, scene.ids.uuid);
        format!("<sipSessionID>{from};remote={to}</sipSessionID>\r\n")
    },
    last: extension,
    ..RFC
};

fn extension(scene: &Scene) -> String {
    let (caller, callee) = (&scene.participants[0].user, &scene.participants[1].user);
    format!(
        "<netsapiensExtension version=\"1.1\">\r\n<groupSeq>{}</groupSeq>\r\n\
         <callingParty>{caller}</callingParty>\r\n<calledParty>{callee}</calledParty>\r\n\
         </netsapiensExtension>\r\n",
        scene.sequence
    )
}
