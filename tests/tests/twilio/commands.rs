//! T15: commands before, between, behind and amid the media.

use std::time::Duration;

use futures_util::future::join;
use rig::{World, phrase};
use sim::caller::twilio::{Side, Sids, TwilioCall};
use sim::speech::Role;

use crate::support::{assert_same, counters, decoded, heard, sound, streams};

#[tokio::test(flavor = "multi_thread")]
async fn a_start_may_come_before_its_media() {
    let world = World::with("[control]\nstart_grace = \"20s\"\n").await;
    let options = world.options().await;
    let guid = options.sids.call.clone();
    let dial = async {
        world.until_state(&guid, "awaited").await;
        TwilioCall::dial(options).await.unwrap()
    };
    let (started, mut call) = join(world.try_start(&guid), dial).await;
    assert!(started.is_ok(), "{}", started.complaint());
    world.say(&mut call, "customer-greeting").await;
    world.stop(&call).await;
    assert_same(
        &sound(&world, &guid, Role::Customer),
        &decoded(&call.sent(Side::Inbound).tape),
    );
    assert_eq!(heard(&world, &guid, Role::Customer), ["customer-greeting"]);
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_for_media_that_never_comes_is_refused() {
    let world = World::with("[control]\nstart_grace = \"0s\"\n").await;
    let guid = Sids::random().call;
    assert_eq!(world.try_start(&guid).await.code(), Some("400-203"));
    assert_eq!(world.try_stop(&guid).await.code(), Some("400-203"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_already_is_refused_and_changes_nothing() {
    let world = World::new().await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.until_state(&guid, "idle").await;
    assert_eq!(world.try_stop(&guid).await.code(), Some("409-201"));
    world.start(&call).await;
    assert_eq!(world.try_start(&guid).await.code(), Some("409-201"));
    world.say(&mut call, "customer-greeting").await;
    world.stop(&call).await;
    assert_eq!(world.try_stop(&guid).await.code(), Some("409-201"));
    assert_eq!(heard(&world, &guid, Role::Customer), ["customer-greeting"]);
    assert_eq!(world.service.streams().len(), 2);
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sounded_before_the_start_is_gone() {
    let world = World::new().await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.until_state(&guid, "idle").await;
    world.say(&mut call, "customer-card").await;
    let gone = call.sent(Side::Inbound).samples as usize;
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    assert_eq!(counters(&world.call(&guid).await, "first")["gated"], gone);
    world.stop(&call).await;
    let tape = decoded(&call.sent(Side::Inbound).tape);
    assert_same(&sound(&world, &guid, Role::Customer), &tape[gone..]);
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_start_hears_its_own_window_and_no_sample_more() {
    let world = World::new().await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.until_state(&guid, "idle").await;
    let (open, shut) = (
        ["customer-greeting", "agent-greeting"],
        ["customer-card", "agent-read-back"],
    );
    let mut windows = Vec::new();
    for _ in 0..4 {
        let from = call.sent(Side::Inbound).samples as usize;
        world.start(&call).await;
        for id in open {
            world.say(&mut call, id).await;
        }
        windows.push(from..call.sent(Side::Inbound).samples as usize);
        world.stop(&call).await;
        for id in shut {
            world.say(&mut call, id).await;
        }
    }
    for (side, role, id) in [
        (Side::Inbound, Role::Customer, open[0]),
        (Side::Outbound, Role::Agent, open[1]),
    ] {
        let tape = decoded(&call.sent(side).tape);
        let streams = streams(&world, &guid, role);
        assert_eq!(streams.len(), windows.len());
        for (stream, window) in streams.iter().zip(&windows) {
            assert_same(&stream.samples, &tape[window.clone()]);
            assert_eq!(stream.heard(), [id]);
        }
    }
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_amid_a_burst_cuts_it_at_one_sample() {
    let world = World::new().await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    let long = phrase("customer-greeting").samples.repeat(15);
    let stop = async {
        let some =
            |call: &serde_json::Value| counters(call, "second")["received"].as_u64() > Some(16_000);
        world.until_call(&guid, some).await;
        world.try_stop(&guid).await
    };
    let (sent, stopped) = join(call.converse(&long, &long), stop).await;
    sent.unwrap();
    assert!(stopped.is_ok(), "{}", stopped.complaint());
    world.arrived(&call).await;
    let shown = world.call(&guid).await;
    let mut resumed_at = [0; 2];
    for (at, (side, name, role)) in [
        (Side::Inbound, "first", Role::Customer),
        (Side::Outbound, "second", Role::Agent),
    ]
    .into_iter()
    .enumerate()
    {
        let tape = decoded(&call.sent(side).tape);
        let passed = counters(&shown, name)["passed"].as_u64().unwrap() as usize;
        let gated = counters(&shown, name)["gated"].as_u64().unwrap() as usize;
        assert_eq!(passed + gated, tape.len());
        assert_eq!(
            stopped.confirmed_bytes(role.as_str()),
            Some(passed as u64 * 2)
        );
        assert_same(&sound(&world, &guid, role), &tape[..passed]);
        assert_eq!(streams(&world, &guid, role)[0].late_bytes, 0);
        resumed_at[at] = tape.len();
    }
    // And a start behind it begins with the next sample.
    world.start(&call).await;
    call.silence(Duration::from_millis(20)).await.unwrap();
    world.say(&mut call, "customer-goodbye").await;
    world.stop(&call).await;
    let again = &streams(&world, &guid, Role::Customer)[1];
    assert_same(
        &again.samples,
        &decoded(&call.sent(Side::Inbound).tape)[resumed_at[0]..],
    );
    assert_eq!(again.heard(), ["customer-goodbye"]);
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_sends_what_waits_and_nothing_that_comes_after() {
    let pace = "[upstream.autotranscribe]\nburst = \"0s\"\npace_percent = 1000\n";
    let world = World::with(pace).await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    // Most of it waits for the pace when the stop comes.
    world.say(&mut call, "customer-greeting").await;
    let heard_until = call.sent(Side::Inbound).samples as usize;
    let (stopped, said) = join(
        world.try_stop(&guid),
        call.say(Side::Inbound, &phrase("customer-card").samples),
    )
    .await;
    said.unwrap();
    assert!(stopped.is_ok(), "{}", stopped.complaint());
    world.arrived(&call).await;
    let tape = decoded(&call.sent(Side::Inbound).tape);
    let sound = sound(&world, &guid, Role::Customer);
    // Commands and media race; whatever the order, all that came before the stop was sent.
    assert!(sound.len() >= heard_until && tape.starts_with(&sound));
    let passed = counters(&world.call(&guid).await, "first")["passed"]
        .as_u64()
        .unwrap();
    assert_eq!(sound.len() as u64, passed);
    call.hang_up().await.unwrap();
    world.end().await;
}
