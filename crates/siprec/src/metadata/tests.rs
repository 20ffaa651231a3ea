use proptest::prelude::*;

use super::*;

const NS: &str = "xmlns=\"urn:ietf:params:xml:ns:recording:1\"";

fn apply(recording: &mut Recording, xml: &str) -> Result<Applied, BadMetadata> {
    apply_bytes(recording, xml.as_bytes(), None)
}

fn apply_bytes(
    recording: &mut Recording,
    bytes: &[u8],
    charset: Option<&str>,
) -> Result<Applied, BadMetadata> {
    recording.apply(&Metadata {
        bytes: bytes.to_vec(),
        charset: charset.map(str::to_owned),
    })
}

fn read(xml: &str) -> Recording {
    let mut recording = Recording::default();
    assert_eq!(apply(&mut recording, xml), Ok(Applied::Complete));
    recording
}

fn recording(inner: &str) -> String {
    format!("<recording {NS}>{inner}</recording>")
}

fn partial(inner: &str) -> String {
    recording(&format!("<datamode>partial</datamode>{inner}"))
}

/// Two parties, two streams, in the RFC's dialect.
fn two_parties() -> String {
    recording(
        "<datamode>complete</datamode><session session_id=\"s1\"/>\
         <participant participant_id=\"p1\"><nameID aor=\"sip:5550100@192.0.2.1\">\
         <name>Ann</name></nameID></participant>\
         <participant participant_id=\"p2\"><nameID aor=\"sip:2001@192.0.2.2\"/></participant>\
         <stream stream_id=\"m1\" session_id=\"s1\"><label>1</label></stream>\
         <stream stream_id=\"m2\" session_id=\"s1\"><label>2</label></stream>\
         <participantstreamassoc participant_id=\"p1\"><send>m1</send><recv>m2</recv>\
         </participantstreamassoc>\
         <participantstreamassoc participant_id=\"p2\"><send>m2</send><recv>m1</recv>\
         </participantstreamassoc>",
    )
}

#[test]
fn a_snapshot_of_the_rfcs_dialect_is_read() {
    let recording = read(&two_parties());
    assert_eq!(recording.participants.len(), 2);
    let first = &recording.participants[0];
    assert_eq!(first.id, "p1");
    assert_eq!(first.aor.as_deref(), Some("sip:5550100@192.0.2.1"));
    assert_eq!(first.name.as_deref(), Some("Ann"));
    assert_eq!(
        (first.sends.as_slice(), first.receives.as_slice()),
        (&["m1".into()][..], &["m2".into()][..])
    );
    assert_eq!(recording.streams[1].label.as_deref(), Some("2"));
    assert_eq!(recording.identifiers, [("session_id", "s1".to_owned())]);
}

#[test]
fn any_namespace_prefix_and_root_of_the_drafts_will_do() {
    let inner = two_parties();
    for (root, namespace) in [
        ("recording", ""),
        ("recording", "xmlns='urn:ietf:params:xml:ns:recording'"),
        (
            "recording_metadata",
            "xmlns='urn:ietf:params:xml:ns:siprec'",
        ),
    ] {
        let xml = inner
            .replace(NS, namespace)
            .replace("recording ", &format!("{root} "));
        let xml = xml.replace("/recording>", &format!("/{root}>"));
        assert_eq!(
            read(&xml).participants,
            read(&inner).participants,
            "{root} {namespace}"
        );
    }
    let prefixed = inner
        .replace("</", "</tns:")
        .replace('<', "<tns:")
        .replace("<tns:/tns:", "</tns:");
    let prefixed = prefixed.replace("xmlns=", "xmlns:tns=");
    assert_eq!(read(&prefixed).participants, read(&inner).participants);
}

#[test]
fn ids_of_the_drafts_are_read_and_may_be_mixed_with_those_of_the_rfc() {
    let xml = two_parties().replace("<participant participant_id", "<participant id");
    let xml = xml
        .replace("<stream stream_id", "<stream id")
        .replace("session session_id", "session id");
    assert_eq!(read(&xml), read(&two_parties()));
}

