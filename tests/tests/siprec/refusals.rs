//! What is refused, and that the SBC, the log and the counters are told why.

use rig::World;
use sim::caller::siprec::{Like, Message, RawDialog, Start};

use crate::scenes::{PATIENCE, SDP, ask, refusal, trunk, until_legs};
use crate::support::{over, until_metric};
use crate::words::{recording, recording_with};

/// A trunk that this machine is not on.
const ELSEWHERE: &str = "[[siprec.trunks]]\nname = \"other\"\nsources = [\"192.0.2.0/24\"]\n";

const UNKNOWN: &str = "antiphon_siprec_notices_total{kind=\"unknown_source\"}";

fn answers(method: &str, class: &str) -> String {
    format!("antiphon_siprec_answers_total{{class=\"{class}\",method=\"{method}\"}}")
}

async fn raw(world: &World) -> RawDialog {
    RawDialog::open(&world.recording_options()).await.unwrap()
}

/// An INVITE that differs from a good one is refused so, with these words and perhaps this header.
async fn refused(
    world: &World,
    change: impl FnOnce(&mut Message),
    (status, words): (u16, &str),
    header: Option<(&str, &str)>,
) {
    let mut raw = raw(world).await;
    let mut invite = raw.invite("application/sdp", SDP.as_bytes());
    change(&mut invite);
    let answer = ask(&mut raw, &invite).await;
    assert_eq!(answer.status(), status, "{answer:?}");
    let warning = answer.header("Warning").unwrap_or_default();
    assert!(warning.contains(words), "{words} is not in {warning}");
    if let Some((name, value)) = header {
        let said = answer.header(name).unwrap_or_default();
        assert!(said.contains(value), "{name} is {said}");
    }
}

fn offer(text: &str) -> impl FnOnce(&mut Message) {
    let body = text.as_bytes().to_vec();
    move |invite| invite.body = body
}

