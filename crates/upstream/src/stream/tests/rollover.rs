use std::time::SystemTime;

use super::*;

/// A service that ends its sockets after 900 ms: after 600 ms another is opened, and after 150 more
/// no pause is waited for.
fn mortal(wish: &mut Wish) {
    wish.limits.session_max = ms(900);
    wish.config.replay = ms(15_000);
    // In a test everything takes a little longer.
    wish.config.response_timeout = ms(9_000);
}

#[tokio::test]
async fn another_socket_takes_over_before_the_service_ends_the_first() {
    let mut world = World::with(mortal);
    let mut old = world.ready().await;
    world.speak(2);
    assert_eq!(old.chunks(2).await, [1, 2]);
    let mut new = world.greeted().await;
    // Until it is accepted, the old one carries the sound.
    world.speak(1);
    assert_eq!(old.chunks(1).await, [3]);
    new.say(READY).await;
    old.finish_asked().await;
    world.speak(2);
    assert_eq!(new.chunks(2).await, [4, 5]);
    // Both are heard, each on its own clock.
    new.transcript(0, 100).await;
    assert_eq!(heard_at(world.told().await), (300, 400));
    old.transcript(200, 300).await;
    assert_eq!(heard_at(world.told().await), (200, 300));
    old.sum_up(4800).await;
    old.gone().await;
    world.stop();
    new.finish_asked().await;
    new.sum_up(3200).await;
    assert_eq!(world.finished().await.summary.unwrap().audio_bytes, 8000);
    world.over().await;
}

#[tokio::test]
async fn in_the_midst_of_talk_it_takes_over_when_no_time_is_left() {
    let mut world = World::with(mortal);
    let mut old = world.ready().await;
    let start = Instant::now();
    let mut accepting = Box::pin(world.server.accept());
    // Somebody talks without a pause, and faster than real time.
    let (mut spoken, mut new) = (0, None);
    let heard = loop {
        let speak = || {
            let payload = [0, 4].repeat(800);
            let frame = Frame {
                position: spoken * 800,
                codec: Codec::L16,
                payload: &payload,
            };
            world.feed.as_ref().unwrap().push(StdInstant::now(), frame);
        };
        speak();
        spoken += 1;
        match old.next().await {
            Said::Sound(_) => {}
            Said::Text(_) => break spoken - 1,
            Said::Gone => panic!("it is gone"),
        }
        if new.is_none()
            && let Ok(mut peer) = timeout(ms(10), &mut accepting).await
        {
            peer.text().await;
            peer.say(READY).await;
            new = Some(peer);
        }
    };
    let took = start.elapsed();
    assert!(took >= ms(600), "{took:?}");
    // Not a chunk is missing, and none was sent twice.
    let mut new = new.unwrap();
    assert_eq!(new.samples().await.len(), 800);
    assert_eq!(world.handle.snapshot().sent_bytes, (heard + 1) * 1600);
    drop(accepting);
    assert!(world.news.try_recv().is_err());
}

#[tokio::test]
async fn the_moment_that_a_service_names_counts() {
    let end = SystemTime::now() + ms(1_200);
    let expires = Some(end);
    let mut world = World::with(|wish| {
        mortal(wish);
        wish.limits.session_max = Duration::ZERO;
        wish.manners.now = Some(Heard::Ready { expires });
    });
    let mut old = world.greeted().await;
    old.say("now").await;
    assert_eq!(world.told().await, ready(HERE));
    let mut new = world.greeted().await;
    assert!(SystemTime::now() < end);
    new.say("now").await;
    old.finish_asked().await;
    world.speak(1);
    assert_eq!(new.chunks(1).await, [1]);
}

#[tokio::test]
async fn a_next_socket_that_is_not_had_is_tried_again_while_the_first_lives() {
    let mut world = World::with(mortal);
    let mut old = world.ready().await;
    world.server.refuse("503 Service Unavailable").await;
    world.speak(1);
    assert_eq!(old.chunks(1).await, [1]);
    let mut new = world.greeted().await;
    new.say(READY).await;
    old.finish_asked().await;
    world.speak(1);
    assert_eq!(new.chunks(1).await, [2]);
    assert!(world.news.try_recv().is_err());
}

#[tokio::test]
async fn where_two_sockets_are_refused_one_is_finished_before_the_other_is_opened() {
    let mut world = World::with(mortal);
    let mut old = world.ready().await;
    let mut new = world.greeted().await;
    world.speak(1);
    assert_eq!(old.chunks(1).await, [1]);
    new.end(4056, None).await;
    old.finish_asked().await;
    world.speak(1);
    old.transcript(0, 100).await;
    assert_eq!(heard_at(world.told().await), (0, 100));
    old.sum_up(1600).await;
    let mut new = world.ready().await;
    assert_eq!(new.chunks(1).await, [2]);
}

#[tokio::test]
async fn overlap_can_be_ruled_out() {
    let mut world = World::with(|wish| {
        mortal(wish);
        wish.config.overlap = false;
    });
    let mut old = world.ready().await;
    old.finish_asked().await;
    world.speak(1);
    old.sum_up(0).await;
    let mut new = world.ready().await;
    assert_eq!(new.chunks(1).await, [1]);
}

