//! RFC 3261 §17.1 and RFC 6026 §7.2.

use std::time::Duration;

use super::scene::{Scene, tcp, udp};
use crate::message::Message;
use crate::transaction::{Timers, Transactions};

const NOTHING: [&str; 0] = [];

fn times(scene: &mut Scene) -> Vec<u64> {
    scene.told().into_iter().map(|(time, _)| time).collect()
}

#[test]
fn an_invite_is_repeated_by_timer_a_ever_slower_until_timer_b() {
    let mut scene = Scene::new();
    scene.ask(udp(), "INVITE");
    scene.wait(31_999);
    let sent = [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500];
    assert_eq!(times(&mut scene), sent);
    assert_eq!(scene.news(), NOTHING);
    scene.wait(1);
    assert_eq!(scene.news(), ["timed out"]);
    assert!(scene.is_empty());
}

#[test]
fn a_provisional_response_ends_the_repetitions_and_timer_c_the_waiting() {
    let mut scene = Scene::new();
    scene.ask(udp(), "INVITE");
    scene.wait(600);
    scene.answered(100);
    scene.answered(180);
    scene.wait(179_999);
    assert_eq!(times(&mut scene), [0, 500]);
    assert_eq!(scene.news(), ["100", "180"]);
    scene.wait(1);
    assert_eq!(scene.news(), ["timed out"]);
    assert!(scene.is_empty());
}

#[test]
fn a_refusal_is_told_once_and_acknowledged_every_time_until_timer_d() {
    let mut scene = Scene::new();
    scene.ask(udp(), "INVITE");
    scene.answered(491);
    scene.wait(31_999);
    scene.answered(491);
    assert_eq!(scene.words(), ["INVITE", "ACK", "ACK"]);
    assert_eq!(scene.news(), ["491"]);
    assert!(!scene.is_empty());
    scene.wait(1);
    assert!(scene.is_empty());
}

#[test]
fn the_ack_to_a_refusal_belongs_to_its_invite() {
    let mut scene = Scene::new();
    let mut invite = super::scene::plain("INVITE");
    invite.headers.push("Route", "<sip:edge.example;lr>");
    invite.headers.push("Content-Type", "application/sdp");
    invite.body = b"v=0\r\n".to_vec();
    scene.ours.request(scene.now, udp(), invite, "z9hG4bKmine");
    scene.drain();
    scene.answered(401);
    let (flow, Message::Request(ack)) = scene.sent.pop().unwrap() else {
        panic!("an ACK is a request");
    };
    let (_, Message::Request(invite)) = scene.sent.pop().unwrap() else {
        panic!("an INVITE is a request");
    };
    assert_eq!(flow, udp());
    assert_eq!(ack.uri, invite.uri);
    assert_eq!(ack.headers.get("CSeq"), Some("1 ACK"));
    assert_eq!(ack.headers.get("To"), Some("<sip:srs@192.0.2.1>;tag=srs1"));
    for name in ["Via", "From", "Call-ID", "Route", "Max-Forwards"] {
        assert!(ack.headers.get(name).is_some(), "{name}");
        assert_eq!(ack.headers.get(name), invite.headers.get(name));
    }
    assert_eq!(ack.headers.get("Content-Type"), None);
    assert_eq!(ack.body, b"");
}

#[test]
fn a_2xx_is_told_every_time_until_timer_m() {
    for flow in [udp(), tcp(1)] {
        let mut scene = Scene::new();
        scene.ask(flow, "INVITE");
        scene.answered(180);
        scene.answered(200);
        scene.wait(31_999);
        scene.answered(200);
        scene.answered(500);
        assert_eq!(scene.words(), ["INVITE"], "the user acknowledges");
        assert_eq!(scene.news(), ["180", "200", "200"]);
        assert!(!scene.is_empty());
        scene.wait(1);
        assert!(scene.is_empty());
        scene.answered(200);
        assert_eq!(scene.news(), ["stray"]);
    }
}

#[test]
fn over_a_connection_an_invite_is_sent_once_and_ends_with_its_refusal() {
    let mut scene = Scene::new();
    scene.ask(tcp(1), "INVITE");
    scene.wait(31_000);
    assert_eq!(times(&mut scene), [0]);
    scene.answered(488);
    assert_eq!(scene.words(), ["ACK"]);
    assert_eq!(scene.news(), ["488"]);
    assert!(scene.is_empty());
}

#[test]
fn over_a_connection_an_invite_without_an_answer_times_out() {
    let mut scene = Scene::new();
    scene.ask(tcp(1), "INVITE");
    scene.wait(32_000);
    assert_eq!(scene.news(), ["timed out"]);
    assert!(scene.is_empty());
}

