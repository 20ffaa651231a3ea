//! The recorder over a store that fails as it is told to. Nobody sleeps: who waits is woken.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use call::name::{CallName, Guid, Namespace, Role, StreamId};
use call::private::Private;
use call::transcript::{Alternative, Utterance};
use delivery::{Endpoint, Filter, Format, Limits};
use prometheus::Registry;
use store::memory::{MemoryLimits, MemoryOutbox};
use store::query::{ByName, Scope};
use store::sqlite::StoreConfig;
use url::Url;

use super::*;
use crate::events::{Bus, Event};

mod fake;

use fake::{Fake, Mood};

/// A recorder at work between a bus and a store.
struct World {
    bus: Arc<Bus>,
    keeping: Arc<Keeping>,
    recording: Recording,
    registry: Registry,
}

const MEMORY: MemoryLimits = MemoryLimits {
    parcels_max: 250,
    bytes_max: 1 << 20,
};

fn quick() -> RecorderConfig {
    RecorderConfig {
        commit_interval: Duration::from_millis(1),
        batch_max: 10,
        backlog: TapLimits {
            events_max: 1_000,
            bytes_max: usize::MAX,
        },
        retry_max: Duration::from_millis(1),
        retention: Duration::from_secs(1),
        events_retention: Duration::from_secs(1),
        dead_letters_retention: Duration::from_secs(1),
        dead_letters_bytes_max: u64::MAX,
        bytes_max: u64::MAX,
        expire_interval: Duration::from_secs(3_600),
        expire_step: 10,
        goodbye: Duration::from_millis(200),
    }
}

/// Stores in the order in which they are opened; more opening fails.
fn shelf(stores: Vec<Result<Arc<Fake>, StoreError>>) -> Shelf {
    let stores = Mutex::new(VecDeque::from(stores));
    let open = move || {
        let next = stores.lock().unwrap().pop_front();
        let store = next.unwrap_or_else(|| Err(StoreError::Other("none is left".into())))?;
        Ok(Opened {
            store,
            moved_aside: None,
            migrated_from: None,
        })
    };
    Shelf {
        open: Box::new(open),
        file: PathBuf::from("there-is-none.db"),
    }
}

impl World {
    fn new(stores: Vec<Result<Arc<Fake>, StoreError>>) -> Self {
        Self::with(quick(), stores)
    }

    fn with(config: RecorderConfig, stores: Vec<Result<Arc<Fake>, StoreError>>) -> Self {
        Self::over(config, Some(shelf(stores)))
    }

    fn over(config: RecorderConfig, shelf: Option<Shelf>) -> Self {
        let registry = Registry::new();
        let metrics = Arc::new(StoreMetrics::register(&registry).unwrap());
        let counters = delivery::metrics::Metrics::register(&registry).unwrap();
        let everything = Endpoint {
            format: Format::Envelope,
            filter: Filter {
                kinds: vec!["callStarted".to_owned(), "transcript".to_owned()],
                ..Filter::default()
            },
            ..Endpoint::new("crm", Url::parse("https://crm.example.com").unwrap())
        };
        let limits = Limits::default();
        let delivery = Delivery::new(vec![everything], limits, Arc::new(counters)).unwrap();
        let bus = Bus::new(16);
        let noticed = Arc::clone(&metrics);
        let tap = Tap::new(config.backlog, Box::new(move |level| noticed.level(level)));
        assert!(bus.give_to(Arc::clone(&tap)));
        let keeping = Keeping::new(shelf.is_some(), MemoryOutbox::new(MEMORY));
        let recorder = Recorder {
            config,
            tap,
            shelf,
            keeping: Arc::clone(&keeping),
            delivery,
            metrics,
        };
        Self {
            bus,
            keeping,
            recording: recorder.start().unwrap(),
            registry,
        }
    }

    /// Something happens, so many times.
    fn publish(&self, count: u64) {
        for _ in 0..count {
            self.bus.publish(&call("1"), Event::CallStarted);
        }
    }

    /// Nothing more happens; waits for the recorder's end.
    async fn end(&mut self) {
        self.bus.seal();
        self.recording.ended().await;
    }

