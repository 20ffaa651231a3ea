//! What the network loses on its way to us: time is kept, and what is lost is counted and told.

use std::time::Duration;

use rig::told::{of, onset};
use rig::{World, phrase};
use sim::caller::siprec::{Sent, SiprecCall, Suite};
use sim::network::Conditions;
use sim::speech::Role;

use crate::support::{
    PACKET, SIDE_NAMES, SIDES, UNHURRIED, counters, over, sound, streams, transcribed, until_metric,
};

/// A chunk is what the service is sent at a time.
const CHUNK_MS: u64 = 100;

/// Sound that comes back after a hole is overlapped with what was put there, for so long at most.
const OVERLAP: usize = 80;

/// A start is over when so much was said, in samples.
const START_MAX: u64 = 40_000;

/// Four phrases, two a party, with pauses between them.
const LINES: [&str; 4] = [
    "agent-anything-else",
    "customer-relieved",
    "agent-paid",
    "customer-goodbye",
];

/// What is bad about the network of these stories: 5 % are lost, mostly one by one.
const BAD: Conditions = Conditions {
    loss: 0.05,
    loss_run: 1.3,
    reorder: 0.03,
    duplicate: 0.03,
    ..Conditions::PERFECT
};

/// What was said on one side, with the place of each packet in what was heard.
struct Side<'a> {
    said: Vec<i16>,
    heard: Vec<i16>,
    sent: &'a Sent,
    /// Where on the call's media clock the stream begins, in samples.
    zero: u64,
}

impl<'a> Side<'a> {
    fn new(sent: &'a Sent, heard: Vec<i16>) -> Self {
        let said = sent.heard();
        let mut side = Self {
            said,
            heard,
            sent,
            zero: 0,
        };
        let packets = (0..sent.positions.len()).step_by(9);
        let voiced: Vec<usize> = packets.filter(|&index| side.is_voiced(index)).collect();
        // The place where most packets are themselves; a start may come in the middle of one.
        let agreeing = |&zero: &u64| {
            let themselves = voiced
                .iter()
                .filter(|&&index| side.is_itself(index, zero, OVERLAP));
            themselves.count()
        };
        side.zero = (0..START_MAX).max_by_key(agreeing).unwrap();
        side
    }

    fn packet(&self, index: usize) -> &[i16] {
        &self.said[index * PACKET..(index + 1) * PACKET]
    }

    fn is_voiced(&self, index: usize) -> bool {
        self.packet(index)
            .iter()
            .any(|sample| sample.unsigned_abs() > 200)
    }

    fn is_lost(&self, index: usize) -> bool {
        let at = (index * PACKET) as u64;
        self.sent.lost.iter().any(|lost| lost.contains(&at))
    }

    /// Whether a packet, without its first samples, is where it was said.
    fn is_itself(&self, index: usize, zero: u64, without: usize) -> bool {
        let Some(at) = self.sent.positions[index].checked_sub(zero) else {
            return false;
        };
        let at = at as usize;
        let heard = self.heard.get(at + without..at + PACKET);
        heard == Some(&self.packet(index)[without..])
    }

    /// Every packet that arrived stands where it was said. How many of the stream's did not come.
    fn assert_in_place(&self) -> u64 {
        let mut lost = 0;
        for index in 0..self.sent.positions.len() {
            let begins = self.sent.positions[index];
            let end = self.zero + self.heard.len() as u64;
            // What overtook the start, or was overtaken by it, may be on either side of the gate.
            if begins < self.zero + 8 * PACKET as u64 || begins + PACKET as u64 > end {
                continue;
            }
            if self.is_lost(index) {
                lost += 1;
                continue;
            }
            let without = match index > 0 && self.is_lost(index - 1) {
                true => OVERLAP,
                false => 0,
            };
            let ms = (begins - self.zero) / 8;
            assert!(
                self.is_itself(index, self.zero, without),
                "a packet at {ms} ms of a stream that begins at {}",
                self.zero
            );
        }
        lost * PACKET as u64
    }
}

