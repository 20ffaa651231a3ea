//! What is at rest cannot be read without the key, and the log tells nothing of what was said, by
//! whom, or with which secret.

use rig::apart::Apart;
use rig::{World, eventually};
use sim::webhook::{Fault, Faults};

use crate::GATEWAY;
use crate::files::{names_in, words_in};
use crate::scene::{
    QUICK, SECRET, conversation, finals_told, kept_in, messages, receiver, receiver_with,
    until_messages, webhook,
};

const NOTHING: [&str; 0] = [];

/// 32 bytes.
const KEY: &str = "8f2d0c7be1a94c56903e5b7d1f62a8c4d0e3b1975a6c42f8870d9b3e15c6fa27";

/// What is spoken or private in a call.
const PRIVATE: [&str; 6] = [
    "reminder",
    "harbor",
    "thank you for calling",
    "customer-1",
    "agent-1",
    "127.0.0.1",
];

const PHRASES: [&str; 2] = ["customer-greeting", "agent-greeting"];

/// What somebody reads who has got hold of the files of a gateway that runs, deliveries that wait
/// among them, and nothing else: the texts of the messages, or nothing.
async fn read_by_a_thief(key: &str) -> Option<String> {
    let [home, loot] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let receiver = receiver(Faults::always(Fault::Status(500))).await;
    let webhook = webhook("story", &receiver.url(), "format = \"envelope\"\n");
    let world = World::with(&(kept_in(home.path()) + key + &webhook)).await;
    let guid = conversation(&world, &PHRASES).await;
    until_messages(&world, &guid, 2).await;
    // The search does find what is there: the call's name is no secret.
    assert_eq!(words_in(home.path(), &[&guid]), [&guid]);
    assert_eq!(
        words_in(home.path(), &PRIVATE),
        NOTHING,
        "while the gateway runs"
    );
    for name in names_in(home.path()) {
        std::fs::copy(home.path().join(&name), loot.path().join(&name)).unwrap();
    }
    world.end().await;
    assert_eq!(words_in(home.path(), &PRIVATE), NOTHING, "after its end");

    let thief = World::with(&kept_in(loot.path())).await;
    let judged = async {
        let mut looks = tokio::time::interval(std::time::Duration::from_millis(10));
        loop {
            looks.tick().await;
            let ready = thief.api.get("/health/ready").await.unwrap();
            if ready.body["store"] != "opening" {
                return ready.body["store"].clone();
            }
        }
    };
    let store = eventually("the store to be opened or refused", judged).await;
    let read = messages(&thief, &guid).await;
    assert_eq!(store, if read.is_null() { "key" } else { "open" });
    thief.end().await;
    (!read.is_null()).then(|| read.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_key_nothing_that_was_said_can_be_read_from_any_file() {
    let plain = read_by_a_thief("").await;
    assert!(
        plain.unwrap().contains("reminder"),
        "the files are all that it takes"
    );
    assert_eq!(read_by_a_thief(&format!("key = \"{KEY}\"\n")).await, None);
}

/// With the key everything is as without: messages, search, deliveries, after a restart too.
#[tokio::test(flavor = "multi_thread")]
async fn with_the_key_everything_is_read_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let key = format!("key = \"{KEY}\"\n");
    let mut down = receiver(Faults::default()).await;
    down.close().await;
    let more = kept_in(folder.path()) + &key + &webhook("story", &down.url(), "");
    let world = World::with(&more).await;
    let guid = conversation(&world, &PHRASES).await;
    let told = finals_told(&world, &guid).await;
    let before = until_messages(&world, &guid, told.len()).await;
    world.end().await;

    let world = World::with(&more).await;
    assert_eq!(until_messages(&world, &guid, told.len()).await, before);
    let found = world.api.get("/v1/conversations?q=reminder").await.unwrap();
    assert_eq!(found.body["conversations"][0]["guid"], *guid);
    down.open().await.unwrap();
    crate::scene::delivered(&down, &guid, &told).await;
    world.end().await;
}

/// A file that was written with another key is left alone, and calls go on.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_wrong_key_the_file_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let key = |key: &str| format!("{}key = \"{key}\"\n", kept_in(folder.path()));
    let world = World::with(&key(KEY)).await;
    let guid = conversation(&world, &PHRASES).await;
    let before = until_messages(&world, &guid, 2).await;
    world.end().await;

    let other = World::with(&key(&KEY.replace('8', "9"))).await;
    let errors = "antiphon_store_errors_total{kind=\"key\"}";
    rig::shown::until_metric(&other, errors, |errors| errors > 0.0).await;
    conversation(&other, &PHRASES).await;
    other.end().await;

    let world = World::with(&key(KEY)).await;
    assert_eq!(until_messages(&world, &guid, 2).await, before);
    world.end().await;
}

