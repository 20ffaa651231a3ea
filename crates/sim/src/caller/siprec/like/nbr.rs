//! Cisco network-based recording: nothing says SIPREC, the parties are in header fields.

use super::plain::{HEAD, SDP};
use super::{Connection, Description, Head, Shape};

pub(super) const SHAPE: Shape = Shape {
    head: Head {
        require: None,
        supported: Some("timer,resource-priority,replaces"),
        contact: |uri| format!("<{uri}>"),
        users: ["5550150", "5550100"],
        more: |scene| {
            let mut headers = vec![("Cisco-Guid", scene.ids.guid_decimal())];
            for (line, stream) in scene.streams.iter().enumerate() {
                let uris = stream.speakers.iter().map(|&party| scene.aor(party));
                headers.extend(uris.map(|uri| {
                    let value = format!("<{uri}>;media-index=\"{line}\"");
                    ("X-Cisco-Recording-Participant", value)
                }));
            }
            headers
        },
        ..HEAD
    },
    sdp: Description {
        origin: "CiscoSystemsSIP-GW-UserAgent",
        name: "SIP Call",
        connection: Connection::Both,
        labels: ["", "", ""],
        ..SDP
    },
    metadata: None,
    guid: |scene| scene.ids.guid_decimal(),
    ..super::plain::SHAPE
};