    fn metric(&self, line: &str) -> u64 {
        let families = self.registry.gather();
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&families)
            .unwrap();
        let value = text.lines().find_map(|other| other.strip_prefix(line));
        value
            .unwrap_or_else(|| panic!("no {line} in\n{text}"))
            .trim()
            .parse()
            .unwrap()
    }
}

fn call(guid: &str) -> CallName {
    CallName {
        namespace: Namespace::Twilio,
        guid: Guid::parse(guid).unwrap(),
    }
}

fn said(text: &str) -> Event {
    Event::Transcript(Utterance {
        call: call("1"),
        stream: StreamId::new("s"),
        role: Role::Customer,
        sender: Private::default(),
        alternatives: vec![Alternative {
            text: text.to_owned().into(),
            tokens: Vec::new(),
        }],
        start: Duration::ZERO,
        end: Duration::from_secs(1),
        is_final: true,
    })
}

#[tokio::test]
async fn what_happens_is_kept_in_its_order_with_what_is_to_be_delivered() {
    let store = Fake::new(Mood::Fine);
    let mut world = World::new(vec![Ok(Arc::clone(&store))]);
    world.publish(25);
    world.bus.publish(&call("1"), said("Good morning."));
    world.end().await;
    let kept = store.kept();
    assert_eq!(kept.numbers(), (1..=26).collect::<Vec<_>>());
    assert_eq!(kept.seqs(), (1..=26).collect::<Vec<_>>());
    assert_eq!(world.metric("antiphon_store_events_total"), 26);
    assert_eq!(world.metric("antiphon_store_parcels_total"), 26);
    assert_eq!(world.metric("antiphon_store_events_dropped_total"), 0);
}

#[tokio::test]
async fn a_guess_is_neither_kept_nor_delivered() {
    let store = Fake::new(Mood::Fine);
    let mut world = World::new(vec![Ok(Arc::clone(&store))]);
    let Event::Transcript(mut guess) = said("Good m") else {
        unreachable!("it was said");
    };
    guess.is_final = false;
    world.bus.publish(&call("1"), Event::Transcript(guess));
    world.publish(1);
    world.end().await;
    assert_eq!(store.kept().numbers(), [2]);
    assert_eq!(store.kept().seqs(), [1]);
}

#[tokio::test]
async fn a_store_that_is_locked_or_full_gets_everything_once_it_is_not() {
    for mood in [Mood::Locked, Mood::Full] {
        let store = Fake::new(mood);
        let mut world = World::new(vec![Ok(Arc::clone(&store))]);
        world.publish(15);
        store.tried(5);
        assert!(
            matches!(world.keeping.state(), StoreState::Failing(_)),
            "{mood:?}"
        );
        world.publish(15);
        store.be(Mood::Fine);
        world.end().await;
        assert_eq!(
            store.kept().numbers(),
            (1..=30).collect::<Vec<_>>(),
            "{mood:?}"
        );
        assert_eq!(
            store.kept().seqs(),
            (1..=30).collect::<Vec<_>>(),
            "{mood:?}"
        );
        assert_eq!(world.keeping.state(), StoreState::Open);
        assert_eq!(world.metric("antiphon_store_events_dropped_total"), 0);
        assert_eq!(world.metric("antiphon_store_events_unusable_total"), 0);
    }
}

#[tokio::test]
async fn a_store_that_fails_for_no_known_reason_gets_everything_once_it_does_not() {
    let store = Fake::new(Mood::Failing);
    let mut world = World::new(vec![Ok(Arc::clone(&store))]);
    world.publish(15);
    store.tried(20);
    store.be(Mood::Fine);
    world.publish(15);
    world.end().await;
    // One or the other may come late: it was suspected.
    let mut numbers = store.kept().numbers();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=30).collect::<Vec<_>>());
    assert_eq!(world.metric("antiphon_store_events_unusable_total"), 0);
    assert_eq!(world.metric("antiphon_store_events_dropped_total"), 0);
}