#[test]
fn an_address_is_an_attribute_or_an_element() {
    for address in [
        "<nameID aor=\"5550100@h\"><name> </name></nameID>",
        "<nameId AOR=\" 5550100@h \"/>",
        "<aor>5550100@h</aor>",
        "<nameID><aor> 5550100@h</aor></nameID>",
    ] {
        let xml = recording(&format!("<participant id=\"p\">{address}</participant>"));
        let found = &read(&xml).participants[0];
        assert_eq!(found.aor.as_deref(), Some("5550100@h"), "{address}");
        assert_eq!(found.name, None);
    }
}

#[test]
fn a_participant_may_say_itself_what_it_sends() {
    for send in [
        "<send>m1</send>",
        "<send><id>m1</id></send>",
        "<send id=\"m1\"/>",
    ] {
        let xml = recording(&format!("<participant id=\"p\">{send}</participant>"));
        assert_eq!(read(&xml).participants[0].sends, ["m1"], "{send}");
    }
}

#[test]
fn an_association_without_streams_says_that_nothing_is_sent() {
    let mut known = read(&two_parties());
    let hold = partial("<participantstreamassoc participant_id=\"p1\"/>");
    assert_eq!(apply(&mut known, &hold), Ok(Applied::Partial));
    assert!(known.participants[0].sends.is_empty() && known.participants[0].receives.is_empty());
    assert_eq!(known.participants[1].sends, ["m2"]);
}

#[test]
fn several_streams_may_be_sent_in_one_association_or_in_several() {
    let both = "<send>m1</send><send>m2</send>";
    let apart = "<send>m1</send></participantstreamassoc>\
                 <participantstreamassoc participant_id=\"p\"><send>m2</send>";
    for sends in [both, apart] {
        let xml = recording(&format!(
            "<participant participant_id=\"p\"/><participantstreamassoc participant_id=\"p\">\
             {sends}</participantstreamassoc>"
        ));
        assert_eq!(read(&xml).participants[0].sends, ["m1", "m2"]);
    }
}

#[test]
fn the_mode_is_read_in_both_spellings_and_is_complete_if_nothing_is_said() {
    for mode in [
        "<dataMode>partial</dataMode>",
        "<datamode> Partial </datamode>",
    ] {
        let mut known = read(&two_parties());
        assert_eq!(apply(&mut known, &recording(mode)), Ok(Applied::Partial));
        assert_eq!(known.participants.len(), 2);
    }
    let mut known = read(&two_parties());
    assert_eq!(apply(&mut known, &recording("")), Ok(Applied::Complete));
    assert_eq!(known, Recording::default());
}

#[test]
fn a_partial_update_adds_and_changes_and_removes() {
    let mut known = read(&two_parties());
    let update = partial(
        "<participant participant_id=\"p2\"><nameID aor=\"sip:2002@192.0.2.2\"/></participant>\
         <participant participant_id=\"p3\"><nameID aor=\"sip:2003@192.0.2.3\"/></participant>\
         <participantsessionassoc participant_id=\"p1\" session_id=\"s1\">\
         <disassociate-time>2024-01-01T00:00:00Z</disassociate-time></participantsessionassoc>\
         <stream stream_id=\"m1\"><label>7</label></stream>\
         <participantstreamassoc participant_id=\"p3\"><send>m1</send></participantstreamassoc>",
    );
    assert_eq!(apply(&mut known, &update), Ok(Applied::Partial));
    assert_eq!(known.participants.len(), 3);
    assert!(known.participants[0].has_left && !known.participants[1].has_left);
    assert_eq!(
        known.participants[1].aor.as_deref(),
        Some("sip:2002@192.0.2.2")
    );
    assert_eq!(known.participants[1].sends, ["m2"]);
    assert_eq!(known.participants[2].sends, ["m1"]);
    assert_eq!(known.streams[0].label.as_deref(), Some("7"));
}

#[test]
fn an_association_that_has_ended_takes_its_streams_away() {
    let mut known = read(&two_parties());
    let update = partial(
        "<participantstreamassoc participant_id=\"p1\"><send>m1</send>\
         <disassociate-time>2024-01-01T00:00:00Z</disassociate-time></participantstreamassoc>\
         <stream stream_id=\"m1\"><disassociate-time>2024-01-01T00:00:00Z</disassociate-time>\
         </stream>",
    );
    assert_eq!(apply(&mut known, &update), Ok(Applied::Partial));
    assert!(known.participants[0].sends.is_empty());
    assert_eq!(known.streams.len(), 1);
}

