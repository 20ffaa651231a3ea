//! Which call is meant: any identifier that the SBC told, however it is written.

use rig::World;
use rig::tasks;
use sim::caller::siprec::{Edit, Identifiers, Like, Message, SiprecCall};
use sim::speech::Role;

use crate::scenes::{assert_heard, until_legs};
use crate::support::{over, streams};
use crate::words::{GREETINGS, converse, recording, recording_with};

/// Each form starts and stops the call, the API shows it under each, and the service is told what
/// the start wrote.
async fn goes_by(world: &World, mut call: SiprecCall, forms: &[&str]) {
    for form in forms {
        let started = call.silence_while(world.try_start(form)).await.unwrap();
        assert!(started.is_ok(), "{form}: {}", started.complaint());
        assert_eq!(world.call(form).await["state"], "streaming", "{form}");
        let stopped = call.silence_while(world.try_stop(form)).await.unwrap();
        assert!(stopped.is_ok(), "{form}: {}", stopped.complaint());
        for role in [Role::Customer, Role::Agent] {
            assert_eq!(streams(world, form, role).len(), 1, "{form}");
        }
    }
    over(world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ucid_in_any_form_and_the_call_id_mean_the_call() {
    let world = recording().await;
    let call = world.record().await;
    let (decimal, call_id) = (call.guid(), call.call_id());
    let number = |part: &str| part.parse::<u64>().unwrap();
    let (node, sequence, seconds) = (&decimal[..5], &decimal[5..10], &decimal[10..]);
    let hex = format!(
        "{:04X}{:04X}{:08X}",
        number(node),
        number(sequence),
        number(seconds)
    );
    let forms = [
        decimal.clone(),
        decimal.trim_start_matches('0').to_owned(),
        hex.clone(),
        hex.to_lowercase(),
        format!("FA08{hex}"),
        format!("00FA08{hex}"),
        format!("00FA08{hex};encoding=hex"),
        call_id,
    ];
    let forms: Vec<&str> = forms.iter().map(String::as_str).collect();
    goes_by(&world, call, &forms).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cisco_guid_in_any_form_means_the_call() {
    let world = recording().await;
    let mut ids = Identifiers::random();
    ids.guid = [867_617_078, 32_318_833, 2_221_801_472, 2_236_962];
    let call = world
        .record_with(|options| {
            options.like = Like::Cube;
            options.identifiers = ids.clone();
        })
        .await;
    assert_eq!(call.guid(), "0867617078-0032318833-2221801472-0002236962");
    let forms = [
        "0867617078-0032318833-2221801472-0002236962",
        "867617078-32318833-2221801472-2236962",
        "867617078 - 32318833 - 2221801472 - 2236962",
        "33b6c93601ed2571846e000000222222",
        "33B6C93601ED2571846E000000222222",
    ];
    goes_by(&world, call, &forms).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trunk_says_which_identifier_names_the_call() {
    let keys = "identifiers = [\"X-Account\", \"Call-ID\"]";
    let world = recording_with(&crate::scenes::trunk(keys)).await;
    let call = world.record().await;
    assert_eq!(world.call(&call.guid()).await["guid"], *call.call_id());
    let header = ("X-Account".to_owned(), "north-7".to_owned());
    let other = world
        .record_with(|options| options.headers = vec![header])
        .await;
    assert_eq!(world.call(&other.guid()).await["guid"], "north-7");
    over(&world, call).await;
    over(&world, other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_guid_means_no_call() {
    let world = recording_with("[control]\nstart_grace = \"0s\"\n").await;
    let mut call = world.record().await;
    until_legs(&world, &call.guid(), 2).await;
    for unknown in ["00002000010000000001", "nobody@198.51.100.1", "1-2-3-4"] {
        let started = world.try_start(unknown).await;
        assert_eq!(
            (started.status, started.code()),
            (400, Some("400-203")),
            "{unknown}"
        );
        assert_eq!(
            world.try_stop(unknown).await.code(),
            Some("400-203"),
            "{unknown}"
        );
    }
    world.start(&mut call).await;
    over(&world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_waits_for_the_call() {
    let world = recording_with("[control]\nstart_grace = \"30s\"\n").await;
    let ids = Identifiers::random();
    let guid = ids.ucid.decimal();
    let api = world.api.clone();
    let start = sim::control::Start::of(&guid);
    let starting = tasks().spawn(async move { api.start(&start).await.unwrap() });
    world.until_state(&guid, "awaited").await;
    let mut call = world.record_with(|options| options.identifiers = ids).await;
    let started = call.silence_while(starting).await.unwrap().unwrap();
    assert!(started.is_ok(), "{}", started.complaint());
    converse(&world, &mut call, GREETINGS).await;
    world.stop(&mut call).await;
    assert_heard(&world, &guid, &[GREETINGS]);
    over(&world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_waits_for_a_name_that_comes_with_an_update() {
    let world = recording_with("[control]\nstart_grace = \"30s\"\n").await;
    let guid = "0867617078-0032318833-2221801472-0002236962";
    let named_late = Edit::new(move |message: &mut Message| {
        if message.method() == "UPDATE" {
            message.add("Cisco-Guid", guid);
        }
    });
    let mut call = world
        .record_with(|options| options.edit = Some(named_late))
        .await;
    let (api, start) = (world.api.clone(), sim::control::Start::of(guid));
    let starting = tasks().spawn(async move { api.start(&start).await.unwrap() });
    call.silence_while(world.until_state(guid, "awaited"))
        .await
        .unwrap();
    call.update_metadata().await.unwrap();
    let started = call.silence_while(starting).await.unwrap().unwrap();
    assert!(started.is_ok(), "{}", started.complaint());
    let shown = world.call(guid).await;
    assert_eq!(shown["guid"], *call.guid(), "the call keeps its name");
    converse(&world, &mut call, GREETINGS).await;
    world.stop(&mut call).await;
    assert_heard(&world, guid, &[GREETINGS]);
    over(&world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn identifiers_are_shown_as_they_came_and_decoded() {
    let world = recording().await;
    let ids = Identifiers::random();
    let call = world
        .record_with(|options| options.identifiers = ids.clone())
        .await;
    let shown = until_legs(&world, &call.guid(), 2).await;
    assert_eq!(shown["guid"], *ids.ucid.decimal());
    let identifiers = shown["identifiers"].to_string();
    for told in [ids.ucid.wrapped(), ids.ucid.decimal(), call.call_id()] {
        assert!(
            identifiers.contains(&told),
            "{told} is not in {identifiers}"
        );
    }
    assert!(
        shown["names"].to_string().contains(&call.call_id()),
        "{shown:#}"
    );
    over(&world, call).await;
}
