//! What the stories of signalling share: a trunk of their own, a greeting, who was heard.

use std::time::Duration;

use rig::World;
use serde_json::Value;
use sim::caller::siprec::{DialError, Message, RawDialog, Refused, SiprecCall};
use sim::control::{Answer, Start};
use sim::service::autotranscribe::record::Recorded;
use sim::speech::Role;

use crate::support::heard;

/// How long the gateway may take for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Two lines of μ-law that lead nowhere.
pub(crate) const SDP: &str = "v=0\r\no=src 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\n\
    t=0 0\r\nm=audio 9 RTP/AVP 0\r\na=label:1\r\na=sendonly\r\n\
    m=audio 9 RTP/AVP 0\r\na=label:2\r\na=sendonly\r\n";

/// This machine as the only trunk, with more keys.
pub(crate) fn trunk(keys: &str) -> String {
    format!("[[siprec.trunks]]\nname = \"sbc\"\nsources = [\"127.0.0.0/8\"]\n{keys}\n")
}

/// Waits until the service has heard so many phrases of a party, while the call goes on.
pub(crate) async fn until_heard(world: &World, call: &mut SiprecCall, role: Role, count: usize) {
    let guid = call.guid();
    call.silence_while(heard_so_many(world, &guid, role, count))
        .await
        .unwrap();
}

/// The same without a call that could go on.
pub(crate) async fn heard_so_many(world: &World, guid: &str, role: Role, count: usize) {
    let so = |streams: &[Recorded]| {
        let is_its = |stream: &&Recorded| {
            stream.external_id.as_deref() == Some(guid) && stream.role() == Some(role)
        };
        let its = streams.iter().filter(is_its);
        its.map(|stream| stream.transcripts.len()).sum::<usize>() >= count
    };
    world.until_heard(so).await;
}

/// A start of the story's own, while the call goes on.
pub(crate) async fn try_start(world: &World, call: &mut SiprecCall, start: &Start) -> Answer {
    let started = call.silence_while(world.api.start(start)).await;
    started.unwrap().unwrap()
}

/// Each party was heard as who they are, and said this.
pub(crate) fn assert_heard(world: &World, guid: &str, conversation: &[[&str; 2]]) {
    for (at, role) in [Role::Customer, Role::Agent].into_iter().enumerate() {
        let said: Vec<&str> = conversation.iter().map(|phrases| phrases[at]).collect();
        assert_eq!(heard(world, guid, role), said, "as {role:?}");
    }
}

/// Waits until the API shows a call with so many legs.
pub(crate) async fn until_legs(world: &World, guid: &str, count: usize) -> Value {
    let has = |call: &Value| {
        call["legs"]
            .as_array()
            .is_some_and(|legs| legs.len() == count)
    };
    world.until_call(guid, has).await
}

/// The leg of a role; null if there is none.
pub(crate) fn leg_of<'a>(call: &'a Value, role: &str) -> &'a Value {
    let mut legs = call["legs"].as_array().into_iter().flatten();
    legs.find(|leg| leg["role"] == role).unwrap_or(&Value::Null)
}

/// Why a leg has its role, and how sure that is.
pub(crate) fn grounds(leg: &Value) -> (&str, &str) {
    let text = |key: &str| leg[key].as_str().unwrap_or_default();
    (text("roleReason"), text("roleConfidence"))
}

/// The no that a call was answered with.
pub(crate) fn refusal(dialled: Result<SiprecCall, DialError>) -> Refused {
    match dialled {
        Err(DialError::Refused(refused)) => *refused,
        other => panic!("the call was not refused: {other:?}"),
    }
}

/// Sends a request and gives its final answer; that of a refused INVITE is acknowledged.
pub(crate) async fn ask(raw: &mut RawDialog, request: &Message) -> Message {
    raw.send(request).await.unwrap();
    let answer = raw
        .answer(PATIENCE)
        .await
        .expect("there should be an answer");
    if request.method() == "INVITE" && answer.status() >= 300 {
        let ack = raw.ack(request, &answer);
        raw.send(&ack).await.unwrap();
    }
    answer
}