#[test]
fn a_participant_that_left_one_of_its_sessions_stays() {
    let gone = "<disassociate-time>x</disassociate-time>";
    let of = |session: &str, gone: &str| {
        format!(
            "<participantsessionassoc participant_id=\"p\" session_id=\"{session}\">{gone}\
             </participantsessionassoc>"
        )
    };
    let participant = "<participant participant_id=\"p\"/>";
    let one = format!("{participant}{}{}", of("a", gone), of("b", ""));
    assert!(!read(&recording(&one)).participants[0].has_left);
    let both = format!("{participant}{}{}", of("a", gone), of("b", gone));
    assert!(read(&recording(&both)).participants[0].has_left);
    let stopped = "<participant id=\"p\"><stop-time>x</stop-time></participant>";
    assert!(read(&recording(stopped)).participants[0].has_left);
}

#[test]
fn a_partial_update_that_names_what_nobody_knows_has_lost_its_state() {
    for inner in [
        "<participantstreamassoc participant_id=\"p9\"><send>m1</send></participantstreamassoc>",
        "<participantsessionassoc participant_id=\"p9\" session_id=\"s1\"/>",
        "<participantstreamassoc participant_id=\"p1\"><send>m9</send></participantstreamassoc>",
    ] {
        let mut known = read(&two_parties());
        let both = format!("<participant participant_id=\"p5\"/>{inner}");
        assert_eq!(
            apply(&mut known, &partial(&both)),
            Ok(Applied::StateLost),
            "{inner}"
        );
        assert_eq!(
            known.participants.len(),
            3,
            "what could be merged was merged"
        );
    }
}

#[test]
fn a_snapshot_may_name_what_another_client_defined() {
    let inner = "<participantstreamassoc participant_id=\"p9\"><send>m9</send>\
                 </participantstreamassoc>";
    let xml = two_parties().replace("</recording>", &format!("{inner}</recording>"));
    assert_eq!(read(&xml).participants.len(), 2);
}

#[test]
fn an_id_that_names_two_elements_names_the_first_one() {
    let xml = recording(
        "<stream stream_id=\"x\"><label>1</label></stream><participant participant_id=\"x\"/>\
         <stream stream_id=\"x\"><label>2</label></stream>\
         <participant participant_id=\"y\"><nameID aor=\"a@h\"/></participant>\
         <participant participant_id=\"y\"><nameID aor=\"b@h\"/></participant>",
    );
    let read = read(&xml);
    assert_eq!(read.streams.len(), 1);
    assert_eq!(read.streams[0].label.as_deref(), Some("1"));
    assert_eq!(read.participants.len(), 1);
    assert_eq!(read.participants[0].aor.as_deref(), Some("a@h"));
    assert_eq!(read.ignored, 3);
}

#[test]
fn a_participant_repeated_for_each_of_its_sessions_is_one() {
    let xml = recording(
        "<participant id=\"p\" session=\"a\"><aor>a@h</aor><send>m1</send></participant>\
         <participant id=\"p\" session=\"b\"><aor>a@h</aor><send>m2</send></participant>",
    );
    let read = read(&xml);
    assert_eq!(read.participants.len(), 1);
    assert_eq!(read.participants[0].sends, ["m1", "m2"]);
    assert_eq!(read.ignored, 0);
}

#[test]
fn a_stream_with_an_empty_id_is_kept_and_nobody_sends_it() {
    let xml = recording(
        "<stream stream_id=\"\"><label>20</label></stream><participant participant_id=\"p\">\
         <nameID aor=\"sip:ASBCE@sbc.example\"/></participant>\
         <participantstreamassoc participant_id=\"p\"><send></send></participantstreamassoc>",
    );
    let read = read(&xml);
    assert_eq!(read.streams[0].label.as_deref(), Some("20"));
    assert!(read.participants[0].is_dummy && read.participants[0].sends.is_empty());
}

