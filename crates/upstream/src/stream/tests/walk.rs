//! A stream that is talked into while its service dies at random: each word is heard once, or told
//! as lost.

use std::collections::BTreeMap;
use std::ops::Range;

use tokio::sync::watch;
use tokio::task::yield_now;

use super::*;
use crate::wire::testing::{Peer, Server};

/// Samples of a chunk, chunks of a word.
const CHUNK: u64 = 800;
const WORD: u64 = 3;

/// What ends an utterance.
const PAUSE: usize = 1_600;

/// A word so near to a gap may be lost with it: an ear needs all of a word.
const EDGE: u64 = 1_200;

/// Words of a walk.
const WORDS: u64 = 120;

/// Splitmix64.
struct Dice(u64);

/// The service, socket after socket.
struct Ear {
    dice: Dice,
    /// What the present socket was sent.
    heard: Vec<i16>,
    /// Up to where it was listened to.
    done: usize,
    /// What was understood and is not said yet.
    finals: Vec<String>,
    /// All is said, and nothing goes wrong any more.
    is_calm: bool,
}

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

impl Ear {
    fn new(seed: u64) -> Self {
        Self {
            dice: Dice(!seed),
            heard: Vec::new(),
            done: 0,
            finals: Vec::new(),
            is_calm: false,
        }
    }

    /// Takes one socket to its end. True if that was the stream's.
    async fn serve(&mut self, server: &Server) -> bool {
        (self.heard, self.done, self.finals) = (Vec::new(), 0, Vec::new());
        if self.is_unwell(10) {
            server.refuse("503 Service Unavailable").await;
            return false;
        }
        let mut peer = server.accept().await;
        let mut accepts_after = self.dice.below(8);
        let mut is_accepted = false;
        loop {
            if !is_accepted && accepts_after == 0 {
                peer.say(READY).await;
                is_accepted = true;
            }
            accepts_after = accepts_after.saturating_sub(1);
            match peer.next().await {
                Said::Gone => return false,
                Said::Text(text) if text.contains("finishStream") => {
                    return self.finish(peer).await;
                }
                Said::Text(_) => accepts_after = 0,
                Said::Sound(sound) => self.hear(&sound),
            }
            if self.is_unwell(4) {
                peer.reset();
                return false;
            }
            if is_accepted && self.dice.percent(40) {
                self.tell(&mut peer).await;
            }
            if self.is_unwell(1) {
                peer.end(5000, None).await;
                return false;
            }
        }
    }

    fn is_unwell(&mut self, percent: u64) -> bool {
        !self.is_calm && self.dice.percent(percent)
    }

    async fn finish(&mut self, mut peer: Peer) -> bool {
        self.heard.extend([0; PAUSE]);
        self.listen();
        self.tell(&mut peer).await;
        peer.sum_up(0).await;
        true
    }

    fn hear(&mut self, sound: &[u8]) {
        let pairs = sound.chunks_exact(2);
        self.heard
            .extend(pairs.map(|pair| i16::from_le_bytes([pair[0], pair[1]])));
        self.listen();
    }

    /// Understands what a pause has ended.
    fn listen(&mut self) {
        while let Some(from) = (self.done..self.heard.len()).find(|&at| self.heard[at] != 0) {
            let quiet = |at: &usize| self.heard[*at..].iter().take(PAUSE).all(|&it| it == 0);
            let last = self.heard.len().saturating_sub(PAUSE);
            let Some(to) = (from..=last).find(|at| self.heard[*at] == 0 && quiet(at)) else {
                return;
            };
            let early = self.dice.below(400) as usize;
            let (start, end) = (from / 8, (to - early.min(to - from)) / 8);
            let text = word(&self.heard[from..to]).unwrap_or_else(|| "?".to_owned());
            self.finals.push(format!(
                r#"{{"message":"transcript","start":{start},"end":{end},
                    "utterance":[{{"text":"{text}"}}]}}"#
            ));
            self.done = to;
        }
    }

    async fn tell(&mut self, peer: &mut Peer) {
        for text in std::mem::take(&mut self.finals) {
            peer.say(&text).await;
        }
    }
}

/// The number of the chunk with which a whole word begins.
fn word(sound: &[i16]) -> Option<String> {
    let first = sound[0];
    let whole = (0..WORD as i16).flat_map(|n| vec![first + n; CHUNK as usize]);
    let number = i64::from(first) - 1001;
    (sound.iter().copied().eq(whole)).then(|| number.to_string())
}

/// What was said and where, and what came of it.
#[derive(Default)]
struct Ledger {
    said: Vec<u64>,
    heard: BTreeMap<u64, u64>,
    gaps: Vec<Range<u64>>,
    torn: Vec<Range<u64>>,
}

