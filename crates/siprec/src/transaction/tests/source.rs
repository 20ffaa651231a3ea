//! RFC 3261 §18.2, RFC 3581.

use proptest::prelude::*;

use super::scene::{Scene, answer, request, request_via, tcp, udp};
use crate::message::{Headers, Message, split_list};
use crate::transaction::via::annotate;
use crate::transaction::{Flow, Transport};

fn annotated(via: &str) -> String {
    let mut headers = Headers::default();
    headers.push("Via", via);
    let source = "198.51.100.7:5062".parse().unwrap();
    annotate(&headers, source).get("Via").unwrap().to_owned()
}

/// Where the answer to this request goes.
fn answered_to(flow: Flow, via: &str) -> Flow {
    let mut scene = Scene::new();
    let (id, options) = scene.begin(flow, &request_via("OPTIONS", via));
    scene.respond(id, &answer(&options, 200));
    scene.sent.pop().unwrap().0
}

#[test]
fn another_host_than_the_source_is_told_as_received() {
    let cases = [
        (
            "SIP/2.0/UDP 198.51.100.7;branch=b",
            "SIP/2.0/UDP 198.51.100.7;branch=b",
        ),
        (
            "SIP/2.0/UDP 10.0.0.1:5060;branch=b",
            "SIP/2.0/UDP 10.0.0.1:5060;branch=b;received=198.51.100.7",
        ),
        (
            "SIP/2.0/UDP sbc.example ;branch=b",
            "SIP/2.0/UDP sbc.example ;branch=b;received=198.51.100.7",
        ),
        (
            "SIP/2.0/UDP 10.0.0.1;received=192.0.2.5;branch=b",
            "SIP/2.0/UDP 10.0.0.1;branch=b;received=198.51.100.7",
        ),
    ];
    for (via, expected) in cases {
        assert_eq!(annotated(via), expected);
    }
}

#[test]
fn a_port_that_is_asked_for_is_told_together_with_the_address() {
    let cases = [
        (
            "SIP/2.0/UDP 198.51.100.7;rport;branch=b",
            "SIP/2.0/UDP 198.51.100.7;rport=5062;branch=b;received=198.51.100.7",
        ),
        (
            "SIP/2.0/UDP 10.0.0.1; RPORT ; branch=b",
            "SIP/2.0/UDP 10.0.0.1;rport=5062; branch=b;received=198.51.100.7",
        ),
        (
            "SIP/2.0/UDP 10.0.0.1;x=\";rport\";rport=9;branch=b",
            "SIP/2.0/UDP 10.0.0.1;x=\";rport\";rport=5062;branch=b;received=198.51.100.7",
        ),
    ];
    for (via, expected) in cases {
        assert_eq!(annotated(via), expected);
    }
}

#[test]
fn an_ipv6_source_is_told_without_brackets_and_a_mapped_one_as_ipv4() {
    let mut headers = Headers::default();
    headers.push("Via", "SIP/2.0/UDP [2001:db8::1];branch=b");
    let same = annotate(&headers, "[2001:db8::1]:5060".parse().unwrap());
    assert_eq!(same, headers);
    let other = annotate(&headers, "[2001:db8::2]:5060".parse().unwrap());
    assert_eq!(
        other.get("Via"),
        Some("SIP/2.0/UDP [2001:db8::1];branch=b;received=2001:db8::2")
    );
    let mut headers = Headers::default();
    headers.push("Via", "SIP/2.0/UDP 192.0.2.7;branch=b");
    let mapped = annotate(&headers, "[::ffff:192.0.2.7]:5060".parse().unwrap());
    assert_eq!(mapped, headers);
}

#[test]
fn only_the_topmost_via_is_touched() {
    let mut headers = Headers::default();
    headers.push("Max-Forwards", "70");
    headers.push("Via", "SIP/2.0/UDP a.example, SIP/2.0/TCP b.example;rport");
    headers.push("Via", "SIP/2.0/UDP a.example;rport");
    let annotated = annotate(&headers, "192.0.2.7:5060".parse().unwrap());
    let fields: Vec<_> = annotated.iter().collect();
    let top = "SIP/2.0/UDP a.example;received=192.0.2.7, SIP/2.0/TCP b.example;rport";
    assert_eq!(
        fields,
        [
            ("Max-Forwards", "70"),
            ("Via", top),
            ("Via", "SIP/2.0/UDP a.example;rport"),
        ]
    );
}

#[test]
fn a_datagram_is_answered_to_its_port_if_it_asks_for_that() {
    assert_eq!(
        answered_to(udp(), "10.0.0.1:5099;branch=z9hG4bKa;rport"),
        udp()
    );
}

