use super::*;

#[tokio::test]
async fn what_was_sent_before_the_service_accepted_is_sent_again() {
    let mut world = World::new();
    let mut peer = world.greeted().await;
    world.speak(3);
    assert_eq!(peer.chunks(3).await, [1, 2, 3]);
    peer.reset();
    assert_eq!(world.interrupted().await.0, 1);
    let mut peer = world.ready().await;
    world.speak(1);
    assert_eq!(peer.chunks(4).await, [1, 2, 3, 4]);
    peer.transcript(0, 400).await;
    assert_eq!(heard_at(world.told().await), (0, 400));
    world.stop();
    peer.finish_asked().await;
    peer.sum_up(6400).await;
    // Nothing is missing: what was taken back does not count as sent.
    world.finished().await;
}

#[tokio::test]
async fn a_lost_socket_is_replaced_on_the_same_clock() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    world.speak(10);
    peer.chunks(10).await;
    peer.reset();
    let (attempt, why) = world.interrupted().await;
    assert_eq!(attempt, 1);
    assert!(!why.contains("hunter2"), "{why}");
    world.speak(10);
    let mut peer = world.ready().await;
    assert_eq!(peer.chunks(10).await, (11..=20).collect::<Vec<_>>());
    peer.transcript(0, 500).await;
    assert_eq!(heard_at(world.told().await), (1000, 1500));
    assert!(world.has("antiphon_upstream_retries_total{class=\"backoff\"} 1"));
}

#[tokio::test]
async fn what_an_outage_makes_overflow_is_told_as_an_outage() {
    let mut world = World::with(|wish| wish.line.chunks_max = 3);
    let mut peer = world.ready().await;
    world.speak(2);
    peer.chunks(2).await;
    peer.reset();
    world.interrupted().await;
    world.speak(10);
    let mut peer = world.greeted().await;
    // Three chunks were kept, and perhaps some more went out while the rest came in.
    peer.say(READY).await;
    let News::Gap(gap) = world.told().await else {
        panic!()
    };
    assert_eq!((gap.from, gap.reason), (1600, GapReason::Outage));
    assert_eq!(world.told().await, ready(HERE));
    let first = peer.chunks(1).await[0];
    assert_eq!(gap.to, 800 * (first as u64 - 1));
    peer.transcript(0, 100).await;
    let at = u128::from(gap.to / 8);
    assert_eq!(heard_at(world.told().await), (at, at + 100));
    let seconds = (gap.to - gap.from) as f64 / 8000.0;
    assert!(world.has(&format!(
        "antiphon_upstream_gap_seconds_total{{reason=\"outage\"}} {seconds}"
    )));
}

#[tokio::test]
async fn an_end_that_nobody_asked_for_is_a_loss_even_if_all_is_well() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    peer.sum_up(0).await;
    assert!(world.interrupted().await.1.contains("status 1000"));
    world.ready().await;
}

#[tokio::test]
async fn an_idle_service_is_opened_again_when_there_is_sound() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    peer.end(4083, Some(0)).await;
    assert_eq!(world.interrupted().await.0, 1);
    world.speak(1);
    let mut peer = world.ready().await;
    assert_eq!(peer.chunks(1).await, [1]);
}

#[tokio::test]
async fn an_idle_service_is_not_opened_again_for_nothing() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    peer.end(4083, Some(0)).await;
    world.interrupted().await;
    world.stop();
    let report = world.finished().await;
    assert_eq!(
        (report.status.code, report.summary.unwrap().audio_bytes),
        (4083, 0)
    );
    world.over().await;
}

#[tokio::test]
async fn a_service_that_does_not_accept_in_time_is_left() {
    let mut world = World::with(|wish| wish.config.response_timeout = Duration::from_millis(50));
    let _silent = world.greeted().await;
    assert_eq!(
        world.interrupted().await.1,
        "the service did not accept the stream in time"
    );
    world.ready().await;
}

#[tokio::test]
async fn a_service_that_no_longer_reads_is_still_heard_and_then_left() {
    let mut world = World::with(|wish| {
        wish.config.stall_timeout = Duration::from_millis(300);
        wish.limits.burst = Duration::from_secs(100_000);
        wish.line = LineConfig {
            chunk_samples: 8000,
            chunks_max: 10_000,
        };
    });
    let mut peer = world.ready().await;
    // Far more than the buffers between us hold.
    world.speak(10_000);
    while world.handle.snapshot().sent_bytes == 0 {
        tokio::task::yield_now().await;
    }
    peer.transcript(0, 100).await;
    assert_eq!(heard_at(world.told().await), (0, 100));
    assert_eq!(world.interrupted().await.1, "the service no longer reads");
    assert!(world.handle.snapshot().waiting > 0);
    drop(peer);
    // What was not written goes to the next socket, in order and whole.
    let unwritten = world.handle.snapshot().sent_bytes;
    let mut peer = world.ready().await;
    let sound = peer.sound().await;
    let first = i16::from_le_bytes([sound[0], sound[1]]);
    assert_eq!(u64::try_from(first).unwrap(), unwritten / 1600 + 1);
}

#[tokio::test]
async fn a_half_open_socket_is_noticed() {
    let mut world = World::with(|wish| {
        wish.config.ping_interval = Duration::from_millis(50);
        wish.config.pong_timeout = Duration::from_millis(50);
    });
    let _deaf = world.ready().await;
    assert_eq!(world.interrupted().await.1, "the service no longer answers");
}

#[tokio::test]
async fn a_refused_credential_fails_at_once() {
    let mut world = World::new();
    world.server.refuse("401 Unauthorized").await;
    let report = world.failed().await;
    assert_eq!(report.status.code, 5000);
    assert_eq!(
        report.status.description,
        "the service refused the connection with HTTP status 401"
    );
}

#[tokio::test]
async fn a_stored_address_that_is_refused_is_replaced_at_once() {
    let mut world = World::with(|wish| wish.fresh = false);
    world.server.refuse("401 Unauthorized").await;
    world.interrupted().await;
    let mut peer = world.greeted().await;
    peer.end(1008, None).await;
    assert_eq!(world.failed().await.status.code, 1008);
}

#[tokio::test]
async fn a_service_without_an_address_is_given_up_after_its_retries() {
    let mut world = World::with(|wish| {
        let reason = "the service cannot be reached".to_owned();
        wish.refusal = Some(LocateError {
            reason,
            retry: Retry::Backoff,
        });
        wish.config.retry.retries_max = 3;
    });
    world.speak(2);
    for attempt in 1..=3 {
        let expected = (attempt, "the service cannot be reached".to_owned());
        assert_eq!(world.interrupted().await, expected);
    }
    assert_eq!(world.told().await, outage(0, 1600));
    assert_eq!(
        world.failed().await.status.description,
        "the service cannot be reached"
    );
    assert_eq!(world.handle.snapshot().state, "failed");
    world.over().await;
}
