//! Oracle (Acme Packet): the metadata of an early draft, labels that are large numbers, and
//! extensions that say who called.

use super::metadata::base64;
use super::plain::{BODY, HEAD, SDP};
use super::{Body, Connection, Description, Early, Head, Scene, Shape};

pub(super) const SHAPE: Shape = Shape {
    early: Early::Same,
    head: Head {
        contact: |uri| format!("<{uri}>;+sip.src"),
        users: ["5550150", "acmeSrc"],
        more: |_| Vec::new(),
        ..HEAD
    },
    body: Body {
        boundary: "unique-boundary-1",
        preamble: "\r\n",
        close: "--unique-boundary-1-- \r\n",
        sdp: "Content-Type: application/sdp",
        ..BODY
    },
    sdp: Description {
        origin: "-",
        connection: Connection::Session,
        formats: [&[], &[super::EVENTS]],
        labels: ["16777301", "16777302", "16777303"],
        attributes: &["maxptime:150"],
        ..SDP
    },
    metadata: Some(draft),
    ..super::plain::SHAPE
};

fn draft(scene: &Scene) -> String {
    let (session, time) = (base64(scene.session), scene.bare_time());
    let ucid = scene.ids.ucid.wrapped();
    let mut xml = format!(
        "<?xml version='1.0' encoding='UTF-8'?>\n\
         <recording xmlns='urn:ietf:params:xml:ns:recording'>\n\
         \t<datamode>complete</datamode>\n\t<session id=\"{session}\">\n\
         \t\t<associate-time>{time}</associate-time>\n\
         \t\t<extensiondata xmlns:apkt=\"http:/acmepacket.com/siprec/extensiondata\">\n\
         \t\t\t<apkt:ucid>{ucid};encoding=hex</apkt:ucid>\n\
         \t\t\t<apkt:callerOrig>true</apkt:callerOrig>\n\
         \t\t</extensiondata>\n\t</session>\n"
    );
    for (index, party) in scene.participants.iter().enumerate() {
        let (id, aor, name) = (base64(party.id), scene.aor(index), &party.name);
        let sends = scene.sends(index).filter(|_| !scene.early || index == 0);
        let sends = sends.map(|stream| format!("\t\t<send>{}</send>\n", base64(stream.id)));
        let (sends, calls) = (sends.collect::<String>(), index == 0);
        xml += &format!(
            "\t<participant id=\"{id}\" session=\"{session}\">\n\
             \t\t<nameID aor=\"{aor}\">\n\t\t\t<name>{name}</name>\n\t\t</nameID>\n{sends}\
             \t\t<associate-time>{time}</associate-time>\n\
             \t\t<extensiondata xmlns:apkt=\"http://acmepacket.com/siprec/extensiondata\">\n\
             \t\t\t<apkt:callingParty>{calls}</apkt:callingParty>\n\
             \t\t</extensiondata>\n\t</participant>\n"
        );
    }
    let told = if scene.early { 1 } else { scene.streams.len() };
    for stream in &scene.streams[..told.min(scene.streams.len())] {
        let (id, label) = (base64(stream.id), &stream.label);
        xml += &format!(
            "\t<stream id=\"{id}\" session=\"{session}\">\n\t\t<label>{label}</label>\n\
             \t\t<mode>separate</mode>\n\t\t<associate-time>{time}</associate-time>\n\
             \t</stream>\n"
        );
    }
    xml + "</recording>"
}