#[test]
fn bytes_round_the_document_are_cut_away() {
    let xml = two_parties();
    for text in [
        format!("\r\n\r\n <?xml version=\"1.0\"?>{xml}"),
        format!("\u{feff}<?xml version=\"1.0\"?><!-- <x> -->{xml}"),
        format!("{xml}\0\0--garbage <&"),
        format!(
            "{}\r\n--foobar--",
            xml.replace("</recording>", "</recording >")
        ),
    ] {
        assert_eq!(read(&text).participants.len(), 2, "{text}");
    }
}

#[test]
fn every_charset_a_client_may_write_is_read() {
    let xml = recording("<participant id=\"p\"><name>Zoë €</name></participant>");
    let name = |bytes: &[u8], charset| {
        let mut recording = Recording::default();
        apply_bytes(&mut recording, bytes, charset).unwrap();
        recording.participants[0].name.clone().unwrap()
    };
    let latin: Vec<u8> = xml
        .chars()
        .map(|c| {
            if c == '€' {
                0x80
            } else {
                u8::try_from(u32::from(c)).unwrap()
            }
        })
        .collect();
    let declared = [
        &b"<?xml version='1.0' encoding = 'Windows-1252'?>"[..],
        &latin,
    ]
    .concat();
    let big: Vec<u8> = xml.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let little: Vec<u8> = xml.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [&[0xff, 0xfe][..], &little].concat();
    for (bytes, charset) in [
        (xml.as_bytes(), None),
        (xml.as_bytes(), Some("UTF-8")),
        (&latin, Some("ISO-8859-1")),
        (&declared, None),
        (&big, Some("utf-16be")),
        (&big, Some("utf-16")),
        (&little, None),
        (&marked, None),
    ] {
        assert_eq!(name(bytes, charset), "Zoë €", "{charset:?}");
    }
}

#[test]
fn the_charset_parameter_wins_over_the_declaration() {
    let xml = recording("<participant id=\"p\"><name>Zoë</name></participant>");
    let wrong = format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>{xml}");
    let mut known = Recording::default();
    apply_bytes(&mut known, wrong.as_bytes(), Some("utf-8")).unwrap();
    assert_eq!(known.participants[0].name.as_deref(), Some("Zoë"));
}

#[test]
fn a_charset_that_is_not_known_is_refused() {
    let refused = apply_bytes(
        &mut Recording::default(),
        b"<recording/>",
        Some("x-klingon"),
    );
    assert_eq!(
        refused,
        Err(BadMetadata::Unreadable("its charset is x-klingon".into()))
    );
}

#[test]
fn entities_and_document_types_are_refused() {
    for xml in [
        "<!DOCTYPE r [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><recording>&b;</recording>",
        "<!DOCTYPE r SYSTEM \"http://192.0.2.9/r.dtd\"><recording/>",
        "<!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/hosts\">]><recording>&x;</recording>",
        "<recording>&private;</recording>",
    ] {
        let refused = apply(&mut Recording::default(), xml);
        let Err(BadMetadata::Unreadable(why)) = refused else {
            panic!("{xml}: {refused:?}");
        };
        assert!(!why.contains("private"));
    }
}

#[test]
fn what_is_no_recording_is_refused_and_changes_nothing() {
    let mut known = read(&two_parties());
    let before = known.clone();
    for (xml, why) in [
        ("<requestsnapshot/>", BadMetadata::NotRecording),
        ("hello", BadMetadata::Unreadable("it is no XML".into())),
        (
            "<!-- -->",
            BadMetadata::Unreadable("it has no root element".into()),
        ),
        (
            "<recording><a></recording>",
            BadMetadata::Unreadable("it is not well-formed at 1:15".into()),
        ),
    ] {
        assert_eq!(apply(&mut known, xml), Err(why));
    }
    assert!(known == before);
}

#[test]
fn a_document_has_limits() {
    let many = |text: &str, times| recording(&text.repeat(times));
    let attributes: String = (0..65).map(|at| format!(" a{at}=\"\"")).collect();
    for xml in [
        many(" ", 256 * 1024),
        many("<a/>", 9000),
        many("<a xmlns:b=\"c\"/>", 300),
        recording(&format!("<a{attributes}/>")),
    ] {
        assert_eq!(
            apply(&mut Recording::default(), &xml),
            Err(BadMetadata::TooLarge)
        );
    }
}

