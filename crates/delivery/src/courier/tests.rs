//! The courier with an outbox in memory and a receiver that does as it is told, in virtual time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use prometheus::Registry;
use store::StoreError;
use store::memory::{MemoryLimits, MemoryOutbox};
use store::outbox::{Carried, DeadLetter, DeadLetters, Depth, Parcel, Waiting};
use tokio::time::{sleep, timeout};

use super::*;
use crate::client::Letter;
use crate::endpoint::{Endpoint, Format, Retries};
use crate::metrics::Metrics;

/// What a receiver answers to a letter.
type Answer = Box<dyn Fn(&Letter) -> Outcome + Send + Sync>;

struct Receiver {
    answer: Mutex<Answer>,
    /// How long it takes to answer.
    takes: Duration,
    taken: Mutex<Vec<(Instant, Letter)>>,
    asked: AtomicUsize,
}

/// An outbox that can be made to fail.
struct Faulty {
    inner: MemoryOutbox,
    reads_fail: AtomicBool,
    writes_fail: AtomicBool,
    writes: AtomicUsize,
}

struct Rig {
    route: Arc<Route>,
    receiver: Arc<Receiver>,
    outbox: Arc<Faulty>,
    limits: Limits,
    stop: CancellationToken,
    task: JoinSet<()>,
    number: u64,
    registry: Registry,
    clock: Clock,
}

fn ok() -> Outcome {
    Outcome::new(Class::Delivered, "status 200")
}

fn failed() -> Outcome {
    Outcome::new(Class::Failed, "status 500")
}

impl Carrier for Receiver {
    fn carry(&self, letter: Letter) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::Relaxed);
            sleep(self.takes).await;
            let outcome = (self.answer.lock().unwrap())(&letter);
            if outcome.class == Class::Delivered {
                self.taken.lock().unwrap().push((Instant::now(), letter));
            }
            outcome
        })
    }
}

impl Faulty {
    fn read<T>(&self, read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        match self.reads_fail.load(Ordering::Relaxed) {
            true => Err(StoreError::Locked),
            false => read(),
        }
    }
}

impl Outbox for Faulty {
    fn waiting(&self, endpoint: &str, after: u64, most: usize) -> Result<Vec<Waiting>, StoreError> {
        self.read(|| self.inner.waiting(endpoint, after, most))
    }

    fn parcel(&self, number: u64) -> Result<Option<Carried>, StoreError> {
        self.read(|| self.inner.parcel(number))
    }

    fn settle(&self, settled: &[Settled]) -> Result<(), StoreError> {
        if self.writes_fail.load(Ordering::Relaxed) {
            return Err(StoreError::Full);
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.inner.settle(settled)
    }

    fn depth(&self, endpoint: &str) -> Result<Depth, StoreError> {
        self.inner.depth(endpoint)
    }

    fn trim(&self, endpoint: &str, bytes_max: u64, before: u64) -> Result<u64, StoreError> {
        self.inner.trim(endpoint, bytes_max, before)
    }

    fn dead_letters(&self, which: &DeadLetters) -> Result<Vec<DeadLetter>, StoreError> {
        self.inner.dead_letters(which)
    }

    fn replay(&self, which: &DeadLetters) -> Result<u64, StoreError> {
        self.inner.replay(which)
    }

    fn bury(&self, which: &DeadLetters) -> Result<u64, StoreError> {
        self.inner.bury(which)
    }
}

impl Rig {
    fn new(change: impl FnOnce(&mut Endpoint, &mut Limits)) -> Self {
        let mut endpoint = Endpoint::new("crm", "https://crm.example.com".parse().unwrap());
        let mut limits = Limits::default();
        change(&mut endpoint, &mut limits);
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        Self {
            registry,
            clock: Clock::new(),
            route: Arc::new(Route::new(&endpoint, &limits, &metrics)),
            receiver: Arc::new(Receiver {
                answer: Mutex::new(Box::new(|_| ok())),
                takes: Duration::from_millis(30),
                taken: Mutex::default(),
                asked: AtomicUsize::new(0),
            }),
            outbox: Arc::new(Faulty {
                inner: MemoryOutbox::new(MemoryLimits::default()),
                reads_fail: AtomicBool::new(false),
                writes_fail: AtomicBool::new(false),
                writes: AtomicUsize::new(0),
            }),
            limits,
            stop: CancellationToken::new(),
            task: JoinSet::new(),
            number: 0,
        }
    }

    fn start(&mut self) {
        let outbox: Arc<dyn Outbox> = Arc::<Faulty>::clone(&self.outbox);
        let carrier: Arc<dyn Carrier> = Arc::<Receiver>::clone(&self.receiver);
        let route = Arc::clone(&self.route);
        let courier = Courier::new(route, carrier, outbox, self.limits, 1);
        self.task.spawn(courier.run(self.stop.clone()));
    }