#[tokio::test]
async fn who_publishes_never_waits_for_a_store_that_hangs_and_the_oldest_are_lost() {
    let store = Fake::new(Mood::Hanging);
    let config = RecorderConfig {
        backlog: TapLimits {
            events_max: 100,
            bytes_max: usize::MAX,
        },
        ..quick()
    };
    let mut world = World::with(config, vec![Ok(Arc::clone(&store))]);
    world.publish(1);
    store.tried(1);
    // The recorder hangs in a write. That this comes to its end is what is tested.
    world.publish(10_000);
    assert_eq!(world.metric("antiphon_store_queue_events"), 100);
    store.be(Mood::Fine);
    world.end().await;
    let numbers = store.kept().numbers();
    assert_eq!((numbers.first(), numbers.last()), (Some(&1), Some(&10_001)));
    let lost = world.metric("antiphon_store_events_dropped_total");
    assert_eq!(numbers.len() as u64 + lost, 10_001);
    // What was lost has its numbers, so that whoever is told the rest sees that it is missing.
    assert_eq!(store.kept().seqs(), numbers);
}

#[tokio::test]
async fn long_events_are_bounded_by_their_bytes() {
    let store = Fake::new(Mood::Hanging);
    let config = RecorderConfig {
        backlog: TapLimits {
            events_max: 1_000,
            bytes_max: 100_000,
        },
        ..quick()
    };
    let mut world = World::with(config, vec![Ok(Arc::clone(&store))]);
    world.publish(1);
    store.tried(1);
    for _ in 0..100 {
        world.bus.publish(&call("1"), said(&"a".repeat(10_000)));
    }
    assert!(world.metric("antiphon_store_queue_bytes") <= 100_000);
    assert!(world.metric("antiphon_store_events_dropped_total") >= 90);
    store.be(Mood::Fine);
    world.end().await;
}

#[tokio::test]
async fn a_store_that_is_found_broken_is_begun_anew_and_nothing_at_hand_is_lost() {
    let (broken, new) = (Fake::new(Mood::Fine), Fake::new(Mood::Fine));
    let mut world = World::new(vec![Ok(Arc::clone(&broken)), Ok(Arc::clone(&new))]);
    world.publish(5);
    broken.has(5);
    broken.be(Mood::Corrupt);
    world.publish(5);
    new.has(5);
    world.end().await;
    assert_eq!(broken.kept().numbers(), [1, 2, 3, 4, 5]);
    assert_eq!(new.kept().numbers(), [6, 7, 8, 9, 10]);
    assert_eq!(new.kept().seqs(), [6, 7, 8, 9, 10]);
    assert_eq!(
        world.metric("antiphon_store_errors_total{kind=\"corrupt\"}"),
        1
    );
}

#[tokio::test]
async fn what_waited_in_memory_is_the_first_that_a_late_store_is_given() {
    let store = Fake::new(Mood::Fine);
    let may = Arc::new(AtomicBool::new(false));
    let (allowed, late) = (Arc::clone(&may), Arc::clone(&store));
    let open = move || {
        let store: Arc<dyn Store> = Arc::<Fake>::clone(&late);
        let opened = Opened {
            store,
            moved_aside: None,
            migrated_from: None,
        };
        let is_allowed = allowed.load(Ordering::Acquire);
        is_allowed
            .then_some(opened)
            .ok_or_else(|| StoreError::Other("not yet".into()))
    };
    let shelf = Shelf {
        open: Box::new(open),
        file: PathBuf::from("there-is-none.db"),
    };
    let mut world = World::over(quick(), Some(shelf));
    world.publish(7);
    // In memory they wait to be delivered, though there is no store.
    let outbox = world.keeping.outbox();
    while outbox.depth("crm").unwrap().waiting < 7 {
        tokio::task::yield_now().await;
    }
    may.store(true, Ordering::Release);
    world.publish(3);
    store.has(10);
    world.end().await;
    assert_eq!(store.kept().numbers(), (1..=10).collect::<Vec<_>>());
    assert_eq!(store.kept().seqs(), (1..=10).collect::<Vec<_>>());
    assert_eq!(outbox.depth("crm").unwrap().waiting, 0);
}

