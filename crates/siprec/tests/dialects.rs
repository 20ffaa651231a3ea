//! Every dialect of the field, from the wire to the roles: framing, parts, metadata, identifiers,
//! roles. The fixtures are whole messages in the shapes of their clients, with line feeds only;
//! they are read as they are and with the line ends of the wire.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use siprec::framing::{Framed, MessageLimits, datagram};
use siprec::identifiers::{self, Identifier};
use siprec::message::{Headers, Message, Request};
use siprec::metadata::{Applied, Recording};
use siprec::multipart::{BodyLimits, Parts, split, split_message};
use siprec::offer;
use siprec::roles::{self, LineFacts, LineRole, RolePolicy};

const INBOUND: RolePolicy = RolePolicy {
    customer_first: None,
    caller_is_customer: true,
};

/// A session as far as this chain knows it.
#[derive(Default)]
struct Heard {
    headers: Headers,
    labels: Vec<Option<String>>,
    recording: Recording,
    applied: Option<Applied>,
    roles: Vec<(usize, LineRole)>,
}

impl Heard {
    fn hear(&mut self, headers: &Headers, parts: &Parts) {
        self.headers = headers.clone();
        if let Some(sdp) = &parts.sdp {
            let description = offer::parse(sdp).unwrap();
            self.labels = description
                .lines
                .into_iter()
                .map(|line| line.label)
                .collect();
        }
        if let Some(metadata) = &parts.metadata {
            self.applied = Some(self.recording.apply(metadata).unwrap());
        }
        if let Some(gci) = &parts.gtd {
            self.recording.add_gci(gci);
        }
        let lines: Vec<_> = self.labels.iter().enumerate().map(facts).collect();
        let before = std::mem::take(&mut self.roles);
        self.roles = roles::follow(&before, &lines, &self.recording, headers, &INBOUND);
    }

    fn identifiers(&self) -> Vec<Identifier> {
        identifiers::extract(&self.headers, &self.recording, &[])
    }

    /// `0 Customer High by participant 1: reason`, a line each.
    fn roles_told(&self) -> Vec<String> {
        let told = |(line, role): &(usize, LineRole)| {
            let sender = role
                .participant
                .map_or_else(|| "nobody".to_owned(), |at| at.to_string());
            let (party, confidence) = (role.party, role.confidence);
            format!(
                "{line} {party:?} {confidence:?} of {sender}: {}",
                role.reason
            )
        };
        self.roles.iter().map(told).collect()
    }
}

