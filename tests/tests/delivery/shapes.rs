//! What a delivery looks like, who gets which, and how it proves where it comes from.

use rig::World;
use rig::apart::Apart;
use serde_json::{Value, json};
use sim::control::Start;
use sim::webhook::{Faults, Format, Receiver, Secret};

use crate::GATEWAY;
use crate::scene::{
    SECRET, Scene, conversation, delivered, end, finals_told, kept_in, receiver, receiver_with,
    webhook,
};

/// Another secret.
const NEXT: &str = "whsec_bmV4dC1zZWNyZXQtYWZ0ZXItYS1yb3RhdGlvbi4uLi4=";

/// The contract's body, written out: members in its order, numbers without a point, and nothing
/// else.
#[tokio::test(flavor = "multi_thread")]
async fn asapps_body_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::new(folder.path(), Faults::default(), "").await;
    let guid = scene.call(&["customer-account", "agent-greeting"]).await;
    scene.is_delivered(&guid).await;
    let told = scene.world.told(&guid).await;
    let finals: Vec<&Value> = told
        .iter()
        .filter(|event| event["type"] == "transcript" && event["isFinal"] == true)
        .collect();
    let taken = scene.receiver.taken();
    assert_eq!(taken.len(), finals.len());
    for (taken, told) in taken.iter().zip(finals) {
        let role = told["sender"]["role"].as_str().unwrap();
        let expected = format!(
            "{{\"type\":\"transcript\",\"externalConversationId\":\"{guid}\",\"streamId\":{},\
             \"sender\":{{\"externalId\":\"{role}-1\",\"role\":\"{role}\"}},\
             \"autotranscribeResponse\":{{\"message\":\"transcript\",\"start\":{},\"end\":{},\
             \"utterance\":[{{\"text\":{}}}]}}}}",
            told["streamId"], told["startMs"], told["endMs"], told["alternatives"][0]["text"],
        );
        assert_eq!(String::from_utf8(taken.body.clone()).unwrap(), expected);
        assert_eq!(taken.header("content-type"), Some("application/json"));
        assert_eq!(taken.event.format, Format::Asapp);
    }
    // Either party may be the first to end its phrase.
    let mut bodies = taken
        .iter()
        .map(|taken| String::from_utf8_lossy(&taken.body));
    assert!(bodies.any(|body| body.contains("My account number is ####.")));
    scene.world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_formats_tell_all_that_was_asked_for() {
    let kinds = "[\"callStarted\", \"transcript\", \"callChanged\", \"streamEnded\", \
         \"callEnded\"]";
    for format in [
        Format::CloudEvents,
        Format::CloudEventsBatch,
        Format::Envelope,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let more = format!("format = \"{}\"\nevents = {kinds}\n", format.as_str());
        let scene = Scene::new(folder.path(), Faults::random(30, 3), &more).await;
        let guid = paused_call(&scene.world).await;
        scene.is_delivered(&guid).await;
        let ended = scene.receiver.wait_for(|taken| {
            let mut kinds = taken.iter().map(|taken| taken.event.kind.as_str());
            kinds.any(|kind| kind == "call.ended")
        });
        rig::eventually("the end of the call", ended).await;
        let taken = scene.receiver.taken();
        assert!(taken.iter().all(|taken| taken.event.format == format));
        let kinds: Vec<&str> = taken.iter().map(|taken| &*taken.event.kind).collect();
        let count = |wanted: &str| kinds.iter().filter(|kind| **kind == wanted).count();
        assert_eq!((kinds[0], count("call.started")), ("call.started", 1));
        assert_eq!(
            (kinds.last(), count("stream.ended")),
            (Some(&"call.ended"), 2)
        );
        let states: Vec<&Value> = taken
            .iter()
            .filter(|taken| taken.event.kind == "call.changed")
            .map(|taken| &taken.event.json["data"]["state"])
            .collect();
        assert!(states.contains(&&json!("paused")), "{states:?}");
        assert_eq!(scene.receiver.complaints(), Vec::<String>::new());
        scene.world.end().await;
    }
}

