//! Readers of events that come back after more than the ring holds, or after a restart.

use std::collections::VecDeque;

use call::name::CallName;
use proptest::prelude::*;
use store::entry::{Batch, EventPlace, Kept};
use store::outbox::{Carried, DeadLetter, DeadLetters, Depth, Outbox, Settled, Waiting};
use store::query::{
    ByName, Conversation, EventSearch, Expired, Expiry, Export, ExportedUtterance, Message, Page,
    Scope, Search,
};
use store::{Store, StoreError};

use super::*;
use crate::api::reader::{Filter, Next, Reader, Resume, Told};
use crate::events::{Event, EventId};

/// A store that has events only, as far as the recorder has come.
#[derive(Default)]
struct Events(Mutex<Vec<Kept>>);

fn nothing<T>() -> Result<T, StoreError> {
    Err(StoreError::Other("this store has events only".to_owned()))
}

impl Store for Events {
    fn write(&self, _: &Batch) -> Result<(), StoreError> {
        nothing()
    }

    fn messages(
        &self,
        _: &ByName,
        _: &Scope,
        _: usize,
    ) -> Result<Option<Vec<Message>>, StoreError> {
        nothing()
    }

    fn find(&self, _: &Search, _: &Scope) -> Result<Page, StoreError> {
        nothing()
    }

    fn conversation(&self, _: &ByName, _: &Scope) -> Result<Option<Conversation>, StoreError> {
        nothing()
    }

    fn events(&self, search: &EventSearch, _: &Scope) -> Result<Vec<Kept>, StoreError> {
        let kept = self.0.lock().unwrap();
        let is_wanted = |event: &&Kept| {
            event.place > search.after
                && search.until.is_none_or(|until| event.place <= until)
                && (search.kinds.is_empty() || search.kinds.contains(&event.kind))
        };
        Ok(kept
            .iter()
            .filter(is_wanted)
            .take(search.most)
            .cloned()
            .collect())
    }

    fn newest_event(&self) -> Result<Option<EventPlace>, StoreError> {
        Ok(self.0.lock().unwrap().last().map(|event| event.place))
    }

    fn newest_seq(&self, _: &CallName) -> Result<u64, StoreError> {
        nothing()
    }

    fn export(&self, _: &Export, _: &Scope) -> Result<Vec<ExportedUtterance>, StoreError> {
        nothing()
    }

    fn erase(&self, _: &ByName, _: &Scope) -> Result<bool, StoreError> {
        nothing()
    }

    fn retire(&self, _: &[String], _: usize) -> Result<u64, StoreError> {
        nothing()
    }

    fn expire(&self, _: &Expiry, _: usize) -> Result<Expired, StoreError> {
        nothing()
    }
}

impl Outbox for Events {
    fn waiting(&self, _: &str, _: u64, _: usize) -> Result<Vec<Waiting>, StoreError> {
        nothing()
    }

    fn parcel(&self, _: u64) -> Result<Option<Carried>, StoreError> {
        nothing()
    }

    fn settle(&self, _: &[Settled]) -> Result<(), StoreError> {
        nothing()
    }

    fn depth(&self, _: &str) -> Result<Depth, StoreError> {
        nothing()
    }

    fn trim(&self, _: &str, _: u64, _: u64) -> Result<u64, StoreError> {
        nothing()
    }

    fn dead_letters(&self, _: &DeadLetters) -> Result<Vec<DeadLetter>, StoreError> {
        nothing()
    }

    fn replay(&self, _: &DeadLetters) -> Result<u64, StoreError> {
        nothing()
    }

    fn bury(&self, _: &DeadLetters) -> Result<u64, StoreError> {
        nothing()
    }
}

/// How many events the ring holds.
const RING: usize = 8;

/// How many an earlier process has left.
const EARLIER: u64 = 20;

/// A bus, a store that an earlier process has begun, and the recorder between the two.
struct Scene {
    world: World,
    events: Arc<Events>,
    /// Published and not kept yet.
    behind: VecDeque<Kept>,
    /// All that is ever to be told, but partials.
    all: Vec<EventId>,
    place: u64,
}

impl Scene {
    fn new() -> Self {
        let events = Arc::new(Events::default());
        let mut all = Vec::new();
        for number in 1..=EARLIER {
            let place = EventPlace { boot: 1, number };
            let json = "{}".to_owned().into();
            let kind = "callStarted".to_owned();
            events.0.lock().unwrap().push(Kept { place, kind, json });
            all.push(place);
        }
        let store = Arc::clone(&events) as Arc<dyn Store>;
        let world = World::with(|state| {
            state.bus = Bus::new(RING);
            state.settings.store_page = 3;
            state.keeping.opened(Some(store));
        });
        Self {
            world,
            events,
            behind: VecDeque::new(),
            all,
            place: 0,
        }
    }

    fn reader(&self, resume: Resume) -> Reader {
        let api = Arc::new(Api::new(self.world.state.clone()));
        let seat = api.seats.take().unwrap();
        let filter = Filter {
            partials: true,
            ..Filter::default()
        };
        Reader::new(api, filter, resume, true, seat)
    }