#[tokio::test]
async fn without_a_store_what_happens_is_delivered_and_nothing_is_held() {
    let mut world = World::over(quick(), None);
    world.publish(3);
    world.end().await;
    assert_eq!(world.keeping.state(), StoreState::Off);
    assert_eq!(world.keeping.outbox().depth("crm").unwrap().waiting, 3);
    assert_eq!(world.metric("antiphon_store_events_dropped_total"), 0);
}

#[tokio::test]
async fn deliveries_that_memory_has_no_room_for_are_counted() {
    let mut world = World::over(quick(), None);
    for _ in 0..30 {
        world.publish(10);
    }
    world.end().await;
    assert_eq!(world.keeping.outbox().depth("crm").unwrap().waiting, 250);
    assert_eq!(world.metric("antiphon_store_parcels_dropped_total"), 50);
}

#[tokio::test]
async fn a_store_that_cannot_be_had_is_held_events_for_up_to_its_limits() {
    let config = RecorderConfig {
        backlog: TapLimits {
            events_max: 50,
            bytes_max: usize::MAX,
        },
        ..quick()
    };
    let mut world = World::with(config, Vec::new());
    for _ in 0..20 {
        world.publish(10);
        // Taken, so that it is not the tap that loses them.
        while world.metric("antiphon_store_queue_events") > 0 {
            tokio::task::yield_now().await;
        }
    }
    world.end().await;
    assert_eq!(world.metric("antiphon_store_events_dropped_total"), 200);
    assert_eq!(world.keeping.outbox().depth("crm").unwrap().waiting, 200);
    assert!(matches!(world.keeping.state(), StoreState::Failing(_)));
}

#[tokio::test]
async fn one_event_that_the_store_refuses_keeps_no_other_from_being_kept() {
    let store = Fake::new(Mood::Picky(13));
    let mut world = World::new(vec![Ok(Arc::clone(&store))]);
    world.publish(30);
    store.has(29);
    world.end().await;
    let all_but_13: Vec<_> = (1..=30).filter(|number| *number != 13).collect();
    assert_eq!(store.kept().numbers(), all_but_13);
    assert_eq!(world.metric("antiphon_store_events_unusable_total"), 1);
}

#[tokio::test]
async fn a_store_that_takes_nothing_at_the_end_holds_up_the_end_for_so_long_and_no_longer() {
    let store = Fake::new(Mood::Locked);
    let mut world = World::new(vec![Ok(Arc::clone(&store))]);
    world.publish(12);
    store.tried(1);
    world.end().await;
    assert_eq!(store.kept().numbers(), [0; 0]);
    assert_eq!(world.metric("antiphon_store_events_dropped_total"), 12);
}

#[tokio::test]
async fn a_fall_is_counted_and_what_made_it_fall_is_tried_once_more() {
    let store = Fake::new(Mood::Falling);
    let mut world = World::new(vec![Ok(Arc::clone(&store))]);
    world.publish(1);
    store.tried(2);
    store.be(Mood::Fine);
    world.publish(1);
    store.has(1);
    world.end().await;
    assert!(world.metric("antiphon_store_panics_total") >= 2);
    // It was given up after the second fall.
    assert_eq!(store.kept().numbers(), [2]);
    assert_eq!(world.metric("antiphon_store_events_dropped_total"), 1);
}

#[tokio::test]
async fn a_call_that_is_known_from_before_is_numbered_on() {
    let store = Fake::new(Mood::Fine);
    store.knows(&call("1"), 1_500);
    let mut world = World::new(vec![Ok(Arc::clone(&store))]);
    world.publish(2);
    world.bus.publish(&call("2"), Event::CallStarted);
    world.end().await;
    assert_eq!(store.kept().seqs(), [1_501, 1_502, 1]);
}

#[tokio::test]
async fn what_is_past_its_time_is_removed_a_step_at_a_time() {
    let store = Fake::new(Mood::Fine);
    store.expires(3);
    let mut world = World::new(vec![Ok(Arc::clone(&store))]);
    store.expired(4);
    world.end().await;
    assert_eq!(
        world.metric("antiphon_store_expired_total{what=\"events\"}"),
        4
    );
}

