use super::*;

const UNWELL: &str = "503 Service Unavailable";

fn two(wish: &mut Wish) {
    wish.there = Some(limits());
}

#[tokio::test]
async fn a_stream_that_one_service_refuses_for_good_goes_to_the_other() {
    let mut world = World::with(two);
    world.shout(1);
    let mut peer = world.greeted().await;
    assert_eq!(peer.chunks(1).await, [1001]);
    peer.end(4050, None).await;
    world.interrupted().await;
    let mut peer = world.ready_there().await;
    assert_eq!(peer.chunks(1).await, [1001]);
    // It does not come back.
    peer.reset();
    world.interrupted().await;
    world.told().await;
    world.ready_there().await;
}

#[tokio::test]
async fn a_stream_that_both_refuse_for_good_fails() {
    let mut world = World::with(two);
    world.greeted().await.end(4050, None).await;
    world.interrupted().await;
    greeted(&world.there).await.end(4051, None).await;
    assert_eq!(world.failed().await.status.code, 4051);
}

#[tokio::test]
async fn a_refused_credential_is_no_end_while_there_is_another_service() {
    let mut world = World::with(two);
    world.server.refuse("401 Unauthorized").await;
    world.interrupted().await;
    world.ready_there().await;
}

#[tokio::test]
async fn a_service_that_fails_twice_is_passed_over() {
    let mut world = World::with(two);
    world.server.refuse(UNWELL).await;
    assert_eq!(world.interrupted().await.0, 1);
    world.server.refuse(UNWELL).await;
    assert_eq!(world.interrupted().await.0, 2);
    world.ready_there().await;
}

#[tokio::test]
async fn a_service_that_asks_for_patience_is_passed_over() {
    let mut world = World::with(two);
    world
        .server
        .refuse("429 Too Many Requests\r\nRetry-After: 30")
        .await;
    world.interrupted().await;
    world.ready_there().await;
}

#[tokio::test]
async fn a_running_stream_moves_and_returns_to_the_best_when_it_is_opened_anew() {
    let mut world = World::with(|wish| {
        two(wish);
        wish.config.replay = ms(15_000);
    });
    let mut peer = world.ready().await;
    world.shout(1);
    peer.chunks(1).await;
    peer.reset();
    world.interrupted().await;
    world.server.refuse(UNWELL).await;
    world.interrupted().await;
    let mut peer = world.ready_there().await;
    assert_eq!(peer.chunks(1).await, [1001]);
    peer.reset();
    world.interrupted().await;
    assert_eq!(world.ready().await.chunks(1).await, [1001]);
}

#[tokio::test]
async fn a_running_stream_may_be_kept_where_it_is() {
    let mut world = World::with(|wish| {
        two(wish);
        wish.config.fail_over_running = false;
    });
    world.ready().await.reset();
    world.interrupted().await;
    for _ in 0..3 {
        world.server.refuse(UNWELL).await;
        world.interrupted().await;
    }
    world.ready().await;
}

#[tokio::test]
async fn a_stream_rolls_over_to_the_best_service_and_says_so() {
    let mut world = World::with(|wish| {
        wish.there = Some(Limits {
            session_max: ms(600),
            ..limits()
        });
    });
    for _ in 0..2 {
        world.server.refuse(UNWELL).await;
        world.interrupted().await;
    }
    let mut old = world.ready_there().await;
    let mut new = world.greeted().await;
    new.say(READY).await;
    old.finish_asked().await;
    assert_eq!(world.told().await, ready(HERE));
    world.speak(1);
    assert_eq!(new.chunks(1).await, [1]);
}

fn impatient(wish: &mut Wish) {
    wish.config.retry.retries_max = 1;
    wish.config.probe_interval = ms(50);
}

async fn degraded(world: &mut World) {
    world.ready().await.reset();
    world.interrupted().await;
    world.server.refuse(UNWELL).await;
    world.interrupted().await;
    let News::Degraded { why } = world.told().await else {
        panic!("it is not degraded");
    };
    assert_eq!(
        why,
        "the service refused the connection with HTTP status 503"
    );
    assert_eq!(world.handle.snapshot().state, "degraded");
    assert!(world.has("antiphon_upstream_streams_degraded 1"));
}

