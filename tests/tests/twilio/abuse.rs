//! Messages that nobody should send.

use rig::World;
use sim::caller::twilio::{Side, TwilioCall};
use sim::speech::Role;

use crate::support::{SHORT_GOODBYE, Witness, close, closed, endings, heard, until_metric};

/// How often each kind of bad message was counted.
async fn bad(world: &World, kind: &str) -> f64 {
    world
        .metric(&format!(
            "antiphon_twilio_bad_messages_total{{kind=\"{kind}\"}}"
        ))
        .await
}

async fn send_all(call: &mut TwilioCall, texts: &[&str]) {
    for text in texts {
        call.send_text((*text).to_owned()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_nonsense_is_counted_and_borne() {
    let world = World::new().await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    let deep = format!("{{\"event\":\"media\",\"media\":{}", "[".repeat(100_000));
    let not_json = [
        "",
        "x",
        "{",
        "{\"event\":\"media\"",
        "\u{0}",
        "{\"event\":\"stop\"}x",
        &deep,
    ];
    let misshapen = [
        "[]",
        "{}",
        "null",
        "{\"event\":5}",
        "{\"event\":\"media\"}",
        "{\"event\":\"media\",\"media\":5}",
        "{\"event\":\"media\",\"media\":{\"payload\":7}}",
        "{\"event\":\"start\"}",
        "{\"event\":\"start\",\"start\":{\"tracks\":\"inbound\"}}",
    ];
    send_all(&mut call, &not_json).await;
    send_all(&mut call, &misshapen).await;
    let third = "{\"event\":\"media\",\"media\":{\"track\":\"third\",\"payload\":\"//8=\"}}";
    send_all(&mut call, &[third]).await;
    for bytes in [Vec::new(), vec![0xFF; 160], vec![0; 100_000]] {
        call.send_binary(bytes).await.unwrap();
    }
    world.say(&mut call, "customer-goodbye").await;
    let counted = [bad(&world, "json").await, bad(&world, "shape").await];
    // `[` too deep to be looked into may be called either.
    assert_eq!(
        counted[0] + counted[1],
        (not_json.len() + misshapen.len()) as f64,
        "{counted:?}"
    );
    assert!(counted[0] >= 6.0 && counted[1] >= 9.0, "{counted:?}");
    assert_eq!(
        [bad(&world, "track").await, bad(&world, "binary").await],
        [1.0, 3.0]
    );
    world.stop(&call).await;
    assert_eq!(
        heard(&world, &guid, Role::Customer),
        ["customer-greeting", "customer-goodbye"]
    );
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_nonsense_closes_the_socket_and_one_good_message_breaks_the_row() {
    let world = World::with(&format!("{SHORT_GOODBYE}bad_messages_max = 10\n")).await;
    let witness = Witness::of(&world).await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    for _ in 0..5 {
        send_all(&mut call, &["nonsense"; 9]).await;
        send_all(&mut call, &["{\"event\":\"mark\"}"]).await;
    }
    world.say(&mut call, "customer-greeting").await;
    for _ in 0..5 {
        send_all(&mut call, &["nonsense"]).await;
        call.send_binary(vec![0; 10]).await.unwrap();
    }
    assert_eq!(closed(&mut call).await, close(1007, "nonsense"));
    world.until_state(&guid, "gone").await;
    let refused = ("refused".to_owned(), "client".to_owned());
    assert_eq!(endings(&world, &guid).await, [refused.clone(), refused]);
    assert_eq!(heard(&world, &guid, Role::Customer), ["customer-greeting"]);
    assert_eq!(
        [bad(&world, "json").await, bad(&world, "binary").await],
        [50.0, 5.0]
    );
    witness.assert_unharmed(&world).await;
    until_metric(&world, "antiphon_twilio_sockets", |sockets| sockets == 0.0).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_messages_without_sound_is_read_and_forgotten() {
    let world = World::new().await;
    let witness = Witness::of(&world).await;
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    let name = "n".repeat(2_000);
    for _ in 0..5_000 {
        call.mark(&name).await.unwrap();
    }
    world.say(&mut call, "customer-greeting").await;
    assert_eq!(
        world
            .metric("antiphon_twilio_messages_total{event=\"mark\"}")
            .await,
        5_000.0
    );
    world.stop(&call).await;
    assert_eq!(heard(&world, &guid, Role::Customer), ["customer-greeting"]);
    call.hang_up().await.unwrap();
    witness.assert_unharmed(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_that_cannot_be_neither_stop_nor_move_the_sound() {
    let world = World::new().await;
    let mut call = world
        .dial_with(|options| options.sides = vec![Side::Inbound])
        .await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    let max = u64::MAX.to_string();
    for time in ["-1", "x", "1e300", "NaN", "", &max] {
        let text = format!(
            r#"{{"event":"media","sequenceNumber":"{time}","media":{{"track":"inbound","chunk":"{time}","timestamp":"{time}","payload":"/////w=="}}}}"#
        );
        call.send_text(text).await.unwrap();
        // A good frame after each, so that no two of them are taken for a new clock.
        call.silence(std::time::Duration::from_millis(20))
            .await
            .unwrap();
    }
    world.say(&mut call, "customer-goodbye").await;
    let shown = world.call(&guid).await;
    assert_eq!(crate::support::counters(&shown, "first")["skipped"], 0);
    assert_eq!(
        world.metric("antiphon_twilio_clock_restarts_total").await,
        0.0
    );
    world.stop(&call).await;
    assert_eq!(
        heard(&world, &guid, Role::Customer),
        ["customer-greeting", "customer-goodbye"]
    );
    call.hang_up().await.unwrap();
    world.end().await;
}
