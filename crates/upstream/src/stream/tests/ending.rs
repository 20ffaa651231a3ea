use super::*;

#[tokio::test]
async fn a_stream_that_is_refused_for_good_fails_at_once() {
    let mut world = World::new();
    let mut peer = world.greeted().await;
    world.speak(1);
    assert_eq!(peer.chunks(1).await, [1]);
    peer.end(4050, None).await;
    assert_eq!(world.told().await, outage(0, 800));
    let report = world.failed().await;
    assert_eq!(
        (report.status.code, &*report.status.description),
        (4050, "because")
    );
    assert_eq!(report.summary, None);
    world.over().await;
}

#[tokio::test]
async fn words_of_refusal_are_heard_even_if_the_socket_closes_behind_them() {
    let mut world = World::new();
    let mut peer = world.greeted().await;
    peer.end(4094, None).await;
    peer.close(1000).await;
    world.speak(20);
    loop {
        match world.told().await {
            News::Gap(_) => {}
            News::Failed(report) => break assert_eq!(report.status.code, 4094),
            news => panic!("{news:?}"),
        }
    }
}

#[tokio::test]
async fn a_close_without_a_final_message_finishes_without_a_summary() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    world.speak(1);
    world.stop();
    peer.chunks(1).await;
    peer.finish_asked().await;
    peer.close(1000).await;
    let report = world.finished().await;
    assert_eq!((report.status.code, report.summary), (5000, None));
    assert_eq!(
        report.status.description,
        "the service closed the connection with code 1000"
    );
}

#[tokio::test]
async fn a_final_message_that_does_not_come_is_not_waited_for_for_ever() {
    let mut world = World::with(|wish| wish.config.drain_timeout = Duration::from_millis(50));
    let mut peer = world.ready().await;
    world.stop();
    peer.finish_asked().await;
    let report = world.finished().await;
    assert_eq!((report.status.code, report.summary), (5000, None));
    assert_eq!(
        report.status.description,
        "the service sent no final message in time"
    );
}

#[tokio::test]
async fn a_wrong_byte_count_is_told() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    world.speak(2);
    world.stop();
    peer.chunks(2).await;
    peer.finish_asked().await;
    peer.sum_up(3198).await;
    let expected = News::Mismatch {
        sent_bytes: 3200,
        confirmed_bytes: 3198,
    };
    assert_eq!(world.told().await, expected);
    assert_eq!(world.finished().await.summary.unwrap().audio_bytes, 3198);
    assert!(world.has("antiphon_upstream_byte_mismatches_total 1"));
}

#[tokio::test]
async fn what_several_sockets_counted_is_summed_up() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    world.speak(2);
    peer.chunks(2).await;
    peer.end(5001, Some(3200)).await;
    let (_, why) = world.interrupted().await;
    assert_eq!(
        why,
        "the service ended the stream with status 5001: because"
    );
    let mut peer = world.ready().await;
    world.speak(1);
    world.stop();
    peer.chunks(1).await;
    peer.finish_asked().await;
    peer.sum_up(1600).await;
    assert_eq!(world.finished().await.summary.unwrap().audio_bytes, 4800);
}

#[tokio::test]
async fn what_a_dead_socket_took_with_it_is_told() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    world.shout(2);
    peer.chunks(2).await;
    peer.reset();
    world.interrupted().await;
    assert_eq!(world.told().await, unconfirmed(0, 1600));
    let mut peer = world.ready().await;
    world.speak(1);
    world.stop();
    peer.chunks(1).await;
    peer.finish_asked().await;
    // Only what the dead socket carried is unknown: of the other each byte is confirmed.
    peer.sum_up(1600).await;
    assert_eq!(world.finished().await.summary.unwrap().audio_bytes, 1600);
}

#[tokio::test]
async fn an_abandoned_stream_ends_at_once() {
    let mut world = World::new();
    let mut peer = world.greeted().await;
    world.handle.abandon();
    assert_eq!(
        world.failed().await.status.description,
        "the stream was abandoned"
    );
    assert_eq!(peer.next().await, Said::Gone);
    assert!(world.has("antiphon_upstream_streams_ended_total{outcome=\"abandoned\"} 1"));
    world.over().await;
}

#[tokio::test]
async fn a_stream_can_be_abandoned_while_it_waits() {
    let mut world = World::with(|wish| wish.config.retry.backoff_min = Duration::from_secs(9));
    world.server.refuse("503 Service Unavailable").await;
    world.interrupted().await;
    world.handle.abandon();
    world.failed().await;
    world.over().await;
}

#[tokio::test]
async fn a_stream_whose_task_is_ended_has_failed() {
    let mut world = World::new();
    let _peer = world.greeted().await;
    world.stream.abort_all();
    assert_eq!(
        world.failed().await.status.description,
        "the stream's task was ended"
    );
}

#[tokio::test]
async fn a_close_may_be_a_services_way_to_say_that_all_is_well() {
    let last = Final {
        status: Status::ok(),
        retry: Retry::Backoff,
        summary: None,
    };
    let mut world = World::with(|wish| wish.manners.closed = Some((1000, last)));
    let mut peer = world.ready().await;
    world.shout(1);
    world.stop();
    peer.chunks(1).await;
    peer.finish_asked().await;
    peer.close(1000).await;
    let report = world.finished().await;
    assert!(report.status.is_ok());
    assert_eq!(report.summary, None);
}

#[tokio::test]
async fn what_a_service_meant_to_say_better_is_told_as_it_was() {
    let utterance = Utterance {
        call: spec(StreamOptions::default()).call,
        stream: StreamId::new("s1"),
        role: Role::Agent,
        sender: String::new().into(),
        alternatives: Vec::new(),
        start: ms(0),
        end: ms(100),
        is_final: true,
    };
    let mut world = World::with(|wish| {
        wish.manners.leftover = Some(utterance);
        wish.config.replay = ms(15_000);
    });
    let mut peer = world.ready().await;
    world.shout(2);
    peer.chunks(2).await;
    peer.reset();
    assert_eq!(heard_at(world.told().await), (0, 100));
    world.interrupted().await;
    // It is final, so that its sound is not sent again.
    assert_eq!(world.ready().await.chunks(1).await, [1002]);
}

#[tokio::test]
async fn without_the_last_word_nobody_knows_what_was_heard() {
    let mut world = World::with(|wish| wish.config.drain_timeout = ms(50));
    let mut peer = world.ready().await;
    world.speak(1);
    world.shout(2);
    world.speak(1);
    world.stop();
    peer.chunks(4).await;
    peer.finish_asked().await;
    assert_eq!(world.told().await, unconfirmed(800, 2400));
    assert_eq!(world.finished().await.status.code, 5000);
    world.over().await;
}

#[tokio::test]
async fn what_an_abandoned_stream_had_not_sent_is_told() {
    let mut world = World::new();
    world.server.refuse("503 Service Unavailable").await;
    world.interrupted().await;
    world.shout(2);
    world.handle.abandon();
    assert_eq!(world.told().await, outage(0, 1600));
    world.failed().await;
}
