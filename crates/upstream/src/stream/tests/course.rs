use super::*;

#[tokio::test]
async fn a_stream_is_greeted_heard_transcribed_and_finished() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    world.speak(3);
    assert_eq!(peer.chunks(3).await, [1, 2, 3]);
    peer.transcript(100, 300).await;
    assert_eq!(heard_at(world.told().await), (100, 300));
    world.stop();
    peer.finish_asked().await;
    peer.sum_up(4800).await;
    let report = world.finished().await;
    assert!(report.status.is_ok());
    assert_eq!(report.summary.unwrap().audio_bytes, 4800);
    let snapshot = world.handle.snapshot();
    let expected = Snapshot {
        state: "finished",
        sent_bytes: 4800,
        transcripts: 1,
        waiting: 0,
    };
    assert_eq!(snapshot, expected);
    assert!(world.has("antiphon_upstream_sent_bytes_total 4800"));
    assert!(world.has("antiphon_upstream_chunk_latency_seconds_count 3"));
    assert!(world.has("antiphon_upstream_streams_ended_total{outcome=\"finished\"} 1"));
    assert_eq!(peer.next().await, Said::Gone);
    drop(peer);
    world.over().await;
}

#[tokio::test]
async fn a_short_last_chunk_is_sent_as_it_is() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    let frame = Frame {
        position: 0,
        codec: Codec::L16,
        payload: &[7, 0, 8, 0],
    };
    world.feed.as_ref().unwrap().push(StdInstant::now(), frame);
    drop(world.feed.take());
    assert_eq!(peer.sound().await, [7, 0, 8, 0]);
    peer.finish_asked().await;
    peer.sum_up(4).await;
    assert_eq!(world.finished().await.summary.unwrap().audio_bytes, 4);
}

#[tokio::test]
async fn sound_does_not_wait_for_the_service_to_accept() {
    let mut world = World::new();
    let mut peer = world.greeted().await;
    world.speak(2);
    assert_eq!(peer.chunks(2).await, [1, 2]);
    assert_eq!(world.handle.snapshot().state, "opening");
    peer.say(READY).await;
    assert_eq!(world.told().await, ready(HERE));
}

#[tokio::test]
async fn no_more_than_may_be_kept_is_sent_before_the_service_accepts() {
    let mut world = World::with(|wish| wish.config.unaccepted_max = Duration::from_millis(200));
    let mut peer = world.greeted().await;
    world.speak(5);
    assert_eq!(peer.chunks(2).await, [1, 2]);
    assert_eq!(world.handle.snapshot().waiting, 2400);
    peer.say(READY).await;
    assert_eq!(peer.chunks(3).await, [3, 4, 5]);
}

#[tokio::test]
async fn transcripts_still_count_after_the_sound_has_ended() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    world.speak(1);
    world.stop();
    peer.chunks(1).await;
    peer.finish_asked().await;
    assert_eq!(world.handle.snapshot().state, "finishing");
    peer.transcript(0, 100).await;
    assert_eq!(heard_at(world.told().await), (0, 100));
    peer.sum_up(1600).await;
    assert!(world.finished().await.status.is_ok());
}

#[tokio::test]
async fn a_silent_service_that_answers_pings_is_kept() {
    let mut world = World::with(|wish| {
        wish.config.ping_interval = Duration::from_millis(20);
        wish.config.pong_timeout = Duration::from_secs(5);
    });
    let mut peer = world.ready().await;
    let listening = timeout(Duration::from_millis(300), peer.next()).await;
    assert!(listening.is_err(), "{listening:?}");
    world.speak(1);
    assert_eq!(peer.chunks(1).await, [1]);
    assert!(world.news.try_recv().is_err());
}

#[tokio::test]
async fn the_vocabulary_is_given_before_the_sound_and_on_every_socket() {
    let mut world = World::with(|wish| {
        wish.options.vocabulary = vec![Phrase {
            phrase: "IEEE".to_owned().into(),
            sounds_like: Vec::new(),
            category: None,
        }];
    });
    world.speak(1);
    let mut peer = world.greeted().await;
    let vocabulary = r#"{"message":"updateVocabulary","phrases":[{"phrase":"IEEE"}]}"#;
    assert_eq!(peer.text().await, vocabulary);
    assert_eq!(peer.chunks(1).await, [1]);
    peer.reset();
    world.interrupted().await;
    let mut peer = world.greeted().await;
    assert_eq!(peer.text().await, vocabulary);
    peer.say(READY).await;
    peer.say(r#"{"message":"vocabularyResponse","status":{"code":"4091","description":"no"}}"#)
        .await;
    peer.transcript(0, 100).await;
    assert_eq!(world.told().await, ready(HERE));
    assert_eq!(heard_at(world.told().await), (0, 100));
    assert!(world.has("antiphon_upstream_vocabulary_refusals_total 1"));
}

#[tokio::test]
async fn what_is_not_understood_is_counted_and_passed_over() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    peer.say(r#"{"message":"weather","sky":"blue"}"#).await;
    peer.say("{").await;
    peer.say_binary(vec![1, 2, 3]).await;
    world.speak(1);
    peer.chunks(1).await;
    peer.transcript(0, 50).await;
    assert_eq!(heard_at(world.told().await), (0, 50));
    for kind in ["binary", "gibberish", "kind"] {
        let line = format!("antiphon_upstream_unknown_messages_total{{kind=\"{kind}\"}} 1");
        assert!(world.has(&line), "{kind}");
    }
}

#[tokio::test]
async fn a_pause_in_the_platforms_sound_is_told_and_keeps_the_times_right() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    world.speak(1);
    world.position += 80_000;
    world.speak(1);
    assert_eq!(peer.chunks(1).await, [1]);
    let second = peer.sound().await;
    assert_eq!(second.len(), 1600);
    let News::Gap(gap) = world.told().await else {
        panic!()
    };
    assert_eq!(
        (gap.from, gap.to, gap.reason),
        (800, 80_800, GapReason::Discontinuity)
    );
    peer.transcript(100, 200).await;
    assert_eq!(heard_at(world.told().await), (10_100, 10_200));
}