    /// As kill -9 does, and then a start.
    async fn restart(&mut self) {
        self.task.shutdown().await;
        self.start();
    }

    fn put(&mut self, lane: &str, count: u64) {
        for _ in 0..count {
            self.number += 1;
            self.outbox.inner.append(&[Parcel {
                endpoint: "crm".into(),
                lane: lane.into(),
                id: format!("msg_{}", self.number),
                kind: "transcript",
                content_type: "application/json",
                body: format!("{{\"n\":{}}}", self.number).into_bytes().into(),
                at_unix_ms: self.clock.now(),
            }]);
        }
        self.route.wake.notify_one();
    }

    fn answers(&self, answer: impl Fn(&Letter) -> Outcome + Send + Sync + 'static) {
        *self.receiver.answer.lock().unwrap() = Box::new(answer);
    }

    fn asked(&self) -> usize {
        self.receiver.asked.load(Ordering::Relaxed)
    }

    fn taken(&self) -> Vec<String> {
        let taken = self
            .receiver
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        taken.iter().map(|(_, letter)| letter.id.clone()).collect()
    }

    fn depth(&self) -> Depth {
        self.outbox.inner.depth("crm").unwrap()
    }

    /// The value of a series, by its name and its second label.
    fn metric(&self, name: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let name = format!("antiphon_delivery_{name}");
        let family = families
            .iter()
            .find(|family| family.name() == name)
            .unwrap();
        let metrics = family.get_metric().iter();
        let mut found = metrics.filter(|metric| {
            let labels = metric.get_label();
            label.is_empty() || labels.iter().any(|pair| pair.value() == label)
        });
        let metric = found.next().unwrap();
        metric.get_counter().get_value()
            + metric.get_gauge().get_value()
            + metric.get_histogram().get_sample_count() as f64
    }

