//! RFC 3261 §17.2 and RFC 6026 §7.1.

use super::scene::{Scene, answer, request, tcp};

const NOTHING: [&str; 0] = [];

fn at(times: &[u64], word: &str) -> Vec<(u64, String)> {
    times.iter().map(|time| (*time, word.to_owned())).collect()
}

#[test]
fn an_invite_is_answered_100_at_once_and_told_to_the_user() {
    let mut scene = Scene::new();
    let mut invite = request("INVITE", "a");
    invite.headers.push("Timestamp", "54");
    scene.hear(&invite);
    assert_eq!(scene.words(), ["100"]);
    assert_eq!(scene.news(), ["INVITE"]);
    let trying = scene.sent[0].1.headers();
    assert_eq!(trying.get("Timestamp"), Some("54"));
    assert_eq!(trying.get("To"), Some("<sip:srs@192.0.2.1>"));
}

#[test]
fn a_repeated_invite_is_told_once_and_repeats_the_last_provisional_response() {
    let mut scene = Scene::new();
    let (id, invite) = scene.begin(tcp(1), &request("INVITE", "a"));
    scene.hear(&request("INVITE", "a"));
    assert_eq!(scene.words(), ["100", "100"]);
    scene.respond(id, &answer(&invite, 180));
    scene.hear(&request("INVITE", "a"));
    assert_eq!(scene.words(), ["180", "180"]);
    assert_eq!(scene.news(), NOTHING);
}

#[test]
fn a_refusal_is_repeated_by_timer_g_until_timer_h_gives_up() {
    let mut scene = Scene::new();
    let (id, invite) = scene.begin(super::scene::udp(), &request("INVITE", "a"));
    scene.respond(id, &answer(&invite, 486));
    scene.told();
    scene.wait(31_999);
    let times = [
        500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500,
    ];
    assert_eq!(scene.told(), at(&times, "486"));
    assert!(!scene.is_empty());
    scene.wait(1);
    assert!(scene.is_empty());
}

#[test]
fn an_ack_ends_the_repetitions_and_more_of_them_are_absorbed_for_timer_i() {
    let mut scene = Scene::new();
    let (id, invite) = scene.begin(super::scene::udp(), &request("INVITE", "a"));
    scene.respond(id, &answer(&invite, 486));
    scene.hear(&request("ACK", "a"));
    scene.told();
    scene.wait(4_999);
    scene.hear(&request("ACK", "a"));
    scene.hear(&request("INVITE", "a"));
    assert_eq!(scene.words(), NOTHING);
    assert_eq!(scene.news(), NOTHING);
    assert!(!scene.is_empty());
    scene.wait(1);
    assert!(scene.is_empty());
}

#[test]
fn an_invite_that_comes_again_after_its_refusal_is_refused_again() {
    let mut scene = Scene::new();
    let (id, invite) = scene.begin(super::scene::udp(), &request("INVITE", "a"));
    scene.respond(id, &answer(&invite, 403));
    scene.hear(&request("INVITE", "a"));
    assert_eq!(scene.words(), ["100", "403", "403"]);
    assert_eq!(scene.news(), NOTHING);
}

#[test]
fn over_a_connection_a_refusal_is_sent_once_and_its_ack_ends_it() {
    let mut scene = Scene::new();
    let (id, invite) = scene.begin(tcp(1), &request("INVITE", "a"));
    scene.respond(id, &answer(&invite, 486));
    scene.told();
    scene.wait(31_000);
    assert_eq!(scene.words(), NOTHING);
    scene.receive(
        tcp(1),
        crate::message::Message::Request(request("ACK", "a")),
    );
    assert!(scene.is_empty());
    assert_eq!(scene.news(), NOTHING);
}

#[test]
fn over_a_connection_a_refusal_without_ack_is_forgotten_by_timer_h() {
    let mut scene = Scene::new();
    let (id, invite) = scene.begin(tcp(1), &request("INVITE", "a"));
    scene.respond(id, &answer(&invite, 486));
    scene.wait(31_999);
    assert!(!scene.is_empty());
    scene.wait(1);
    assert!(scene.is_empty());
}

#[test]
fn a_2xx_is_sent_once_and_repeated_invites_are_absorbed_until_timer_l() {
    for flow in [super::scene::udp(), tcp(1)] {
        let mut scene = Scene::new();
        let (id, invite) = scene.begin(flow, &request("INVITE", "a"));
        scene.respond(id, &answer(&invite, 200));
        assert_eq!(scene.words(), ["100", "200"]);
        scene.wait(31_999);
        scene.hear(&request("INVITE", "a"));
        assert_eq!(scene.words(), NOTHING);
        assert_eq!(scene.news(), NOTHING);
        assert!(!scene.is_empty());
        scene.wait(1);
        assert!(scene.is_empty());
    }
}

#[test]
fn the_user_repeats_a_2xx_and_nothing_else() {
    let mut scene = Scene::new();
    let (id, invite) = scene.begin(super::scene::udp(), &request("INVITE", "a"));
    scene.respond(id, &answer(&invite, 200));
    scene.wait(500);
    scene.respond(id, &answer(&invite, 200));
    scene.respond(id, &answer(&invite, 180));
    scene.respond(id, &answer(&invite, 500));
    assert_eq!(scene.words(), ["100", "200", "200"]);
    scene.wait(31_500);
    scene.respond(id, &answer(&invite, 200));
    assert_eq!(scene.words(), NOTHING);
}