    /// Something happens; every third is never kept. The recorder is never a whole ring behind.
    fn happens(&mut self) {
        let bus = &self.world.state.bus;
        let is_partial = bus.newest() % 3 == 2;
        let event = match is_partial {
            true => events::said("1", "hel", false),
            false => Event::CallStarted,
        };
        if self.behind.len() + 1 >= RING / 2 {
            self.keep(1);
        }
        let bus = &self.world.state.bus;
        bus.publish(&twilio("1"), event);
        for record in bus.read(&mut self.place, |_| true).records {
            if !record.event.is_partial() {
                let (kind, json) = (record.event.kind().to_owned(), "{}".to_owned().into());
                let place = record.id;
                self.behind.push_back(Kept { place, kind, json });
                self.all.push(place);
            }
        }
    }

    /// The recorder keeps some of what it is behind.
    fn keep(&mut self, most: usize) {
        let some = most.min(self.behind.len());
        self.events
            .0
            .lock()
            .unwrap()
            .extend(self.behind.drain(..some));
    }
}

/// What a reader is told, but partials and notes.
async fn read(reader: &mut Reader, told: &mut Vec<EventId>) -> bool {
    let Next::Events(events) = reader.next().await else {
        return false;
    };
    for Told { id, kind, .. } in events {
        assert_ne!(kind, "lost", "behind {id}");
        if kind != "transcript" {
            told.push(id);
        }
    }
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn store_and_ring_meet_without_a_hole_and_without_telling_twice(
        from in 0..=EARLIER,
        steps in proptest::collection::vec((0..3_u8, 1..12_usize), 1..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut scene = Scene::new();
            let after = EventPlace { boot: 1, number: from };
            let mut reader = scene.reader(Resume::At(after));
            let mut told = Vec::new();
            for (step, times) in steps {
                match step {
                    0 => (0..times).for_each(|_| scene.happens()),
                    1 => scene.keep(times),
                    // Only as long as there is something to be told, or it would wait for it.
                    _ => for _ in 0..times {
                        let expected = scene.all.iter().filter(|id| **id > after).count();
                        if told.len() < expected {
                            read(&mut reader, &mut told).await;
                        }
                    },
                }
            }
            scene.world.state.bus.close();
            while read(&mut reader, &mut told).await {}
            let expected: Vec<_> = scene.all.into_iter().filter(|id| *id > after).collect();
            assert_eq!(told, expected);
        });
    }
}

async fn kinds(scene: &Scene, resume: Resume) -> Vec<String> {
    scene.world.state.bus.close();
    let mut reader = scene.reader(resume);
    let mut kinds = Vec::new();
    while let Next::Events(events) = reader.next().await {
        kinds.extend(events.into_iter().map(|told| told.kind));
    }
    kinds
}

#[tokio::test]
async fn what_the_store_does_not_have_any_more_is_said_to_be_lost() {
    let mut scene = Scene::new();
    scene.events.0.lock().unwrap().drain(..15);
    scene.happens();
    let after = |number| Resume::At(EventPlace { boot: 1, number });
    let told = kinds(&scene, after(3)).await;
    assert_eq!(told[0], "lost");
    assert_eq!(told[1..], ["callStarted"; 6]);
    // The next one is the oldest that is kept.
    assert_eq!(kinds(&scene, after(15)).await, ["callStarted"; 6]);
    // Nobody kept what this reader saw.
    assert_eq!(kinds(&scene, after(99)).await, ["lost", "callStarted"]);
}

#[tokio::test]
async fn what_was_never_kept_is_said_to_be_lost_once_the_ring_has_gone_past_it() {
    let mut scene = Scene::new();
    for _ in 0..4 * RING {
        scene.happens();
    }
    let bus = &scene.world.state.bus;
    let (begin, newest) = (bus.id(0), bus.newest());
    let is_earlier = |event: &Kept| event.place.boot == 1;
    scene.events.0.lock().unwrap().retain(is_earlier);
    let told = kinds(&scene, Resume::At(begin)).await;
    assert_eq!(told[0], "lost");
    assert!(
        told.len() <= RING + 1 && newest == 4 * RING as u64,
        "{told:?}"
    );
}

#[tokio::test]
async fn a_browser_that_comes_back_after_a_restart_is_told_all_that_was_kept() {
    let mut scene = Scene::new();
    scene.happens();
    let mut request = keyed_request(Method::GET, "/v1/events?follow=false", Body::empty());
    let headers = request.headers_mut();
    headers.insert("last-event-id", "1-18".parse().unwrap());
    let answer = scene.world.raw(request).await;
    let text = answer.text();
    let mut ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
    assert_eq!((ids.next(), ids.next()), (Some("1-19"), Some("1-20")));
    let newest = scene.world.state.bus.id(1).to_string();
    assert_eq!((ids.next(), ids.next()), (Some(&*newest), None));
}