    /// Until nothing waits any more.
    async fn run_dry(&self, most: Duration) {
        let dry = async {
            while self.depth().waiting > 0 {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(most, dry)
            .await
            .expect("everything is taken in time");
    }
}

fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<String> {
    range.map(|number| format!("msg_{number}")).collect()
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_taken_in_order_and_leaves_the_outbox() {
    let mut rig = Rig::new(|_, _| {});
    rig.start();
    rig.put("twilio/a", 20);
    rig.run_dry(Duration::from_secs(2)).await;
    assert_eq!(rig.taken(), numbers(1..=20));
    let (_, first) = rig.receiver.taken.lock().unwrap()[0].clone();
    assert_eq!(&first.body.reveal()[..], b"{\"n\":1}");
    assert_eq!(
        (first.content_type.as_str(), first.late),
        ("application/json", false)
    );
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_down_for_ten_minutes_gets_everything_soon_after() {
    let mut rig = Rig::new(|_, _| {});
    rig.answers(|_| failed());
    rig.start();
    for lane in 0..50 {
        rig.put(&format!("twilio/{lane}"), 5);
    }
    sleep(Duration::from_secs(600)).await;
    assert_eq!(rig.taken(), [] as [String; 0]);
    assert!(rig.asked() < 60, "it rests: {}", rig.asked());
    assert_eq!(rig.route.state().standing, Standing::Resting);
    rig.answers(|_| ok());
    rig.run_dry(Duration::from_secs(80)).await;
    let taken = rig.taken();
    assert_eq!(taken.len(), 250, "each once");
    for lane in 0..50 {
        let own = numbers(lane * 5 + 1..=lane * 5 + 5);
        let order: Vec<_> = taken
            .iter()
            .filter(|id| own.contains(id))
            .cloned()
            .collect();
        assert_eq!(order, own);
    }
    assert_eq!(rig.route.state().standing, Standing::Enabled);
    let error = rig.route.state().last_error.clone().unwrap();
    assert_eq!(error.0, "status 500");
}

#[tokio::test(start_paused = true)]
async fn what_was_under_way_when_the_process_died_is_sent_again_under_its_id() {
    let mut rig = Rig::new(|_, _| {});
    rig.start();
    rig.put("twilio/a", 3);
    // The first was taken, and nobody has written that yet.
    sleep(Duration::from_millis(40)).await;
    assert_eq!(rig.taken(), numbers(1..=1));
    rig.restart().await;
    rig.run_dry(Duration::from_secs(2)).await;
    assert_eq!(rig.taken(), ["msg_1", "msg_1", "msg_2", "msg_3"]);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_told_to_stop_lets_what_is_under_way_come_to_its_end() {
    let mut rig = Rig::new(|_, _| {});
    rig.start();
    rig.put("twilio/a", 2);
    sleep(Duration::from_millis(5)).await;
    rig.stop.cancel();
    timeout(Duration::from_secs(1), rig.task.join_next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(rig.taken(), numbers(1..=1));
    assert_eq!(
        rig.depth().waiting,
        1,
        "that it was taken is written, and no other was begun"
    );
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_in_time_is_abandoned_and_stays() {
    let mut rig = Rig::new(|endpoint, _| endpoint.timeout = Duration::from_secs(60));
    let receiver = Arc::get_mut(&mut rig.receiver).unwrap();
    receiver.takes = Duration::from_secs(3600);
    rig.start();
    rig.put("twilio/a", 1);
    sleep(Duration::from_secs(1)).await;
    rig.stop.cancel();
    let began = Instant::now();
    rig.task.join_next().await.unwrap().unwrap();
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!(rig.depth().waiting, 1);
}

#[tokio::test(start_paused = true)]
async fn what_became_of_many_is_written_together() {
    let mut rig = Rig::new(|endpoint, _| endpoint.concurrency = 100);
    rig.start();
    for lane in 0..100 {
        rig.put(&format!("twilio/{lane}"), 4);
    }
    rig.run_dry(Duration::from_secs(2)).await;
    let writes = rig.outbox.writes.load(Ordering::Relaxed);
    assert!(writes <= 8, "{writes}");
}

#[tokio::test(start_paused = true)]
async fn an_outbox_that_cannot_be_written_costs_no_second_delivery_and_no_memory() {
    let mut rig = Rig::new(|_, limits| limits.window_max = 16);
    rig.outbox.writes_fail.store(true, Ordering::Relaxed);
    rig.start();
    rig.put("twilio/a", 40);
    sleep(Duration::from_secs(60)).await;
    let taken = rig.taken();
    assert!(
        (1..=16).contains(&taken.len()),
        "the window is full: {}",
        taken.len()
    );
    rig.outbox.writes_fail.store(false, Ordering::Relaxed);
    rig.run_dry(Duration::from_secs(20)).await;
    assert_eq!(rig.taken(), numbers(1..=40));
}

#[tokio::test(start_paused = true)]
async fn an_outbox_that_cannot_be_read_is_asked_again() {
    let mut rig = Rig::new(|_, _| {});
    rig.outbox.reads_fail.store(true, Ordering::Relaxed);
    rig.start();
    rig.put("twilio/a", 3);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(rig.asked(), 0);
    rig.outbox.reads_fail.store(false, Ordering::Relaxed);
    rig.run_dry(Duration::from_secs(20)).await;
    assert_eq!(rig.taken(), numbers(1..=3));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_cannot_be_read_just_now_is_no_attempt() {
    let mut rig = Rig::new(|_, _| {});
    rig.answers(|letter| match letter.id.as_str() {
        "msg_1" => failed(),
        _ => ok(),
    });
    rig.start();
    rig.put("twilio/a", 1);
    sleep(Duration::from_millis(500)).await;
    rig.outbox.reads_fail.store(true, Ordering::Relaxed);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(rig.asked(), 1);
    rig.outbox.reads_fail.store(false, Ordering::Relaxed);
    rig.answers(|_| ok());
    rig.run_dry(Duration::from_secs(20)).await;
    assert_eq!(rig.taken(), numbers(1..=1));
}

#[tokio::test(start_paused = true)]
async fn a_gone_endpoint_is_left_alone_until_somebody_enables_it() {
    let mut rig = Rig::new(|_, _| {});
    rig.answers(|_| Outcome::new(Class::Gone, "status 410"));
    rig.start();
    rig.put("twilio/a", 2);
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(rig.asked(), 1);
    assert_eq!(rig.route.state().standing, Standing::Disabled);
    assert_eq!(rig.route.state().waiting, 2);
    rig.answers(|_| ok());
    rig.route.enable();
    rig.run_dry(Duration::from_secs(2)).await;
    assert_eq!(rig.taken(), numbers(1..=2));
}

#[tokio::test(start_paused = true)]
async fn what_waits_too_long_becomes_a_dead_letter_and_can_be_replayed() {
    let mut rig = Rig::new(|_, limits| limits.bytes_max = 0);
    rig.answers(|_| Outcome::new(Class::Gone, "status 410"));
    rig.start();
    rig.put("twilio/a", 3);
    sleep(Duration::from_secs(20)).await;
    assert_eq!((rig.depth().waiting, rig.depth().dead), (0, 3));
    rig.answers(|_| ok());
    rig.route.enable();
    let all = DeadLetters {
        most: 10,
        ..DeadLetters::default()
    };
    assert_eq!(rig.outbox.replay(&all).unwrap(), 3);
    rig.route.wake.notify_one();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(rig.taken(), numbers(1..=3), "under their old ids");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_never_takes_anything_has_what_is_young_wait_and_all_else_die_by_age() {
    for class in [Class::Failed, Class::Refused, Class::Gone] {
        let mut rig = Rig::new(|_, limits| limits.age_max = Duration::from_secs(600));
        rig.answers(move |_| Outcome::new(class, "never"));
        rig.start();
        for minute in 0..90 {
            rig.put(&format!("twilio/{}", minute % 7), 1);
            sleep(Duration::from_secs(60)).await;
        }
        let depth = rig.depth();
        assert!((10..=11).contains(&depth.waiting), "{class:?}: {depth:?}");
        assert_eq!(depth.waiting + depth.dead, 90, "{class:?}");
        assert_ne!(rig.route.state().standing, Standing::Enabled);
        let all = DeadLetters {
            most: 100,
            ..DeadLetters::default()
        };
        let letters = rig.outbox.dead_letters(&all).unwrap();
        assert!(letters.iter().all(|letter| letter.why == "too old"));
        // While it rests, or is gone, no event is blamed.
        let blamed: u32 = letters.iter().map(|letter| letter.attempts).sum();
        assert!(blamed <= rig.limits.rest_after, "{class:?}: {blamed}");
        assert_eq!(rig.metric("dead_total", ""), depth.dead as f64);
    }
}

#[tokio::test(start_paused = true)]
async fn without_retries_what_fails_is_thrown_away() {
    let mut rig = Rig::new(|endpoint, _| endpoint.retries = Retries::Off);
    rig.answers(|letter| match letter.id.as_str() {
        "msg_2" => failed(),
        _ => ok(),
    });
    rig.start();
    rig.put("twilio/a", 3);
    rig.run_dry(Duration::from_secs(2)).await;
    assert_eq!(rig.taken(), ["msg_1", "msg_3"]);
    assert_eq!(rig.depth().dead, 0);
}

#[tokio::test(start_paused = true)]
async fn events_of_a_call_go_together_in_a_batch() {
    let mut rig = Rig::new(|endpoint, _| endpoint.format = Format::CloudEventsBatch);
    rig.put("twilio/a", 3);
    rig.put("twilio/b", 1);
    rig.start();
    rig.run_dry(Duration::from_secs(2)).await;
    let mut taken = rig.receiver.taken.lock().unwrap().clone();
    taken.sort_by_key(|(_, letter)| letter.body.reveal().clone());
    let bodies: Vec<_> = taken
        .iter()
        .map(|(_, letter)| letter.body.reveal().clone())
        .collect();
    assert_eq!(
        bodies,
        [
            b"[{\"n\":1},{\"n\":2},{\"n\":3}]".to_vec(),
            b"[{\"n\":4}]".to_vec()
        ]
    );
    let ids: Vec<_> = taken.iter().map(|(_, letter)| letter.id.as_str()).collect();
    assert!(ids[0].starts_with("msg_") && ids[0].len() == 28 && !ids[0].contains('.'));
    assert_eq!(ids[1], "msg_4", "alone it keeps its own id");
}

#[tokio::test(start_paused = true)]
async fn what_is_erased_while_it_waits_is_not_sent() {
    let mut rig = Rig::new(|_, _| {});
    rig.answers(|_| failed());
    rig.start();
    rig.put("twilio/a", 2);
    sleep(Duration::from_millis(500)).await;
    rig.outbox
        .inner
        .settle(&[Settled::Dropped { number: 1 }])
        .unwrap();
    rig.answers(|_| ok());
    rig.run_dry(Duration::from_secs(5)).await;
    assert_eq!(rig.taken(), numbers(2..=2));
}

#[tokio::test(start_paused = true)]
async fn what_happens_is_counted() {
    let mut rig = Rig::new(|endpoint, _| endpoint.give_up_after = 1);
    rig.answers(|letter| match letter.id.as_str() {
        "msg_1" => Outcome::new(Class::Refused, "status 400"),
        "msg_2" => ok(),
        _ => failed(),
    });
    rig.start();
    rig.put("twilio/a", 3);
    sleep(Duration::from_secs(400)).await;
    let now = |name| rig.metric(name, "");
    assert_eq!(rig.metric("attempts_total", "refused"), 1.0);
    assert_eq!(rig.metric("attempts_total", "delivered"), 1.0);
    assert!(rig.metric("attempts_total", "failed") > 5.0);
    assert_eq!((now("dead_total"), now("dead_letters")), (1.0, 1.0));
    assert_eq!((now("delivered_total"), now("latency_seconds")), (1.0, 1.0));
    assert_eq!((now("waiting"), now("waiting_bytes")), (1.0, 7.0));
    assert!((300.0..=400.0).contains(&now("oldest_seconds")));
    assert_eq!(
        (now("resting"), now("disabled"), now("dropped_total")),
        (1.0, 0.0, 0.0)
    );
    assert_eq!(
        (now("outbox_errors_total"), now("panics_total")),
        (0.0, 0.0)
    );
}