#[tokio::test]
async fn a_backlog_is_sent_no_faster_than_the_service_allows() {
    let mut world = World::with(|wish| wish.limits.burst = Duration::from_millis(100));
    let mut peer = world.ready().await;
    let start = Instant::now();
    world.speak(6);
    peer.chunks(6).await;
    // The first two are the burst; each of the others takes 100 ms at 1.2 times real time.
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(4 * 83 - 20), "{took:?}");
}

#[tokio::test]
async fn a_pause_is_told_to_the_service_when_all_before_it_is_sent() {
    let mut world = World::with(|wish| wish.manners.endpoint = Some("that was all"));
    let mut peer = world.ready().await;
    world.speak(2);
    world.push(&[7, 0, 7, 0]);
    world.control.pause(false);
    assert_eq!(peer.chunks(2).await, [1, 2]);
    assert_eq!(peer.chunk().await, (7, 2));
    assert_eq!(peer.text().await, "that was all");
    // It is not told twice.
    world.control.resume();
    world.speak(1);
    assert_eq!(peer.chunk().await.1, 800);
}

#[tokio::test]
async fn a_pause_that_was_told_to_a_lost_socket_is_told_again() {
    let mut world = World::with(|wish| wish.manners.endpoint = Some("that was all"));
    let mut peer = world.ready().await;
    world.speak(1);
    world.control.pause(false);
    peer.chunks(1).await;
    assert_eq!(peer.text().await, "that was all");
    peer.reset();
    world.interrupted().await;
    assert_eq!(world.ready().await.text().await, "that was all");
}

#[tokio::test]
async fn a_service_that_would_miss_the_sound_is_sent_silence() {
    let mut world = World::with(|wish| wish.limits.idle = ms(50));
    world.speak(1);
    let mut peer = world.ready().await;
    assert_eq!(peer.chunks(1).await, [1]);
    assert_eq!(peer.chunks(2).await, [0, 0]);
    world.speak(1);
    let (mut silent, mut value) = (2, 0);
    while value == 0 {
        value = peer.chunks(1).await[0];
        silent += usize::from(value == 0);
    }
    assert_eq!(value, 2);
    // That silence is not on the stream's clock.
    let at = 100 * (1 + silent as u64);
    peer.transcript(at, at + 100).await;
    assert_eq!(heard_at(world.told().await), (100, 200));
    assert_eq!(world.handle.snapshot().sent_bytes, 3200);
}

#[tokio::test]
async fn a_service_may_have_a_word_for_that() {
    let mut world = World::with(|wish| {
        wish.limits.idle = ms(50);
        wish.manners.keep_alive = Some("still here");
    });
    let mut peer = world.ready().await;
    assert_eq!(peer.text().await, "still here");
    assert_eq!(peer.text().await, "still here");
}

#[tokio::test]
async fn a_service_may_accept_a_stream_without_a_word() {
    let mut world = World::with(|wish| {
        wish.limits.accepts_at_open = true;
        wish.config.unaccepted_max = Duration::ZERO;
    });
    let mut peer = world.greeted().await;
    assert_eq!(world.told().await, ready(HERE));
    world.speak(1);
    assert_eq!(peer.chunks(1).await, [1]);
    assert_eq!(world.handle.snapshot().state, "ready");
}

#[tokio::test]
async fn what_a_service_warns_of_changes_nothing() {
    let warning = Heard::Warning(Status {
        code: 1,
        description: "hm".to_owned(),
    });
    let mut world = World::with(|wish| wish.manners.now = Some(warning));
    let mut peer = world.ready().await;
    peer.say("now").await;
    peer.transcript(0, 0).await;
    assert_eq!(heard_at(world.told().await), (0, 0));
}
