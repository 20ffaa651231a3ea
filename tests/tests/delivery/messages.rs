//! The messages API against the contract: during a call and after it, with a transfer, for calls
//! that nobody knows, by query and by JSON body.

use rig::World;
use serde_json::{Value, json};
use sim::control::{Answer, Start};

use crate::scene::{
    begin, conversation, end, finals_told, kept_in, messages, until_messages, until_open,
};

const PATH: &str = "/conversation/v1/conversation/messages";

async fn world() -> (World, tempfile::TempDir) {
    world_with("").await
}

async fn world_with(more: &str) -> (World, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let world = World::with(&(kept_in(folder.path()) + more)).await;
    (world, folder)
}

/// All five members and no other, each as the contract's example has it.
fn assert_shape(message: &Value) {
    let members: Vec<&String> = message.as_object().unwrap().keys().collect();
    let mut sorted = members.clone();
    sorted.sort();
    let expected = [
        "clientTimestamp",
        "createdTimestamp",
        "messageId",
        "sender",
        "text",
    ];
    assert_eq!(sorted, expected);
    let id = message["messageId"].as_str().unwrap();
    let is_crockford = |letter: u8| b"0123456789ABCDEFGHJKMNPQRSTVWXYZ".contains(&letter);
    assert!(id.len() == 26 && id.bytes().all(is_crockford), "{id}");
    for name in ["createdTimestamp", "clientTimestamp"] {
        let time = message[name].as_str().unwrap();
        let pattern: String = time
            .chars()
            .map(|letter| if letter.is_ascii_digit() { '0' } else { letter })
            .collect();
        assert_eq!(pattern, "0000-00-00T00:00:00.000Z", "{name}");
    }
    let sender: Vec<&String> = message["sender"].as_object().unwrap().keys().collect();
    assert_eq!(sender, ["externalId", "role"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_there_during_a_call_and_after_it() {
    let (world, _folder) = world().await;
    let mut call = begin(&world).await;
    let guid = call.call_sid().to_owned();
    world.say(&mut call, "customer-greeting").await;
    let during = until_messages(&world, &guid, 1).await;
    world.say(&mut call, "agent-greeting").await;
    end(&world, call).await;
    let told = finals_told(&world, &guid).await;
    let after = until_messages(&world, &guid, told.len()).await;
    assert_eq!(after[..during.len()], during[..]);
    for (message, (role, text, ..)) in after.iter().zip(&told) {
        assert_shape(message);
        assert_eq!(message["text"], **text);
        assert_eq!(message["sender"]["role"], **role);
        assert_eq!(message["sender"]["externalId"], format!("{role}-1"));
    }
    let said: Vec<&str> = after
        .iter()
        .map(|message| message["clientTimestamp"].as_str().unwrap())
        .collect();
    assert!(said.is_sorted(), "{said:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_asked_for_in_the_query_or_in_a_json_body() {
    let (world, _folder) = world().await;
    let guid = conversation(&world, &["customer-greeting"]).await;
    until_messages(&world, &guid, 1).await;
    let by_query = world.api.get(&format!("{PATH}?externalId={guid}")).await;
    let by_query = by_query.unwrap();
    let slashed = world.api.get(&format!("{PATH}/?externalId={guid}")).await;
    assert_eq!(slashed.unwrap().body, by_query.body);
    let by_body = ask_by_body(&world, &json!({"externalId": guid})).await;
    assert_eq!((by_body.0, &by_body.1), (200, &by_query.body));
    // The sibling by our own id.
    let shown = world
        .api
        .get(&format!("/v1/conversations/twilio/{guid}"))
        .await;
    let id = shown.unwrap().body["id"].as_str().unwrap().to_owned();
    let sibling = format!("/conversation/v1/conversations/{id}/messages");
    assert_eq!(world.api.get(&sibling).await.unwrap().body, by_query.body);
    world.end().await;
}

async fn ask_by_body(world: &World, body: &Value) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = client
        .get(format!("{}{PATH}", world.base))
        .header("asapp-api-id", rig::API_ID)
        .header("asapp-api-secret", rig::API_SECRET)
        .json(body);
    let answer = asked.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_nobody_knows_and_what_is_no_question() {
    let (world, _folder) = world().await;
    until_open(&world).await;
    let refused = |answer: Answer| (answer.status, answer.code().unwrap().to_owned());
    for (path, status, code) in [
        (format!("{PATH}?externalId=CA0"), 404, "404-01"),
        (PATH.to_owned(), 400, "400-01"),
        (format!("{PATH}?externalId="), 400, "400-01"),
        (
            "/conversation/v1/conversations/nobody/messages".to_owned(),
            404,
            "404-01",
        ),
    ] {
        let answer = world.api.get(&path).await.unwrap();
        assert!(answer.request_id.is_some());
        assert_eq!(refused(answer), (status, code.to_owned()), "{path}");
    }
    let (status, body) = ask_by_body(&world, &json!({"externalId": 1})).await;
    assert_eq!((status, &body["error"]["code"]), (400, &json!("400-01")));
    let nobody = world.api.with_key("rig", "wrong").get(PATH).await.unwrap();
    assert_eq!(nobody.status, 401);
    world.end().await;
}

/// Stop, then start with another agent's id: one conversation, whose messages name both agents.
#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_one_conversation_with_several_agents() {
    let (world, _folder) = world().await;
    let mut call = begin(&world).await;
    let guid = call.call_sid().to_owned();
    world.say(&mut call, "agent-greeting").await;
    world.stop(&call).await;
    let transferred = Start {
        agent: "agent-2".to_owned(),
        ..Start::of(&guid)
    };
    assert!(world.api.start(&transferred).await.unwrap().is_ok());
    world.say(&mut call, "agent-sorry").await;
    world.say(&mut call, "customer-account").await;
    end(&world, call).await;
    let found = until_messages(&world, &guid, 3).await;
    let senders: Vec<&Value> = found
        .iter()
        .map(|one| &one["sender"]["externalId"])
        .collect();
    assert_eq!(senders, ["agent-1", "agent-2", "customer-1"]);
    let ids: std::collections::BTreeSet<_> =
        found.iter().map(|one| one["messageId"].as_str()).collect();
    assert_eq!(ids.len(), 3);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_the_limit_is_cut_and_the_answer_says_so() {
    let (world, _folder) = world_with("[api]\nmessages_max = 2\n").await;
    let phrases = ["customer-greeting", "customer-pay", "customer-account"];
    let guid = conversation(&world, &phrases).await;
    let told = finals_told(&world, &guid).await;
    assert_eq!(told.len(), 3);
    let shown = async {
        loop {
            let path = format!("/v1/conversations/twilio/{guid}");
            let shown = world.api.get(&path).await.unwrap();
            if shown.body["utterances"] == 3 {
                return;
            }
        }
    };
    rig::eventually("all to be kept", shown).await;
    let found = messages(&world, &guid).await;
    let texts: Vec<&Value> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["text"])
        .collect();
    assert_eq!(texts, [&json!(told[0].1), &json!(told[1].1)]);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = client
        .get(format!("{}{PATH}?externalId={guid}", world.base))
        .header("asapp-api-id", rig::API_ID)
        .header("asapp-api-secret", rig::API_SECRET);
    let answer = asked.send().await.unwrap();
    assert_eq!(answer.headers()["x-messages-left-out"], "true");
    world.end().await;
}

/// Without a store there is nothing to answer with.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_store_the_answer_is_503() {
    let world = World::with("[store]\nenabled = false\n").await;
    let guid = conversation(&world, &["customer-greeting"]).await;
    let answer = world
        .api
        .get(&format!("{PATH}?externalId={guid}"))
        .await
        .unwrap();
    assert_eq!((answer.status, answer.code()), (503, Some("503-01")));
    world.end().await;
}

/// A call is found by what was said in it, whoever said it.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_found_by_its_words() {
    let (world, _folder) = world().await;
    let one = conversation(&world, &["customer-greeting", "agent-balance"]).await;
    let other = conversation(&world, &["agent-greeting"]).await;
    until_messages(&world, &other, 1).await;
    for (query, found) in [
        ("REMINDER+dollars", vec![&one]),
        ("harbor", vec![&other]),
        ("reminder+harbor", vec![]),
        ("zanzibar", vec![]),
    ] {
        let path = format!("/v1/conversations?q={query}");
        let answer = world.api.get(&path).await.unwrap();
        let guids: Vec<&Value> = answer.body["conversations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| &line["guid"])
            .collect();
        let found: Vec<Value> = found.into_iter().map(|guid| json!(guid)).collect();
        assert_eq!(guids, found.iter().collect::<Vec<_>>(), "{query}");
    }
    world.end().await;
}