#[tokio::test]
async fn a_stream_that_was_accepted_is_never_given_up_while_its_call_lives() {
    let mut world = World::with(impatient);
    degraded(&mut world).await;
    for _ in 0..4 {
        world.server.refuse(UNWELL).await;
    }
    world.speak(1);
    // It is told once, however long it takes.
    let mut peer = world.ready().await;
    assert_eq!(peer.chunks(1).await, [1]);
    assert!(world.has("antiphon_upstream_streams_degraded 0"));
}

#[tokio::test]
async fn what_an_outage_costs_is_told_while_it_lasts() {
    let mut world = World::with(|wish| {
        impatient(wish);
        wish.line.chunks_max = 2;
    });
    degraded(&mut world).await;
    world.shout(5);
    world.server.refuse(UNWELL).await;
    assert_eq!(world.told().await, outage(0, 2400));
}

#[tokio::test]
async fn a_call_that_ends_meanwhile_has_one_last_try() {
    let mut world = World::with(|wish| {
        impatient(wish);
        wish.config.probe_interval = ms(100_000);
    });
    degraded(&mut world).await;
    world.shout(2);
    world.stop();
    world.server.refuse(UNWELL).await;
    assert_eq!(world.told().await, outage(0, 1600));
    world.failed().await;
    world.over().await;
}

#[tokio::test]
async fn a_call_that_ends_meanwhile_without_a_word_has_none() {
    let mut world = World::with(|wish| {
        impatient(wish);
        wish.config.probe_interval = ms(100_000);
    });
    degraded(&mut world).await;
    world.stop();
    assert_eq!(world.finished().await.status.code, 5000);
    world.over().await;
}

#[tokio::test]
async fn a_running_stream_whose_credential_is_refused_waits_for_better_days() {
    let mut world = World::with(|wish| {
        wish.guard.probe_after_min = ms(50);
        wish.guard.probe_after_max = ms(60);
    });
    world.ready().await.reset();
    world.interrupted().await;
    world.server.refuse("401 Unauthorized").await;
    world.interrupted().await;
    world.ready().await;
}

#[tokio::test]
async fn a_running_stream_that_is_refused_for_good_fails() {
    let mut world = World::with(|wish| wish.config.replay = ms(15_000));
    world.ready().await.reset();
    world.interrupted().await;
    world.shout(1);
    let mut peer = world.greeted().await;
    peer.chunks(1).await;
    peer.end(4050, None).await;
    assert_eq!(world.told().await, outage(0, 800));
    assert_eq!(world.failed().await.status.code, 4050);
}

fn wary(wish: &mut Wish) {
    wish.guard.attempts_min = 1;
}

#[tokio::test]
async fn a_start_at_a_service_that_is_left_alone_fails_at_once_and_says_why() {
    let mut world = World::with(wary);
    let start = Instant::now();
    world.server.refuse(UNWELL).await;
    world.interrupted().await;
    let report = world.failed().await;
    assert!(start.elapsed() < ms(4_000));
    assert_eq!(report.status.code, 5000);
    assert_eq!(
        report.status.description,
        "the service fails and is left alone for a while"
    );
    world.over().await;
}

#[tokio::test]
async fn a_start_at_a_service_that_is_left_alone_goes_to_another() {
    let mut world = World::with(|wish| {
        wary(wish);
        two(wish);
    });
    world.server.refuse(UNWELL).await;
    world.interrupted().await;
    world.ready_there().await;
}

#[tokio::test]
async fn a_start_waits_for_a_service_that_is_soon_probed() {
    let mut world = World::with(|wish| {
        wary(wish);
        wish.guard.probe_after_min = ms(50);
        wish.guard.probe_after_max = ms(60);
    });
    world.server.refuse(UNWELL).await;
    world.interrupted().await;
    world.ready().await;
}