#[test]
fn another_request_is_repeated_by_timer_e_up_to_every_t2_until_timer_f() {
    let mut scene = Scene::new();
    scene.ask(udp(), "BYE");
    scene.wait(31_999);
    let sent = [
        0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500,
    ];
    assert_eq!(times(&mut scene), sent);
    scene.wait(1);
    assert_eq!(scene.news(), ["timed out"]);
    assert!(scene.is_empty());
}

#[test]
fn after_a_provisional_response_it_is_repeated_every_t2_and_timer_f_goes_on() {
    let mut scene = Scene::new();
    scene.ask(udp(), "UPDATE");
    scene.wait(100);
    scene.answered(100);
    scene.answered(100);
    scene.wait(31_899);
    let sent = [0, 500, 4_500, 8_500, 12_500, 16_500, 20_500, 24_500, 28_500];
    assert_eq!(times(&mut scene), sent);
    assert_eq!(scene.news(), ["100", "100"]);
    scene.wait(1);
    assert_eq!(scene.news(), ["timed out"]);
}

#[test]
fn repeated_answers_are_absorbed_until_timer_k() {
    let mut scene = Scene::new();
    scene.ask(udp(), "BYE");
    scene.answered(200);
    let end = scene.now + Duration::from_secs(5);
    assert_eq!(scene.ours.deadline(), Some(end), "timer E has ended");
    scene.wait(4_999);
    scene.answered(200);
    scene.answered(100);
    assert_eq!(scene.words(), ["BYE"]);
    assert_eq!(scene.news(), ["200"]);
    scene.wait(1);
    assert!(scene.is_empty());
    scene.answered(200);
    assert_eq!(scene.news(), ["stray"]);
}

#[test]
fn over_a_connection_another_request_is_sent_once_and_ends_with_its_answer() {
    let mut scene = Scene::new();
    scene.ask(tcp(1), "BYE");
    scene.answered(100);
    scene.wait(31_000);
    assert_eq!(times(&mut scene), [0]);
    scene.answered(200);
    assert_eq!(scene.news(), ["100", "200"]);
    assert!(scene.is_empty());
}

#[test]
fn a_request_of_ours_has_our_via_on_top() {
    let cases = [
        (None, "192.0.2.1:5060"),
        (Some("0.0.0.0:5060"), "192.0.2.1:5060"),
        (Some("203.0.113.9:5070"), "203.0.113.9:5070"),
        (Some("[2001:db8::9]:5060"), "[2001:db8::9]:5060"),
    ];
    for (listener, sent_by) in cases {
        let listeners = listener.iter().map(|at| at.parse().unwrap()).collect();
        let ours = Transactions::new(Timers::default(), 10).with_listeners(listeners);
        let mut scene = Scene::of(ours);
        scene.ask(tcp(1), "BYE");
        let first = scene.sent[0].1.headers().iter().next().unwrap();
        let via = format!("SIP/2.0/TCP {sent_by};rport;branch=z9hG4bKours1");
        assert_eq!(first, ("Via", via.as_str()));
    }
}

#[test]
fn what_was_sent_on_a_closed_connection_has_failed() {
    let mut scene = Scene::new();
    let requests = [(tcp(1), "a"), (tcp(2), "b"), (udp(), "c")];
    for (flow, branch) in requests {
        let bye = super::scene::plain("BYE");
        scene.ours.request(scene.now, flow, bye, branch);
    }
    scene.ours.closed(scene.now, 1);
    scene.drain();
    assert_eq!(scene.news(), ["timed out"]);
    scene.ours.closed(scene.now, 0);
    scene.ours.closed(scene.now, 3);
    scene.drain();
    assert_eq!(scene.news(), NOTHING);
    assert_eq!(scene.ours.counts(), (0, 2));
}

#[test]
fn a_connection_that_had_to_be_opened_is_known_by_its_first_answer() {
    let mut scene = Scene::new();
    scene.ask(tcp(0), "INVITE");
    let (_, Message::Request(invite)) = scene.sent[0].clone() else {
        panic!("an INVITE is a request");
    };
    let trying = super::scene::answer(&invite, 100);
    scene.receive(tcp(7), Message::Response(trying));
    assert_eq!(scene.news(), ["100"]);
    scene.ours.closed(scene.now, 7);
    scene.drain();
    assert_eq!(scene.news(), ["timed out"]);
    assert!(scene.is_empty());
}
