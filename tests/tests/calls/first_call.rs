//! The product in one story: what is said while stopped is never transcribed.

use rig::World;
use sim::speech::Role;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_while_stopped_is_never_transcribed() {
    let world = World::new().await;
    let mut call = world.dial().await;
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    world.say(&mut call, "agent-greeting").await;
    let stopped = world.stop(&call).await;
    world.say(&mut call, "customer-card").await;
    world.start(&call).await;
    world.say(&mut call, "customer-goodbye").await;
    call.hang_up().await.unwrap();
    world
        .until_heard(|streams| streams.len() == 4 && streams.iter().all(|s| s.is_closed()))
        .await;
    assert_eq!(
        world.heard(Role::Customer),
        ["customer-greeting", "customer-goodbye"]
    );
    assert_eq!(world.heard(Role::Agent), ["agent-greeting"]);
    let bytes = stopped.confirmed_bytes("customer").unwrap();
    assert_eq!(Some(bytes), stopped.confirmed_bytes("agent"));
    world.end().await;
}
