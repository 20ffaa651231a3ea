//! What these stories share: a gateway with a store and receivers, calls that are transcribed, and
//! whether what was told is what was delivered.

use std::path::Path;
use std::time::Duration;

use rig::told::of;
use rig::{World, eventually, phrase};
use serde_json::Value;
use sim::caller::twilio::{Side, TwilioCall};
use sim::control::{Gateway, Start};
use sim::speech::Role;
use sim::webhook::{Event, Faults, Receiver, Settings, Taken};

/// What receivers verify with.
pub(crate) const SECRET: &str = "whsec_c3Rvcmllcy1zaWduLXdpdGgtdGhlc2UtYnl0ZXMuLi4=";

/// Failures are over soon, and so are the waits for their end.
pub(crate) const QUICK: &str = "[delivery]\nrest_min = \"20ms\"\nrest_max = \"100ms\"\n\
    retry_after_max = \"2s\"\nupkeep_interval = \"50ms\"\n";

/// The pause that ends an utterance.
const PAUSE: Duration = Duration::from_millis(700);

/// A final transcript, told apart from others by who said what when.
pub(crate) type Said = (String, String, u64, u64);

/// A gateway, its speech service, and one receiver.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) receiver: Receiver,
}

impl Scene {
    /// A receiver that behaves like this, and a gateway that delivers to it. Keys of the webhook's
    /// section are first in `more`, then other sections.
    pub(crate) async fn new(folder: &Path, faults: Faults, more: &str) -> Self {
        let receiver = receiver(faults).await;
        let webhook = webhook("story", &receiver.url(), more);
        let more = format!("{}{webhook}", kept_in(folder));
        let world = World::with(&more).await;
        Self { world, receiver }
    }

    /// A call from its beginning to its end.
    pub(crate) async fn call(&self, phrases: &[&str]) -> String {
        conversation(&self.world, phrases).await
    }

    /// Waits until everything that was told of a call is delivered, each final once and in order.
    pub(crate) async fn is_delivered(&self, guid: &str) -> Vec<Event> {
        let told = finals_told(&self.world, guid).await;
        delivered(&self.receiver, guid, &told).await
    }
}

/// A receiver on loopback that verifies what it is sent.
pub(crate) async fn receiver(faults: Faults) -> Receiver {
    receiver_with(|settings| settings.faults = faults).await
}

/// The same, with more wishes.
pub(crate) async fn receiver_with(change: impl FnOnce(&mut Settings)) -> Receiver {
    let mut settings = Settings {
        secrets: vec![SECRET.parse().unwrap()],
        ..Settings::default()
    };
    change(&mut settings);
    Receiver::spawn(settings).await.unwrap()
}

/// The section of an endpoint on loopback that is tried again at once. It must come after all
/// tables: what follows it in `more` may be further keys of it, and then further sections.
pub(crate) fn webhook(name: &str, url: &str, more: &str) -> String {
    let schedule = [["\"50ms\""; 40].as_slice(), &["\"1s\""; 20]]
        .concat()
        .join(", ");
    format!(
        "{QUICK}[[webhooks]]\nname = \"{name}\"\nurl = \"{url}\"\nallow_private = true\n\
         allow_http = true\n{}{}{more}\n",
        unless(more, "secrets", &format!("[\"{SECRET}\"]")),
        unless(more, "retry_schedule", &format!("[{schedule}]")),
    )
}

/// A key with its usual value, unless the story has one of its own before its other sections.
fn unless(more: &str, key: &str, value: &str) -> String {
    let own = more.split("\n[").next().unwrap_or_default();
    let own = if own.starts_with('[') { "" } else { own };
    let is_there = own
        .lines()
        .any(|line| line.starts_with(&format!("{key} =")));
    if is_there {
        String::new()
    } else {
        format!("{key} = {value}\n")
    }
}

/// The store's section, for a store in this folder.
pub(crate) fn kept_in(folder: &Path) -> String {
    let path = folder.join("antiphon.db");
    format!("[store]\nenabled = true\npath = {path:?}\n")
}

/// A call that says these phrases and is stopped, from its beginning to its end.
pub(crate) async fn conversation(world: &World, phrases: &[&str]) -> String {
    let mut call = begin(world).await;
    for id in phrases {
        world.say(&mut call, id).await;
    }
    end(world, call).await
}