fn facts<'a>((index, label): (usize, &'a Option<String>)) -> LineFacts<'a> {
    LineFacts {
        index,
        label: label.as_deref(),
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn request(bytes: &[u8]) -> Request {
    match datagram(bytes, &MessageLimits::default()) {
        Some(Framed::Message(message)) => match *message {
            Message::Request(request) => request,
            Message::Response(_) => panic!("a response"),
        },
        other => panic!("{other:?}"),
    }
}

/// Hears fixtures one after the other, with both line ends, which must make no difference.
fn hear(names: &[&str]) -> Heard {
    let [wire, bare] = ["\r\n", "\n"].map(|line_end| {
        let mut heard = Heard::default();
        for name in names {
            let text = fs::read_to_string(fixtures().join(format!("{name}.sip"))).unwrap();
            let (head, body) = text.split_once("\n\n").unwrap();
            let body = body.replace('\n', line_end);
            let said = head.lines().last().unwrap();
            let length = format!("Content-Length: {}", body.len());
            if line_end == "\r\n" {
                assert_eq!(said, length, "{name}");
            }
            let head = head.replace(said, &length).replace('\n', line_end);
            let request = request(format!("{head}{line_end}{line_end}{body}").as_bytes());
            let limits = BodyLimits::default();
            let parts = split_message(&request.headers, &request.body, &limits).unwrap();
            heard.hear(&request.headers, &parts);
        }
        heard
    });
    assert!(wire.recording == bare.recording && wire.roles == bare.roles);
    wire
}

#[track_caller]
fn check(heard: &Heard, labels: &[&str], roles: &[&str], identifiers: &[(&str, &str)]) {
    let said: Vec<_> = heard
        .labels
        .iter()
        .map(|label| label.as_deref().unwrap_or("-"))
        .collect();
    assert_eq!(said, labels);
    assert_eq!(heard.roles_told(), roles);
    let found = heard.identifiers();
    let found: Vec<_> = found
        .iter()
        .map(|one| (one.source, one.normal.as_str()))
        .collect();
    assert_eq!(found, identifiers);
    let reasons: String = heard
        .roles
        .iter()
        .map(|(_, role)| role.reason.as_str())
        .collect();
    assert!(!reasons.contains("5550100") && !format!("{:?}", heard.recording).contains("Ann"));
}

/// An identifier that is told by its source and its normal form.
type Named<'a> = (&'a str, &'a str);

const UCID: &str = "00025000160955721139";
const GUID: Named<'_> = ("Cisco-Guid", "0802726714-1959399913-2686471452-1015067436");

#[test]
fn oracle_says_who_called_by_numbers_as_labels() {
    check(
        &hear(&["oracle"]),
        &["16777231", "16777232"],
        &[
            "0 Agent High of 0: apkt:callingParty of the participant that sends label 16777231",
            "1 Customer High of 1: apkt:callingParty of the participant that sends label 16777232",
        ],
        &[
            ("apkt:ucid", UCID),
            ("session_id", "Fh0yT8V5QXZ2c1Jk3m9LWw=="),
            ("Call-ID", "11ab22cd33ef@192.0.2.10"),
        ],
    );
}

#[test]
fn cube_names_the_call_in_a_header_and_in_its_gtd_part() {
    let heard = hear(&["cube"]);
    check(
        &heard,
        &["1", "2"],
        &[
            "0 Customer Medium of 0: the participant that sends label 1 is named first",
            "1 Agent Medium of 1: the participant that sends label 2 is not named first",
        ],
        &[
            GUID,
            (
                "sipSessionID",
                "2712847316-3858106136-0691686236-1837010832",
            ),
            (
                "sipSessionID",
                "0253635900-1264216440-2274796980-3285377520",
            ),
            ("session_id", "sDhnHVlShqgQyDDBsImlfA=="),
            ("Call-ID", "AC12EF34-2B6111EE@192.0.2.20"),
        ],
    );
    let gci = heard
        .recording
        .identifiers
        .iter()
        .find(|(kind, _)| *kind == "GCI");
    assert_eq!(identifiers::normal(&gci.unwrap().1), GUID.1);
}

#[test]
fn cube_may_begin_inactive_and_associate_nothing() {
    check(
        &hear(&["cube-inactive"]),
        &["1", "2"],
        &[
            "0 Customer Low of 0: the participant that is taken, by order, for label 1 is named first",
            "1 Agent Low of 1: the participant that is taken, by order, for label 2 is not named first",
        ],
        &[
            GUID,
            (
                "sipSessionID",
                "2712847316-3858106136-0691686236-1837010832",
            ),
            (
                "sipSessionID",
                "0253635900-1264216440-2274796980-3285377520",
            ),
            ("session_id", "sDhnHVlShqgQyDDBsImlfA=="),
            ("Call-ID", "AC12EF35-2B6111EE@192.0.2.20"),
        ],
    );
    let resumed = hear(&["cube-inactive", "cube"]);
    assert!(resumed.roles_told()[0].starts_with("0 Customer Medium of 0"));
}

#[test]
fn cisco_recording_by_the_network_says_everything_in_headers() {
    check(
        &hear(&["cisco-nbr"]),
        &["-", "-"],
        &[
            "0 Agent Medium of nobody: media-index of the near end in \
             X-Cisco-Recording-Participant",
            "1 Customer Medium of nobody: media-index of the far end in \
             X-Cisco-Recording-Participant",
        ],
        &[
            ("Cisco-Guid", "0867617078-0032318833-2221801472-0002236962"),
            ("Call-ID", "nbr0011@192.0.2.21"),
        ],
    );
}

#[test]
fn both_dialogs_of_a_cisco_phone_have_their_names_in_common() {
    let shared: [Named<'_>; 4] = [
        ("Cisco-Guid", "0000000000-0000065536-0000000042-0000000000"),
        ("x-refci+x-farendrefci", "25000001+25000002"),
        ("x-refci", "25000001"),
        ("x-farendrefci", "25000002"),
    ];
    for (end, party) in [("near", "Agent"), ("far", "Customer")] {
        let mut heard = hear(&[&format!("cisco-bib-{end}")]);
        // The offer is ours, in the 200.
        let parts = split(
            Some("application/sdp"),
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.24\r\ns=-\r\n\
            c=IN IP4 192.0.2.24\r\nt=0 0\r\nm=audio 24600 RTP/AVP 0\r\na=sendonly\r\n",
        );
        heard.hear(&heard.headers.clone(), &parts.unwrap());
        let call_id = format!("bib-{end}@192.0.2.24");
        let identifiers = [&shared[..], &[("Call-ID", &call_id)]].concat();
        let role = format!("0 {party} Medium of nobody: x-{end}end in the From header");
        check(&heard, &["-"], &[&role], &identifiers);
    }
}

#[test]
fn avaya_begins_with_one_line_and_a_dummy_and_names_the_party_later() {
    let identifiers = [("User-to-User", UCID), ("Call-ID", "avaya-01@192.0.2.50")];
    let role = "0 Customer Medium of 0: the participant that sends label 10 is named first";
    let first = hear(&["avaya"]);
    check(&first, &["10"], &[role], &identifiers);
    assert!(first.recording.participants[1].is_dummy);
    let second = hear(&["avaya", "avaya-update"]);
    check(&second, &["10"], &[role], &identifiers);
    assert!(!second.recording.participants[1].is_dummy);
    let session = second
        .recording
        .identifiers
        .iter()
        .find(|(kind, _)| *kind == "session_id");
    assert_eq!(identifiers::normal(&session.unwrap().1), UCID);
}

#[test]
fn avaya_may_offer_its_second_label_first() {
    check(
        &hear(&["avaya-two-lines"]),
        &["20", "10"],
        &[
            "0 Agent Medium of 1: the participant that sends label 20 is not named first",
            "1 Customer Medium of 0: the participant that sends label 10 is named first",
        ],
        &[("User-to-User", UCID), ("Call-ID", "avaya-02@192.0.2.50")],
    );
}

#[test]
fn audiocodes_has_two_formats() {
    let roles = [
        "0 Customer Medium of 0: the participant that sends label 1 is named first",
        "1 Agent Medium of 1: the participant that sends label 2 is not named first",
    ];
    let call = (
        "x-audc-call-id",
        "3366056146-3820242262-1735952784-0179027149",
    );
    check(
        &hear(&["audiocodes-legacy"]),
        &["1", "2"],
        &roles,
        &[
            call,
            ("group_id", "00000000-0000-00ac-0001-0203040506aa"),
            ("session_id", "00000000-0000-00ac-0001-0203040506bb"),
            ("Call-ID", "ac-1131@192.0.2.60"),
        ],
    );
    check(
        &hear(&["audiocodes-rfc"]),
        &["1", "2"],
        &roles,
        &[
            ("ac:AvayaUCID", UCID),
            ("ac:GenesysUUID", "01K2ABCDEFGHJKMN"),
            call,
            ("session_id", "AAAAAKwAEeSrqwECAwQFBg=="),
            ("Call-ID", "ac-1132@192.0.2.60"),
        ],
    );
}

#[test]
fn ribbons_caller_sends_on_the_second_line() {
    check(
        &hear(&["ribbon"]),
        &["1", "2"],
        &[
            "0 Agent High of 1: callData tohdr of the participant that sends label 1",
            "1 Customer High of 0: callData fromhdr of the participant that sends label 2",
        ],
        &[
            ("gcid", "352316378"),
            ("callid", "71c0e2d4-10f3-4b7e-9d55-2f8a6604b1ce"),
            ("group_id", "MTIzNDAwMDAtMDEtMTA=="),
            ("session_id", "MTIzNDAwMDEtMDEtMTA=="),
            ("Call-ID", "352316378_77@192.0.2.70"),
        ],
    );
}

#[test]
fn metaswitch_sends_both_parties_on_one_line() {
    check(
        &hear(&["metaswitch"]),
        &["1"],
        &["0 Mixed High of 0: more than one participant sends label 1"],
        &[
            ("group_id", "meta-group-17"),
            ("session_id", "meta-session-17"),
            ("Call-ID", "0gQAAC8WAAACBAAALxYAAC@192.0.2.80"),
        ],
    );
}

const BROADWORKS: [Named<'_>; 3] = [
    (
        "X-BroadWorks-Correlation-Info",
        "5c3d7e0a-11aa-4d9c-8d7e-001122334455",
    ),
    ("callID", "callhalf-4711:0"),
    (
        "session_id",
        "urn:uuid:e0000000-0000-4000-8000-000000000001",
    ),
];

#[test]
fn broadworks_mixes_on_one_line_and_puts_its_metadata_first() {
    check(
        &hear(&["broadworks-single"]),
        &["1"],
        &["0 Mixed High of 0: the stream of label 1 is said to be mixed"],
        &[
            &BROADWORKS[..],
            &[("Call-ID", "BW091520040050324-1@192.0.2.90")],
        ]
        .concat(),
    );
}

#[test]
fn broadworks_has_two_lines_if_told_so_and_adds_a_third_party_by_a_partial_update() {
    let roles = [
        "0 Agent High of 0: the user that the metadata says is recorded sends label 1",
        "1 Customer High of 1: the other party of the user that is recorded sends label 2",
    ];
    let call_id = ("Call-ID", "BW091520040050324-2@192.0.2.90");
    let identifiers = [&BROADWORKS[..], &[call_id]].concat();
    check(
        &hear(&["broadworks-dual"]),
        &["1", "2"],
        &roles,
        &identifiers,
    );
    let conference = hear(&["broadworks-dual", "broadworks-partial"]);
    check(&conference, &["1", "2"], &roles, &identifiers);
    assert_eq!(conference.applied, Some(Applied::Partial));
    assert_eq!(conference.recording.participants.len(), 3);
}

#[test]
fn an_update_to_what_was_never_told_has_lost_its_state() {
    assert_eq!(
        hear(&["broadworks-partial"]).applied,
        Some(Applied::StateLost)
    );
}

#[test]
fn webex_records_its_user_who_may_be_the_caller() {
    check(
        &hear(&["webex"]),
        &["1", "2"],
        &[
            "0 Agent High of 0: the user that the metadata says is recorded sends label 1",
            "1 Customer High of 1: the other party of the user that is recorded sends label 2",
        ],
        &[
            (
                "X-BroadWorks-Correlation-Info",
                "6d4e8f1b-22bb-4ead-9e8f-112233445566",
            ),
            ("Session-ID", "1247505533-2392784913-0573785173-1719109785"),
            BROADWORKS[1],
            BROADWORKS[2],
            ("Call-ID", "SSE091520050324-3@192.0.2.95"),
        ],
    );
}

#[test]
fn netsapiens_has_a_group_that_outlives_its_dialogs() {
    check(
        &hear(&["netsapiens"]),
        &["1", "2"],
        &[
            "0 Agent High of 0: calledParty of the participant that sends label 1",
            "1 Customer High of 1: callingParty of the participant that sends label 2",
        ],
        &[
            ("sipSessionID", "20240305091520-abc@192.0.2.98"),
            ("sipSessionID", "20240305091521-def@192.0.2.98"),
            ("group_id", "bnMtZ3JvdXAtMDAwMDAwMQ=="),
            ("session_id", "bnMtc2Vzc2lvbi0wMDAwMQ=="),
            ("xferredSessionID", "bnMtc2Vzc2lvbi0wMDAwMA=="),
            ("Call-ID", "ns-20240305091522@192.0.2.98"),
        ],
    );
}

#[test]
fn opensips_was_once_without_streams() {
    let identifiers = |call_id: &'static str| {
        [
            ("sipSessionID", "5c1d90aa7be24f36@198.51.100.11"),
            ("session_id", "wGxJUqNGSne6H5xzhI0v1Q=="),
            ("Call-ID", call_id),
        ]
    };
    check(
        &hear(&["opensips-old"]),
        &["1", "2"],
        &[
            "0 Customer Low of 0: the participant that is taken, by order, for label 1 is named first",
            "1 Agent Low of 1: the participant that is taken, by order, for label 2 is not named first",
        ],
        &identifiers("B2B.101.2001.1700000001"),
    );
    check(
        &hear(&["opensips"]),
        &["0", "1"],
        &[
            "0 Customer Medium of 0: the participant that sends label 0 is named first",
            "1 Agent Medium of 1: the participant that sends label 1 is not named first",
        ],
        &identifiers("B2B.102.2002.1700000002"),
    );
}

