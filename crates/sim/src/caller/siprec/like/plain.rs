//! What the RFCs say, with a UCID in `User-to-User`.

use super::metadata::{RFC, complete};
use super::{Body, Connection, Description, EVENTS, Early, Head, Hold, Lines, Shape};

pub(super) const HEAD: Head = Head {
    require: Some("siprec"),
    supported: Some("timer, replaces"),
    contact: |uri| format!("<{uri}>;+sip.src"),
    users: ["srs", "src"],
    from: |_| String::new(),
    more: |scene| {
        let ucid = scene.ids.ucid.wrapped();
        vec![("User-to-User", format!("{ucid};encoding=hex"))]
    },
};

pub(super) const BODY: Body = Body {
    boundary: "boundary-of-the-source",
    preamble: "",
    close: "--boundary-of-the-source--\r\n",
    sdp: "Content-Type: application/sdp\r\nContent-Disposition: session;handling=required",
    metadata: "Content-Type: application/rs-metadata+xml\r\n\
               Content-Disposition: recording-session",
    metadata_first: false,
    more: |_| None,
};

pub(super) const SDP: Description = Description {
    origin: "src",
    name: "-",
    connection: Connection::Session,
    formats: [&[], &[EVENTS]],
    mapped: true,
    labels: ["1", "2", "3"],
    attributes: &["ptime:20"],
    directed: true,
};

pub(super) const SHAPE: Shape = Shape {
    lines: Lines::Two,
    order: [0, 1],
    early: Early::Same,
    hold: Hold::Inactive,
    transfer_anew: false,
    head: HEAD,
    body: BODY,
    sdp: SDP,
    metadata: Some(|scene| complete(scene, &RFC)),
    guid: |scene| scene.ids.ucid.decimal(),
};
