//! What these stories share: crafted frames, what came of them, and a witness.

use std::time::Duration;

use rig::World;
pub(crate) use rig::shown::{counters, heard, leg, sound, streams, until_metric};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sim::caller::twilio::{Closed, RawMedia, Side, TwilioCall};
use sim::caller::ulaw;
use sim::speech::Role;

/// For stories in which the gateway closes: it need not wait long for its caller's part in that.
pub(crate) const SHORT_GOODBYE: &str = "[twilio]\nclose_timeout = \"100ms\"\n";

/// Samples in a frame of 20 ms.
pub(crate) const FRAME: usize = 160;

/// A call beside the one that goes wrong. It must not notice.
pub(crate) struct Witness(TwilioCall);

impl Witness {
    /// A call that is transcribed.
    pub(crate) async fn of(world: &World) -> Self {
        let mut call = world.dial().await;
        world.start(&call).await;
        world.say(&mut call, "customer-greeting").await;
        Self(call)
    }

    /// Speaks on, and sees that each sample of both sides was heard from the beginning.
    pub(crate) async fn assert_unharmed(mut self, world: &World) {
        world.say(&mut self.0, "agent-greeting").await;
        world.stop(&self.0).await;
        let guid = self.0.call_sid();
        assert_eq!(heard(world, guid, Role::Customer), ["customer-greeting"]);
        assert_eq!(heard(world, guid, Role::Agent), ["agent-greeting"]);
        for (side, role) in [
            (Side::Inbound, Role::Customer),
            (Side::Outbound, Role::Agent),
        ] {
            assert_same(&sound(world, guid, role), &decoded(&self.0.sent(side).tape));
        }
        self.0.hang_up().await.unwrap();
    }
}

/// Sends one frame of the story's own making.
pub(crate) async fn frame(call: &mut TwilioCall, side: Side, timestamp_ms: u64, payload: &[u8]) {
    let payload = payload.to_vec();
    let raw = RawMedia {
        side,
        timestamp_ms,
        sequence: None,
        chunk: None,
        payload,
    };
    call.media(raw).await.unwrap();
}

/// Codes unlike those of any other seed.
pub(crate) fn codes(seed: usize, length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| ((seed * 89 + at * at * 7 + at * seed) % 251) as u8)
        .collect()
}

/// The samples that a service must hear for these codes.
pub(crate) fn decoded(codes: &[u8]) -> Vec<i16> {
    codes.iter().map(|&code| ulaw::decode(code)).collect()
}

/// The SHA-256 of the L16 that a service must receive for these codes.
pub(crate) fn digest(codes: &[u8]) -> String {
    Sha256::digest(ulaw::l16(codes))
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Fails where two sounds begin to differ.
pub(crate) fn assert_same(heard: &[i16], said: &[i16]) {
    let differs = heard
        .iter()
        .zip(said)
        .position(|(heard, said)| heard != said);
    let lengths = (heard.len(), said.len());
    assert!(
        differs.is_none() && heard.len() == said.len(),
        "{lengths:?} differ at {differs:?}"
    );
}

/// The events of one type.
pub(crate) async fn events_of(world: &World, guid: &str, kind: &str) -> Vec<Value> {
    let told = world.told(guid).await;
    told.into_iter()
        .filter(|event| event["type"] == kind)
        .collect()
}

/// How the gateway ends a socket.
pub(crate) async fn closed(call: &mut TwilioCall) -> Closed {
    call.closed(Duration::from_secs(20))
        .await
        .expect("the gateway should have closed the socket")
}

/// With which code and which reason.
pub(crate) fn close(code: u16, reason: &str) -> Closed {
    Closed {
        code: Some(code),
        reason: reason.to_owned(),
    }
}

/// Why the legs of a call ended and whose doing it was, in the order in which they did.
pub(crate) async fn endings(world: &World, guid: &str) -> Vec<(String, String)> {
    let told = events_of(world, guid, "legEnded").await;
    told.iter().map(ending).collect()
}

/// The reason and the fault of an event that tells of an end.
pub(crate) fn ending(event: &Value) -> (String, String) {
    let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
    (text("reason"), text("fault"))
}
