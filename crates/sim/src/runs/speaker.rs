//! What a caller's two parties say: phrases with pauses between them, each known by its place, or
//! what nobody may hear.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::account::Planted;
use super::phrasebook::Phrasebook;
use crate::caller::ulaw;
use crate::load::fleet::Voice;
use crate::load::stamp::{FRAME, Stamp};
use crate::service::chaos::Dice;
use crate::speech::Role;

/// Milliseconds of a frame.
const FRAME_MS: u64 = 20;

/// Frames of silence behind a phrase before anybody else may rely on its end: 800 ms, so that every
/// listener hears it as over.
const REST_FRAMES_MIN: u64 = 40;

/// Frames of a secret that are stamps, before its phrase and behind it.
const STAMPED_FRAMES: u64 = 10;

/// What is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// Nothing; what is being said is said to its end.
    Quiet,
    /// What nobody may hear: a secret phrase between stamps, again and again.
    Secret,
    /// Phrases, each party on its own, a third of the time.
    Talk,
}

/// Speaks for one caller. Cheap to clone: one is the fleet's, one whoever gives it orders.
#[derive(Clone)]
pub(super) struct Speaker(Arc<Mutex<Parties>>);

struct Parties {
    book: Arc<Phrasebook>,
    mood: Mood,
    /// The customer first.
    parties: [Party; 2],
}

struct Party {
    talk: Vec<usize>,
    secrets: Vec<usize>,
    dice: Dice,
    /// Frames sent: the caller's clock.
    frames: u64,
    saying: Option<Saying>,
    /// Nothing is said before this frame.
    rest_to: u64,
    /// Since when nothing was said.
    silent_from: u64,
    said: Vec<Planted>,
    /// Secret words that were begun.
    secret_words: u64,
    /// Which stamps these are.
    leg: u16,
}

/// A phrase under way.
struct Saying {
    phrase: usize,
    secret: bool,
    /// The next frame of it. Stamps before and behind a secret count.
    at: u64,
}

impl Speaker {
    /// For the call with that number; it says nothing yet.
    pub(super) fn new(book: &Arc<Phrasebook>, call: usize, seed: u64) -> Self {
        let party = |track: usize, role: Role| {
            let mut dice = Dice(seed);
            dice.0 = dice.next() ^ (call * 2 + track) as u64;
            Party {
                talk: book.of(role, false),
                secrets: book.of(role, true),
                dice,
                frames: 0,
                saying: None,
                rest_to: 0,
                silent_from: 0,
                said: Vec::new(),
                secret_words: 0,
                leg: (call * 2 + track) as u16,
            }
        };
        Self(Arc::new(Mutex::new(Parties {
            parties: [party(0, Role::Customer), party(1, Role::Agent)],
            book: Arc::clone(book),
            mood: Mood::Quiet,
        })))
    }

    /// From the next frame on.
    pub(super) fn set(&self, mood: Mood) {
        self.lock().turn(mood);
    }

