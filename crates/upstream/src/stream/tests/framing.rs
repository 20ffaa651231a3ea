use super::*;

fn wants(chunk: u64, min: u64, max: u64) -> Limits {
    Limits {
        chunk: ms(chunk),
        chunk_min: ms(min),
        chunk_max: ms(max),
        ..limits()
    }
}

#[tokio::test]
async fn short_chunks_are_put_together_for_a_service_that_wants_them_longer() {
    let mut world = World::with(|wish| wish.limits = wants(200, 200, 1000));
    let mut peer = world.ready().await;
    world.speak(4);
    for pair in [[1, 2], [3, 4]] {
        let samples = peer.samples().await;
        assert_eq!((samples.len(), [samples[0], samples[1599]]), (1600, pair));
    }
}

#[tokio::test]
async fn long_chunks_are_cut_for_a_service_that_wants_them_shorter() {
    let mut world = World::with(|wish| wish.limits = wants(50, 0, 50));
    let mut peer = world.ready().await;
    world.speak(2);
    for value in [1, 1, 2, 2] {
        assert_eq!(peer.chunk().await, (value, 400));
    }
}

#[tokio::test]
async fn a_last_chunk_that_is_too_short_is_filled_up_with_silence() {
    let mut world = World::with(|wish| wish.limits = wants(100, 50, 1000));
    let mut peer = world.ready().await;
    world.speak(1);
    world.push(&[7, 0, 7, 0]);
    world.stop();
    assert_eq!(peer.chunks(1).await, [1]);
    let last = peer.samples().await;
    assert_eq!((last.len(), &last[..3]), (400, &[7, 7, 0][..]));
    peer.finish_asked().await;
    peer.transcript(100, 150).await;
    // What is said of that silence is said of the last sample.
    assert_eq!(heard_at(world.told().await), (100, 100));
    // The service counts it, the stream does not.
    peer.sum_up(2400).await;
    assert_eq!(world.finished().await.summary.unwrap().audio_bytes, 2400);
    assert_eq!(world.handle.snapshot().sent_bytes, 1604);
}

#[tokio::test]
async fn what_is_filled_up_at_a_pause_does_not_shift_the_times_after_it() {
    let mut world = World::with(|wish| wish.limits = wants(100, 50, 1000));
    let mut peer = world.ready().await;
    world.push(&[7, 0].repeat(80));
    world.control.pause(false);
    assert_eq!(peer.samples().await.len(), 400);
    world.control.resume();
    world.speak(1);
    assert_eq!(peer.chunk().await.1, 800);
    peer.transcript(50, 150).await;
    assert_eq!(heard_at(world.told().await), (10, 110));
}

#[tokio::test]
async fn what_one_service_leaves_another_takes_in_its_own_pieces() {
    let mut world = World::with(|wish| {
        wish.config.replay = ms(15_000);
        wish.there = Some(wants(200, 200, 1000));
    });
    let mut peer = world.ready().await;
    world.shout(3);
    peer.chunks(3).await;
    peer.end(4050, None).await;
    world.interrupted().await;
    let mut peer = world.ready_there().await;
    world.shout(1);
    for pair in [[1001, 1002], [1003, 1004]] {
        let samples = peer.samples().await;
        assert_eq!((samples.len(), [samples[0], samples[1599]]), (1600, pair));
    }
}
