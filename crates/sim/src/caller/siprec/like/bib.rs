//! A Cisco phone's own forks: two dialogs with one line each, without an offer of ours.

use super::plain::SDP;
use super::{Connection, Description, Head, Lines, Scene, Shape};

pub(super) const SHAPE: Shape = Shape {
    lines: Lines::Dialogs,
    // The near end is the phone's own party: the one that was called.
    order: [1, 0],
    head: Head {
        require: None,
        supported: Some("timer,replaces"),
        contact: |uri| format!("<{uri}>;isFocus"),
        users: ["5550150", "5550199"],
        from,
        more: |scene| {
            vec![
                ("Cisco-Guid", scene.ids.guid_decimal()),
                ("Session-Expires", "1800".to_owned()),
                ("Min-SE", "1800".to_owned()),
            ]
        },
    },
    sdp: Description {
        origin: "CiscoSystemsCCM-SIP",
        name: "SIP Call",
        connection: Connection::Session,
        labels: ["", "", ""],
        ..SDP
    },
    metadata: None,
    guid: |scene| scene.ids.guid_decimal(),
    ..super::plain::SHAPE
};

fn from(scene: &Scene) -> String {
    let near = scene
        .streams
        .iter()
        .any(|stream| stream.speakers.contains(&1));
    let which = if near { "x-nearend" } else { "x-farend" };
    let reference = scene.ids.number;
    format!(
        ";{which};x-refci={reference};x-nearendclusterid=cluster;x-nearenddevice=SEP000000000001;\
         x-nearendaddr={};x-farendrefci={};x-farendaddr={}",
        scene.participants[1].user,
        reference.wrapping_add(1),
        scene.participants[0].user,
    )
}
