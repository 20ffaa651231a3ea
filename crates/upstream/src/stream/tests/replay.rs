use super::*;

const REPLAY: Duration = Duration::from_secs(15);

fn world() -> World {
    World::with(|wish| wish.config.replay = REPLAY)
}

#[tokio::test]
async fn what_no_final_has_confirmed_is_sent_again() {
    let mut world = world();
    let mut peer = world.ready().await;
    world.shout(5);
    peer.chunks(5).await;
    peer.transcript(0, 250).await;
    world.told().await;
    peer.reset();
    world.interrupted().await;
    let mut peer = world.ready().await;
    world.shout(1);
    // It begins where the final ended, in the midst of a chunk.
    assert_eq!(peer.chunk().await, (1003, 400));
    assert_eq!(peer.chunks(3).await, [1004, 1005, 1006]);
    assert_eq!(world.handle.snapshot().sent_bytes, 9600);
    world.stop();
    peer.finish_asked().await;
    peer.sum_up(5600).await;
    // Nothing was lost, and no byte is missing.
    assert!(world.finished().await.status.is_ok());
}

#[tokio::test]
async fn what_was_said_before_is_not_told_again() {
    let mut world = world();
    let mut peer = world.ready().await;
    world.shout(5);
    peer.chunks(5).await;
    peer.transcript(0, 250).await;
    world.told().await;
    peer.reset();
    world.interrupted().await;
    let mut peer = world.ready().await;
    peer.chunk().await;
    peer.chunks(2).await;
    // The new socket begins at 250 ms of the stream; what ends up to 150 ms later is the same.
    peer.transcript(0, 50).await;
    peer.transcript(0, 150).await;
    peer.transcript(10, 151).await;
    assert_eq!(heard_at(world.told().await), (260, 401));
    // Only what a socket begins with can be a repetition.
    world.shout(1);
    peer.chunks(1).await;
    peer.transcript(250, 350).await;
    assert_eq!(heard_at(world.told().await), (500, 600));
}

#[tokio::test]
async fn what_is_new_is_told_however_short_it_is() {
    let mut world = world();
    let mut peer = world.ready().await;
    world.shout(1);
    peer.chunks(1).await;
    peer.transcript(0, 100).await;
    world.told().await;
    peer.reset();
    world.interrupted().await;
    let mut peer = world.ready().await;
    world.shout(1);
    peer.chunks(1).await;
    peer.transcript(0, 50).await;
    assert_eq!(heard_at(world.told().await), (100, 150));
}

#[tokio::test]
async fn what_is_lost_twice_is_sent_a_third_time() {
    let mut world = world();
    let mut peer = world.ready().await;
    world.shout(3);
    peer.chunks(3).await;
    peer.reset();
    world.interrupted().await;
    let mut peer = world.ready().await;
    assert_eq!(peer.chunks(1).await, [1001]);
    peer.reset();
    world.interrupted().await;
    let mut peer = world.greeted().await;
    assert_eq!(peer.chunks(3).await, [1001, 1002, 1003]);
    peer.reset();
    world.interrupted().await;
    assert_eq!(world.ready().await.chunks(3).await, [1001, 1002, 1003]);
    assert_eq!(world.handle.snapshot().sent_bytes, 4800);
}

#[tokio::test]
async fn what_is_too_old_to_be_sent_again_is_told_and_silence_is_not() {
    let mut world = World::with(|wish| wish.config.replay = ms(200));
    let mut peer = world.ready().await;
    world.speak(1);
    world.shout(2);
    world.speak(1);
    world.shout(2);
    peer.chunks(6).await;
    peer.transcript(0, 140).await;
    world.told().await;
    peer.reset();
    world.interrupted().await;
    assert_eq!(world.told().await, unconfirmed(1120, 2400));
    assert_eq!(world.ready().await.chunks(2).await, [1005, 1006]);
}

#[tokio::test]
async fn without_replay_nothing_is_heard_twice() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    world.shout(2);
    peer.chunks(2).await;
    peer.reset();
    world.interrupted().await;
    assert_eq!(world.told().await, unconfirmed(0, 1600));
    let mut peer = world.ready().await;
    world.shout(1);
    assert_eq!(peer.chunks(1).await, [1003]);
    // And nothing that is heard is taken for a repetition.
    peer.transcript(0, 10).await;
    assert_eq!(heard_at(world.told().await), (200, 210));
}

#[tokio::test]
async fn it_is_sent_no_faster_than_the_service_allows() {
    let mut world = World::with(|wish| {
        wish.config.replay = REPLAY;
        wish.limits.burst = ms(600);
    });
    let mut peer = world.ready().await;
    world.shout(6);
    peer.chunks(6).await;
    peer.reset();
    world.interrupted().await;
    world.shout(6);
    let mut peer = world.ready().await;
    let start = Instant::now();
    let expected: Vec<i16> = (1001..=1012).collect();
    assert_eq!(peer.chunks(12).await, expected);
    // 600 ms are the burst, and a chunk; the others take 83 ms each.
    let took = start.elapsed();
    assert!(took >= ms(4 * 83 - 20), "{took:?}");
}

