//! RFC 3261 §17.1.3, §17.2.3, §8.2.2.2.

use super::scene::{Scene, answer, plain, request, request_via, udp};
use crate::message::Message;

const NOTHING: [&str; 0] = [];

#[test]
fn branch_sent_by_and_method_make_a_transaction() {
    let mut scene = Scene::new();
    let ways = [
        "198.51.100.7;branch=z9hG4bKa",
        "198.51.100.7:5062;branch=z9hG4bKa",
        "198.51.100.8;branch=z9hG4bKa",
        "198.51.100.7;branch=z9hG4bKA",
    ];
    for (number, via) in ways.iter().enumerate() {
        let mut options = request_via("OPTIONS", via);
        options.headers.set("CSeq", format!("{number} OPTIONS"));
        scene.hear(&options);
    }
    scene.hear(&request_via("INFO", ways[0]));
    assert_eq!(
        scene.news(),
        ["OPTIONS", "OPTIONS", "OPTIONS", "OPTIONS", "INFO"]
    );
}

#[test]
fn a_host_in_another_case_and_the_default_port_are_the_same_sender() {
    let mut scene = Scene::new();
    scene.hear(&request_via("OPTIONS", "sbc.example;branch=z9hG4bKa"));
    scene.hear(&request_via("OPTIONS", "SBC.example:5060;branch=z9hG4bKa"));
    assert_eq!(scene.news(), ["OPTIONS"]);
}

#[test]
fn without_the_magic_cookie_the_fields_of_rfc_2543_make_a_transaction() {
    for via in [
        "sbc.example",
        "sbc.example;branch=1",
        "sbc.example;branch=z9hG4bK",
    ] {
        let mut scene = Scene::new();
        let options = request_via("OPTIONS", via);
        scene.hear(&options);
        scene.hear(&options);
        assert_eq!(scene.news(), ["OPTIONS"], "{via}");
        let mut next = options.clone();
        next.headers.set("CSeq", "2 OPTIONS");
        let mut other = options.clone();
        other.headers.set("Call-ID", "call-2");
        let mut elsewhere = options.clone();
        elsewhere
            .headers
            .set("From", "<sip:src@198.51.100.7>;tag=src2");
        for request in [next, other, elsewhere] {
            scene.hear(&request);
            assert_eq!(scene.news(), ["OPTIONS"], "{via}");
        }
    }
}

#[test]
fn without_the_magic_cookie_an_ack_must_have_our_to_tag() {
    let mut scene = Scene::new();
    let (id, invite) = scene.begin(udp(), &request_via("INVITE", "sbc.example"));
    scene.respond(id, &answer(&invite, 486));
    let mut ack = request_via("ACK", "sbc.example");
    ack.headers.set("To", "<sip:srs@192.0.2.1>;tag=other");
    scene.hear(&ack);
    assert_eq!(scene.news(), ["ack"]);
    ack.headers.set("To", "<sip:srs@192.0.2.1>;tag=srs1");
    scene.hear(&ack);
    assert_eq!(scene.news(), NOTHING);
    scene.wait(5_000);
    assert!(scene.is_empty());
}

#[test]
fn without_the_magic_cookie_a_cancel_finds_its_invite() {
    let mut scene = Scene::new();
    scene.hear(&request_via("INVITE", "sbc.example"));
    scene.hear(&request_via("CANCEL", "sbc.example"));
    assert_eq!(scene.words(), ["100", "200"]);
    assert_eq!(scene.news(), ["INVITE", "cancelled"]);
}

#[test]
fn a_response_is_found_by_branch_and_method() {
    let mut scene = Scene::new();
    scene.ask(udp(), "INVITE");
    scene.ask(udp(), "CANCEL");
    scene.answered(200);
    assert_eq!(scene.news(), ["200"]);
    assert_eq!(scene.ours.counts(), (0, 2));
    scene.wait(5_000);
    assert_eq!(scene.ours.counts(), (0, 1), "timer K of the CANCEL");
}

#[test]
fn a_response_that_is_not_for_us_is_stray() {
    let mut scene = Scene::new();
    scene.ask(udp(), "BYE");
    let (_, Message::Request(bye)) = scene.sent[0].clone() else {
        panic!("a BYE is a request");
    };
    let mut forwarded = answer(&bye, 200);
    forwarded
        .headers
        .push("Via", "SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKx");
    scene.receive(udp(), Message::Response(forwarded));
    let mut other = answer(&bye, 200);
    other
        .headers
        .set("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx");
    scene.receive(udp(), Message::Response(other));
    let mut another = answer(&bye, 200);
    another.headers.set("CSeq", "1 INFO");
    scene.receive(udp(), Message::Response(another));
    assert_eq!(scene.news(), ["stray", "stray", "stray"]);
    assert_eq!(scene.ours.counts(), (0, 1));
}

#[test]
fn a_request_that_names_no_transaction_is_stray() {
    let mut scene = Scene::new();
    scene.hear(&plain("OPTIONS"));
    assert_eq!(scene.news(), ["stray"]);
    assert!(scene.is_empty());
}

#[test]
fn the_second_copy_of_a_request_is_answered_482() {
    let mut scene = Scene::new();
    scene.hear(&request("INVITE", "a"));
    scene.hear(&request("INVITE", "b"));
    scene.hear(&request("INVITE", "b"));
    assert_eq!(scene.words(), ["100", "482", "482"]);
    assert_eq!(scene.news(), ["INVITE", "merged"]);
    scene.hear(&request("ACK", "b"));
    scene.hear(&request("INVITE", "a"));
    assert_eq!(scene.words(), ["100"]);
    assert_eq!(scene.news(), NOTHING, "its ACK is its transaction's");
    let to = scene.sent[1].1.headers().to().unwrap();
    assert!(to.tag().is_some());
}

#[test]
fn a_request_of_a_dialog_is_never_a_merged_one() {
    let mut scene = Scene::new();
    for branch in ["a", "b"] {
        let mut update = request("UPDATE", branch);
        update.headers.set("To", "<sip:srs@192.0.2.1>;tag=srs1");
        scene.hear(&update);
    }
    assert_eq!(scene.news(), ["UPDATE", "UPDATE"]);
}

#[test]
fn a_copy_that_comes_after_the_transaction_is_a_new_request() {
    let mut scene = Scene::new();
    let (id, options) = scene.begin(udp(), &request("OPTIONS", "a"));
    scene.respond(id, &answer(&options, 200));
    scene.wait(32_000);
    scene.hear(&request("OPTIONS", "b"));
    assert_eq!(scene.news(), ["OPTIONS"]);
}
