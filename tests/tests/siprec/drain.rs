//! What OPTIONS tells, and how a gateway ends while calls are recorded.

use rig::{World, eventually};
use sim::caller::siprec::{Event, Message, RawDialog};

use crate::scenes::{PATIENCE, ask, assert_heard, refusal};
use crate::support::{over, until_metric};
use crate::words::{GOODBYES, GREETINGS, converse, recording, recording_with};

async fn options(world: &World, transport: &str) -> Message {
    let mut to = world.recording_options();
    to.target = world.target(transport);
    let mut raw = RawDialog::open(&to).await.unwrap();
    let request = raw.request("OPTIONS", None);
    ask(&mut raw, &request).await
}

fn calls(answer: &Message) -> (u16, Option<&str>) {
    (answer.status(), answer.header("X-Antiphon-Calls"))
}

async fn until_draining(world: &World) {
    world.shutdown.drain();
    eventually("OPTIONS to be refused", async {
        while options(world, "tcp").await.status() == 200 {}
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn options_tell_how_many_calls_there_are() {
    let world = recording().await;
    for transport in ["udp", "tcp"] {
        let answer = options(&world, transport).await;
        assert_eq!(calls(&answer), (200, Some("0")));
        for (name, value) in [
            ("Allow", "INVITE"),
            ("Accept", "application/rs-metadata+xml"),
        ] {
            assert!(answer.header(name).unwrap().contains(value), "{name}");
        }
        assert!(answer.header("Contact").unwrap().contains("+sip.srs"));
    }
    let call = world.record().await;
    assert_eq!(calls(&options(&world, "udp").await), (200, Some("1")));
    over(&world, call).await;
    assert_eq!(calls(&options(&world, "udp").await), (200, Some("0")));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_draining_no_session_is_taken_and_a_running_one_lives_to_its_end() {
    let mut world = recording().await;
    let mut call = world.record().await;
    let guid = call.guid();
    world.start(&mut call).await;
    converse(&world, &mut call, GREETINGS).await;
    call.silence_while(until_draining(&world)).await.unwrap();
    let answer = options(&world, "udp").await;
    assert_eq!(calls(&answer), (503, Some("1")));
    assert_eq!(answer.header("Retry-After"), Some("5"));
    let refused = refusal(world.try_record(|_| {}).await);
    assert_eq!((refused.status, refused.retry_after), (503, Some(5)));
    assert!(
        refused
            .warning
            .unwrap()
            .contains("no new sessions are taken")
    );
    call.hold().await.unwrap();
    call.resume().await.unwrap();
    converse(&world, &mut call, GOODBYES).await;
    world.stop(&mut call).await;
    assert_heard(&world, &guid, &[GREETINGS, GOODBYES]);
    call.hang_up().await.unwrap();
    world.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stragglers_are_finished_and_told_bye() {
    let mut world = recording_with("[shutdown]\ndrain_timeout = \"100ms\"\n").await;
    let mut call = world.record().await;
    let guid = call.guid();
    world.start(&mut call).await;
    converse(&world, &mut call, GREETINGS).await;
    world.shutdown.drain();
    assert!(call.ended(PATIENCE).await);
    assert_eq!(call.events(), [Event::Bye]);
    world.ended().await;
    assert_heard(&world, &guid, &[GREETINGS]);
    let streams = world.service.streams();
    assert_eq!(streams.len(), 2);
    assert!(streams.iter().all(|stream| stream.final_code == Some(1000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sbc_that_does_not_answer_the_last_bye_does_not_hold_up_the_end() {
    let more = "[siprec]\nclose_timeout = \"200ms\"\n[shutdown]\ndrain_timeout = \"50ms\"\n";
    let mut world = recording_with(more).await;
    let mut raw = RawDialog::open(&world.recording_options()).await.unwrap();
    let invite = raw.invite("application/sdp", crate::scenes::SDP.as_bytes());
    let taken = ask(&mut raw, &invite).await;
    let ack = raw.ack(&invite, &taken);
    raw.send(&ack).await.unwrap();
    until_metric(&world, "antiphon_siprec_sessions", |count| count == 1.0).await;
    world.shutdown.drain();
    let bye = raw.receive(PATIENCE).await.unwrap();
    assert_eq!(bye.method(), "BYE");
    assert!(bye.header("Reason").unwrap().contains("shutting down"));
    world.ended().await;
}