#[tokio::test]
async fn what_was_thrown_away_by_order_is_not_sent_again() {
    let mut world = world();
    let mut peer = world.ready().await;
    world.shout(2);
    peer.chunks(2).await;
    world.control.pause(true);
    world.speak(1);
    assert_eq!(peer.chunks(1).await, [0]);
    assert_eq!(world.told().await, gap(1600, 2400, GapReason::Paused));
    peer.reset();
    world.interrupted().await;
    assert_eq!(world.told().await, unconfirmed(0, 1600));
    assert_eq!(world.ready().await.chunks(1).await, [0]);
}

#[tokio::test]
async fn what_was_said_before_a_pause_is_sent_again_after_it() {
    let mut world = world();
    let mut peer = world.ready().await;
    world.shout(2);
    peer.chunks(2).await;
    world.control.pause(false);
    peer.reset();
    world.interrupted().await;
    assert_eq!(world.ready().await.chunks(2).await, [1001, 1002]);
}

#[tokio::test]
async fn a_stream_that_has_ended_is_not_opened_again_to_be_heard_twice() {
    let mut world = world();
    let mut peer = world.ready().await;
    world.shout(2);
    peer.chunks(2).await;
    world.stop();
    peer.finish_asked().await;
    peer.reset();
    assert_eq!(world.told().await, unconfirmed(0, 1600));
    assert_eq!(world.finished().await.status.code, 5000);
    world.over().await;
}

#[tokio::test]
async fn what_waits_when_a_stream_fails_and_what_nobody_knows_of_are_told_apart() {
    let mut world = world();
    let mut peer = world.ready().await;
    world.shout(2);
    peer.chunks(2).await;
    peer.reset();
    world.interrupted().await;
    world.shout(2);
    let mut peer = world.greeted().await;
    peer.chunks(4).await;
    peer.end(4050, None).await;
    assert_eq!(world.told().await, unconfirmed(0, 1600));
    assert_eq!(world.told().await, outage(1600, 3200));
    world.failed().await;
}

#[tokio::test]
async fn an_end_that_is_confirmed_confirms_all() {
    let mut world = world();
    let mut peer = world.ready().await;
    world.shout(2);
    peer.chunks(2).await;
    world.stop();
    peer.finish_asked().await;
    peer.sum_up(3200).await;
    assert!(world.finished().await.status.is_ok());
}

#[tokio::test]
async fn the_last_sound_of_what_was_told_is_no_loss() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    world.shout(3);
    peer.chunks(3).await;
    peer.transcript(0, 160).await;
    world.told().await;
    peer.reset();
    world.interrupted().await;
    // 140 ms behind the final's end nothing more comes.
    world.ready().await;
}

#[tokio::test]
async fn of_a_talk_without_finals_the_oldest_is_told_as_lost_and_the_rest_sent_again() {
    let mut world = World::with(|wish| {
        wish.config.replay = REPLAY;
        wish.line.chunks_max = 1_000;
    });
    let mut peer = world.ready().await;
    world.shout(200);
    peer.chunks(200).await;
    peer.reset();
    world.interrupted().await;
    assert_eq!(world.told().await, unconfirmed(0, 50 * 800));
    let mut peer = world.ready().await;
    let expected: Vec<i16> = (1051..=1200).collect();
    assert_eq!(peer.chunks(150).await, expected);
    // Lost again, nothing of it is told once more.
    peer.reset();
    world.interrupted().await;
    let mut peer = world.ready().await;
    assert_eq!(peer.chunks(150).await, expected);
    peer.transcript(0, 15_000).await;
    assert_eq!(heard_at(world.told().await), (5_000, 20_000));
    peer.reset();
    world.interrupted().await;
    world.stop();
    assert_eq!(world.finished().await.status.code, 5000);
}

#[tokio::test]
async fn what_all_streams_have_no_room_for_is_told_as_lost_and_not_sent_again() {
    let mut world = World::with(|wish| {
        wish.config.replay = REPLAY;
        wish.budget = Budget::new(5 * 1600, Duration::from_secs(2));
    });
    let mut peer = world.ready().await;
    for _ in 0..8 {
        world.shout(1);
        peer.chunks(1).await;
    }
    peer.reset();
    world.interrupted().await;
    assert_eq!(world.told().await, unconfirmed(0, 3 * 800));
    assert_eq!(
        world.ready().await.chunks(5).await,
        [1004, 1005, 1006, 1007, 1008]
    );
}
