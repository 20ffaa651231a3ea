//! BroadWorks and Webex Calling: no `Require`, another root element, addresses as elements.

use super::metadata::urn;
use super::plain::{BODY, HEAD, SDP};
use super::{Body, Description, Head, Hold, Scene, Shape};

pub(super) const SHAPE: Shape = Shape {
    hold: Hold::ZeroAddress,
    head: Head {
        require: None,
        supported: Some(""),
        contact: |uri| format!("<{uri}>;src"),
        users: ["5550150", "5550199"],
        more: |scene| {
            let id = scene.ids.uuid.to_string();
            vec![
                ("X-BroadWorks-Correlation-Info", id),
                ("Recv-Info", String::new()),
            ]
        },
        ..HEAD
    },
    body: Body {
        boundary: "UniqueBroadWorksBoundary",
        close: "--UniqueBroadWorksBoundary--\r\n",
        sdp: "Content-Type:application/sdp",
        metadata: "Content-Type:application/rs-metadata+xml\r\n\
                   Content-Disposition:recording-session",
        metadata_first: true,
        ..BODY
    },
    sdp: Description {
        origin: "BroadWorks",
        mapped: false,
        directed: true,
        ..SDP
    },
    metadata: Some(metadata),
    guid: |scene| scene.ids.uuid.to_string(),
    ..super::plain::SHAPE
};

fn metadata(scene: &Scene) -> String {
    let (session, group) = (urn(scene.session), urn(scene.group));
    let (time, id) = (scene.time(), scene.ids.uuid);
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
         <recording_metadata xmlns=\"urn:ietf:params:xml:ns:siprec\">\r\n\
         <dataMode>complete</dataMode>\r\n<group id=\"{group}\"/>\r\n\
         <session id=\"{session}\" group=\"{group}\">\r\n<start-time>{time}</start-time>\r\n\
         </session>\r\n"
    );
    for (index, party) in scene.participants.iter().enumerate() {
        let (party_id, aor) = (urn(party.id), scene.aor(index));
        let sends = scene.sends(index);
        let sends = sends.map(|stream| format!("<send><id>{}</id></send>\r\n", urn(stream.id)));
        xml += &format!(
            "<participant id=\"{party_id}\" session=\"{session}\">\r\n<aor>{aor}</aor>\r\n\
             <name>{}</name>\r\n{}</participant>\r\n",
            party.name,
            sends.collect::<String>(),
        );
    }
    for stream in &scene.streams {
        xml += &format!(
            "<stream id=\"{}\" session=\"{session}\">\r\n<label>{}</label>\r\n</stream>\r\n",
            urn(stream.id),
            stream.label
        );
    }
    let (caller, callee) = (&scene.participants[0].user, &scene.participants[1].user);
    xml + &format!(
        "<extensiondata id=\"{}\" parent=\"{session}\">\r\n<broadWorksRecordingMetadata \
         xmlns=\"http://schema.broadsoft.com/broadworksCallRecording\">\r\n\
         <extTrackingID>{id}</extTrackingID>\r\n<callID>callhalf-{}:0</callID>\r\n\
         <callType><termCall><calledNumber>{callee}</calledNumber>\r\n\
         <callingPartyNumber>{caller}</callingPartyNumber></termCall></callType>\r\n\
         </broadWorksRecordingMetadata>\r\n</extensiondata>\r\n</recording_metadata>",
        urn(scene.ids.uuid),
        scene.ids.number,
    )
}
