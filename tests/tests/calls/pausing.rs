//! A pause: the streams stay open, the services hear digital silence of the exact length, and
//! times go on.

use rig::World;
use rig::told::{due_at, heard_at, of};
use sim::caller::twilio::Side;
use sim::caller::ulaw;
use sim::speech::Role;

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_silence_of_the_exact_length_and_times_go_on() {
    let world = World::new().await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    let from = call.sent(Side::Inbound).tape.len();
    assert!(world.api.pause(&guid).await.unwrap().is_ok());
    world.say(&mut call, "customer-card").await;
    world.say(&mut call, "agent-read-back").await;
    let to = call.sent(Side::Inbound).tape.len();
    assert!(world.api.resume(&guid).await.unwrap().is_ok());
    let due = due_at(&call, 0, "customer-goodbye");
    world.say(&mut call, "customer-goodbye").await;
    world.stop(&call).await;

    for (side, role) in [
        (Side::Inbound, Role::Customer),
        (Side::Outbound, Role::Agent),
    ] {
        let mut meant: Vec<i16> = call
            .sent(side)
            .tape
            .iter()
            .copied()
            .map(ulaw::decode)
            .collect();
        meant[from..to].fill(0);
        let streams = world.service.streams();
        let stream = streams
            .iter()
            .find(|stream| stream.role() == Some(role))
            .unwrap();
        assert!(stream.samples == meant, "{role} heard something else");
    }
    assert_eq!(
        world.heard(Role::Customer),
        ["customer-greeting", "customer-goodbye"]
    );
    assert!(world.heard(Role::Agent).is_empty());
    let told = world.told(&guid).await;
    assert!(heard_at(&told, "customer-goodbye").unwrap().abs_diff(due) <= 100);
    for role in ["agent", "customer"] {
        let gaps = of(&told, "gap", role);
        assert!(gaps.iter().all(|gap| gap["reason"] == "paused"));
        assert_eq!(gaps.first().unwrap()["fromMs"], from / 8);
        assert_eq!(gaps.last().unwrap()["toMs"], to / 8);
    }
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_stopped_while_paused_ends_with_the_silence() {
    let world = World::new().await;
    let mut call = world.dial().await;
    world.start(&call).await;
    assert!(world.api.pause(call.call_sid()).await.unwrap().is_ok());
    world.say(&mut call, "customer-card").await;
    let sent = call.sent(Side::Inbound).samples;
    let stopped = world.stop(&call).await;
    assert_eq!(stopped.confirmed_bytes("customer"), Some(sent * 2));
    world.say(&mut call, "customer-code").await;
    world.service.with_streams(|streams| {
        assert!(
            streams
                .iter()
                .all(|stream| stream.samples.iter().all(|&sample| sample == 0))
        );
    });
    let shown = world.call(call.call_sid()).await;
    let counters = &shown["legs"][0]["counters"];
    assert_eq!(counters["paused"], sent);
    assert_eq!(counters["gated"], call.sent(Side::Inbound).samples - sent);
    assert_eq!(counters["passed"], 0);
    call.hang_up().await.unwrap();
    world.end().await;
}
