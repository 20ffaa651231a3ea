use call::name::{Guid, Namespace};

use super::*;

fn call(guid: &str) -> CallName {
    CallName {
        namespace: Namespace::Twilio,
        guid: Guid::parse(guid).unwrap(),
    }
}

#[test]
fn a_reader_sees_what_came_after_its_place_and_is_told_what_is_gone() {
    let bus = Bus::new(4);
    let mut place = bus.newest();
    for guid in ["1", "2", "3"] {
        bus.publish(&call(guid), Event::CallStarted);
    }
    let batch = bus.read(&mut place, |_| true);
    let guids: Vec<_> = batch
        .records
        .iter()
        .map(|record| record.call.guid.as_str())
        .collect();
    assert_eq!((batch.lost, guids, place), (0, vec!["1", "2", "3"], 3));
    for guid in ["4", "5", "6", "7", "8", "9"] {
        bus.publish(&call(guid), Event::CallStarted);
    }
    let batch = bus.read(&mut place, |record| record.call.guid.as_str() != "7");
    let guids: Vec<_> = batch
        .records
        .iter()
        .map(|record| record.call.guid.as_str())
        .collect();
    assert_eq!((batch.lost, guids, place), (2, vec!["6", "8", "9"], 9));
    assert!(batch.drained);
}

#[test]
fn what_is_told_of_a_call_is_told_under_each_of_its_names() {
    let bus = Bus::new(4);
    bus.publish(&call("1"), Event::CallStarted);
    bus.also_known_as(&call("1"), &[call("2"), call("3")]);
    bus.publish(&call("1"), Event::CallStarted);
    bus.known_no_more(&call("1"));
    bus.publish(&call("1"), Event::CallStarted);
    let told = |name: &str| {
        let batch = bus.read(&mut 0, |record| record.is_of(&call(name)));
        let numbers = batch.records.iter().map(|record| record.id.number);
        numbers.collect::<Vec<_>>()
    };
    assert_eq!(told("1"), [1, 2, 3]);
    assert_eq!(told("3"), [2]);
    assert_eq!(told("4"), [0; 0]);
}

#[test]
fn the_first_owner_of_a_call_stays_its_owner_until_it_is_over() {
    let bus = Bus::new(8);
    bus.publish(&call("1"), Event::CallStarted);
    assert!(bus.belongs_to(&call("1"), Some("north".into())));
    assert!(!bus.belongs_to(&call("1"), Some("south".into())));
    bus.publish(&call("1"), Event::CallStarted);
    assert_eq!(bus.owner_of(&call("1")), Some(Some("north".into())));
    bus.known_no_more(&call("1"));
    bus.publish(&call("1"), Event::CallStarted);
    assert!(bus.belongs_to(&call("1"), None));
    assert!(!bus.belongs_to(&call("1"), Some("south".into())));
    bus.belongs_to_nobody(&call("1"));
    assert_eq!(bus.owner_of(&call("1")), None);
    let batch = bus.read(&mut 0, |_| true);
    let tenants: Vec<_> = batch.records.iter().map(|r| r.tenant.as_deref()).collect();
    assert_eq!(tenants, [None, Some("north"), None]);
}

#[test]
fn an_id_of_another_process_is_recognised() {
    let bus = Bus::new(4);
    bus.publish(&call("1"), Event::CallStarted);
    let mine: EventId = bus.id(1).to_string().parse().unwrap();
    assert_eq!(bus.after(mine), Some(1));
    let other = EventId {
        boot: mine.boot - 1,
        number: 1,
    };
    assert_eq!(bus.after(other), None);
}

#[test]
fn an_id_from_the_future_is_taken_as_the_newest() {
    let bus = Bus::new(4);
    bus.publish(&call("1"), Event::CallStarted);
    assert_eq!(bus.after(bus.id(700)), Some(1));
}

#[test]
fn every_kind_has_its_name_in_the_list() {
    assert!(Event::KINDS.contains(&Event::CallStarted.kind()));
    assert!(Event::KINDS.is_sorted());
}