#[tokio::test(flavor = "multi_thread")]
async fn invites_that_cannot_be_taken_are_told_why() {
    let world = recording().await;
    let set = |name: &'static str, value: &'static str| {
        move |invite: &mut Message| {
            invite.set(name, value);
        }
    };
    let world = &world;
    refused(
        world,
        set("Require", "siprec, x-foo"),
        (420, "x-foo"),
        Some(("Unsupported", "x-foo")),
    )
    .await;
    let without_option = |invite: &mut Message| {
        invite.remove("Require");
    };
    refused(
        world,
        without_option,
        (421, "siprec"),
        Some(("Require", "siprec")),
    )
    .await;
    refused(
        world,
        set("Contact", "<sip:src@127.0.0.1:9>"),
        (400, "+sip.src"),
        None,
    )
    .await;
    let accept = Some(("Accept", "application/sdp"));
    refused(
        world,
        set("Content-Type", "text/plain"),
        (415, "text/plain"),
        accept,
    )
    .await;
    let encoding = Some(("Accept-Encoding", "identity"));
    refused(
        world,
        set("Content-Encoding", "gzip"),
        (415, "Content-Encoding"),
        encoding,
    )
    .await;
    let short = |invite: &mut Message| {
        invite
            .set("Supported", "timer")
            .set("Session-Expires", "30");
    };
    refused(
        world,
        short,
        (422, "Session-Expires"),
        Some(("Min-SE", "90")),
    )
    .await;
    let unfinished = set("Content-Type", "multipart/mixed;boundary=none");
    refused(world, unfinished, (400, ""), None).await;
    let uri = |uri: &'static str| {
        move |invite: &mut Message| {
            let (method, uri) = ("INVITE".to_owned(), uri.to_owned());
            invite.start = Start::Request { method, uri };
        }
    };
    refused(
        world,
        uri("mailto:srs@example.com"),
        (416, "neither sip"),
        None,
    )
    .await;
    let long = |invite: &mut Message| {
        let (method, uri) = ("INVITE".to_owned(), format!("sip:{}@x", "a".repeat(3_000)));
        invite.start = Start::Request { method, uri };
    };
    refused(world, long, (414, "too long"), None).await;
    assert_eq!(world.metric(&answers("INVITE", "4xx")).await, 9.0);
    assert_eq!(world.metric("antiphon_siprec_sessions").await, 0.0);
    assert_eq!(world.metric("antiphon_siprec_ports").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn offers_without_a_line_that_can_be_received_are_told_why() {
    let world = recording().await;
    let with = |line: &str| SDP.split("m=").next().unwrap().to_owned() + line;
    for (line, code, words) in [
        ("m=audio 9 RTP/AVP 18\r\n", "305 ", "G.729"),
        ("m=audio 9 RTP/AVP 9\r\n", "305 ", "no codec"),
        ("m=video 9 RTP/AVP 31\r\n", "304 ", "not audio"),
        ("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n", "302 ", "transport"),
        ("m=audio 9 RTP/SAVP 0\r\n", "399 ", "a=crypto"),
        ("m=audio 0 RTP/AVP 0\r\n", "399 ", "port 0"),
    ] {
        refused(
            &world,
            offer(&with(line)),
            (488, words),
            Some(("Warning", code)),
        )
        .await;
    }
    refused(&world, offer("v=0\r\n"), (488, ""), None).await;
    refused(&world, offer("hello"), (488, ""), None).await;
    let secure = recording_with(&trunk("srtp = \"require\"")).await;
    refused(&secure, |_| {}, (488, "requires SRTP"), None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_no_session_s_are_told_so() {
    let world = recording().await;
    let mut raw = raw(&world).await;
    for (method, status) in [
        ("REGISTER", 405),
        ("SUBSCRIBE", 405),
        ("FOO", 501),
        ("BYE", 481),
    ] {
        let request = raw.request(method, None);
        let answer = ask(&mut raw, &request).await;
        assert_eq!(answer.status(), status, "{method}: {answer:?}");
        assert_eq!(answer.header("Allow").is_some(), status != 481, "{method}");
    }
    for method in ["INVITE", "BYE", "UPDATE", "INFO", "OPTIONS"] {
        let mut request = raw.request(method, None);
        request.set("To", "<sip:srs@127.0.0.1>;tag=nobodys");
        assert_eq!(ask(&mut raw, &request).await.status(), 481, "{method}");
    }
    let mut odd = raw.request("OPTIONS", None);
    odd.remove("CSeq").add("CSeq", "7 INVITE");
    assert_eq!(ask(&mut raw, &odd).await.status(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_on_no_trunk_is_forbidden() {
    let world = recording_with(ELSEWHERE).await;
    let refused = refusal(world.try_record(|_| {}).await);
    assert_eq!(refused.status, 403);
    assert!(
        refused
            .warning
            .unwrap()
            .contains("no trunk knows this source")
    );
    // The ACK of the refusal is one of them.
    until_metric(&world, UNKNOWN, |count| count == 2.0).await;
    assert_eq!(world.metric(&answers("INVITE", "4xx")).await, 1.0);
    let udp = |options: &mut sim::caller::siprec::Options| options.target = world.target("udp");
    assert_eq!(refusal(world.try_record(udp).await).status, 403);
    assert_eq!(world.metric("antiphon_siprec_sessions").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_on_no_trunk_may_be_met_with_silence() {
    let silent = format!("[siprec]\nsilent_to_unknown = true\n{ELSEWHERE}");
    let world = recording_with(&silent).await;
    for transport in ["udp", "tcp"] {
        let mut options = world.recording_options();
        options.target = world.target(transport);
        let mut raw = RawDialog::open(&options).await.unwrap();
        let before = world.metric(UNKNOWN).await;
        let invite = raw.invite("application/sdp", SDP.as_bytes());
        raw.send(&invite).await.unwrap();
        until_metric(&world, UNKNOWN, |count| count > before).await;
        // Whatever is said to it comes back within this process.
        let said = raw.receive(std::time::Duration::from_millis(100)).await;
        assert_eq!(said, None, "over {transport}");
    }
    assert_eq!(world.metric(&answers("INVITE", "4xx")).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_is_found_by_the_user_that_is_called() {
    let more = trunk("users = [\"recorder\"]");
    let world = recording_with(&more).await;
    assert_eq!(refusal(world.try_record(|_| {}).await).status, 403);
    let mut raw = raw(&world).await;
    let mut invite = raw.invite("application/sdp", SDP.as_bytes());
    invite.set("To", "<sip:recorder@127.0.0.1>");
    assert_eq!(ask(&mut raw, &invite).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_say_siprec_is_refused_unless_the_trunk_takes_anybody() {
    let strict = recording().await;
    let dialled = strict.try_record(|options| options.like = Like::Nbr).await;
    assert_eq!(refusal(dialled).status, 421);
    let anyway = "antiphon_siprec_notices_total{kind=\"accepted_anyway\"}";
    assert_eq!(strict.metric(anyway).await, 0.0);
    let world = recording_with(&trunk("accept_anyway = true")).await;
    let call = world.record_with(|options| options.like = Like::Nbr).await;
    until_legs(&world, &call.guid(), 2).await;
    assert_eq!(world.metric(anyway).await, 1.0);
    over(&world, call).await;
    let call = world.record().await;
    assert_eq!(world.metric(anyway).await, 1.0);
    over(&world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_comes_too_late_changes_nothing() {
    let world = recording().await;
    let mut raw = raw(&world).await;
    let invite = raw.invite("application/sdp", SDP.as_bytes());
    assert_eq!(ask(&mut raw, &invite).await.status(), 200);
    // It is answered at once, so its CANCEL comes too late and changes nothing.
    let mut cancel = Message::request("CANCEL", "sip:srs@127.0.0.1");
    for name in ["Via", "Max-Forwards", "From", "To", "Call-ID"] {
        cancel.add(name, invite.header(name).unwrap());
    }
    cancel.add("CSeq", &format!("{} CANCEL", invite.cseq().0));
    raw.send(&cancel).await.unwrap();
    let mut answer = raw.answer(PATIENCE).await.unwrap();
    while answer.cseq().1 != "CANCEL" {
        answer = raw.answer(PATIENCE).await.unwrap();
    }
    assert!([200, 481].contains(&answer.status()));
    assert_eq!(world.metric("antiphon_siprec_sessions").await, 1.0);
}
