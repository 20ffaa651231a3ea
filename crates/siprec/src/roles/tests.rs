use proptest::prelude::*;

use super::*;
use crate::metadata::{Participant, Stream};

const INBOUND: RolePolicy = RolePolicy {
    customer_first: None,
    caller_is_customer: true,
};

fn line(index: usize, label: &str) -> LineFacts<'_> {
    LineFacts {
        index,
        label: (!label.is_empty()).then_some(label),
    }
}

fn party(aor: &str, sends: &[&str]) -> Participant {
    Participant {
        id: aor.to_owned(),
        aor: Some(format!("sip:{aor}@192.0.2.1")),
        sends: sends.iter().map(|&id| id.to_owned()).collect(),
        ..Participant::default()
    }
}

fn caller(aor: &str, sends: &[&str], is_caller: bool) -> Participant {
    Participant {
        is_caller: Some(is_caller),
        caller_said_by: Some("apkt:callingParty"),
        ..party(aor, sends)
    }
}

/// Streams `m1`, `m2`, … with labels 1, 2, ….
fn recording(participants: Vec<Participant>, streams: usize) -> Recording {
    let stream = |at: usize| Stream {
        id: format!("m{at}"),
        label: Some(at.to_string()),
        ..Stream::default()
    };
    Recording {
        participants,
        streams: (1..=streams).map(stream).collect(),
        ..Recording::default()
    }
}

fn headers(name: &str, values: &[&str]) -> Headers {
    let mut headers = Headers::default();
    for value in values {
        headers.push(name, value);
    }
    headers
}

fn two() -> [LineFacts<'static>; 2] {
    [line(0, "1"), line(1, "2")]
}