#[test]
fn labels_may_be_words_and_the_last_delimiter_missing() {
    check(
        &hear(&["sems"]),
        &["a_leg", "b_leg"],
        &[
            "0 Customer Medium of 0: the participant that sends label a_leg is named first",
            "1 Agent Medium of 1: the participant that sends label b_leg is not named first",
        ],
        &[
            ("session_id", "tnCp851eJ1+sbj3jYa11zQ=="),
            ("Call-ID", "6C41B07F-65E80D13@198.51.100.20"),
        ],
    );
}

#[test]
fn smart_tap_mixes_the_drafts_with_the_rfc() {
    check(
        &hear(&["smarttap"]),
        &["1", "2"],
        &[
            "0 Agent Medium of 1: the participant that sends label 1 is not named first",
            "1 Customer Medium of 0: the participant that sends label 2 is named first",
        ],
        &[
            ("sipSessionID", "st-call-9@198.51.100.30"),
            ("session_id", "st-session-9"),
            ("Call-ID", "st-0009@198.51.100.30"),
        ],
    );
}

#[test]
fn freeswitch_loses_its_label_on_the_way() {
    check(
        &hear(&["freeswitch"]),
        &["-"],
        &["0 Mixed High of 0: more than one participant sends m-line 0"],
        &[
            ("session_id", "fs-session-1"),
            ("Call-ID", "fs-71-aa@198.51.100.50"),
        ],
    );
}