#[tokio::test]
async fn what_waits_for_a_webhook_that_is_gone_becomes_dead_letters_and_is_counted() {
    let store = Fake::new(Mood::Fine);
    store.leaves_over(25);
    let mut world = World::new(vec![Ok(Arc::clone(&store))]);
    store.expired(3);
    world.end().await;
    assert_eq!(world.metric("antiphon_store_parcels_retired_total"), 25);
}

#[tokio::test]
async fn a_call_that_began_without_a_store_is_numbered_on_when_it_opens() {
    let (broken, new) = (Fake::new(Mood::Fine), Fake::new(Mood::Fine));
    new.knows(&call("1"), 40);
    let mut world = World::new(vec![Ok(Arc::clone(&broken)), Ok(Arc::clone(&new))]);
    world.publish(2);
    broken.has(2);
    broken.be(Mood::Corrupt);
    world.publish(1);
    new.has(1);
    world.publish(1);
    world.end().await;
    assert_eq!(broken.kept().seqs(), [1, 2]);
    // The first was numbered before the other store was there.
    assert_eq!(new.kept().seqs(), [3, 41]);
}

/// A recorder over a store on the disk that writes as good as never by itself.
fn slow(folder: &tempfile::TempDir) -> World {
    let config = RecorderConfig {
        commit_interval: Duration::from_secs(3_600),
        ..quick()
    };
    let shelf = Shelf::sqlite(StoreConfig::at(folder.path().join("antiphon.db")));
    let world = World::over(config, Some(shelf));
    while world.keeping.store().is_none() {
        thread::yield_now();
    }
    world
}

#[tokio::test]
async fn what_was_not_written_yet_does_not_follow_an_erasure() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = slow(&folder);
    world.publish(1);
    world.bus.publish(&call("1"), said("My number is 4711."));
    world.bus.publish(&call("2"), Event::CallStarted);
    let by = ByName::Call(call("1"));
    assert!(world.keeping.erase(&by, &Scope::default()).unwrap());
    let store = world.keeping.store().unwrap();
    world.end().await;
    let kept = |by: &ByName| store.conversation(by, &Scope::default()).unwrap();
    assert!(kept(&by).is_none(), "it came back");
    assert!(kept(&ByName::Call(call("2"))).is_some(), "and it only");
    assert_eq!(store.depth("crm").unwrap().waiting, 1, "that of the other");
}

#[tokio::test]
async fn an_erasure_waits_for_a_write_that_is_under_way() {
    let store = Fake::new(Mood::Hanging);
    let mut world = World::new(vec![Ok(Arc::clone(&store))]);
    world.publish(1);
    store.tried(1);
    let keeping = Arc::clone(&world.keeping);
    let erased = tokio::task::spawn_blocking(move || {
        keeping.erase(&ByName::Call(call("1")), &Scope::default())
    });
    store.be(Mood::Fine);
    assert!(!erased.await.unwrap().unwrap(), "this store has none");
    assert_eq!(store.kept().numbers(), [1]);
    world.end().await;
}

#[tokio::test]
async fn nothing_is_erased_while_what_happened_before_cannot_be_kept() {
    let store = Fake::new(Mood::Full);
    let mut world = World::new(vec![Ok(Arc::clone(&store))]);
    world.publish(1);
    store.tried(1);
    let by = ByName::Call(call("1"));
    let refused = world.keeping.erase(&by, &Scope::default());
    assert!(refused.is_err(), "{refused:?}");
    store.be(Mood::Fine);
    assert!(world.keeping.erase(&by, &Scope::default()).is_ok());
    world.end().await;
    assert_eq!(store.kept().numbers(), [1]);
}

#[tokio::test]
async fn when_nobody_writes_any_more_an_erasure_is_done_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = slow(&folder);
    world.publish(1);
    world.end().await;
    let by = ByName::Call(call("1"));
    assert!(world.keeping.erase(&by, &Scope::default()).unwrap());
    assert!(!world.keeping.erase(&by, &Scope::default()).unwrap());
}