fn of(lines: &[LineFacts<'_>], recording: &Recording) -> Vec<(Party, Confidence)> {
    let roles = assign(lines, recording, &Headers::default(), &INBOUND);
    roles
        .into_iter()
        .map(|role| (role.party, role.confidence))
        .collect()
}

use Confidence::{High, Low, Medium};
use Party::{Agent, Customer, Mixed};

#[test]
fn the_calling_party_of_an_inbound_centre_is_the_customer() {
    let called_first = vec![
        caller("2001", &["m1"], false),
        caller("5550100", &["m2"], true),
    ];
    let recording = recording(called_first, 2);
    let roles = assign(&two(), &recording, &Headers::default(), &INBOUND);
    assert_eq!((roles[0].party, roles[0].confidence), (Agent, High));
    assert_eq!((roles[1].party, roles[1].confidence), (Customer, High));
    assert_eq!(
        roles[1].reason,
        "apkt:callingParty of the participant that sends label 2"
    );
    assert_eq!(
        (roles[0].participant, roles[1].participant),
        (Some(0), Some(1))
    );
}

#[test]
fn the_calling_party_of_an_outbound_centre_is_the_agent() {
    let policy = RolePolicy {
        caller_is_customer: false,
        ..INBOUND
    };
    let recording = recording(
        vec![caller("a", &["m1"], true), caller("b", &["m2"], false)],
        2,
    );
    let roles = assign(&two(), &recording, &Headers::default(), &policy);
    assert_eq!((roles[0].party, roles[1].party), (Agent, Customer));
}

#[test]
fn the_trunks_order_comes_before_what_the_metadata_says() {
    let policy = RolePolicy {
        customer_first: Some(false),
        ..INBOUND
    };
    let recording = recording(
        vec![caller("a", &["m1"], true), caller("b", &["m2"], false)],
        2,
    );
    let roles = assign(&two(), &recording, &Headers::default(), &policy);
    assert_eq!((roles[0].party, roles[1].party), (Agent, Customer));
    assert_eq!(
        (roles[0].reason.as_str(), roles[0].confidence),
        ("the trunk's order", High)
    );
}

#[test]
fn the_order_of_labels_says_nothing() {
    let parties = vec![party("5550100", &["m2"]), party("2001", &["m1"])];
    let recording = recording(parties, 2);
    assert_eq!(
        of(&two(), &recording),
        [(Agent, Medium), (Customer, Medium)]
    );
    let swapped = [line(0, "2"), line(1, "1")];
    assert_eq!(
        of(&swapped, &recording),
        [(Customer, Medium), (Agent, Medium)]
    );
}

#[test]
fn one_party_that_is_known_gives_the_other_line_to_the_other() {
    let recording = recording(vec![party("a", &["m1"]), caller("b", &["m2"], true)], 2);
    let roles = assign(&two(), &recording, &Headers::default(), &INBOUND);
    assert_eq!((roles[0].party, roles[1].party), (Agent, Customer));
    assert_eq!(roles[0].reason, "the other line has the other party");
}

#[test]
fn two_calling_parties_are_a_contradiction_and_tell_nothing() {
    let recording = recording(
        vec![caller("a", &["m1"], true), caller("b", &["m2"], true)],
        2,
    );
    assert_eq!(
        of(&two(), &recording),
        [(Customer, Medium), (Agent, Medium)]
    );
}

#[test]
fn without_associations_participants_and_streams_go_together_by_order() {
    let parties = || vec![party("a", &[]), party("b", &[])];
    assert_eq!(
        of(&two(), &recording(parties(), 2)),
        [(Customer, Low), (Agent, Low)]
    );
    assert_eq!(
        of(&two(), &recording(parties(), 0)),
        [(Customer, Low), (Agent, Low)]
    );
    let with_flag = vec![caller("a", &[], false), caller("b", &[], true)];
    assert_eq!(
        of(&two(), &recording(with_flag, 0)),
        [(Agent, Low), (Customer, Low)]
    );
}

#[test]
fn without_metadata_the_lines_have_the_callers_order() {
    let roles = assign(&two(), &Recording::default(), &Headers::default(), &INBOUND);
    assert_eq!((roles[0].party, roles[1].party), (Customer, Agent));
    assert_eq!((roles[0].confidence, roles[0].participant), (Low, None));
}

#[test]
fn one_line_that_two_send_is_mixed() {
    let both = vec![party("a", &["m1"]), party("b", &["m1"])];
    assert_eq!(
        of(&[line(0, "1")], &recording(both.clone(), 1)),
        [(Mixed, High)]
    );
    assert_eq!(of(&[line(0, "")], &recording(both, 1)), [(Mixed, High)]);
    let mut said = recording(vec![party("a", &["m1"])], 1);
    said.streams[0].is_mixed = true;
    assert_eq!(of(&[line(0, "1")], &said), [(Mixed, High)]);
}

#[test]
fn one_line_and_nothing_that_says_who_of_two_sends_is_mixed() {
    let parties = || vec![party("a", &[]), party("b", &[])];
    assert_eq!(
        of(&[line(0, "1")], &recording(parties(), 0)),
        [(Mixed, Medium)]
    );
    let apart = vec![party("a", &["m1"]), party("b", &["m2"])];
    assert_eq!(of(&[line(0, "")], &recording(apart, 2)), [(Mixed, Medium)]);
}

#[test]
fn one_line_of_one_sender_is_his_even_if_others_have_no_line() {
    let mut dummy = party("ASBCE", &[]);
    dummy.is_dummy = true;
    let recording = recording(vec![dummy, party("5550100", &["m1"])], 1);
    assert_eq!(of(&[line(0, "1")], &recording), [(Customer, Medium)]);
}

#[test]
fn a_third_participant_on_a_line_does_not_change_its_party() {
    let conference = vec![
        party("a", &["m1"]),
        party("b", &["m2"]),
        party("c", &["m2"]),
    ];
    assert_eq!(
        of(&two(), &recording(conference, 2)),
        [(Customer, Medium), (Agent, Medium)]
    );
}

#[test]
fn the_line_of_one_who_left_keeps_its_party_for_who_comes() {
    let mut gone = caller("a", &["m1"], true);
    gone.has_left = true;
    let stays = caller("b", &["m2"], false);
    let comes = caller("c", &["m1"], false);
    let roles = assign(
        &two(),
        &recording(vec![gone, stays, comes], 2),
        &Headers::default(),
        &INBOUND,
    );
    assert_eq!((roles[0].party, roles[1].party), (Customer, Agent));
    assert_eq!(
        (roles[0].participant, roles[1].participant),
        (Some(2), Some(1))
    );
}

#[test]
fn a_third_line_gets_no_party() {
    let lines = [line(0, "1"), line(2, "2"), line(3, "3")];
    let recording = recording(vec![party("a", &["m1"]), party("b", &["m2"])], 3);
    let roles = follow(&[], &lines, &recording, &Headers::default(), &INBOUND);
    let parties: Vec<_> = roles
        .iter()
        .map(|(index, role)| (*index, role.party))
        .collect();
    assert_eq!(parties, [(0, Customer), (2, Agent)]);
}

#[test]
fn a_phones_fork_says_in_from_which_end_it_carries() {
    for (mark, expected) in [("x-nearend", Agent), ("x-farend", Customer)] {
        let from = format!("<sip:2001@192.0.2.9;{mark};x-refci=1;x-farendrefci=2>;tag=x");
        let policy = RolePolicy {
            customer_first: Some(true),
            ..INBOUND
        };
        let headers = headers("From", &[&from]);
        let roles = assign(&[line(0, "")], &Recording::default(), &headers, &policy);
        assert_eq!((roles[0].party, roles[0].confidence), (expected, Medium));
    }
}

#[test]
fn a_media_index_names_the_end_of_a_line() {
    let mut headers = headers(
        "X-Cisco-Recording-Participant",
        &[
            "<sip:2001@192.0.2.5>;media-index=\"0\"",
            "<sip:5550100@192.0.2.6>;media-index=\"1\"",
        ],
    );
    headers.push(
        "From",
        "<sip:r@192.0.2.9;x-nearendaddr=2001;x-farendaddr=5550100>;tag=1",
    );
    let roles = assign(&two(), &Recording::default(), &headers, &INBOUND);
    assert_eq!((roles[0].party, roles[1].party), (Agent, Customer));
    assert_eq!(roles[0].confidence, Medium);
}

#[test]
fn the_recorded_user_of_a_user_recording_is_the_agent() {
    let mut recording = recording(vec![party("2001", &["m1"]), party("5550100", &["m2"])], 2);
    let headers = headers("From", &["<sip:2001@192.0.2.1>;tag=1"]);
    let parties = |recording: &Recording| -> Vec<Party> {
        let roles = assign(&two(), recording, &headers, &INBOUND);
        roles.into_iter().map(|role| role.party).collect()
    };
    assert_eq!(parties(&recording), [Customer, Agent]);
    recording.is_user_recording = true;
    assert_eq!(parties(&recording), [Agent, Customer]);
}

#[test]
fn the_user_that_is_recorded_is_the_agent_even_if_he_called() {
    let mut user = caller("2001", &["m1"], true);
    user.is_recorded_user = Some(true);
    let recording = recording(vec![user, caller("5550100", &["m2"], false)], 2);
    assert_eq!(of(&two(), &recording), [(Agent, High), (Customer, High)]);
}

#[test]
fn a_line_keeps_its_party_unless_the_new_evidence_is_better() {
    let before = recording(vec![party("a", &["m1"]), party("b", &["m2"])], 2);
    let first = follow(&[], &two(), &before, &Headers::default(), &INBOUND);
    let parties = |roles: &[(usize, LineRole)]| -> Vec<_> {
        roles
            .iter()
            .map(|(index, role)| (*index, role.party))
            .collect()
    };
    let swapped = recording(vec![party("c", &["m2"]), party("d", &["m1"])], 2);
    let second = follow(&first, &two(), &swapped, &Headers::default(), &INBOUND);
    assert_eq!(parties(&second), [(0, Customer), (1, Agent)]);
    assert_eq!(second[0].1.participant, Some(1));
    let said = recording(
        vec![caller("c", &["m2"], true), caller("d", &["m1"], false)],
        2,
    );
    let third = follow(&second, &two(), &said, &Headers::default(), &INBOUND);
    assert_eq!(parties(&third), [(0, Agent), (1, Customer)]);
}

#[test]
fn a_line_alone_and_a_line_added_keep_what_is_known() {
    let both = recording(
        vec![caller("a", &["m1"], true), caller("b", &["m2"], false)],
        2,
    );
    let one = follow(&[], &two()[1..], &both, &Headers::default(), &INBOUND);
    assert_eq!((one[0].0, one[0].1.party), (1, Agent));
    let unknown = Recording::default();
    let two_lines = follow(&one, &two(), &unknown, &Headers::default(), &INBOUND);
    assert_eq!(
        (two_lines[0].1.party, two_lines[1].1.party),
        (Customer, Agent)
    );
    let again = follow(
        &two_lines,
        &two()[1..],
        &unknown,
        &Headers::default(),
        &INBOUND,
    );
    assert_eq!((again[0].0, again[0].1.party), (1, Agent));
}

#[test]
fn a_mixed_line_that_gets_a_second_one_beside_it_is_mixed_no_more() {
    let both = recording(vec![party("a", &["m1"]), party("b", &["m1"])], 1);
    let mixed = follow(&[], &[line(0, "1")], &both, &Headers::default(), &INBOUND);
    let apart = recording(vec![party("a", &["m1"]), party("b", &["m2"])], 2);
    let roles = follow(&mixed, &two(), &apart, &Headers::default(), &INBOUND);
    assert_eq!((roles[0].1.party, roles[1].1.party), (Customer, Agent));
}

#[test]
fn a_reason_repeats_no_label_that_is_not_a_short_word() {
    let label = "sip:5550100@192.0.2.1";
    let mut recording = recording(vec![caller("a", &["m1"], true)], 1);
    recording.streams[0].label = Some(label.to_owned());
    let lines = [line(0, label), line(1, "2")];
    let roles = assign(&lines, &recording, &Headers::default(), &INBOUND);
    assert!(roles.iter().all(|role| !role.reason.contains("5550100")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn two_lines_never_have_the_same_party(
        participants in prop::collection::vec(
            (
                prop::collection::vec(0_usize..4, 0..3),
                any::<Option<bool>>(),
                any::<bool>(),
                any::<bool>(),
            ),
            0..4,
        ),
        streams in 0_usize..4,
        labels in prop::collection::vec(prop::sample::select(vec!["", "1", "2", "3"]), 0..4),
        customer_first: Option<bool>,
        caller_is_customer: bool,
    ) {
        let participants = participants.into_iter().map(|(sends, is_caller, left, dummy)| {
            Participant {
                sends: sends.iter().map(|at| format!("m{at}")).collect(),
                is_caller,
                has_left: left,
                is_dummy: dummy,
                ..Participant::default()
            }
        });
        let recording = recording(participants.collect(), streams);
        let lines: Vec<_> = labels.iter().enumerate().map(|(at, label)| line(at, label)).collect();
        let policy = RolePolicy { customer_first, caller_is_customer };
        let headers = Headers::default();
        let first = follow(&[], &lines, &recording, &headers, &policy);
        prop_assert_eq!(first.len(), lines.len().min(2));
        let later = lines.get(1..).unwrap_or_default();
        for roles in [first.clone(), follow(&first, later, &recording, &headers, &policy)] {
            match roles.as_slice() {
                [a, b] => {
                    prop_assert_eq!(a.1.party, b.1.party.other());
                    prop_assert!(a.1.party != Mixed);
                }
                rest => prop_assert!(rest.len() < 2),
            }
            let count = recording.participants.len();
            let is_known = |role: &LineRole| role.participant.is_none_or(|at| at < count);
            prop_assert!(roles.iter().all(|(_, role)| is_known(role)));
        }
    }
}