#[test]
fn hosted_carriers_speak_as_the_rfc_does_and_carry_their_customers_references() {
    for (name, header, reference) in [
        ("twilio", "X-Account-Ref", "R-0816"),
        ("telnyx", "X-Contact-Ref", "R-0817"),
        ("oracle", "X-Customer-Ref", "R-0815"),
    ] {
        let heard = hear(&[name]);
        let order = [header.to_owned()];
        let found = identifiers::extract(&heard.headers, &heard.recording, &order);
        assert_eq!(found[0].normal, reference, "{name}");
    }
    for name in ["twilio", "telnyx"] {
        let heard = hear(&[name]);
        assert_eq!(heard.labels, [Some("1".to_owned()), Some("2".to_owned())]);
        let roles = heard.roles_told();
        assert!(roles[0].starts_with("0 Customer Medium of 0"), "{roles:?}");
        assert!(roles[1].starts_with("1 Agent Medium of 1"), "{roles:?}");
    }
}

/// Every fixture is used by a test of this file.
#[test]
fn no_fixture_is_left_over() {
    let source = include_str!("dialects.rs");
    for entry in fs::read_dir(fixtures()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let is_used = source.contains(&format!("\"{name}\"")) || name.starts_with("cisco-bib-");
        assert!(is_used, "{name}");
    }
}

