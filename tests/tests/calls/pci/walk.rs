//! Random stories of commands, sound and hang-ups, each sample of which says when it was spoken.
//!
//! Between two answers of the API all frames carry one code, another one each time. So the
//! service's samples tell what it heard from behind a gate. `SEED=36` repeats one story,
//! `STORIES=1000` tells more.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;
use rig::World;
use sim::caller::twilio::{RawMedia, Side, TwilioCall};
use sim::caller::ulaw;
use sim::control::Answer;
use sim::service::autotranscribe::faults::Cut;
use sim::service::autotranscribe::record::Recorded;
use sim::speech::Role;

const STORIES: u64 = 40;
/// Stories that are told at the same time, in one gateway.
const AT_ONCE: usize = 4;
const STEPS: usize = 24;
const FRAMES_MAX: u64 = 12;
const FRAME: usize = 160;

/// What is to become of the sound between two answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// A command is under way, or the service may break off.
    Either,
    Heard,
    Unheard,
}

/// One story as it is told.
struct Story<'a> {
    world: &'a World,
    chance: u64,
    call: Option<TwilioCall>,
    guid: String,
    /// The media clock of the present socket, in milliseconds.
    clock_ms: u64,
    is_open: bool,
    /// Whether the service's streams break now and then.
    is_rough: bool,
    epochs: Vec<Epoch>,
    trail: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
struct Epoch {
    fate: Fate,
    frames: u64,
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_the_service_hears_all_that_is_said_through_an_open_gate_and_no_more() {
    let world = World::with("[control]\nstart_grace = \"0s\"\n").await;
    let seeds: Vec<u64> = match number("SEED") {
        Some(seed) => vec![seed],
        None => (0..number("STORIES").unwrap_or(STORIES)).collect(),
    };
    let stories = futures_util::stream::iter(seeds);
    let told = stories
        .map(|seed| tell(&world, seed))
        .buffer_unordered(AT_ONCE);
    let fates: Vec<[u64; 3]> = told.collect().await;
    let total = |fate: usize| fates.iter().map(|story| story[fate]).sum::<u64>();
    let counts = [total(0), total(1), total(2)];
    if fates.len() > 10 {
        // A walk must be asked where it has been.
        assert!(
            counts.iter().all(|&frames| frames > 100),
            "frames by fate: {counts:?}"
        );
    }
    world.end().await;
}

#[test]
fn one_gated_sample_would_be_found_and_one_missing_too() {
    let epoch = |fate, frames| Epoch { fate, frames };
    let epochs = [
        epoch(Fate::Heard, 1),
        epoch(Fate::Unheard, 1),
        epoch(Fate::Either, 1),
    ];
    let sample = |epoch| ulaw::decode(code(Side::Inbound, epoch));
    let heard = vec![sample(0); FRAME];
    let judge = |samples: &[i16]| judge(Side::Inbound, &epochs, samples);
    assert_eq!(judge(&heard), Ok(()));
    assert_eq!(judge(&[&heard[..], &[sample(2)], &[0]].concat()), Ok(()));
    assert!(judge(&[&heard[..], &[sample(1)]].concat()).is_err());
    assert!(judge(&heard[1..]).is_err());
    assert!(judge(&[&heard[..], &[sample(0)]].concat()).is_err());
    let other = ulaw::decode(code(Side::Outbound, 0));
    assert!(judge(&[&heard[..], &[other]].concat()).is_err());
}

async fn tell(world: &World, seed: u64) -> [u64; 3] {
    let guid = format!("CA{seed:032x}");
    let chance = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed;
    let mut story = Story {
        world,
        chance,
        call: None,
        guid,
        clock_ms: 0,
        is_open: false,
        is_rough: seed % 4 == 3,
        epochs: Vec::new(),
        trail: Vec::new(),
    };
    for _ in 0..STEPS {
        story.step().await;
    }
    story.hang_up().await;
    story.check(seed).await;
    let frames = |fate| {
        let such = story.epochs.iter().filter(|epoch| epoch.fate == fate);
        such.map(|epoch| epoch.frames).sum()
    };
    [
        frames(Fate::Heard),
        frames(Fate::Either),
        frames(Fate::Unheard),
    ]
}

impl Story<'_> {
    async fn step(&mut self) {
        if self.call.is_none() {
            return self.dial().await;
        }
        match self.below(100) {
            0..15 => self.command("start").await,
            15..25 => self.command("stop").await,
            25..35 => self.command("pause").await,
            35..47 => self.command("resume").await,
            47..90 => {
                let fate = match (self.is_open, self.is_rough) {
                    (true, true) => Fate::Either,
                    (true, false) => Fate::Heard,
                    (false, _) => Fate::Unheard,
                };
                let frames = 1 + self.below(FRAMES_MAX);
                self.speak(fate, frames).await;
                self.arrive().await;
            }
            90..94 => self.replace().await,
            94..97 if self.is_rough => self.break_off(),
            94..97 => self.replace().await,
            _ => self.hang_up().await,
        }
    }

    /// A command, alone or while sound comes.
    async fn command(&mut self, command: &'static str) {
        self.trail.push(command.to_owned());
        let asked = ask(self.world, self.guid.clone(), command);
        let answer = if self.below(2) == 0 {
            asked.await
        } else {
            let frames = 1 + self.below(FRAMES_MAX);
            let (answer, ()) = tokio::join!(asked, self.speak(Fate::Either, frames));
            self.arrive().await;
            answer
        };
        if answer.status != 200 {
            return;
        }
        let is_ok = answer.is_ok() || self.is_rough;
        assert!(
            is_ok,
            "{command}: {} after {:?}",
            answer.complaint(),
            self.trail
        );
        self.is_open = matches!(command, "start" | "resume");
    }