#[test]
fn a_datagram_is_answered_to_the_port_of_its_via_otherwise() {
    let named = answered_to(udp(), "10.0.0.1:5099;branch=z9hG4bKa");
    assert_eq!(named.peer, "198.51.100.7:5099".parse().unwrap());
    for via in ["10.0.0.1;branch=z9hG4bKa", "10.0.0.1:0;branch=z9hG4bKa"] {
        let unnamed = answered_to(udp(), via);
        assert_eq!(unnamed.peer, "198.51.100.7:5060".parse().unwrap());
    }
}

#[test]
fn maddr_aims_no_answer() {
    let flow = answered_to(udp(), "10.0.0.1;maddr=203.0.113.1;branch=z9hG4bKa");
    assert_eq!(flow.peer, "198.51.100.7:5060".parse().unwrap());
}

#[test]
fn a_connection_is_answered_on_itself() {
    assert_eq!(answered_to(tcp(4), "10.0.0.1:5099;branch=z9hG4bKa"), tcp(4));
}

#[test]
fn an_answer_whose_connection_is_gone_goes_on_a_new_one_to_the_same_host() {
    let tls = Flow {
        transport: Transport::Tls,
        ..tcp(4)
    };
    for (flow, port) in [(tcp(4), 5060), (tls, 5061)] {
        let mut scene = Scene::new();
        let asked = request_via("OPTIONS", "10.0.0.1;branch=z9hG4bKa");
        let (id, options) = scene.begin(flow.clone(), &asked);
        scene.ours.closed(scene.now, 4);
        scene.respond(id, &answer(&options, 200));
        let (to, _) = scene.sent.pop().unwrap();
        assert_eq!((to.connection, to.transport), (0, flow.transport));
        assert_eq!(to.peer, format!("198.51.100.7:{port}").parse().unwrap());
        assert!(scene.is_empty());
    }
}

#[test]
fn a_client_that_comes_back_on_another_connection_is_answered_there() {
    let mut scene = Scene::new();
    let (id, invite) = scene.begin(tcp(4), &request("INVITE", "a"));
    scene.receive(tcp(5), Message::Request(request("INVITE", "a")));
    scene.ours.closed(scene.now, 4);
    scene.respond(id, &answer(&invite, 486));
    assert_eq!(scene.words(), ["100", "100", "486"]);
    let connections: Vec<_> = scene.sent.iter().map(|(to, _)| to.connection).collect();
    assert_eq!(connections, [4, 5, 5]);
    scene.ours.closed(scene.now, 5);
    scene.wait(32_000);
    assert!(scene.is_empty());
}

#[test]
fn another_host_with_the_same_branch_draws_no_answer_to_itself() {
    let mut scene = Scene::new();
    let (_, _) = scene.begin(udp(), &request("INVITE", "a"));
    let stranger = Flow {
        peer: "203.0.113.66:5060".parse().unwrap(),
        ..udp()
    };
    scene.receive(stranger, Message::Request(request("INVITE", "a")));
    assert_eq!(scene.words(), ["100", "100"]);
    assert_eq!(scene.sent[1].0, udp());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_a_via_says_its_neighbours_stay_and_its_source_is_true(
        via in r#"(SIP/2.0/UDP )?[a-z0-9.:;=, "<>\\\[\]]{0,40}(;rport)?(;received=1.2.3.4)?"#,
        rest in r"SIP/2.0/TCP [a-z]{1,5};rport",
    ) {
        let mut headers = Headers::default();
        headers.push("From", "<sip:a@b>");
        headers.push("Via", &via);
        headers.push("Via", &rest);
        let source = "198.51.100.7:5062".parse().unwrap();
        let once = annotate(&headers, source);
        prop_assert_eq!(once.get("From"), headers.get("From"));
        let vias: Vec<_> = once.all("Via").collect();
        let is_listed = split_list(&via).next().is_some();
        prop_assert_eq!(vias.len(), 2);
        prop_assert!(!is_listed || vias[1] == rest);
        if !via.contains(['"', '<']) {
            prop_assert_eq!(&annotate(&once, source), &once, "saying it twice says no more");
        }
        if let Some(top) = once.top_via() {
            for (name, value) in &top.params {
                match name.as_str() {
                    "rport" => prop_assert_eq!(value.as_deref(), Some("5062")),
                    "received" => prop_assert_eq!(value.as_deref(), Some("198.51.100.7")),
                    _ => {}
                }
            }
        }
    }
}
