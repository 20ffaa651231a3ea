//! Random stories of commands, sound and hang-ups, each sample of which says when it was spoken.
//!
//! Between two answers of the API all packets carry one code, another one each time; what is not to
//! be heard is spoken in codes below zero, all else in codes above. So the service's samples tell
//! what it heard from behind a gate, and nothing that is put in the place of a lost packet can hide
//! it. Every other story is sealed, every other one has a bad network. `SEED=36` repeats one story,
//! `STORIES=1000` tells more.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use rig::World;
use serde_json::Value;
use sim::caller::siprec::{Identifiers, Side, SiprecCall, Suite};
use sim::caller::ulaw;
use sim::control::Answer;
use sim::network::Conditions;

use crate::support::{PACKET, SIDES, UNHURRIED, deaf, passing, sound};

const STORIES: u64 = 16;
/// Stories that are told at the same time, in one gateway.
const AT_ONCE: usize = 8;
const STEPS: usize = 22;
const PACKETS_MAX: u64 = 8;

/// Some are lost, overtaken, doubled.
const BAD: Conditions = Conditions {
    loss: 0.05,
    loss_run: 1.5,
    reorder: 0.05,
    duplicate: 0.05,
    ..Conditions::PERFECT
};

/// What is to become of the sound between two answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// A command is under way.
    Either,
    Heard,
    Unheard,
}

/// One story as it is told.
struct Story<'a> {
    world: &'a World,
    chance: u64,
    identifiers: Identifiers,
    srtp: Option<Suite>,
    network: Conditions,
    call: Option<SiprecCall>,
    guid: String,
    is_open: bool,
    epochs: Vec<Epoch>,
    trail: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
struct Epoch {
    fate: Fate,
    packets: u64,
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_the_service_hears_nothing_that_is_said_through_a_shut_gate() {
    let more = format!("{UNHURRIED}[control]\nstart_grace = \"0s\"\n");
    let world = World::recording_to(deaf(), &more).await;
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
            counts.iter().all(|&packets| packets > 50),
            "packets by fate: {counts:?}"
        );
    }
    world.end().await;
}

#[test]
fn one_gated_sample_would_be_found_and_one_missing_too() {
    let epoch = |fate, packets| Epoch { fate, packets };
    let epochs = [
        epoch(Fate::Heard, 1),
        epoch(Fate::Unheard, 1),
        epoch(Fate::Either, 1),
    ];
    let heard = vec![sample(Side::Customer, 0, Fate::Heard); PACKET];
    let either = sample(Side::Customer, 2, Fate::Either);
    let gated = sample(Side::Customer, 1, Fate::Unheard);
    let judge = |samples: &[i16], is_lossy| judge(Side::Customer, &epochs, samples, is_lossy);
    assert_eq!(judge(&heard, false), Ok(()));
    assert_eq!(
        judge(&[&heard[..], &[either], &[0]].concat(), false),
        Ok(())
    );
    assert_eq!(judge(&[&heard[1..], &[9]].concat(), true), Ok(()));
    for is_lossy in [false, true] {
        assert!(judge(&[&heard[..], &[gated]].concat(), is_lossy).is_err());
        assert!(judge(&[&heard[..], &[-1]].concat(), is_lossy).is_err());
    }
    assert!(judge(&heard[1..], false).is_err());
    assert!(judge(&heard[..PACKET / 4], true).is_err());
    let other = sample(Side::Agent, 0, Fate::Heard);
    assert!(judge(&[&heard[..], &[other]].concat(), false).is_err());
}

async fn tell(world: &World, seed: u64) -> [u64; 3] {
    let suites = [Suite::AesCm128HmacSha1_80, Suite::AeadAes128Gcm];
    let mut story = Story {
        world,
        chance: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed,
        identifiers: Identifiers::random(),
        srtp: (seed % 2 == 1).then_some(suites[seed as usize / 2 % 2]),
        network: if seed % 4 < 2 {
            Conditions::PERFECT
        } else {
            BAD
        },
        call: None,
        guid: String::new(),
        is_open: false,
        epochs: Vec::new(),
        trail: Vec::new(),
    };
    for _ in 0..STEPS {
        story.step().await;
    }
    story.hang_up().await;
    story.check(seed);
    let packets = |fate| {
        let such = story.epochs.iter().filter(|epoch| epoch.fate == fate);
        such.map(|epoch| epoch.packets).sum()
    };
    [
        packets(Fate::Heard),
        packets(Fate::Either),
        packets(Fate::Unheard),
    ]
}