/// A conversation over the bad network. When on the media clock each phrase began.
async fn converse(world: &World, call: &mut SiprecCall) -> Vec<(&'static str, u64)> {
    let mut begun = Vec::new();
    for id in LINES {
        let phrase = phrase(id);
        begun.push((id, call.media_time().as_millis() as u64 * 8));
        let mut voices: [&[i16]; 2] = [&[], &[]];
        voices[usize::from(phrase.role == Role::Agent)] = &phrase.samples;
        call.converse(voices[0], voices[1]).await.unwrap();
        call.silence(Duration::from_millis(700)).await.unwrap();
    }
    call.flush().await.unwrap();
    world.arrived(&*call).await;
    begun
}

async fn everything_keeps_its_place(srtp: Option<Suite>) {
    let world = World::recording_with(UNHURRIED).await;
    let mut call = transcribed(&world, |options| {
        options.srtp = srtp;
        options.network = BAD;
        options.seed = 7;
    })
    .await;
    let guid = call.guid();
    let begun = converse(&world, &mut call).await;
    world.stop(&mut call).await;
    let told = world.told(&guid).await;
    let shown = world.call(&guid).await;
    let mut filled_of_both = 0;
    for ((side, role), name) in SIDES.into_iter().zip(SIDE_NAMES) {
        let line = Side::new(call.sent(side), sound(&world, &guid, role));
        let lost = line.assert_in_place();
        assert!(
            lost > 20 * PACKET as u64,
            "the story lost {lost} samples only"
        );
        // At both ends a packet that is lost or held back may count or not.
        let filled = counters(&shown, name)["filled"].as_u64().unwrap();
        assert!(
            filled.abs_diff(lost) <= 4 * PACKET as u64,
            "{role}: {filled} for {lost}"
        );
        filled_of_both += filled;
        let gaps = of(&told, "gap", role.as_str());
        let lengths = gaps.iter().map(|gap| {
            assert_eq!(gap["reason"], "lost");
            gap["toMs"].as_u64().unwrap() - gap["fromMs"].as_u64().unwrap()
        });
        // Both ends are told in whole milliseconds.
        let told_of_it = lengths.sum::<u64>() * 8;
        assert!(
            told_of_it.abs_diff(filled) <= 8 * gaps.len() as u64,
            "{role}: {gaps:?}"
        );
        let concealed = counters(&shown, name)["concealed"].as_u64();
        assert!(
            concealed > Some(filled / 2) && concealed <= Some(filled),
            "{shown}"
        );
        assert_eq!(counters(&shown, name)["skipped"], 0, "{role}");
        // But for one that the start cut.
        for nothing in ["late", "quiet"] {
            let count = counters(&shown, name)[nothing].as_u64();
            assert!(count <= Some(PACKET as u64), "{role} {nothing}: {count:?}");
        }
        assert!(counters(&shown, name)["reorderedFrames"].as_u64() > Some(0));
        let transcripts = of(&told, "transcript", role.as_str());
        let phrases = begun.iter().filter(|(id, _)| phrase(id).role == role);
        for (id, begun) in phrases {
            let due = (begun - line.zero) / 8 + onset(id);
            let mut starts = transcripts
                .iter()
                .map(|event| event["startMs"].as_u64().unwrap());
            assert!(
                starts.any(|at| at.abs_diff(due) <= CHUNK_MS),
                "{id} is due at {due} ms: {transcripts:#?}"
            );
        }
        assert_eq!(streams(&world, &guid, role).len(), 1);
    }
    let seconds = filled_of_both as f64 / 8_000.0;
    let series = "antiphon_upstream_gap_seconds_total{reason=\"lost\"}";
    until_metric(&world, series, |told| (told - seconds).abs() < 1e-6).await;
    over(&world, call).await;
    let series = "antiphon_siprec_packets_lost_total";
    until_metric(&world, series, |packets| packets * 0.02 >= seconds).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_phrase_keeps_its_place_with_a_twentieth_of_the_packets_lost() {
    everything_keeps_its_place(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_phrase_keeps_its_place_when_the_packets_are_sealed() {
    everything_keeps_its_place(Some(Suite::AesCm128HmacSha1_80)).await;
}