#[test]
fn a_deep_document_is_read_or_refused() {
    let deep = recording(&format!("{}{}", "<a>".repeat(4000), "</a>".repeat(4000)));
    assert_eq!(
        apply(&mut Recording::default(), &deep),
        Ok(Applied::Complete)
    );
}

#[test]
fn what_is_kept_has_limits_and_what_is_left_out_is_counted() {
    let participants: String = (0..40)
        .map(|at| format!("<participant participant_id=\"p{at}\"/>"))
        .collect();
    let streams: String = (0..40)
        .map(|at| format!("<stream stream_id=\"m{at}\"/>"))
        .collect();
    let many = read(&recording(&format!("{participants}{streams}")));
    assert_eq!(
        (many.participants.len(), many.streams.len(), many.ignored),
        (32, 32, 16)
    );
    let long = recording(&format!(
        "<participant id=\"p\"><name>{}</name></participant>",
        "x".repeat(9999)
    ));
    let name = read(&long).participants[0].name.clone().unwrap();
    assert_eq!(name.len(), 512);
}

#[test]
fn who_left_makes_room_for_who_comes() {
    let mut known = Recording::default();
    for at in 0..100 {
        let one = format!(
            "<participant participant_id=\"p{at}\"/><participantsessionassoc \
             participant_id=\"p{at}\"><disassociate-time>x</disassociate-time>\
             </participantsessionassoc>"
        );
        assert_eq!(apply(&mut known, &partial(&one)), Ok(Applied::Partial));
    }
    assert_eq!(known.participants.len(), 32);
    assert_eq!(known.participants[31].id, "p99");
}

#[test]
fn a_prefix_that_nobody_declared_is_forgiven() {
    let xml = recording(
        "<session session_id=\"s\"><ac:AvayaUCID xmlns=\"urn:ietf:params:xml:ns:Avaya\">\
         FA080019001038F725B3</ac:AvayaUCID></session>",
    );
    let ucid = ("ac:AvayaUCID", "FA080019001038F725B3".to_owned());
    assert!(read(&xml).identifiers.contains(&ucid));
}

#[test]
fn the_identifier_of_a_gtd_part_outlives_a_snapshot() {
    let mut known = Recording::default();
    known.add_gci("33B6C93601ED2571846E000000222222");
    apply(&mut known, &two_parties()).unwrap();
    known.add_gci("33B6C93601ED2571846E000000222222");
    assert_eq!(
        known
            .identifiers
            .iter()
            .filter(|(kind, _)| *kind == GCI)
            .count(),
        1
    );
}

#[test]
fn copied_headers_are_kept_and_private() {
    let xml = recording(
        "<session session_id=\"s\"><extensiondata xmlns:apkt=\"http:/acmepacket.com/x\">\
         <apkt:header label=\"X-Ref\"><value>5550100</value></apkt:header></extensiondata>\
         <ExtensionParameters><Ref>5550101</Ref></ExtensionParameters></session>",
    );
    let read = read(&xml);
    let copied = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        read.vendor_headers,
        [copied("X-Ref", "5550100"), copied("Ref", "5550101")]
    );
    assert!(!format!("{read:?}").contains("55501"));
    assert_eq!(
        read.minimised(&["x-ref".to_owned()]).vendor_headers.len(),
        1
    );
}

#[test]
fn a_minimised_recording_has_no_names_unless_they_are_kept() {
    let read = read(&two_parties());
    let minimal = read.minimised(&[]);
    assert!(
        minimal
            .participants
            .iter()
            .all(|one| one.aor.is_none() && one.name.is_none())
    );
    assert_eq!(minimal.participants[0].sends, read.participants[0].sends);
    let named = read.minimised(&["Name".to_owned()]);
    assert_eq!(named.participants[0].name.as_deref(), Some("Ann"));
    assert_eq!(named.participants[0].aor, None);
}

#[test]
fn addresses_and_names_are_not_in_debug_output() {
    let shown = format!("{:?}", read(&two_parties()));
    assert!(
        !shown.contains("5550100") && !shown.contains("Ann"),
        "{shown}"
    );
    assert!(shown.contains("•••") && shown.contains("m1"));
}