impl Story<'_> {
    async fn step(&mut self) {
        if self.call.is_none() {
            return self.dial().await;
        }
        match self.below(100) {
            0..18 => self.command("start").await,
            18..26 => self.command("stop").await,
            26..36 => self.command("pause").await,
            36..48 => self.command("resume").await,
            48..94 => {
                let fate = match self.is_open {
                    true => Fate::Heard,
                    false => Fate::Unheard,
                };
                let packets = 1 + self.below(PACKETS_MAX);
                self.speak(fate, packets).await;
                self.arrive().await;
            }
            94..97 => self.renew().await,
            _ => self.hang_up().await,
        }
    }

    /// A command, while there is silence or sound.
    async fn command(&mut self, command: &'static str) {
        self.trail.push(command.to_owned());
        let asked = ask(self.world, self.guid.clone(), command);
        let answer = if self.below(2) == 0 {
            self.call
                .as_mut()
                .unwrap()
                .silence_while(asked)
                .await
                .unwrap()
        } else {
            let packets = 1 + self.below(PACKETS_MAX);
            let (answer, ()) = tokio::join!(asked, self.speak(Fate::Either, packets));
            answer
        };
        self.arrive().await;
        if answer.status != 200 {
            return;
        }
        assert!(
            answer.is_ok(),
            "{command}: {} after {:?}",
            answer.complaint(),
            self.trail
        );
        self.is_open = matches!(command, "start" | "resume");
        if self.is_open {
            passing(self.world, self.call.as_mut().unwrap()).await;
        }
    }

    /// Packets of a new epoch on both lines.
    async fn speak(&mut self, fate: Fate, packets: u64) {
        let epoch = self.epochs.len();
        self.epochs.push(Epoch { fate, packets });
        self.trail.push(format!("{packets} packets {fate:?}"));
        let samples = packets as usize * PACKET;
        let [customer, agent] =
            [Side::Customer, Side::Agent].map(|side| vec![sample(side, epoch, fate); samples]);
        let call = self.call.as_mut().unwrap();
        call.converse(&customer, &agent).await.unwrap();
    }

    /// All that was said is at the gateway, or lost.
    async fn arrive(&mut self) {
        let call = self.call.as_mut().unwrap();
        call.flush().await.unwrap();
        self.world.arrived(&*call).await;
    }

    async fn dial(&mut self) {
        self.trail.push("dial".to_owned());
        let seed = self.below(u64::MAX);
        let call = self
            .world
            .record_with(|options| {
                options.identifiers = self.identifiers.clone();
                options.srtp = self.srtp;
                options.network = self.network;
                options.seed = seed;
            })
            .await;
        self.guid = call.guid();
        self.call = Some(call);
        let two = |call: &Value| {
            call["state"] == "idle" && call["legs"].as_array().is_some_and(|legs| legs.len() == 2)
        };
        self.world.until_call(&self.guid, two).await;
    }

    /// A hold and its end, with new keys where there are any.
    async fn renew(&mut self) {
        self.trail.push("hold".to_owned());
        self.arrive().await;
        let call = self.call.as_mut().unwrap();
        call.hold().await.unwrap();
        call.resume().await.unwrap();
        if self.srtp.is_some() {
            call.rekey().await.unwrap();
        }
        if self.is_open {
            passing(self.world, call).await;
        }
    }

    async fn hang_up(&mut self) {
        self.trail.push("hang up".to_owned());
        if let Some(call) = self.call.take() {
            call.hang_up().await.unwrap();
            self.world.until_state(&self.guid, "gone").await;
        }
        self.is_open = false;
    }

    fn check(&self, seed: u64) {
        for (side, role) in SIDES {
            let samples = sound(self.world, &self.guid, role);
            let is_lossy = self.network != Conditions::PERFECT;
            if let Err(what) = judge(side, &self.epochs, &samples, is_lossy) {
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

/// Nothing below zero is heard. Without loss the samples must be, silence apart, those of the
/// epochs that are heard, to the last one; with loss, most of them.
fn judge(side: Side, epochs: &[Epoch], samples: &[i16], is_lossy: bool) -> Result<(), String> {
    let mut counts: BTreeMap<i16, u64> = BTreeMap::new();
    for &sample in samples.iter().filter(|&&sample| sample != 0) {
        *counts.entry(sample).or_default() += 1;
    }
    if let Some((sample, count)) = counts.first_key_value().filter(|(sample, _)| **sample < 0) {
        return Err(format!("{count} samples of {sample}, which were gated"));
    }
    let mut sums = [0; 2];
    for (index, epoch) in epochs.iter().enumerate() {
        let heard = counts.remove(&sample(side, index, epoch.fate)).unwrap_or(0);
        let spoken = epoch.packets * PACKET as u64;
        if epoch.fate == Fate::Heard {
            sums = [sums[0] + heard, sums[1] + spoken];
            if heard != spoken && !is_lossy {
                return Err(format!(
                    "{heard} of {spoken} samples of epoch {index} {epoch:?}"
                ));
            }
        }
    }
    match counts.is_empty() || is_lossy {
        true if sums[0] * 2 >= sums[1] => Ok(()),
        true => Err(format!("{} of {} samples", sums[0], sums[1])),
        false => Err(format!("samples that nobody spoke: {counts:?}")),
    }
}

/// One sample for each epoch and side, none of them silence.
fn sample(side: Side, epoch: usize, fate: Fate) -> i16 {
    let index = epoch * 2 + side as usize;
    assert!(index < 0x7f, "a story has too many epochs for its codes");
    // 0x7f and 0xff stand for silence.
    let code = match fate {
        Fate::Unheard => index,
        Fate::Either | Fate::Heard => 0x80 + index,
    };
    ulaw::decode(code as u8)
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
