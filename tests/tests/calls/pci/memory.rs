//! The memory of a gateway that is a process of its own, searched for what was said.
//!
//! What is promised is that no sample exists behind a shut gate: neither as the codes that a frame
//! brings nor decoded. What is not promised is that the text of a message, with the codes in
//! base64, is wiped from the buffer that the socket was read into: a few KiB of the newest messages
//! stay there until others take their place.

use std::time::Duration;

use rig::World;
use rig::apart::Apart;
use rig::needle::{Needle, search};
use sim::caller::twilio::{RawMedia, Side, TwilioCall};
use sim::caller::ulaw;
use sim::service::autotranscribe::faults::Faults;

use crate::GATEWAY;

const FRAME: usize = 160;

/// Two seconds of sound that is like no other.
struct Passage {
    codes: Vec<u8>,
    mu_law: Needle,
    l16: Needle,
}

impl Passage {
    fn new(seed: u64) -> Self {
        let mut state = seed;
        let codes: Vec<u8> = (0..100 * FRAME)
            .map(|_| {
                state = state
                    .wrapping_mul(0x5851_f42d_4c95_7f2d)
                    .wrapping_add(0x1405_7b7e_f767_814f);
                (state >> 56) as u8
            })
            .collect();
        let (mu_law, l16) = (Needle::new(codes.clone()), Needle::new(ulaw::l16(&codes)));
        Self { mu_law, l16, codes }
    }

    async fn say(&self, world: &World, call: &mut TwilioCall) {
        for payload in self.codes.chunks(FRAME) {
            let timestamp_ms = 52 + call.sent(Side::Inbound).samples / 8;
            for side in Side::BOTH {
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
        }
        world.arrived(call).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_after_a_stop_or_in_a_pause_is_not_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Apart::new(rig::service_config(), "", GATEWAY, folder.path()).await;
    let world = &gateway.world;
    let mut call = world.dial().await;
    world.until_state(call.call_sid(), "idle").await;

    // The search can find: what waits for the service to accept the stream is there.
    let waiting = Passage::new(1);
    let start_delay = Duration::from_secs(60);
    world.service.set_faults(Faults {
        start_delay,
        ..Faults::default()
    });
    let guid = call.call_sid().to_owned();
    let (_, ()) = tokio::join!(world.try_start(&guid), async {
        world.until_state(&guid, "starting").await;
        waiting.say(world, &mut call).await;
        let [_, l16] = traces(&gateway, &waiting);
        assert!(l16 >= 16_000, "{l16} bytes of what waits are in memory");
        world.try_stop(&guid).await;
    });
    world.service.set_faults(Faults::default());

    let [before, paused, stopped] = [2, 3, 4].map(Passage::new);
    before.say(world, &mut call).await;
    no_sample_is_left(&gateway, &before);
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    assert!(world.api.pause(&guid).await.unwrap().is_ok());
    paused.say(world, &mut call).await;
    no_sample_is_left(&gateway, &paused);
    assert!(world.api.resume(&guid).await.unwrap().is_ok());
    world.say(&mut call, "customer-receipt").await;
    world.stop(&call).await;
    stopped.say(world, &mut call).await;
    for passage in [&before, &paused, &stopped] {
        no_sample_is_left(&gateway, passage);
    }
    call.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    no_sample_is_left(&gateway, &stopped);
    let streams = world.service.streams();
    for stream in &streams {
        let bytes: Vec<u8> = stream
            .samples
            .iter()
            .flat_map(|one| one.to_le_bytes())
            .collect();
        for passage in [&before, &paused, &stopped] {
            assert_eq!(
                passage.l16.found_in(&bytes),
                0,
                "a gated passage is at the service"
            );
        }
    }
    // The first two streams heard the passage of the search, through an open gate.
    let heard: Vec<_> = streams[2..]
        .iter()
        .flat_map(|stream| stream.heard())
        .collect();
    assert_eq!(heard, ["customer-greeting", "customer-receipt"]);
    gateway.end().await;
}