impl Ledger {
    fn note(&mut self, news: News) {
        match news {
            News::Utterance(utterance) => {
                let [start, end] = [utterance.start, utterance.end].map(call::audio::samples);
                match utterance.alternatives[0].text.reveal().parse::<u64>() {
                    Ok(number) => {
                        *self.heard.entry(number).or_default() += 1;
                        let place = number * CHUNK;
                        assert!(place.abs_diff(start) < 80, "{number} is heard at {start}");
                    }
                    Err(_) => self.torn.push(start..end),
                }
            }
            News::Gap(gap) if gap.reason != GapReason::Paused => self.gaps.push(gap.from..gap.to),
            _ => {}
        }
    }

    fn is_told(&self, from: u64, to: u64) -> bool {
        let mut gaps = self.gaps.iter();
        gaps.any(|gap| gap.start < to + EDGE && from < gap.end + EDGE)
    }

    /// Whether it was joined over a gap to something else.
    fn is_torn(&self, from: u64, to: u64) -> bool {
        let covering = self.torn.iter().filter(|it| it.start < to && from < it.end);
        let mut covering = covering.map(|torn| self.is_told(torn.start, torn.end));
        covering.any(|is_told| is_told)
    }

    fn settle(&self, seed: u64) {
        for &number in &self.said {
            let (from, to) = (number * CHUNK, (number + WORD) * CHUNK);
            let times = self.heard.get(&number).copied().unwrap_or(0);
            let is_told = self.is_told(from, to) || self.is_torn(from, to);
            assert!(
                times == 1 || times == 0 && is_told,
                "seed {seed}: the word at {from} was heard {times} times; gaps {:?}, pieces {:?}",
                self.gaps,
                self.torn
            );
        }
        let mut heard = self.heard.keys();
        assert!(
            heard.all(|number| self.said.contains(number)),
            "seed {seed}"
        );
    }
}

/// A stream that was accepted once, with limits that the dice decide; and its service.
async fn world(dice: &mut Dice) -> (World, Server) {
    let mut world = World::with(|wish| {
        wish.config.replay = ms(500 + dice.below(15_000));
        wish.config.retry.retries_max = 4;
        wish.config.probe_interval = ms(3);
        wish.guard.attempts_min = 10_000;
        wish.line.chunks_max = 5 + dice.below(100) as usize;
        wish.limits.burst = Duration::from_secs(10_000);
        wish.budget = Budget::new([0, 60_000][dice.below(2) as usize], ms(300));
    });
    let server = std::mem::replace(&mut world.server, Server::bind());
    let mut peer = greeted(&server).await;
    peer.say(READY).await;
    peer.reset();
    (world, server)
}

/// Says all words, with a pause of the transcription here and there.
async fn talk(world: &mut World, dice: &mut Dice, ledger: &mut Ledger) {
    for _ in 0..WORDS {
        ledger.said.push(world.position / CHUNK);
        world.shout(WORD);
        for _ in 0..4 + dice.below(5) {
            world.push(&[0; 2 * CHUNK as usize]);
            for _ in 0..dice.below(30) {
                yield_now().await;
            }
        }
        if dice.percent(4) {
            // What is said now nobody may hear.
            world.control.pause(dice.percent(30));
            for _ in 0..dice.below(50) {
                world.shout(1 + dice.below(3));
                yield_now().await;
            }
            world.control.resume();
        }
        if dice.percent(3) {
            // A moment of peace, in which all is sent and much is heard.
            tokio::time::sleep(ms(5)).await;
        }
    }
}

/// Walks, and tells how many words were heard.
async fn walk(seed: u64) -> usize {
    let mut dice = Dice(seed);
    let (mut world, server) = world(&mut dice).await;
    let mut ledger = Ledger::default();
    let mut ear = Ear::new(seed);
    let (calm, mut is_calm) = watch::channel(false);
    let service = async {
        while !ear.serve(&server).await {
            ear.is_calm = *is_calm.borrow_and_update();
        }
        std::future::pending().await
    };
    let stream = async {
        talk(&mut world, &mut dice, &mut ledger).await;
        calm.send(true).unwrap();
        world.stop();
        loop {
            let news = world.told().await;
            let is_last = matches!(news, News::Failed(_) | News::Finished(_));
            ledger.note(news);
            if is_last {
                return;
            }
        }
    };
    tokio::select! {
        () = stream => {}
        () = service => {}
    }
    ledger.settle(seed);
    ledger.heard.len()
}

#[tokio::test]
async fn whatever_becomes_of_the_service_each_word_is_heard_once_or_told_as_lost() {
    let (mut heard, seeds) = (0, 8);
    for seed in 0..seeds {
        heard += walk(seed).await;
    }
    // Neither all nor nothing: there was something to be seen.
    let said = (seeds * WORDS) as usize;
    assert!(heard > said / 10 && heard < said, "{heard} of {said}");
}