/// Bodies of others, in the directory that SIPREC_SAMPLES names: each is read, and what was found
/// is printed.
#[test]
fn samples_of_others_are_read_if_there_are_any() {
    let Some(directory) = std::env::var_os("SIPREC_SAMPLES") else {
        return;
    };
    let mut paths: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    for path in paths {
        let text = fs::read(&path).unwrap();
        // Some files are several bodies.
        for body in text
            .split(|&byte| byte == b'\n')
            .collect::<Vec<_>>()
            .split(is_cut)
        {
            let parts = split(None, &body.join(&b'\n')).unwrap();
            let mut heard = Heard::default();
            heard.hear(&Headers::default(), &parts);
            println!("{}\n{}", path.display(), told(&heard));
            assert!(!heard.labels.is_empty(), "{}", path.display());
        }
    }
}

fn is_cut(line: &&[u8]) -> bool {
    line.starts_with(b"__split_here__")
}

fn told(heard: &Heard) -> String {
    let mut told = String::new();
    let recording = &heard.recording;
    let (participants, streams) = (recording.participants.len(), recording.streams.len());
    let labels = &heard.labels;
    writeln!(
        told,
        "  {participants} participants, {streams} streams, labels {labels:?}"
    )
    .unwrap();
    for role in heard.roles_told() {
        writeln!(told, "  {role}").unwrap();
    }
    for one in heard.identifiers() {
        writeln!(told, "  {}: {} ({})", one.source, one.normal, one.raw).unwrap();
    }
    told
}