#[test]
fn a_snapshot_request_is_well_formed_whatever_its_reason() {
    let body = snapshot_request("state <lost> & gone\u{1}");
    assert!(body.contains("<requestsnapshot xmlns=\"urn:ietf:params:xml:ns:recording:1\">"));
    assert!(body.contains("state &lt;lost&gt; &amp; gone "));
    assert_eq!(
        apply(&mut Recording::default(), &body),
        Err(BadMetadata::NotRecording)
    );
}

#[test]
fn each_dialect_says_in_its_own_words_who_called() {
    let parties = "<participant id=\"p1\"><aor>+5550100@h</aor></participant>\
                   <participant id=\"p2\"><aor>sip:2001@h</aor></participant>";
    for (extension, said_by) in [
        (
            "<group><callData xmlns=\"c\"><fromhdr>\"A\" &lt;sip:5550100@h&gt;;tag=1</fromhdr>\
             <tohdr>&lt;sip:2001@h&gt;</tohdr></callData></group>",
            "callData fromhdr",
        ),
        (
            "<x><broadWorksRecordingMetadata><callType><origCall>\
             <callingPartyNumber>tel:5550100</callingPartyNumber>\
             <calledPartyNumber>sip:2001@h</calledPartyNumber></origCall></callType>\
             </broadWorksRecordingMetadata></x>",
            "callingPartyNumber",
        ),
        (
            "<netsapiensExtension><callingParty>5550100</callingParty>\
             <calledParty>2001</calledParty></netsapiensExtension>",
            "callingParty",
        ),
        (
            "<extensiondata parent=\"p1\"><callingParty>true</callingParty></extensiondata>\
             <extensiondata parent=\"p2\"><callingParty>false</callingParty></extensiondata>",
            "callingParty",
        ),
    ] {
        let read = read(&recording(&format!("{parties}{extension}")));
        assert_eq!(read.participants[0].is_caller, Some(true), "{extension}");
        assert_eq!(read.participants[0].caller_said_by, Some(said_by));
        assert_eq!(read.participants[1].is_caller, Some(false), "{extension}");
    }
}

#[test]
fn a_number_that_two_participants_have_tells_nothing() {
    let read = read(&recording(
        "<participant id=\"p1\"><aor>2001@a</aor></participant>\
         <participant id=\"p2\"><aor>2001@b</aor></participant>\
         <netsapiensExtension><callingParty>2001</callingParty></netsapiensExtension>",
    ));
    assert!(read.participants.iter().all(|one| one.is_caller.is_none()));
}

#[test]
fn a_metaswitch_call_type_is_that_of_the_recorded_party() {
    for (call_type, is_caller) in [
        ("outgoing", Some(true)),
        ("Originating", Some(true)),
        ("incoming", Some(false)),
        ("terminating", Some(false)),
        ("other", None),
    ] {
        let read = read(&recording(&format!(
            "<participant id=\"p1\"><aor>2001@a</aor></participant><extensiondata>\
             <metaswitchRecordingMetadata><callType>{call_type}</callType>\
             <recordedParty>2001</recordedParty></metaswitchRecordingMetadata></extensiondata>"
        )));
        assert_eq!(read.participants[0].is_caller, is_caller, "{call_type}");
        assert_eq!(read.participants[0].is_recorded_user, Some(true));
        assert!(read.is_user_recording);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_read_or_refused(data in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz::fuzz(&data);
    }

    #[test]
    fn documents_of_known_elements_are_read_or_refused(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "<participant id='a'>", "<participant participant_id='b'>", "</participant>",
            "<stream id='c'>", "<stream stream_id=''>", "</stream>", "<label>1</label>",
            "<send>c</send>", "<send><id>a</id></send>", "<datamode>partial</datamode>",
            "<participantstreamassoc participant_id='a'>", "</participantstreamassoc>",
            "<participantsessionassoc participant_id='b'>", "</participantsessionassoc>",
            "<disassociate-time/>", "<session id='a'>", "</session>", "<x:y/>",
            "<callingParty>true</callingParty>", "<aor>sip:1@h</aor>", "<name>N</name>",
            "</recording>\0<recording>", "<fromhdr>1</fromhdr>", "&amp;", "&x;", "<!-- -->",
        ]), 0..40)
    ) {
        fuzz::fuzz(format!("<recording>{}</recording>", pieces.concat()).as_bytes());
    }
}