#[test]
fn only_the_first_refusal_is_sent() {
    let mut scene = Scene::new();
    let (id, invite) = scene.begin(super::scene::udp(), &request("INVITE", "a"));
    scene.respond(id, &answer(&invite, 488));
    scene.respond(id, &answer(&invite, 200));
    scene.respond(id, &answer(&invite, 500));
    assert_eq!(scene.words(), ["100", "488"]);
}

#[test]
fn an_ack_to_a_2xx_is_told_every_time_by_whatever_branch() {
    let mut scene = Scene::new();
    let (id, invite) = scene.begin(super::scene::udp(), &request("INVITE", "a"));
    scene.hear(&request("ACK", "a"));
    assert_eq!(scene.news(), NOTHING);
    scene.respond(id, &answer(&invite, 200));
    scene.hear(&request("ACK", "a"));
    scene.hear(&request("ACK", "b"));
    scene.hear(&request("ACK", "b"));
    assert_eq!(scene.news(), ["ack", "ack", "ack"]);
}

#[test]
fn another_request_is_absorbed_until_its_answer_and_answered_again_after_it() {
    let mut scene = Scene::new();
    let (id, options) = scene.begin(super::scene::udp(), &request("OPTIONS", "a"));
    scene.hear(&request("OPTIONS", "a"));
    assert_eq!(scene.words(), NOTHING);
    scene.respond(id, &answer(&options, 183));
    scene.hear(&request("OPTIONS", "a"));
    assert_eq!(scene.words(), ["183", "183"]);
    scene.respond(id, &answer(&options, 200));
    scene.respond(id, &answer(&options, 500));
    scene.wait(31_999);
    scene.hear(&request("OPTIONS", "a"));
    assert_eq!(scene.words(), ["200", "200"]);
    assert_eq!(scene.news(), NOTHING);
    scene.wait(1);
    assert!(scene.is_empty(), "timer J");
}

#[test]
fn over_a_connection_another_request_ends_with_its_answer() {
    let mut scene = Scene::new();
    let (id, bye) = scene.begin(tcp(1), &request("BYE", "a"));
    scene.respond(id, &answer(&bye, 481));
    assert_eq!(scene.words(), ["481"]);
    assert!(scene.is_empty());
}

#[test]
fn a_request_nobody_answered_is_forgotten_when_its_client_has_given_up() {
    let mut scene = Scene::new();
    let (id, options) = scene.begin(tcp(1), &request("OPTIONS", "a"));
    scene.wait(32_000);
    assert!(scene.is_empty());
    scene.respond(id, &answer(&options, 200));
    assert_eq!(scene.words(), NOTHING);
}

#[test]
fn a_cancel_is_answered_200_and_told_once() {
    let mut scene = Scene::new();
    let (id, invite) = scene.begin(super::scene::udp(), &request("INVITE", "a"));
    scene.respond(id, &answer(&invite, 180));
    scene.hear(&request("CANCEL", "a"));
    scene.hear(&request("CANCEL", "a"));
    assert_eq!(scene.words(), ["100", "180", "200", "200"]);
    assert_eq!(scene.news(), ["cancelled"]);
    scene.respond(id, &answer(&invite, 487));
    scene.hear(&request("ACK", "a"));
    assert_eq!(scene.words(), ["487"]);
    let tags: Vec<_> = scene
        .sent
        .iter()
        .skip(1)
        .map(|(_, message)| message.headers().to().unwrap().tag().unwrap().to_owned())
        .collect();
    assert_eq!(tags, ["srs1"; 4], "a CANCEL has the To tag of its INVITE");
}

#[test]
fn the_cancel_of_an_answered_invite_has_no_effect() {
    let mut scene = Scene::new();
    let (id, invite) = scene.begin(super::scene::udp(), &request("INVITE", "a"));
    scene.respond(id, &answer(&invite, 200));
    scene.hear(&request("CANCEL", "a"));
    assert_eq!(scene.words(), ["100", "200", "200"]);
    assert_eq!(scene.news(), NOTHING);
}

#[test]
fn the_cancel_of_nothing_is_answered_481() {
    let mut scene = Scene::new();
    scene.hear(&request("CANCEL", "a"));
    scene.begin(super::scene::udp(), &request("OPTIONS", "b"));
    scene.hear(&request("CANCEL", "b"));
    assert_eq!(scene.words(), ["481", "481"]);
    assert_eq!(scene.news(), NOTHING);
    let to = scene.sent[0].1.headers().to().unwrap();
    assert!(to.tag().is_some());
}

#[test]
fn the_cancel_of_a_request_inside_a_dialog_keeps_its_to_tag() {
    let mut scene = Scene::new();
    let mut invite = request("INVITE", "a");
    invite.headers.set("To", "<sip:srs@192.0.2.1>;tag=old");
    let mut cancel = request("CANCEL", "a");
    cancel.headers.set("To", "<sip:srs@192.0.2.1>;tag=old");
    let (id, invite) = scene.begin(super::scene::udp(), &invite);
    scene.respond(id, &answer(&invite, 180));
    scene.hear(&cancel);
    let to = scene.sent.last().unwrap().1.headers().get("To");
    assert_eq!(to, Some("<sip:srs@192.0.2.1>;tag=old"));
}
