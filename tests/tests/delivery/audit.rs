//! Who commanded what, and what is left when a conversation is erased.

use rig::{World, eventually};
use serde_json::{Value, json};
use sim::webhook::{Fault, Faults};

use crate::files::words_in;
use crate::scene::{Scene, begin, conversation, end, kept_in, messages, until_messages};

/// Words of the call that is erased.
const WORDS: [&str; 2] = ["reminder", "harbor"];

const NOTHING: [&str; 0] = [];

/// Waits until a conversation is kept as wanted.
async fn until_kept(world: &World, guid: &str, so: impl Fn(&Value) -> bool) -> Value {
    let mut looks = tokio::time::interval(std::time::Duration::from_millis(10));
    let path = format!("/v1/conversations/twilio/{guid}");
    eventually("the conversation to be kept", async {
        loop {
            looks.tick().await;
            let shown = world.api.get(&path).await.unwrap();
            if shown.status == 200 && so(&shown.body) {
                return shown.body;
            }
        }
    })
    .await
}

/// The audit trail of a call with a card number: who paused it, when, from where, and who was
/// refused.
#[tokio::test(flavor = "multi_thread")]
async fn every_command_is_in_the_audit_trail_with_who_gave_it_and_from_where() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::with(&kept_in(folder.path())).await;
    let mut call = begin(&world).await;
    let guid = call.call_sid().to_owned();
    let refused = world.try_start(&guid).await;
    assert_eq!(refused.code(), Some("409-201"));
    world.say(&mut call, "customer-greeting").await;
    world.pause(&call).await;
    world.say(&mut call, "customer-card").await;
    world.resume(&call).await;
    world.say(&mut call, "agent-greeting").await;
    end(&world, call).await;

    let is_over = |kept: &Value| kept["endedAt"].is_string();
    let kept = until_kept(&world, &guid, is_over).await;
    let commands = kept["commands"].as_array().unwrap();
    let told: Vec<(&str, &str)> = commands
        .iter()
        .map(|one| {
            (
                one["verb"].as_str().unwrap(),
                one["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("start", "ok"),
        ("start", "409-201"),
        ("pause", "ok"),
        ("resume", "ok"),
        ("stop", "ok"),
    ];
    assert_eq!(told, expected);
    for command in commands {
        assert_eq!(command["key"], rig::API_ID);
        assert_eq!(command["from"], "127.0.0.1");
        assert!(command["requestId"].as_str().is_some_and(|id| id.len() > 8));
    }
    assert_eq!(commands[1]["requestId"], json!(refused.request_id));
    let pauses = kept["pauses"].as_array().unwrap();
    assert_eq!(pauses.len(), 1);
    let times = [&commands[2]["at"], &pauses[0]["to"]].map(|time| time.as_str().unwrap());
    assert!(times.is_sorted(), "{times:?}");
    let roles: Vec<&Value> = kept["legs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|leg| &leg["role"])
        .collect();
    assert_eq!(roles, ["customer", "agent"]);
    assert_eq!(kept["streams"].as_array().unwrap().len(), 2);
    assert_eq!(kept["utterances"], 2);
    // What was said in the pause is nowhere.
    let said = messages(&world, &guid).await.to_string();
    assert!(said.contains("reminder") && !said.contains("4111 1111"));
    assert_eq!(words_in(folder.path(), &["4111 1111"]), NOTHING);
    world.end().await;
}

/// Nothing of a conversation is left in any file, nor of what was to be delivered of it; of the
/// others nothing is missing.
#[tokio::test(flavor = "multi_thread")]
async fn erasing_a_conversation_leaves_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let more = "format = \"envelope\"\n";
    let faults = Faults::always(Fault::Status(500));
    let scene = Scene::new(folder.path(), faults, more).await;
    let world = &scene.world;
    let kept = conversation(world, &["customer-account"]).await;
    let mut call = begin(world).await;
    let guid = call.call_sid().to_owned();
    world.say(&mut call, "customer-greeting").await;
    world.say(&mut call, "agent-greeting").await;
    let path = format!("/v1/conversations/twilio/{guid}");
    until_messages(world, &guid, 2).await;
    let live = erase(world, &path).await;
    assert_eq!(live, (409, json!("409-204")), "the call lives");
    end(world, call).await;
    let whole = until_kept(world, &guid, |kept| kept["endedAt"].is_string()).await;
    // What was said is sealed; what is not can be looked for.
    let streams: Vec<&str> = whole["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stream| stream["streamId"].as_str().unwrap())
        .collect();
    assert_eq!(
        words_in(folder.path(), &streams),
        streams,
        "they are there before"
    );

    assert_eq!(erase(world, &path).await.0, 200);
    assert_eq!(messages(world, &guid).await, Value::Null);
    assert_eq!(erase(world, "/v1/conversations/twilio/CA0").await.0, 404);
    assert_eq!(
        words_in(folder.path(), &streams),
        NOTHING,
        "while the gateway runs"
    );
    assert_eq!(
        words_in(folder.path(), &WORDS),
        NOTHING,
        "while the gateway runs"
    );
    assert_eq!(until_messages(world, &kept, 1).await.len(), 1);

    scene.receiver.set_faults(Faults::default());
    scene.is_delivered(&kept).await;
    let Scene { world, receiver } = scene;
    world.end().await;
    assert_eq!(words_in(folder.path(), &streams), NOTHING, "after its end");
    assert_eq!(words_in(folder.path(), &WORDS), NOTHING, "after its end");
    let said = receiver.taken();
    assert!(said.iter().all(|taken| taken.event.conversation == kept));
}

/// The status of a `DELETE`, and its code.
async fn erase(world: &World, path: &str) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = client
        .delete(format!("{}{path}", world.base))
        .header("asapp-api-id", rig::API_ID)
        .header("asapp-api-secret", rig::API_SECRET);
    let answer = asked.send().await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (status, body["error"]["code"].clone())
}
