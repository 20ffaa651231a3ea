//! Dialogs, holds, transfers, and what the recording server asks.

use super::*;

const RESUME: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
    m=audio PORT RTP/AVP 0 101\r\na=label:1\r\na=recvonly\r\n\
    m=audio NEXT RTP/AVP 0 101\r\na=label:2\r\na=recvonly\r\n";

#[tokio::test]
async fn a_refusal_tells_its_status_and_its_warning_and_is_acknowledged() {
    let fake = Fake::start(Manner {
        refuses: Some(488),
        ..POLITE
    })
    .await;
    let error = SiprecCall::dial(fake.options()).await.unwrap_err();
    let refused = error.refused().unwrap();
    assert_eq!(refused.status, 488);
    assert!(
        refused
            .warning
            .as_ref()
            .unwrap()
            .contains("no common codec")
    );
    fake.until(|seen| {
        seen.requests
            .iter()
            .any(|request| request.method() == "ACK")
    })
    .await;
    let (invite, ack) = (&fake.requests("INVITE")[0], &fake.requests("ACK")[0]);
    assert_eq!(ack.branch(), invite.branch());
    assert_eq!((ack.tag("To"), ack.cseq()), (Some("fake"), (101, "ACK")));
}

#[tokio::test]
async fn what_is_not_answered_is_sent_again() {
    let fake = Fake::start(Manner { deaf: 2, ..POLITE }).await;
    let call = fake.dial(|_| {}).await;
    assert!(call.answered_in() >= 60 * MS, "{:?}", call.answered_in());
    call.hang_up().await.unwrap();
    assert_eq!(
        (fake.requests("INVITE").len(), fake.requests("BYE").len()),
        (1, 1)
    );
}

#[tokio::test]
async fn a_bad_network_loses_signalling_and_the_call_stands() {
    let fake = Fake::start(POLITE).await;
    let mut call = fake
        .dial(|options| {
            options.signalling_loss = 0.3;
            options.seed = 11;
        })
        .await;
    call.hold().await.unwrap();
    call.resume().await.unwrap();
    call.hang_up().await.unwrap();
    assert_eq!(fake.requests("INVITE").len(), 3);
}

#[tokio::test]
async fn nobody_there_is_a_timeout() {
    let fake = Fake::start(Manner { deaf: 99, ..POLITE }).await;
    let mut options = fake.options();
    options.t1 = MS;
    let error = SiprecCall::dial(options).await.unwrap_err();
    assert!(matches!(error, DialError::Timeout(_)), "{error}");
}

#[tokio::test]
async fn reliable_provisionals_are_acknowledged() {
    let fake = Fake::start(Manner {
        reliable: true,
        ..POLITE
    })
    .await;
    let call = fake.dial(|options| options.like = Like::Cube).await;
    fake.until(|seen| {
        seen.requests
            .iter()
            .any(|request| request.method() == "PRACK")
    })
    .await;
    assert_eq!(
        fake.requests("PRACK")[0].header("RAck"),
        Some("7 101 INVITE")
    );
    call.hang_up().await.unwrap();
}