async fn paused_call(world: &World) -> String {
    let mut call = crate::scene::begin(world).await;
    world.say(&mut call, "customer-greeting").await;
    world.pause(&call).await;
    world.say(&mut call, "customer-card").await;
    world.resume(&call).await;
    world.say(&mut call, "agent-greeting").await;
    end(world, call).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_endpoint_gets_what_it_asked_for() {
    let [agents, customers, recorded] = [
        receiver(Faults::default()).await,
        receiver(Faults::default()).await,
        receiver(Faults::default()).await,
    ];
    let folder = tempfile::tempdir().unwrap();
    let sections = [
        webhook("agents", &agents.url(), "roles = [\"agent\"]\n"),
        webhook("customers", &customers.url(), "roles = [\"customer\"]\n"),
        webhook("recorded", &recorded.url(), "namespaces = [\"siprec\"]\n"),
    ];
    let more = kept_in(folder.path()) + &together(&sections);
    let world = World::with(&more).await;
    let phrases = ["customer-greeting", "agent-greeting", "customer-account"];
    let guid = conversation(&world, &phrases).await;
    let told = finals_told(&world, &guid).await;
    let (of_agents, of_customers): (Vec<_>, Vec<_>) =
        told.into_iter().partition(|said| said.0 == "agent");
    delivered(&agents, &guid, &of_agents).await;
    delivered(&customers, &guid, &of_customers).await;
    assert_eq!(recorded.counts().deliveries, 0);
    world.end().await;
}

/// Sections of several endpoints; what they share is there once.
fn together(sections: &[String]) -> String {
    let quick = crate::scene::QUICK;
    let rest: Vec<String> = sections
        .iter()
        .map(|section| section.replace(quick, ""))
        .collect();
    format!("{quick}{}", rest.concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_goes_in_a_header_or_in_the_url() {
    let pair = |name: &str, value: &str| Some((name.to_owned(), value.to_owned()));
    let by_header = receiver_with(|settings| {
        settings.header = pair("x-api-key", "the header's secret");
    })
    .await;
    let by_parameter = receiver_with(|settings| {
        settings.parameter = pair("code", "a&b=c d");
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let sections = [
        webhook(
            "header",
            &by_header.url(),
            "header = \"X-Api-Key\"\nheader_secret = \"the header's secret\"\n",
        ),
        webhook(
            "parameter",
            &format!("{}?kept=1", by_parameter.url()),
            "parameter = \"code\"\nparameter_secret = \"a&b=c d\"\n",
        ),
    ];
    let world = World::with(&(kept_in(folder.path()) + &together(&sections))).await;
    let guid = conversation(&world, &["customer-greeting"]).await;
    let told = finals_told(&world, &guid).await;
    for receiver in [by_header, by_parameter] {
        delivered(&receiver, &guid, &told).await;
    }
    world.end().await;
}

/// While a secret is replaced both sign; SIGHUP reads them again, and nobody misses anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_rotated_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let both: Vec<Secret> = vec![SECRET.parse().unwrap(), NEXT.parse().unwrap()];
    let receiver = receiver_with(|settings| settings.secrets = both).await;
    let config = |secrets: &str| {
        let secrets = format!("secrets = {secrets}\n");
        kept_in(folder.path()) + &webhook("story", &receiver.url(), &secrets)
    };
    let quoted = |secrets: &[&str]| format!("{secrets:?}");
    let first = config(&quoted(&[SECRET]));
    let gateway = Apart::new(rig::service_config(), &first, GATEWAY, folder.path()).await;
    is_signed_by(&gateway.world, &receiver, &[0]).await;
    for (secrets, by) in [
        (quoted(&[NEXT, SECRET]), [0, 1].as_slice()),
        (quoted(&[NEXT]), &[1]),
    ] {
        let text = rig::config_text(&gateway.world.service.url(), &config(&secrets));
        std::fs::write(&gateway.config, text).unwrap();
        gateway.hang_up();
        until_logged(&gateway, "read again", by).await;
        is_signed_by(&gateway.world, &receiver, by).await;
    }
    gateway.end().await;
}

/// Waits until SIGHUP has been heeded as often as there were rotations.
async fn until_logged(gateway: &Apart, words: &str, by: &[usize]) {
    let rotations = if by.len() == 2 { 1 } else { 2 };
    let heeded = async {
        let mut looks = tokio::time::interval(std::time::Duration::from_millis(10));
        loop {
            looks.tick().await;
            let log = std::fs::read_to_string(&gateway.log).unwrap();
            if log.matches(words).count() >= rotations {
                return;
            }
        }
    };
    rig::eventually("SIGHUP to be heeded", heeded).await;
}

async fn is_signed_by(world: &World, receiver: &Receiver, by: &[usize]) {
    let guid = conversation(world, &["customer-greeting"]).await;
    let told = finals_told(world, &guid).await;
    delivered(receiver, &guid, &told).await;
    let taken = receiver.taken();
    let its = taken
        .iter()
        .filter(|taken| taken.event.conversation == guid);
    for taken in its {
        assert_eq!(taken.signed.by, by);
    }
}

/// Word by word, where the start asked for it.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_delivered_where_they_were_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::new(folder.path(), Faults::default(), "").await;
    let mut call = scene.world.dial().await;
    let guid = call.call_sid().to_owned();
    scene.world.until_state(&guid, "idle").await;
    let start = Start {
        more: json!({"autotranscribeParams":
            {"detailedToken": true, "redactionOutput": "unredacted"}}),
        ..Start::of(&guid)
    };
    assert!(scene.world.api.start(&start).await.unwrap().is_ok());
    scene.world.say(&mut call, "customer-account").await;
    end(&scene.world, call).await;
    let events = scene.is_delivered(&guid).await;
    let tokens = &events[0].json["autotranscribeResponse"]["utterance"][0]["token"];
    let words: Vec<&str> = tokens
        .as_array()
        .unwrap()
        .iter()
        .map(|token| token["content"].as_str().unwrap())
        .collect();
    assert!(words.len() >= 4, "{words:?}");
    scene.world.end().await;
}
