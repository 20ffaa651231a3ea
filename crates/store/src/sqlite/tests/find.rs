use proptest::prelude::*;

use super::*;

/// The guids of what is found.
fn guids(world: &World, search: &Search, scope: &Scope) -> Vec<String> {
    let page = world.store.find(search, scope).unwrap();
    let guids = page
        .conversations
        .iter()
        .map(|line| line.call.guid.to_string());
    guids.collect()
}

fn words(words: &[&str]) -> Search {
    Search {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        most: 50,
        ..Search::default()
    }
}

fn three() -> World {
    let mut world = World::new();
    let entries = [
        ("CA1", "I want a REFUND"),
        ("CA2", "your parcel"),
        ("CA1", "for my parcel"),
        ("CA3", "nothing"),
        ("CA2", "is late"),
    ];
    let entries = entries.map(|(guid, text)| world.said(guid, text));
    world.write(entries.into());
    world
}

#[test]
fn all_words_must_have_been_said_in_any_order_and_case() {
    let world = three();
    let found = |wanted: &[&str]| guids(&world, &words(wanted), &everybody());
    assert_eq!(found(&[]), ["CA3", "CA2", "CA1"]);
    assert_eq!(found(&["parcel"]), ["CA2", "CA1"]);
    assert_eq!(found(&["Parcel refund"]), ["CA1"]);
    assert_eq!(found(&["late", "refund"]), [""; 0]);
    assert_eq!(found(&["parce"]), [""; 0]);
    assert_eq!(found(&["?!"]), [""; 0]);
}

#[test]
fn a_party_and_a_platform_and_a_time_can_be_asked_for() {
    let mut world = three();
    let mut other = world.said("CA4", "parcel");
    if let What::Said(said) = &mut other.what {
        said.utterance.sender = "agent-7".to_owned().into();
    }
    other.call.namespace = Namespace::Siprec;
    world.write(vec![other]);
    let found = |search: Search| guids(&world, &search, &everybody());
    let party = Some("agent-7".to_owned().into());
    assert_eq!(
        found(Search {
            sender: party,
            ..words(&["parcel"])
        }),
        ["CA4"]
    );
    assert_eq!(
        found(Search {
            namespace: Some(Namespace::Siprec),
            ..words(&[])
        }),
        ["CA4"]
    );
    let from = Search {
        from_unix_ms: Some(BEGIN + 2000),
        ..words(&[])
    };
    assert_eq!(found(from.clone()), ["CA4", "CA3", "CA2"]);
    assert_eq!(
        found(Search {
            to_unix_ms: Some(BEGIN + 6000),
            ..from
        }),
        ["CA3", "CA2"]
    );
    let never = Search {
        from_unix_ms: Some(u64::MAX),
        ..words(&["parcel"])
    };
    assert_eq!(found(never), [""; 0]);
}

#[test]
fn a_tenant_finds_its_own() {
    let mut world = three();
    let entry = Entry {
        tenant: Some("red".into()),
        ..world.said("CA2", "parcel")
    };
    world.write(vec![entry]);
    assert_eq!(guids(&world, &words(&["parcel"]), &only("red")), ["CA2"]);
    assert_eq!(guids(&world, &words(&[]), &only("red")), ["CA2"]);
    assert_eq!(guids(&world, &words(&[]), &only("blue")), [""; 0]);
}

#[test]
fn pages_follow_each_other_even_if_their_seam_is_erased() {
    let mut world = World::new();
    for number in 0..7 {
        let entry = world.said(&format!("CA{number}"), "parcel");
        world.write(vec![entry]);
    }
    let mut search = Search {
        most: 3,
        ..words(&["parcel"])
    };
    let page = world.store.find(&search, &everybody()).unwrap();
    search.after = page.next;
    let last = ByName::Id(search.after.clone().unwrap());
    assert!(world.store.erase(&last, &everybody()).unwrap());
    assert_eq!(guids(&world, &search, &everybody()), ["CA3", "CA2", "CA1"]);
    search.after = world.store.find(&search, &everybody()).unwrap().next;
    assert_eq!(guids(&world, &search, &everybody()), ["CA0"]);
    assert_eq!(world.store.find(&search, &everybody()).unwrap().next, None);
    search.after = Some("nonsense".into());
    assert_eq!(guids(&world, &search, &everybody()), [""; 0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_index_finds_what_a_look_at_every_text_finds(
        said in prop::collection::vec((0_u8..12, "[abcd]( [abcd]){0,3}"), 1..60),
        asked in prop::collection::vec("[abcde]", 1..4),
        most in 1_usize..5,
        steps in 0_u32..20,
    ) {
        let mut world = World::with(|config| config.search_steps_max = steps);
        let entries = said.iter().map(|(guid, text)| world.said(&format!("CA{guid}"), text));
        let entries = entries.collect();
        world.write(entries);
        let mut begun: Vec<u8> = Vec::new();
        for (guid, _) in &said {
            if !begun.contains(guid) {
                begun.push(*guid);
            }
        }
        begun.reverse();
        begun.retain(|guid| {
            let texts = said.iter().filter(|(of, _)| of == guid);
            let texts: String = texts.map(|(_, text)| text.as_str()).collect();
            asked.iter().all(|word| texts.contains(word))
        });
        let expected: Vec<String> = begun.iter().map(|guid| format!("CA{guid}")).collect();
        let mut search = Search { words: asked, most, ..Search::default() };
        let mut found = Vec::new();
        loop {
            found.extend(guids(&world, &search, &everybody()));
            search.after = world.store.find(&search, &everybody()).unwrap().next;
            if search.after.is_none() {
                break;
            }
        }
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_search_that_takes_too_many_steps_says_where_to_go_on() {
    let mut world = World::with(|config| config.search_steps_max = 7);
    let texts = (0..20).map(|number| ["one", "two"][number % 2]);
    let entries = texts
        .enumerate()
        .map(|(at, text)| world.said(&format!("CA{at}"), text));
    let entries = entries.collect();
    world.write(entries);
    let entry = world.said("CA0", "two");
    world.write(vec![entry]);
    let mut search = words(&["one", "two"]);
    let mut pages = 1;
    let found = loop {
        let page = world.store.find(&search, &everybody()).unwrap();
        if !page.conversations.is_empty() {
            break page.conversations;
        }
        search.after = Some(page.next.unwrap());
        pages += 1;
    };
    assert_eq!((found[0].call.guid.as_str(), found.len()), ("CA0", 1));
    assert!(pages > 2, "{pages} pages");
}
