//! Metaswitch CFS: one line with both parties, held by its address, metadata of the old type.

use super::metadata::urn;
use super::plain::{BODY, HEAD, SDP};
use super::{Body, Description, Head, Hold, Lines, Scene, Shape};

pub(super) const SHAPE: Shape = Shape {
    lines: Lines::Mixed,
    hold: Hold::ZeroAddress,
    head: Head {
        users: ["srs", "5550199"],
        more: |_| Vec::new(),
        ..HEAD
    },
    body: Body {
        boundary: "cfs-boundary",
        close: "--cfs-boundary--\r\n",
        sdp: "Content-Type: application/sdp",
        metadata: "Content-Type: application/rs-metadata\r\n\
                   Content-Disposition: recording-session",
        ..BODY
    },
    sdp: Description {
        origin: "-",
        formats: [&[(18, "", "")], &[super::EVENTS]],
        mapped: false,
        attributes: &[],
        directed: false,
        ..SDP
    },
    metadata: Some(metadata),
    guid: |scene| scene.dialog.clone(),
    ..super::plain::SHAPE
};

fn metadata(scene: &Scene) -> String {
    let (session, time) = (urn(scene.session), scene.time());
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
         <recording xmlns=\"urn:ietf:params:xml:ns:recording\" id=\"{}\">\r\n\
         <datamode>complete</datamode>\r\n<session session_id=\"{session}\">\r\n\
         <start-time>{time}</start-time>\r\n</session>\r\n",
        urn(scene.group)
    );
    for (index, party) in scene.participants.iter().enumerate() {
        let (id, aor) = (urn(party.id), scene.aor(index));
        let sends = scene.sends(index);
        let sends = sends.map(|stream| format!("<send>{}</send>\r\n", urn(stream.id)));
        xml += &format!(
            "<participant id=\"{id}\" session=\"{session}\">\r\n<nameID aor=\"{aor}\"/>\r\n{}\
             </participant>\r\n",
            sends.collect::<String>()
        );
    }
    for stream in &scene.streams {
        xml += &format!(
            "<stream id=\"{}\" session=\"{session}\">\r\n<label>{}</label>\r\n\
             <mode>mixed</mode>\r\n</stream>\r\n",
            urn(stream.id),
            stream.label
        );
    }
    let (caller, callee) = (&scene.participants[0].user, &scene.participants[1].user);
    xml + &format!(
        "<extensiondata>\r\n<metaswitchRecordingMetadata>\r\n<callType>terminating</callType>\r\n\
         <recordedParty>{callee}</recordedParty>\r\n<otherParty>{caller}</otherParty>\r\n\
         </metaswitchRecordingMetadata>\r\n</extensiondata>\r\n</recording>"
    )
}
