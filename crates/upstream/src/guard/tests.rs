use std::future::Future;

use futures_util::FutureExt;
use futures_util::future::join_all;
use prometheus::{Registry, TextEncoder};
use tokio::time::{Instant, advance, timeout};

use super::*;
use crate::metrics::Metrics;
use crate::service::NAMES;

const SECOND: Duration = Duration::from_secs(1);

/// One a second, one at once.
fn slow() -> Guard {
    Guard::new(GuardConfig {
        opens_burst: 1,
        opens_per_minute: 60,
        ..GuardConfig::default()
    })
}

fn now<T>(leave: impl Future<Output = T>) -> T {
    leave.now_or_never().expect("no wait")
}

fn is_pending<T>(leave: impl Future<Output = T>) -> bool {
    leave.now_or_never().is_none()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_streams_start_at_once() {
    for name in NAMES.into_iter().filter(|name| *name != "assemblyai") {
        let guard = Guard::new(GuardConfig::of(name));
        let permits: Vec<_> = (0..1_000)
            .map(|_| now(guard.admit(Purpose::First)).unwrap())
            .collect();
        permits.into_iter().for_each(Permit::accepted);
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_streams_that_lose_their_sockets_in_one_blip_come_back_at_once() {
    let guard = Guard::new(GuardConfig::default());
    for _ in 0..1_000 {
        now(guard.admit(Purpose::Retry)).unwrap().accepted();
    }
}

#[tokio::test(start_paused = true)]
async fn assemblyai_is_asked_for_twenty_at_once_and_ninety_a_minute() {
    let guard = Guard::new(GuardConfig::of("assemblyai"));
    let start = Instant::now();
    let admitted = join_all((0..50).map(|_| guard.admit(Purpose::First))).await;
    assert!(admitted.iter().all(Result::is_ok));
    assert_eq!(start.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_let_in_in_his_turn_and_lost_streams_first() {
    let guard = slow();
    now(guard.admit(Purpose::First)).unwrap().accepted();
    let order = Mutex::new(Vec::new());
    let ask = async |name, purpose| {
        guard.admit(purpose).await.unwrap().accepted();
        order.lock().unwrap().push(name);
    };
    tokio::join!(
        ask("first", Purpose::First),
        ask("second", Purpose::First),
        ask("lost", Purpose::Retry),
        ask("rolled", Purpose::Rollover),
    );
    let order = order.into_inner().unwrap();
    assert_eq!(order, ["lost", "rolled", "first", "second"]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_leaves_no_ghost_and_gives_its_turn_on() {
    let guard = slow();
    now(guard.admit(Purpose::First)).unwrap().accepted();
    let mut gone: Vec<_> = (0..20)
        .map(|_| Box::pin(guard.admit(Purpose::Retry)))
        .collect();
    assert!(gone.iter_mut().all(is_pending));
    let start = Instant::now();
    let stays = guard.admit(Purpose::First);
    let (stays, ()) = tokio::join!(stays, async { gone.clear() });
    stays.unwrap().accepted();
    assert_eq!(start.elapsed().as_secs(), 1);
    assert_eq!(guard.0.turnstile.lock().unwrap().waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_dropped_when_his_turn_has_come_gives_it_on() {
    let guard = slow();
    now(guard.admit(Purpose::First)).unwrap().accepted();
    let mut head = Box::pin(guard.admit(Purpose::First));
    assert!(is_pending(&mut head));
    let mut next = Box::pin(guard.admit(Purpose::First));
    assert!(is_pending(&mut next));
    advance(SECOND).await;
    drop(head);
    now(next).unwrap().accepted();
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_patience_lasts() {
    let guard = slow();
    now(guard.admit(Purpose::First)).unwrap().accepted();
    let mut waiting = Box::pin(guard.admit_within(Purpose::First, 2 * SECOND));
    assert!(is_pending(&mut waiting));
    let start = Instant::now();
    let lost = join_all((0..5).map(|_| guard.admit(Purpose::Retry)));
    let (blocked, lost) = tokio::join!(waiting, lost);
    assert_eq!(blocked.unwrap_err().cause, Cause::Rate);
    assert!(lost.iter().all(Result::is_ok));
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_have_his_turn_in_time_is_told_at_once() {
    let guard = slow();
    now(guard.admit(Purpose::First)).unwrap().accepted();
    let half = SECOND / 2;
    let blocked = now(guard.admit_within(Purpose::First, half)).unwrap_err();
    assert_eq!((blocked.cause, blocked.after), (Cause::Rate, SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_asks_for_patience_gets_it_from_all() {
    let guard = Guard::new(GuardConfig::default());
    let permit = now(guard.admit(Purpose::First)).unwrap();
    permit.failed(Retry::After(20 * SECOND));
    let start = Instant::now();
    for purpose in [Purpose::First, Purpose::Retry, Purpose::Rollover] {
        assert!(is_pending(guard.admit(purpose)));
    }
    guard.admit(Purpose::First).await.unwrap().accepted();
    assert_eq!(start.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn who_already_waits_is_told_at_once_when_the_service_asks_for_more_than_his_patience() {
    let guard = slow();
    let permit = now(guard.admit(Purpose::First)).unwrap();
    let ask = async {
        let mut waiting = Box::pin(guard.admit(Purpose::First));
        assert!(is_pending(&mut waiting));
        permit.failed(Retry::After(Duration::from_secs(1 << 40)));
        waiting.await.unwrap_err()
    };
    let blocked = timeout(Duration::from_millis(1), ask).await.unwrap();
    assert_eq!(blocked.cause, Cause::Rate);
    assert_eq!(blocked.after, GuardConfig::default().hold_max);
}

#[tokio::test(start_paused = true)]
async fn a_refused_credential_sends_everybody_away_until_one_probe_is_accepted() {
    let guard = slow();
    let permit = now(guard.admit(Purpose::First)).unwrap();
    let mut waiting = Box::pin(guard.admit(Purpose::First));
    assert!(is_pending(&mut waiting));
    permit.failed(Retry::Credential);
    assert_eq!(now(waiting).unwrap_err().cause, Cause::Breaker);
    let blocked = now(guard.admit(Purpose::Retry)).unwrap_err();
    assert_eq!(blocked.cause, Cause::Breaker);
    assert!((30..=60).contains(&blocked.after.as_secs()), "{blocked:?}");

    advance(blocked.after).await;
    let probe = now(guard.admit(Purpose::First)).unwrap();
    assert_eq!(
        now(guard.admit(Purpose::First)).unwrap_err().cause,
        Cause::Breaker
    );
    drop(probe);
    advance(SECOND).await;
    let probe = now(guard.admit(Purpose::First)).unwrap();
    assert_eq!(
        now(guard.admit(Purpose::First)).unwrap_err().cause,
        Cause::Breaker
    );
    probe.accepted();
    advance(SECOND).await;
    now(guard.admit(Purpose::First)).unwrap().accepted();
}

#[tokio::test(start_paused = true)]
async fn spent_retries_wait_and_hold_nobody_else_up() {
    let guard = Guard::new(GuardConfig {
        retries_burst: 2,
        retries_per_second: 1,
        ..GuardConfig::default()
    });
    (0..2).for_each(|_| now(guard.admit(Purpose::Retry)).unwrap().accepted());
    let mut retry = Box::pin(guard.admit(Purpose::Retry));
    assert!(is_pending(&mut retry));
    now(guard.admit(Purpose::First)).unwrap().accepted();
    now(guard.admit(Purpose::Rollover)).unwrap().accepted();
    let start = Instant::now();
    retry.await.unwrap().accepted();
    // A second, less a tenth for each of the two.
    assert_eq!(start.elapsed().as_millis() / 10, 80);
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_is_told_as_such() {
    let guard = Guard::new(GuardConfig {
        retries_burst: 1,
        retries_per_second: 1,
        patience: SECOND / 2,
        ..GuardConfig::default()
    });
    now(guard.admit(Purpose::Retry)).unwrap().accepted();
    let blocked = now(guard.admit(Purpose::Retry)).unwrap_err();
    assert_eq!((blocked.cause, blocked.after), (Cause::Budget, SECOND));
}

#[tokio::test(start_paused = true)]
async fn everything_a_guard_does_is_counted() {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    let shown = |name: &str| {
        let families = registry.gather();
        let text = TextEncoder::new().encode_to_string(&families).unwrap();
        let name = format!("antiphon_upstream_{name} ");
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(&name));
        value.unwrap().parse::<u32>().unwrap()
    };
    let config = GuardConfig {
        opens_burst: 2,
        opens_per_minute: 60,
        ..GuardConfig::default()
    };
    let guard = Guard::counted(config, Arc::clone(metrics.of("deepgram")));
    now(guard.admit(Purpose::First)).unwrap().accepted();
    let permit = now(guard.admit(Purpose::First)).unwrap();
    let mut waiting = Box::pin(guard.admit(Purpose::First));
    assert!(is_pending(&mut waiting));
    assert!(is_pending(&mut waiting));
    assert_eq!(shown("opens_waiting{service=\"deepgram\"}"), 1);
    assert_eq!(shown("breaker_state{service=\"deepgram\"}"), 0);
    permit.failed(Retry::Credential);
    assert_eq!(shown("breaker_state{service=\"deepgram\"}"), 2);
    let blocked = now(waiting).unwrap_err();
    advance(blocked.after).await;
    let probe = now(guard.admit(Purpose::First)).unwrap();
    assert_eq!(shown("breaker_state{service=\"deepgram\"}"), 1);
    probe.accepted();
    for (name, value) in [
        ("breaker_openings_total{service=\"deepgram\"}", 1),
        ("breaker_state{service=\"deepgram\"}", 0),
        ("opens_accepted_total{service=\"deepgram\"}", 2),
        ("opens_attempted_total{service=\"deepgram\"}", 3),
        (
            "opens_failed_total{class=\"credential\",service=\"deepgram\"}",
            1,
        ),
        (
            "opens_held_back_total{cause=\"breaker\",service=\"deepgram\"}",
            1,
        ),
        (
            "opens_held_back_total{cause=\"rate\",service=\"deepgram\"}",
            1,
        ),
        ("opens_waiting{service=\"deepgram\"}", 0),
    ] {
        assert_eq!(shown(name), value, "{name}");
    }
}
