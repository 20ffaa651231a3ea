//! What these stories share: packets of their own making, what came of them, who was listening.

use std::time::Duration;

use rig::World;
pub(crate) use rig::shown::{counters, heard, leg, sound, streams, until_metric};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sim::caller::siprec::{Options, Sent, Side, SiprecCall, Suite};
use sim::service::autotranscribe::Config;
use sim::speech::Role;

/// Both sides of a call, with the roles they are transcribed as.
pub(crate) const SIDES: [(Side, Role); 2] =
    [(Side::Customer, Role::Customer), (Side::Agent, Role::Agent)];

/// Without SRTP, and with each of its suites.
pub(crate) const SUITES: [Option<Suite>; 5] = [
    None,
    Some(Suite::AesCm128HmacSha1_80),
    Some(Suite::AesCm128HmacSha1_32),
    Some(Suite::AeadAes128Gcm),
    Some(Suite::AeadAes256Gcm),
];

/// Both sides as the API calls them: the customer is the caller and on the top line.
pub(crate) const SIDE_NAMES: [&str; 2] = ["first", "second"];

/// Samples in a packet of 20 ms.
pub(crate) const PACKET: usize = 160;

/// For stories that count samples: a machine that stalls for a moment is no silence.
pub(crate) const UNHURRIED: &str = "[siprec]\nquiet_after = \"10s\"\n";

/// A call that is transcribed; what it sends from now on is heard.
pub(crate) async fn transcribed(world: &World, change: impl FnOnce(&mut Options)) -> SiprecCall {
    let mut call = world.record_with(change).await;
    call.silence(Duration::from_millis(100)).await.unwrap();
    world.start(&mut call).await;
    passing(world, &mut call).await;
    call
}

/// Goes on until the newest sound of each side passes: on a slow machine it may lag behind the
/// moment at which a start took effect.
pub(crate) async fn passing(world: &World, call: &mut SiprecCall) {
    let guid = call.guid();
    let passed = |call: &Value| SIDE_NAMES.map(|side| counters(call, side)["passed"].as_u64());
    let before = passed(&world.call(&guid).await);
    let more = |call: &Value| {
        let now = passed(call).into_iter().zip(before);
        now.into_iter()
            .all(|(now, before)| now > before || now.is_none())
    };
    call.silence_while(world.until_call(&guid, more))
        .await
        .unwrap();
}

/// What was said on one side and what of it was heard there.
pub(crate) struct Compared {
    /// Where in what was said the service's stream begins, in samples.
    pub(crate) cut: usize,
    /// Samples that the stream has.
    pub(crate) length: usize,
    /// The SHA-256 of what was said in that place, as the service should have it.
    pub(crate) sha256: String,
}

/// Finds what was heard in what was said: by its first sound that is no silence. What lies before
/// and behind it was said through a shut gate and has to be silence.
pub(crate) fn compared(said: &Sent, heard: &[i16]) -> Compared {
    let codec = said.codec.expect("nothing was said");
    let silence = codec.decode(&codec.encode(&[0]))[0];
    let said = said.heard();
    // A start that comes between two packets has silence of the clock's own before the second.
    let quiet = heard
        .iter()
        .take_while(|&&sample| sample == 0 && silence != 0);
    let (quiet, heard) = heard.split_at(quiet.count());
    assert!(quiet.len() <= PACKET, "{} samples of silence", quiet.len());
    let begins = |samples: &[i16]| samples.iter().position(|&sample| sample != silence);
    let (in_said, in_heard) = (
        begins(&said).unwrap(),
        begins(heard).expect("silence was heard"),
    );
    let cut = in_said.checked_sub(in_heard);
    let cut = cut.unwrap_or_else(|| panic!("{in_heard} samples of silence instead of {in_said}"));
    let rest = &said[cut..];
    assert!(rest.len() >= heard.len(), "more was heard than was said");
    let (rest, behind) = rest.split_at(heard.len());
    assert_same(heard, rest);
    assert!(
        behind.iter().all(|&sample| sample == silence),
        "the end is missing"
    );
    let bytes = quiet
        .iter()
        .chain(rest)
        .flat_map(|sample| sample.to_le_bytes());
    let digest = Sha256::digest(bytes.collect::<Vec<u8>>());
    Compared {
        cut: cut - quiet.len().min(cut),
        length: quiet.len() + heard.len(),
        sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// Fails where two sounds begin to differ.
pub(crate) fn assert_same(heard: &[i16], said: &[i16]) {
    let differs = heard
        .iter()
        .zip(said)
        .position(|(heard, said)| heard != said);
    let lengths = (heard.len(), said.len());
    let from = differs.unwrap_or(0);
    let around = |all: &[i16]| all[from..].iter().take(8).copied().collect::<Vec<_>>();
    assert!(
        differs.is_none() && heard.len() == said.len(),
        "{lengths:?} differ at {differs:?}: {:?} instead of {:?}",
        around(heard),
        around(said)
    );
}

/// Sound of which each stretch is like no other.
pub(crate) fn noise(seed: u64, samples: usize) -> Vec<i16> {
    let mut state = seed;
    let next = || {
        // The multiplier of Knuth's MMIX.
        state = state
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 48) as i16
    };
    std::iter::repeat_with(next).take(samples).collect()
}

/// A service that listens to nothing, for stories that count samples.
pub(crate) fn deaf() -> Config {
    Config {
        lexicon: None,
        ..rig::service_config()
    }
}

/// A number of `/metrics` about RTP packets, by what became of them.
pub(crate) fn packets(fate: &str) -> String {
    format!("antiphon_siprec_rtp_packets_total{{fate=\"{fate}\"}}")
}

/// Ends a call and waits until the gateway knows of none.
pub(crate) async fn over(world: &World, call: SiprecCall) {
    let guid = call.guid();
    call.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
}
