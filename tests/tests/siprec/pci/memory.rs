//! The memory of a gateway that is a process of its own, searched for what was said.
//!
//! What is promised is that no sample is kept behind a shut gate: neither as the codes that a
//! packet brings nor decoded. A sealed packet has to be deciphered to tell that it is authentic;
//! what comes of that is wiped at once. What cannot be promised: the newest packet of a line in the
//! clear stays as it came in the buffer that its socket is read into, until the next one takes its
//! place, and what the kernel keeps of a socket is the kernel's. So these stories go on with
//! silence for a moment before they search.

use std::time::Duration;

use rig::World;
use rig::apart::Apart;
use rig::needle::{Needle, search};
use rig::recording::{SIPREC, recording_config};
use sim::caller::siprec::{Codec, SiprecCall, Suite};
use sim::service::autotranscribe::faults::Faults;

use crate::GATEWAY;
use crate::support::{PACKET, SIDES, noise, passing, streams};
use crate::words::{attentive, say};

/// Packets of one passage: a second.
const PACKETS: usize = 50;

/// Sound that is like no other.
struct Passage {
    samples: Vec<i16>,
    mu_law: Needle,
    l16: Needle,
}

impl Passage {
    fn new(seed: u64) -> Self {
        let codes = Codec::Pcmu.encode(&noise(seed, PACKETS * PACKET));
        let samples = Codec::Pcmu.decode(&codes);
        let bytes = samples.iter().flat_map(|sample| sample.to_le_bytes());
        let l16 = Needle::new(bytes.collect());
        Self {
            mu_law: Needle::new(codes),
            l16,
            samples,
        }
    }

    async fn say(&self, world: &World, call: &mut SiprecCall) {
        call.converse(&self.samples, &self.samples).await.unwrap();
        call.silence(Duration::from_millis(60)).await.unwrap();
        world.arrived(&*call).await;
    }
}

/// Bytes of a passage in a gateway's memory, as codes and decoded.
fn traces(gateway: &Apart, passage: &Passage) -> [usize; 2] {
    search(gateway.pid(), &[&passage.mu_law, &passage.l16])
        .try_into()
        .unwrap()
}

fn no_sample_is_left(gateway: &Apart, passage: &Passage) {
    assert_eq!(
        traces(gateway, passage),
        [0, 0],
        "bytes as mu-law and as L16"
    );
}

async fn nothing_gated_is_in_memory(srtp: Option<Suite>) {
    let folder = tempfile::tempdir().unwrap();
    let config = recording_config("");
    let mut gateway = Apart::new(attentive(), &config, GATEWAY, folder.path()).await;
    gateway.world.ask_about(SIPREC);
    let world = &gateway.world;
    let mut call = world.record_with(|options| options.srtp = srtp).await;
    let guid = call.guid();
    world.until_state(&guid, "idle").await;

    // The search can find: what waits for the service to accept the stream is there.
    let waiting = Passage::new(1);
    let start_delay = Duration::from_secs(60);
    world.service.set_faults(Faults {
        start_delay,
        ..Faults::default()
    });
    let (_, ()) = tokio::join!(world.try_start(&guid), async {
        call.silence_while(world.until_state(&guid, "starting"))
            .await
            .unwrap();
        passing(world, &mut call).await;
        waiting.say(world, &mut call).await;
        // What was written and is not confirmed is kept as codes, the rest decoded.
        let [mu_law, l16] = traces(&gateway, &waiting);
        assert!(
            mu_law + l16 / 2 >= PACKETS * PACKET / 2,
            "{mu_law} and {l16} bytes of what waits are in memory"
        );
        call.silence_while(world.try_stop(&guid)).await.unwrap();
    });
    world.service.set_faults(Faults::default());

    let [before, paused, stopped] = [2, 3, 4].map(Passage::new);
    call.silence(Duration::from_millis(60)).await.unwrap();
    before.say(world, &mut call).await;
    no_sample_is_left(&gateway, &before);
    world.start(&mut call).await;
    passing(world, &mut call).await;
    say(world, &mut call, "customer-hello").await;
    world.pause(&mut call).await;
    paused.say(world, &mut call).await;
    no_sample_is_left(&gateway, &paused);
    world.resume(&mut call).await;
    passing(world, &mut call).await;
    say(world, &mut call, "customer-bye").await;
    world.stop(&mut call).await;
    stopped.say(world, &mut call).await;
    for passage in [&before, &paused, &stopped] {
        no_sample_is_left(&gateway, passage);
    }
    call.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    no_sample_is_left(&gateway, &stopped);
    for (_, role) in SIDES {
        for stream in streams(world, &guid, role) {
            let bytes = stream.samples.iter().flat_map(|one| one.to_le_bytes());
            let bytes: Vec<u8> = bytes.collect();
            for passage in [&before, &paused, &stopped] {
                let found = passage.l16.found_in(&bytes);
                assert_eq!(found, 0, "a gated passage is at the service");
            }
        }
    }
    let heard = crate::support::heard(world, &guid, sim::speech::Role::Customer);
    // The first stream heard noise through an open gate, which is no phrase.
    let phrases = heard
        .iter()
        .map(String::as_str)
        .filter(|phrase| *phrase != "???");
    let heard: Vec<&str> = phrases.collect();
    assert_eq!(heard, ["customer-hello", "customer-bye"]);
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_sealed_after_a_stop_or_in_a_pause_is_not_in_memory() {
    nothing_gated_is_in_memory(Some(Suite::AesCm128HmacSha1_80)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_in_the_clear_after_a_stop_or_in_a_pause_is_not_in_memory() {
    nothing_gated_is_in_memory(None).await;
}