#[tokio::test]
async fn a_stream_that_ends_between_two_sockets_has_finished() {
    let mut world = World::with(|wish| {
        mortal(wish);
        wish.config.overlap = false;
    });
    let mut old = world.ready().await;
    world.speak(1);
    old.chunks(1).await;
    old.finish_asked().await;
    world.stop();
    old.sum_up(1600).await;
    let report = world.finished().await;
    assert_eq!(
        (report.status.code, report.summary.unwrap().audio_bytes),
        (1000, 1600)
    );
    world.over().await;
}

#[tokio::test]
async fn what_the_first_says_last_is_told_before_the_end() {
    let mut world = World::with(mortal);
    let mut old = world.ready().await;
    world.shout(2);
    old.chunks(2).await;
    let mut new = world.greeted().await;
    new.say(READY).await;
    old.finish_asked().await;
    world.stop();
    new.finish_asked().await;
    new.sum_up(0).await;
    new.gone().await;
    old.transcript(0, 200).await;
    assert_eq!(heard_at(world.told().await), (0, 200));
    old.sum_up(3200).await;
    assert_eq!(world.finished().await.summary.unwrap().audio_bytes, 3200);
    world.over().await;
}

#[tokio::test]
async fn of_a_first_that_dies_untimely_nobody_knows_what_it_heard_last() {
    let mut world = World::with(mortal);
    let mut old = world.ready().await;
    world.shout(2);
    old.chunks(2).await;
    let mut new = world.greeted().await;
    new.say(READY).await;
    old.finish_asked().await;
    world.speak(1);
    assert_eq!(new.chunks(1).await, [3]);
    old.reset();
    assert_eq!(world.told().await, unconfirmed(0, 1600));
    // The stream itself goes on.
    world.speak(1);
    assert_eq!(new.chunks(1).await, [4]);
}

#[tokio::test]
async fn when_the_first_is_lost_the_next_takes_over_at_once() {
    let mut world = World::with(|wish| {
        mortal(wish);
        wish.config.retry.backoff_min = ms(5_000);
    });
    let mut old = world.ready().await;
    world.shout(2);
    old.chunks(2).await;
    let mut new = world.greeted().await;
    old.reset();
    world.interrupted().await;
    new.say(READY).await;
    assert_eq!(world.told().await, ready(HERE));
    assert_eq!(new.chunks(2).await, [1001, 1002]);
}

#[tokio::test]
async fn a_service_that_ends_a_socket_all_the_same_is_opened_again_at_once() {
    let mut world = World::with(|wish| {
        wish.config.replay = ms(15_000);
        wish.config.retry.backoff_min = ms(5_000);
        wish.config.retry.backoff_max = ms(5_000);
    });
    let mut old = world.ready().await;
    world.shout(1);
    old.chunks(1).await;
    let start = Instant::now();
    old.end(4090, Some(1600)).await;
    world.interrupted().await;
    let mut new = world.ready().await;
    assert_eq!(new.chunks(1).await, [1001]);
    assert!(start.elapsed() < ms(4_000));
}

#[tokio::test]
async fn ten_lives_of_a_socket_lose_nothing() {
    let mut world = World::with(|wish| {
        mortal(wish);
        wish.limits.session_max = ms(300);
    });
    let mut peer = world.ready().await;
    for life in 0..10 {
        world.speak(2);
        assert_eq!(peer.chunks(2).await, [2 * life + 1, 2 * life + 2]);
        let mut next = world.greeted().await;
        next.say(READY).await;
        peer.finish_asked().await;
        peer.sum_up(3200).await;
        peer.gone().await;
        peer = next;
    }
    world.stop();
    peer.finish_asked().await;
    peer.sum_up(0).await;
    assert_eq!(world.finished().await.summary.unwrap().audio_bytes, 32_000);
}

#[tokio::test]
async fn without_overlap_what_is_said_meanwhile_waits_and_nothing_is_said_twice() {
    let mut world = World::with(|wish| {
        mortal(wish);
        wish.limits.session_max = ms(1_500);
        wish.config.overlap = false;
    });
    let mut peer = world.ready().await;
    // What the present socket has carried, in chunks.
    let mut carried = 0;
    for life in 0..3 {
        world.shout(2);
        let first = 1001 + 4 * life;
        assert_eq!(peer.chunks(2).await, [first, first + 1]);
        peer.finish_asked().await;
        // Nobody is there to hear this before the next socket is.
        world.shout(2);
        peer.transcript(100 * carried, 100 * carried + 200).await;
        let at = 400 * life as u128;
        assert_eq!(heard_at(world.told().await), (at, at + 200));
        peer.sum_up(1600 * (carried + 2)).await;
        peer.gone().await;
        peer = world.ready().await;
        assert_eq!(peer.chunks(2).await, [first + 2, first + 3]);
        peer.transcript(0, 200).await;
        assert_eq!(heard_at(world.told().await), (at + 200, at + 400));
        carried = 2;
    }
    world.stop();
    peer.finish_asked().await;
    peer.sum_up(3200).await;
    assert!(world.finished().await.status.is_ok());
    world.over().await;
}