/// The same, started by somebody's own key, whose tenant's call it is then.
pub(crate) async fn conversation_of(world: &World, api: &Gateway, phrases: &[&str]) -> String {
    let mut call = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.until_state(&guid, "idle").await;
    let answer = api.start(&Start::of(&guid)).await.unwrap();
    assert!(answer.is_ok(), "no start: {}", answer.complaint());
    for id in phrases {
        world.say(&mut call, id).await;
    }
    end(world, call).await
}

/// A call that is transcribed.
pub(crate) async fn begin(world: &World) -> TwilioCall {
    let call = world.dial().await;
    world.until_state(call.call_sid(), "idle").await;
    world.start(&call).await;
    call
}

/// The end of a call that is transcribed; all that was heard of it is told.
pub(crate) async fn end(world: &World, call: TwilioCall) -> String {
    let guid = call.call_sid().to_owned();
    world.stop(&call).await;
    call.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    guid
}

/// Says a phrase to a gateway that may be gone; whether it was said.
pub(crate) async fn try_say(call: &mut TwilioCall, id: &str) -> bool {
    let phrase = phrase(id);
    let side = match phrase.role {
        Role::Agent => Side::Outbound,
        Role::Customer => Side::Inbound,
    };
    call.say(side, &phrase.samples).await.is_ok() && call.silence(PAUSE).await.is_ok()
}

/// The final transcripts that the API has told of a call.
pub(crate) async fn finals_told(world: &World, guid: &str) -> Vec<Said> {
    let told = world.told(guid).await;
    let finals = of(&told, "transcript", "").into_iter();
    finals
        .filter(|event| event["isFinal"] == true)
        .map(|event| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (
                text(&event["sender"]["role"]),
                text(&event["alternatives"][0]["text"]),
                event["startMs"].as_u64().unwrap(),
                event["endMs"].as_u64().unwrap(),
            )
        })
        .collect()
}

/// Waits until a receiver has as many finals of a call as were told, and looks at them: each is
/// there once, in its place, and the receiver has nothing to complain of.
pub(crate) async fn delivered(receiver: &Receiver, guid: &str, told: &[Said]) -> Vec<Event> {
    assert!(!told.is_empty(), "nothing was told of {guid}");
    let enough = |taken: &[Taken]| finals_of(taken, guid).len() >= told.len();
    eventually("every final to be delivered", receiver.wait_for(enough)).await;
    let events: Vec<Event> = receiver
        .finals()
        .into_iter()
        .filter(|event| event.conversation == guid)
        .collect();
    let said: Vec<Said> = events.iter().map(said).collect();
    assert_eq!(said, told, "what was delivered of {guid}");
    assert_eq!(receiver.complaints(), Vec::<String>::new());
    assert_eq!(receiver.counts().followed, 0, "a redirect was followed");
    events
}

/// The ids of a call's finals, as they were taken.
pub(crate) fn finals_of(taken: &[Taken], guid: &str) -> Vec<String> {
    let its = taken
        .iter()
        .map(|taken| &taken.event)
        .filter(|event| event.is_final() && event.conversation == guid);
    its.map(|event| event.id.clone()).collect()
}

/// Waits until the store is open, which may be a little later than the gateway is ready for calls.
pub(crate) async fn until_open(world: &World) {
    rig::shown::until_metric(world, "antiphon_store_up", |up| up == 1.0).await;
}

/// What the messages API has of a call; null if it knows none, or has no store yet.
pub(crate) async fn messages(world: &World, guid: &str) -> Value {
    let path = format!("/conversation/v1/conversation/messages?externalId={guid}");
    let answer = world.api.get(&path).await.unwrap();
    match answer.status {
        200 => answer.body["items"].clone(),
        404 | 503 => Value::Null,
        _ => panic!("no messages: {}", answer.complaint()),
    }
}

/// Waits until the messages API has so many messages of a call.
pub(crate) async fn until_messages(world: &World, guid: &str, count: usize) -> Vec<Value> {
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    eventually("the messages", async {
        loop {
            looks.tick().await;
            let found = messages(world, guid).await;
            if let Some(found) = found.as_array().filter(|found| found.len() >= count) {
                return found.clone();
            }
        }
    })
    .await
}

/// What a URL answers to who has no key: the status and the body.
pub(crate) async fn unkeyed(url: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn said(event: &Event) -> Said {
    let (start_ms, end_ms) = event.span_ms.unwrap();
    let role = event.role.clone().unwrap();
    (role, event.text.clone().unwrap(), start_ms, end_ms)
}
