use call::transcript::Token;

use super::*;

fn texts(found: &[ExportedUtterance]) -> Vec<&str> {
    found
        .iter()
        .map(|one| one.message.text.reveal().as_str())
        .collect()
}

fn span(from: u64, to: u64) -> Export {
    Export {
        from_unix_ms: BEGIN + from,
        to_unix_ms: BEGIN + to,
        after: None,
        most: 2,
    }
}

fn five() -> World {
    let mut world = World::new();
    let guids = ["CA2", "CA1", "CA2", "CA1", "CA2"];
    let entries = (1..)
        .zip(guids)
        .map(|(number, guid)| world.said(guid, &number.to_string()));
    let entries = entries.collect();
    world.write(entries);
    world
}

#[test]
fn a_span_of_time_is_exported_page_by_page() {
    let world = five();
    let mut export = span(2000, 5000);
    let first = world.store.export(&export, &everybody()).unwrap();
    assert_eq!(texts(&first), ["2", "3"]);
    export.after = Some(first[1].message.id.clone());
    let second = world.store.export(&export, &everybody()).unwrap();
    assert_eq!(texts(&second), ["4"]);
    export.after = Some(second[0].message.id.clone());
    assert_eq!(
        texts(&world.store.export(&export, &everybody()).unwrap()),
        [""; 0]
    );
}

#[test]
fn an_export_goes_on_behind_a_message_that_was_erased() {
    let world = five();
    let mut export = span(0, 9000);
    let first = world.store.export(&export, &everybody()).unwrap();
    assert_eq!(texts(&first), ["1", "2"]);
    export.after = Some(first[1].message.id.clone());
    assert!(
        world
            .store
            .erase(&ByName::External("CA1".into()), &everybody())
            .unwrap()
    );
    assert_eq!(
        texts(&world.store.export(&export, &everybody()).unwrap()),
        ["3", "5"]
    );
}

#[test]
fn an_export_has_tokens_and_further_readings_and_only_ones_own() {
    let mut world = five();
    let mut entry = world.said("CA3", "my number is ####");
    let token = Token {
        content: "my".to_owned().into(),
        start: Duration::from_micros(1500),
        end: Duration::from_millis(40),
        punctuation_after: Some(",".into()),
        punctuation_before: None,
    };
    if let What::Said(said) = &mut entry.what {
        said.utterance.alternatives[0].tokens = vec![token.clone()];
        let mut other = said.utterance.alternatives[0].clone();
        other.text = "my number is 1234".to_owned().into();
        said.utterance.alternatives.push(other);
    }
    entry.tenant = Some("red".into());
    world.write(vec![entry.clone()]);
    let found = world.store.export(&span(0, 60_000), &only("red")).unwrap();
    assert_eq!(texts(&found), ["my number is ####"]);
    assert_eq!(found[0].tokens, [token]);
    assert_eq!(found[0].others[0].reveal(), "my number is 1234");
    assert_eq!(
        (&found[0].call, &*found[0].stream),
        (&call("CA3"), "stream-1")
    );
    assert_eq!((found[0].start_ms, found[0].end_ms), (6, 506));
    assert_eq!(found[0].message.created_unix_ms, entry.at_unix_ms);
    let whole = world
        .store
        .conversation(&ByName::External("CA3".into()), &everybody())
        .unwrap();
    assert_eq!(found[0].conversation, whole.unwrap().line.id);
}