    /// Frames of a new epoch on both tracks.
    async fn speak(&mut self, fate: Fate, frames: u64) {
        let epoch = self.epochs.len();
        self.epochs.push(Epoch { fate, frames });
        self.trail.push(format!("{frames} frames {fate:?}"));
        let call = self.call.as_mut().unwrap();
        for _ in 0..frames {
            for side in Side::BOTH {
                let (timestamp_ms, payload) = (self.clock_ms, vec![code(side, epoch); FRAME]);
                let raw = RawMedia {
                    side,
                    timestamp_ms,
                    sequence: None,
                    chunk: None,
                    payload,
                };
                call.media(raw).await.unwrap();
            }
            self.clock_ms += 20;
        }
    }

    async fn arrive(&self) {
        self.world.arrived(self.call.as_ref().unwrap()).await;
    }

    async fn dial(&mut self) {
        self.trail.push("dial".to_owned());
        let guid = self.guid.clone();
        self.call = Some(
            self.world
                .dial_with(|options| options.sids.call = guid)
                .await,
        );
        self.clock_ms = 52;
        let two = |call: &serde_json::Value| {
            call["state"] == "idle" && call["legs"].as_array().is_some_and(|legs| legs.len() == 2)
        };
        self.world.until_call(&self.guid, two).await;
    }

    /// A second socket for the same call: the newest wins, and needs a start of its own.
    async fn replace(&mut self) {
        let ids = |call: &serde_json::Value| -> BTreeSet<u64> {
            let legs = call["legs"].as_array().into_iter().flatten();
            legs.map(|leg| leg["id"].as_u64().unwrap()).collect()
        };
        let old = ids(&self.world.call(&self.guid).await);
        self.trail.push("replace".to_owned());
        let guid = self.guid.clone();
        let newer = self
            .world
            .dial_with(|options| options.sids.call = guid)
            .await;
        let is_replaced = |call: &serde_json::Value| {
            call["state"] == "idle" && ids(call).len() == 2 && ids(call).is_disjoint(&old)
        };
        self.world.until_call(&self.guid, is_replaced).await;
        let older = self.call.replace(newer).unwrap();
        (self.clock_ms, self.is_open) = (52, false);
        older.hang_up().await.unwrap();
    }

    /// The service drops this call's streams.
    fn break_off(&mut self) {
        self.trail.push("break off".to_owned());
        let ours = |stream: &Recorded| stream.external_id.as_deref() == Some(&self.guid);
        for (place, stream) in self.world.service.streams().iter().enumerate() {
            if ours(stream) && !stream.is_closed() {
                self.world.service.inflict(place, Cut::Drop);
            }
        }
    }

    async fn hang_up(&mut self) {
        self.trail.push("hang up".to_owned());
        if let Some(call) = self.call.take() {
            call.hang_up().await.unwrap();
        }
        self.is_open = false;
        self.world.until_state(&self.guid, "gone").await;
    }

    async fn check(&self, seed: u64) {
        let ours = |stream: &&Recorded| stream.external_id.as_deref() == Some(&self.guid);
        for (side, role) in [
            (Side::Inbound, Role::Customer),
            (Side::Outbound, Role::Agent),
        ] {
            let samples: Vec<i16> = self.world.service.with_streams(|streams| {
                let of_role = streams
                    .iter()
                    .filter(ours)
                    .filter(|one| one.role() == Some(role));
                of_role
                    .flat_map(|stream| stream.samples.iter().copied())
                    .collect()
            });
            if let Err(what) = judge(side, &self.epochs, &samples) {
                panic!("SEED={seed}, {role}: {what}\n{:#?}", self.trail);
            }
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        // splitmix64
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.chance;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % bound
    }
}

/// Silence apart, the samples must be those of the epochs that are heard, to the last one.
fn judge(side: Side, epochs: &[Epoch], samples: &[i16]) -> Result<(), String> {
    let mut counts: BTreeMap<i16, u64> = BTreeMap::new();
    for &sample in samples.iter().filter(|&&sample| sample != 0) {
        *counts.entry(sample).or_default() += 1;
    }
    for (index, epoch) in epochs.iter().enumerate() {
        let heard = counts.remove(&ulaw::decode(code(side, index))).unwrap_or(0);
        let spoken = epoch.frames * FRAME as u64;
        let is_right = match epoch.fate {
            Fate::Either => true,
            Fate::Heard => heard == spoken,
            Fate::Unheard => heard == 0,
        };
        if !is_right {
            return Err(format!(
                "{heard} of {spoken} samples of epoch {index} {epoch:?}"
            ));
        }
    }
    match counts.is_empty() {
        true => Ok(()),
        false => Err(format!("samples that nobody spoke: {counts:?}")),
    }
}

/// One code for each epoch and side, none of them silence.
fn code(side: Side, epoch: usize) -> u8 {
    let index = epoch * 2 + side as usize;
    assert!(index < 0xfe, "a story has too many epochs for its codes");
    // 0x7f and 0xff stand for silence.
    if index < 0x7f {
        index as u8
    } else {
        index as u8 + 1
    }
}

async fn ask(world: &World, guid: String, command: &str) -> Answer {
    match command {
        "pause" => world.api.pause(&guid).await.unwrap(),
        "resume" => world.api.resume(&guid).await.unwrap(),
        "start" => world.try_start(&guid).await,
        _ => world.try_stop(&guid).await,
    }
}

fn number(variable: &str) -> Option<u64> {
    Some(std::env::var(variable).ok()?.parse().unwrap())
}
