use super::*;

fn search() -> EventSearch {
    EventSearch {
        after: EventPlace { boot: 0, number: 0 },
        until: None,
        call: None,
        kinds: Vec::new(),
        most: 100,
    }
}

fn numbers(world: &World, search: &EventSearch, scope: &Scope) -> Vec<u64> {
    let found = world.store.events(search, scope).unwrap();
    found.iter().map(|event| event.place.number).collect()
}

/// Six events: CA1 and CA2 in turn, the third a gap, the fourth not kept, CA2 of a tenant.
fn six() -> World {
    let mut world = World::new();
    let entries = (1..=6).map(|number| {
        let mut entry = world.said(if number % 2 == 1 { "CA1" } else { "CA2" }, "hello");
        entry.also = [call("other")].into();
        match number {
            2 => entry.tenant = Some("red".into()),
            3 => entry.kind = "gap",
            4 => entry.json = String::new().into(),
            _ => {}
        }
        entry
    });
    let entries = entries.collect();
    world.write(entries);
    world
}

#[test]
fn events_come_in_their_order_behind_a_place_and_up_to_another() {
    let world = six();
    let found = |search: EventSearch| numbers(&world, &search, &everybody());
    let place = |number| EventPlace {
        boot: BEGIN,
        number,
    };
    assert_eq!(found(search()), [1, 2, 3, 5, 6]);
    assert_eq!(
        found(EventSearch {
            after: place(2),
            ..search()
        }),
        [3, 5, 6]
    );
    let between = EventSearch {
        after: place(1),
        until: Some(place(5)),
        ..search()
    };
    assert_eq!(found(between), [2, 3, 5]);
    assert_eq!(
        found(EventSearch {
            most: 2,
            ..search()
        }),
        [1, 2]
    );
    assert_eq!(
        found(EventSearch {
            after: EventPlace {
                boot: u64::MAX,
                number: 0
            },
            ..search()
        }),
        [0; 0]
    );
    assert_eq!(world.store.newest_event().unwrap(), Some(place(6)));
    let json = world.store.events(&search(), &everybody()).unwrap()[4]
        .json
        .clone();
    assert_eq!(json.reveal(), "{\"number\":6}");
}

#[test]
fn events_of_one_call_kind_or_tenant_can_be_asked_for() {
    let world = six();
    let found = |search: EventSearch| numbers(&world, &search, &everybody());
    assert_eq!(
        found(EventSearch {
            call: Some(call("CA1")),
            ..search()
        }),
        [1, 3, 5]
    );
    assert_eq!(
        found(EventSearch {
            call: Some(call("other")),
            ..search()
        }),
        [1, 2, 3, 5, 6]
    );
    let two = EventSearch {
        call: Some(call("other")),
        most: 2,
        ..search()
    };
    assert_eq!(found(two), [1, 2]);
    assert_eq!(
        found(EventSearch {
            call: Some(call("CA9")),
            ..search()
        }),
        [0; 0]
    );
    assert_eq!(
        found(EventSearch {
            kinds: vec!["gap".into()],
            ..search()
        }),
        [3]
    );
    assert_eq!(numbers(&world, &search(), &only("red")), [2, 6]);
    assert_eq!(
        numbers(
            &world,
            &EventSearch {
                most: 1,
                ..search()
            },
            &only("red")
        ),
        [2]
    );
}

#[test]
fn an_event_of_a_later_process_comes_after_all_of_the_one_before() {
    let mut world = six();
    let mut entry = world.said("CA1", "hello");
    entry.place = EventPlace {
        boot: BEGIN + 1,
        number: 1,
    };
    world.write(vec![entry.clone()]);
    assert_eq!(numbers(&world, &search(), &everybody()), [1, 2, 3, 5, 6, 1]);
    assert_eq!(world.store.newest_event().unwrap(), Some(entry.place));
}