#[tokio::test]
async fn a_hold_sends_nothing_and_the_clock_goes_on() {
    for (like, mark) in [
        (Like::Oracle, "a=inactive"),
        (Like::Broadworks, "c=IN IP4 0.0.0.0"),
    ] {
        let fake = Fake::start(POLITE).await;
        let mut call = fake.dial(|options| options.like = like).await;
        call.silence(100 * MS).await.unwrap();
        call.hold().await.unwrap();
        assert!(!call.is_open(Side::Customer));
        call.say(Side::Customer, &[9_000; 1_600]).await.unwrap();
        call.resume().await.unwrap();
        call.say(Side::Customer, &[5_000; 160]).await.unwrap();
        let sent = call.sent(Side::Customer).clone();
        assert_eq!((sent.samples, sent.positions.last()), (960, Some(&2_400)));
        let invites = fake.requests("INVITE");
        let held = invites[1].sdp().unwrap();
        assert!(held.contains(mark), "{held}");
        assert!(!invites[2].sdp().unwrap().contains(mark));
        let packets = fake.packets(12).await;
        let line = on(&packets, call.answer().lines[0].port);
        let last = line.len() - 1;
        let jump = timestamp(line[last]).wrapping_sub(timestamp(line[last - 1]));
        assert_eq!((jump, line[last][1] & 0x80), (1_600 + 160, 0x80));
        call.hang_up().await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_sent_until_the_recording_server_wants_it() {
    let fake = Fake::start(Manner {
        direction: "inactive",
        ..POLITE
    })
    .await;
    let mut call = fake.dial(|_| {}).await;
    call.say(Side::Customer, &[5_000; 320]).await.unwrap();
    assert_eq!((call.packets_sent(), call.is_open(Side::Agent)), (0, false));
    fake.ask("INVITE", RESUME);
    let resumed = |events: &[Event]| !events.is_empty();
    call.wait_for(resumed, 2_000 * MS).await.unwrap();
    assert_eq!(
        call.events(),
        [Event::Reinvited(vec![Direction::RecvOnly; 2])]
    );
    fake.until(|seen| !seen.answers.is_empty()).await;
    let answer = fake.seen.lock().unwrap().answers[0].sdp().unwrap();
    assert_eq!(answer.matches("a=sendonly").count(), 2, "{answer}");
    call.say(Side::Customer, &[5_000; 160]).await.unwrap();
    assert_eq!(call.packets_sent(), 2);
    call.hang_up().await.unwrap();
}

#[tokio::test]
async fn a_request_without_the_password_is_challenged_and_changes_nothing() {
    let fake = Fake::start(POLITE).await;
    let challenge = Challenge::new("srs", "secret", Algorithm::Sha256);
    let call = fake
        .dial(|options| options.challenge = Some(challenge.clone()))
        .await;
    fake.ask("BYE", "");
    fake.until(|seen| !seen.answers.is_empty()).await;
    assert_eq!(fake.seen.lock().unwrap().answers[0].status(), 401);
    assert!(!call.is_over());
    call.hang_up().await.unwrap();
}

#[tokio::test]
async fn a_refused_offer_of_theirs_changes_nothing() {
    let fake = Fake::start(POLITE).await;
    let call = fake.dial(|_| {}).await;
    call.refuse("INVITE", 488);
    fake.ask("INVITE", RESUME);
    fake.until(|seen| !seen.answers.is_empty()).await;
    assert_eq!(fake.seen.lock().unwrap().answers[0].status(), 488);
    assert_eq!(call.events(), []);
    call.hang_up().await.unwrap();
}

#[tokio::test]
async fn a_snapshot_that_is_asked_for_comes_as_an_update() {
    let fake = Fake::start(POLITE).await;
    let call = fake.dial(|_| {}).await;
    fake.ask(
        "UPDATE",
        "<requestsnapshot xmlns='urn:ietf:params:xml:ns:recording:1'/>",
    );
    fake.until(|seen| {
        seen.requests
            .iter()
            .any(|request| request.method() == "UPDATE")
    })
    .await;
    let update = &fake.requests("UPDATE")[0];
    assert_eq!(
        update.header("Content-Type"),
        Some("application/rs-metadata+xml")
    );
    assert!(String::from_utf8_lossy(&update.body).contains("<datamode>complete</datamode>"));
    assert_eq!(call.events(), [Event::SnapshotWanted]);
    fake.ask("OPTIONS", "");
    fake.until(|seen| seen.answers.len() == 2).await;
    call.hang_up().await.unwrap();
}

#[tokio::test]
async fn a_bye_of_theirs_ends_the_call() {
    let fake = Fake::start(POLITE).await;
    let mut call = fake.dial(|_| {}).await;
    fake.ask("BYE", "");
    assert!(call.ended(2_000 * MS).await);
    assert!(matches!(call.silence(20 * MS).await, Err(CallError::Ended)));
    call.hang_up().await.unwrap();
    assert!(fake.requests("BYE").is_empty());
}

#[tokio::test]
async fn a_transfer_has_a_new_port_a_new_source_and_a_new_party() {
    let fake = Fake::start(POLITE).await;
    let mut call = fake.dial(|_| {}).await;
    call.silence(20 * MS).await.unwrap();
    let before = (call.ssrc(Side::Customer), call.ssrc(Side::Agent));
    call.transfer().await.unwrap();
    let after = (call.ssrc(Side::Customer), call.ssrc(Side::Agent));
    assert_eq!(before.0, after.0);
    assert_ne!(before.1, after.1);
    let invites = fake.requests("INVITE");
    let ports = |invite: &Message| -> Vec<u16> {
        let sdp = Sdp::parse(&invite.sdp().unwrap());
        sdp.lines.iter().map(|line| line.port).collect()
    };
    let (first, second) = (ports(&invites[0]), ports(&invites[1]));
    assert_eq!(
        (first[0] == second[0], first[1] == second[1]),
        (true, false)
    );
    let body = String::from_utf8_lossy(&invites[1].body).into_owned();
    assert!(
        body.contains("5550177") && !body.contains("5550199"),
        "{body}"
    );
    call.hang_up().await.unwrap();
}

#[tokio::test]
async fn lines_come_move_idle_and_go() {
    let fake = Fake::start(POLITE).await;
    let mut call = fake.dial(|_| {}).await;
    call.add_line().await.unwrap();
    call.say(Side::Third, &[4_000; 160]).await.unwrap();
    assert_eq!(
        (call.answer().lines.len(), call.sent(Side::Third).samples),
        (3, 160)
    );
    assert_eq!(call.answer_faults(), Vec::<String>::new());
    call.idle(Side::Third, true).await.unwrap();
    assert_eq!(
        (call.is_open(Side::Third), call.is_open(Side::Agent)),
        (false, true)
    );
    call.move_ports().await.unwrap();
    call.remove_line(Side::Third).await.unwrap();
    assert_eq!(call.answer().lines[2].port, 0);
    call.refresh().await.unwrap();
    let invites = fake.requests("INVITE");
    let last: Vec<String> = invites[invites.len() - 2..]
        .iter()
        .filter_map(Message::sdp)
        .collect();
    assert_eq!(last[0], last[1]);
    call.hang_up().await.unwrap();
}

#[tokio::test]
async fn new_keys_are_offered_and_used() {
    let fake = Fake::start(POLITE).await;
    let suite = Suite::AesCm128HmacSha1_32;
    let mut call = fake.dial(|options| options.srtp = Some(suite)).await;
    call.rekey().await.unwrap();
    call.say(Side::Agent, &[5_000; 160]).await.unwrap();
    let keys = |invite: &Message| Sdp::parse(&invite.sdp().unwrap()).lines[0].crypto.clone();
    let invites = fake.requests("INVITE");
    assert_ne!(keys(&invites[0]), keys(&invites[1]));
    assert_eq!(fake.packets(2).await[0].1.len(), 12 + 160 + 4);
    call.hang_up().await.unwrap();
}

#[tokio::test]
async fn raw_messages_are_sent_once_and_nothing_is_answered_for_the_test() {
    let fake = Fake::start(POLITE).await;
    let mut raw = RawDialog::open(&fake.options()).await.unwrap();
    let invite = raw.invite("application/sdp", RESUME.as_bytes());
    raw.send(&invite).await.unwrap();
    let ok = raw.answer(2_000 * MS).await.unwrap();
    assert_eq!((ok.status(), ok.tag("To")), (200, Some("fake")));
    let ack = raw.ack(&invite, &ok);
    assert_ne!(ack.branch(), invite.branch());
    raw.send(&ack).await.unwrap();
    let bye = raw.request("BYE", Some(&ok));
    assert_eq!(bye.cseq(), (2, "BYE"));
    assert_eq!(raw.cancel(&invite).branch(), invite.branch());
    raw.send(&bye).await.unwrap();
    assert_eq!(raw.answer(2_000 * MS).await.unwrap().method(), "BYE");
}
