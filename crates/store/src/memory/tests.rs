use super::*;

fn parcel(id: u64, bytes: usize) -> Parcel {
    Parcel {
        endpoint: "crm".into(),
        lane: "twilio/CA1".into(),
        id: id.to_string(),
        kind: "transcript",
        content_type: "application/json",
        body: vec![0; bytes].into(),
        at_unix_ms: id,
    }
}

fn ids(outbox: &MemoryOutbox) -> Vec<String> {
    let waiting = outbox.waiting("crm", 0, 100).unwrap();
    waiting.into_iter().map(|one| one.id).collect()
}

#[test]
fn the_oldest_go_when_there_are_too_many() {
    let limits = MemoryLimits {
        parcels_max: 2,
        bytes_max: 1000,
    };
    let outbox = MemoryOutbox::new(limits);
    outbox.append(&[parcel(1, 1), parcel(2, 1), parcel(3, 1)]);
    assert_eq!(
        (ids(&outbox), outbox.dropped()),
        (vec!["2".into(), "3".into()], 1)
    );
}

#[test]
fn the_oldest_go_when_they_are_too_big() {
    let limits = MemoryLimits {
        parcels_max: 10,
        bytes_max: 100,
    };
    let outbox = MemoryOutbox::new(limits);
    outbox.append(&[parcel(1, 40), parcel(2, 40), parcel(3, 40)]);
    assert_eq!(
        (ids(&outbox), outbox.dropped()),
        (vec!["2".into(), "3".into()], 1)
    );
    outbox.append(&[parcel(4, 101)]);
    assert_eq!((ids(&outbox), outbox.dropped()), (Vec::new(), 4));
    assert_eq!(outbox.depth("crm").unwrap(), Depth::default());
}

#[test]
fn dead_letters_go_before_what_waits() {
    let limits = MemoryLimits {
        parcels_max: 2,
        bytes_max: 1000,
    };
    let outbox = MemoryOutbox::new(limits);
    outbox.append(&[parcel(1, 1), parcel(2, 1)]);
    let given_up = Settled::Dead {
        number: 2,
        attempts: 3,
        at_unix_ms: 9,
        why: "timeout".into(),
    };
    outbox.settle(&[given_up]).unwrap();
    assert_eq!(outbox.depth("crm").unwrap().dead, 1);
    outbox.append(&[parcel(3, 1)]);
    assert_eq!(ids(&outbox), ["1", "3"]);
    assert_eq!(outbox.depth("crm").unwrap().dead, 0);
}

#[test]
fn what_waits_can_be_taken_to_another_place() {
    let outbox = MemoryOutbox::new(MemoryLimits::default());
    outbox.append(&[parcel(1, 3), parcel(2, 3)]);
    let taken = outbox.take_all();
    assert_eq!(taken, [parcel(1, 3), parcel(2, 3)]);
    assert_eq!(outbox.depth("crm").unwrap(), Depth::default());
    outbox.append(&taken);
    assert_eq!(outbox.waiting("crm", 0, 1).unwrap()[0].number, 3);
}