    /// Nothing more is said; returns when both have been silent for a while.
    pub(super) async fn hush(&self) {
        self.set(Mood::Quiet);
        while !self.lock().parties.iter().all(Party::is_silent) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The caller's clock.
    pub(super) fn now_ms(&self) -> u64 {
        self.lock().parties[0].frames * FRAME_MS
    }

    /// Frames sent on both tracks.
    pub(super) fn frames(&self) -> u64 {
        self.lock().parties.iter().map(|party| party.frames).sum()
    }

    /// Takes what each has said since it was last taken, the customer first.
    pub(super) fn take_said(&self) -> [Vec<Planted>; 2] {
        let mut parties = self.lock();
        let [customer, agent] = &mut parties.parties;
        [customer, agent].map(|party| std::mem::take(&mut party.said))
    }

    /// Secret words that were begun.
    pub(super) fn secret_words(&self) -> u64 {
        let parties = self.lock();
        parties.parties.iter().map(|party| party.secret_words).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Parties> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Voice for Speaker {
    fn frame(&mut self, track: usize) -> [u8; FRAME] {
        self.lock().frame(track)
    }
}

impl Parties {
    fn turn(&mut self, mood: Mood) {
        self.mood = mood;
        for party in &mut self.parties {
            // A secret ends at once: nobody waits for its end.
            party.saying.take_if(|saying| saying.secret);
            party.rest_to = match mood {
                Mood::Talk => party.frames + party.dice.below(4 * REST_FRAMES_MIN),
                Mood::Quiet | Mood::Secret => party.frames,
            };
        }
    }

    fn frame(&mut self, track: usize) -> [u8; FRAME] {
        let (party, book) = (&mut self.parties[track], &self.book);
        if party.saying.is_none() && party.frames >= party.rest_to {
            party.begin(self.mood, book);
        }
        let codes = party.say(book);
        party.frames += 1;
        codes
    }
}

impl Party {
    fn begin(&mut self, mood: Mood, book: &Phrasebook) {
        let secret = mood == Mood::Secret;
        let choice = match mood {
            Mood::Quiet => return,
            Mood::Secret => &self.secrets,
            Mood::Talk => &self.talk,
        };
        if choice.is_empty() {
            return;
        }
        let phrase = choice[self.dice.below(choice.len() as u64) as usize];
        if secret {
            self.secret_words += book.entry(phrase).words;
        } else {
            self.said.push(Planted {
                phrase,
                at_ms: self.frames * FRAME_MS,
            });
        }
        self.saying = Some(Saying {
            phrase,
            secret,
            at: 0,
        });
    }

    fn say(&mut self, book: &Phrasebook) -> [u8; FRAME] {
        let Some(saying) = &mut self.saying else {
            return [ulaw::SILENCE; FRAME];
        };
        let codes = &book.entry(saying.phrase).codes;
        let lead = if saying.secret { STAMPED_FRAMES } else { 0 };
        let frames = (codes.len() / FRAME) as u64;
        let at = saying.at;
        saying.at += 1;
        self.silent_from = self.frames + 1;
        if saying.at == frames + 2 * lead {
            let rest = if saying.secret {
                REST_FRAMES_MIN / 2
            } else {
                // Twice the phrase on average, so that each speaks a third of the time.
                REST_FRAMES_MIN + self.dice.below(4 * frames - 2 * REST_FRAMES_MIN)
            };
            self.rest_to = self.frames + 1 + rest;
            self.saying = None;
        }
        let sound = at.checked_sub(lead).filter(|at| *at < frames);
        let Some(sound) = sound else {
            let stamp = Stamp {
                leg: self.leg,
                sequence: self.frames as u32,
                sent_us: 0,
            };
            return stamp.write();
        };
        let from = sound as usize * FRAME;
        let mut frame = [ulaw::SILENCE; FRAME];
        frame.copy_from_slice(&codes[from..from + FRAME]);
        frame
    }

    fn is_silent(&self) -> bool {
        self.saying.is_none() && self.frames >= self.silent_from + REST_FRAMES_MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::stamp;
    use crate::speech::Script;

    fn speaker() -> Speaker {
        let book = Arc::new(Phrasebook::new(Script::standard()));
        Speaker::new(&book, 3, 1)
    }

    fn sound(speaker: &mut Speaker, frames: usize) -> Vec<u8> {
        let mut sound = Vec::new();
        for _ in 0..frames {
            sound.extend(speaker.frame(0));
            speaker.frame(1);
        }
        sound
    }

    #[test]
    fn what_is_said_lies_where_it_is_told_to_lie() {
        let mut speaker = speaker();
        sound(&mut speaker, 50);
        speaker.set(Mood::Talk);
        let talk = sound(&mut speaker, 50 * 60);
        let [customer, agent] = speaker.take_said();
        assert!(customer.len() > 4 && agent.len() > 4, "{}", customer.len());
        let book = Phrasebook::new(Script::standard());
        let mut spoken = 0;
        for said in &customer[..customer.len() - 1] {
            let entry = book.entry(said.phrase);
            assert!(entry.role == Role::Customer && !entry.secret);
            let from = (said.at_ms as usize - 1_000) * 8;
            assert_eq!(talk[from..from + entry.codes.len()], entry.codes);
            spoken += entry.codes.len();
        }
        let share = spoken as f64 / talk.len() as f64;
        assert!((0.2..0.45).contains(&share), "{share}");
        assert_eq!(speaker.take_said(), [vec![], vec![]]);
    }

    #[test]
    fn phrases_are_far_enough_apart_to_be_heard_as_two() {
        let mut speaker = speaker();
        speaker.set(Mood::Talk);
        sound(&mut speaker, 50 * 120);
        let book = Phrasebook::new(Script::standard());
        for said in speaker.take_said() {
            for pair in said.windows(2) {
                let end = pair[0].at_ms + book.entry(pair[0].phrase).length_ms;
                assert!(pair[1].at_ms >= end + 700, "{pair:?}");
            }
        }
    }

    #[test]
    fn a_secret_is_between_stamps_is_not_counted_as_said_and_ends_at_once() {
        let mut speaker = speaker();
        speaker.set(Mood::Secret);
        let secret = sound(&mut speaker, 50 * 10);
        let samples: Vec<i16> = secret.iter().map(|&code| ulaw::decode(code)).collect();
        let at = stamp::find(&samples).unwrap();
        assert_eq!((at, Stamp::read(&samples).unwrap().leg), (0, 6));
        assert!(speaker.secret_words() > 10);
        assert_eq!(speaker.take_said(), [vec![], vec![]]);
        speaker.set(Mood::Quiet);
        let after = sound(&mut speaker, 50);
        assert!(after.iter().all(|&code| code == ulaw::SILENCE));
    }

    #[test]
    fn quiet_lets_a_phrase_be_said_to_its_end() {
        let mut speaker = speaker();
        speaker.set(Mood::Talk);
        let begun = |speaker: &Speaker| speaker.lock().parties[0].saying.is_some();
        while !begun(&speaker) {
            sound(&mut speaker, 1);
        }
        speaker.set(Mood::Quiet);
        let rest = sound(&mut speaker, 50 * 8);
        let [said, _] = speaker.take_said();
        let book = Phrasebook::new(Script::standard());
        let codes = &book.entry(said[0].phrase).codes;
        assert_eq!(said.len(), 1);
        assert_eq!(rest[..codes.len() - FRAME], codes[FRAME..]);
        assert!(speaker.lock().parties.iter().all(Party::is_silent));
        assert_eq!((speaker.now_ms() / 20) * 2, speaker.frames());
    }
}