/// Whatever becomes of deliveries, the log of a gateway as it is by default names neither words nor
/// parties nor secrets.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_of_failures_and_of_nothing_private() {
    let folder = tempfile::tempdir().unwrap();
    let pair = |name: &str, value: &str| Some((name.to_owned(), value.to_owned()));
    let by_parameter = receiver_with(|settings| {
        settings.parameter = pair("code", "parameter-secret");
        settings.faults = Faults::random(50, 3);
    })
    .await;
    let by_header = receiver_with(|settings| {
        settings.header = pair("x-api-key", "header-secret");
        settings.faults = Faults::times(Fault::Gone, 1);
    })
    .await;
    let by_parameter_url = format!("{}?query=in-the-url", by_parameter.url());
    let more = [
        kept_in(folder.path()),
        format!("key = \"{KEY}\"\n"),
        webhook(
            "by-parameter",
            &by_parameter_url,
            "parameter = \"code\"\nparameter_secret = \"parameter-secret\"\n",
        ),
        webhook(
            "by-header",
            &by_header.url(),
            "header = \"x-api-key\"\nheader_secret = \"header-secret\"\n",
        )
        .replace(QUICK, ""),
    ];
    let gateway = Apart::new(
        rig::service_config(),
        &more.concat(),
        GATEWAY,
        folder.path(),
    )
    .await;
    let guid = conversation(&gateway.world, &PHRASES).await;
    let told = finals_told(&gateway.world, &guid).await;
    crate::scene::delivered(&by_parameter, &guid, &told).await;
    let faults = by_header.wait_for_counts(|counts| counts.faults == 1);
    eventually("the refusal", faults).await;
    let disabled = "antiphon_delivery_disabled{endpoint=\"by-header\"}";
    rig::shown::until_metric(&gateway.world, disabled, |disabled| disabled == 1.0).await;
    let log = gateway.log.clone();
    gateway.end().await;

    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains(&guid), "nothing is logged of the call");
    assert!(
        log.contains("by-header"),
        "nothing is logged of the endpoint"
    );
    let secrets = [
        KEY,
        SECRET,
        "parameter-secret",
        "header-secret",
        "in-the-url",
        rig::API_SECRET,
    ];
    let words = PRIVATE.iter().filter(|word| **word != "127.0.0.1");
    for private in secrets.iter().chain(words) {
        let found = log.to_lowercase().contains(&private.to_lowercase());
        assert!(!found, "{private} is in the log:\n{log}");
    }
}

/// The same of what an ordinary call leaves behind with a store and no key.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_dead_is_told_once_and_not_at_every_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let dead = receiver(Faults::always(Fault::Status(500))).await;
    let more = kept_in(folder.path()) + &webhook("story", &dead.url(), "");
    let gateway = Apart::new(rig::service_config(), &more, GATEWAY, folder.path()).await;
    conversation(&gateway.world, &PHRASES).await;
    let tries = dead.wait_for_counts(|counts| counts.deliveries > 20);
    eventually("many attempts", tries).await;
    let log = gateway.log.clone();
    gateway.end().await;
    let log = std::fs::read_to_string(log).unwrap();
    let lines = log.lines().filter(|line| line.contains("story")).count();
    assert!((1..=5).contains(&lines), "{lines} lines:\n{log}");
}
