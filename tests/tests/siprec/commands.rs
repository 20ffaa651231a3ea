//! Starts and stops that follow or overtake each other, and the end of the call.

use sim::control::Answer;

use crate::scenes::assert_heard;
use crate::support::over;
use crate::words::{ASIDES, GOODBYES, GREETINGS, converse, recording};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_between_a_stop_and_the_next_start_is_not_heard() {
    let world = recording().await;
    let mut call = world.record().await;
    let guid = call.guid();
    converse(&world, &mut call, ASIDES).await;
    world.start(&mut call).await;
    converse(&world, &mut call, GREETINGS).await;
    world.stop(&mut call).await;
    converse(&world, &mut call, ASIDES).await;
    world.start(&mut call).await;
    converse(&world, &mut call, GOODBYES).await;
    world.stop(&mut call).await;
    assert_heard(&world, &guid, &[GREETINGS, GOODBYES]);
    over(&world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_do_not_fit_the_state_are_told_so() {
    let world = recording().await;
    let mut call = world.record().await;
    let guid = call.guid();
    assert_eq!(world.try_stop(&guid).await.code(), Some("409-201"));
    world.start(&mut call).await;
    assert_eq!(world.try_start(&guid).await.code(), Some("409-201"));
    world.stop(&mut call).await;
    assert_eq!(world.try_stop(&guid).await.code(), Some("409-201"));
    over(&world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_meets_the_bye_is_answered_as_one_or_the_other_was_first() {
    let world = recording().await;
    for _ in 0..8 {
        let mut call = world.record().await;
        let guid = call.guid();
        world.start(&mut call).await;
        let stopping = world.try_stop(&guid);
        let (stopped, ended) = tokio::join!(stopping, call.hang_up());
        ended.unwrap();
        let is_due = |answer: &Answer| {
            answer.is_ok() || matches!(answer.code(), Some("409-203" | "400-203"))
        };
        assert!(is_due(&stopped), "{}", stopped.complaint());
        world.until_state(&guid, "gone").await;
    }
    let streams = world.service.streams();
    assert_eq!(streams.len(), 16);
    assert!(streams.iter().all(|stream| stream.final_code == Some(1000)));
}
