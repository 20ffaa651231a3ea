//! What an ear must hear, and what it must not.

use std::sync::LazyLock;

use super::law::{decode_a, encode_a};
use super::lexicon::LIKENESS_MIN;
use super::*;
use crate::caller::ulaw;
use crate::speech::Script;

static LEXICON: LazyLock<Arc<Lexicon>> =
    LazyLock::new(|| Arc::new(Lexicon::new(Script::standard().phrases()).unwrap()));

/// How far from the threshold everything has to stay.
const MARGIN: f32 = 0.03;

fn padded(samples: &[i16]) -> Vec<i16> {
    // Not a multiple of the frame, so that nothing lies where the template lay.
    let mut sound = vec![0; 4077];
    sound.extend_from_slice(samples);
    sound.extend_from_slice(&[0; 4000]);
    sound
}

fn listen(sound: &[i16]) -> Vec<Heard> {
    let mut hearing = Hearing::new(LEXICON.clone());
    let mut heard = hearing.hear(sound);
    heard.extend(hearing.finish());
    heard
}

fn every_phrase_is_heard_after(what: &str, change: impl Fn(&[i16]) -> Vec<i16>) {
    let mut worst = f32::MAX;
    for phrase in Script::standard().phrases() {
        let heard = listen(&change(&padded(&phrase.samples)));
        assert_eq!(heard.len(), 1, "{what}: {phrase:?} {heard:?}");
        assert_eq!(
            heard[0].phrase.as_ref().map(|heard| &heard.id),
            Some(&phrase.id),
            "{what}: {heard:?}"
        );
        assert!(
            heard[0].start_ms.abs_diff(4077 / 8) <= 10,
            "{what}: {heard:?}"
        );
        assert!(
            heard[0].end_ms.abs_diff(4077 / 8 + phrase.duration_ms()) <= 10,
            "{what}: {heard:?}"
        );
        worst = worst.min(heard[0].likeness);
    }
    println!("{what}: at least {worst}");
    assert!(worst > LIKENESS_MIN + MARGIN, "{what}: {worst}");
}

fn every_phrase_is_nonsense_after(what: &str, change: impl Fn(&[i16]) -> Vec<i16>) {
    let mut best = 0.0_f32;
    for phrase in Script::standard().phrases() {
        for heard in listen(&change(&padded(&phrase.samples))) {
            best = best.max(heard.likeness);
            assert!(heard.phrase.is_none(), "{what}: {phrase:?} {heard:?}");
        }
    }
    println!("{what}: at most {best}");
    assert!(best < LIKENESS_MIN - MARGIN, "{what}: {best}");
}

fn chance(seed: &mut u64) -> u64 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

fn gain(decibels: f32) -> impl Fn(&[i16]) -> Vec<i16> {
    let factor = 10_f32.powf(decibels / 20.0);
    move |sound| {
        sound
            .iter()
            .map(|&sample| (f32::from(sample) * factor) as i16)
            .collect()
    }
}

// The frames of a call begin anywhere between those that the ear looks at.
fn without_frames(percent: u64, first: usize) -> impl Fn(&[i16]) -> Vec<i16> {
    move |sound| {
        let mut seed = first as u64;
        let mut out = sound.to_vec();
        for frame in out[first..].chunks_mut(160) {
            if chance(&mut seed) % 100 < percent {
                frame.fill(0);
            }
        }
        out
    }
}

fn with_noise(amplitude: i32) -> impl Fn(&[i16]) -> Vec<i16> {
    move |sound| {
        let mut seed = 7;
        let mut noisy = |&sample: &i16| {
            let noise = chance(&mut seed) as i32 % (2 * amplitude) - amplitude;
            (i32::from(sample) + noise).clamp(-32_768, 32_767) as i16
        };
        sound.iter().map(&mut noisy).collect()
    }
}

#[test]
fn every_phrase_is_heard_clean() {
    every_phrase_is_heard_after("clean", <[i16]>::to_vec);
}

#[test]
fn every_phrase_is_heard_through_both_laws() {
    every_phrase_is_heard_after("A-law", |sound| {
        sound.iter().map(|&s| decode_a(encode_a(s))).collect()
    });
    every_phrase_is_heard_after("three laws", |sound| {
        sound
            .iter()
            .map(|&s| ulaw::decode(ulaw::encode(decode_a(encode_a(s)))))
            .collect()
    });
}

#[test]
fn every_phrase_is_heard_with_a_twentieth_of_its_frames_silenced() {
    for first in [0, 40, 80, 120, 160, 240, 400] {
        every_phrase_is_heard_after("5 % lost", without_frames(5, first));
    }
}

#[test]
fn a_phrase_with_a_third_of_its_frames_silenced_is_nonsense() {
    every_phrase_is_nonsense_after("a third lost", without_frames(33, 160));
}

#[test]
fn every_phrase_is_heard_louder_and_quieter() {
    every_phrase_is_heard_after("+6 dB", gain(6.0));
    every_phrase_is_heard_after("-6 dB", gain(-6.0));
}

#[test]
fn every_phrase_is_heard_over_a_faint_hiss() {
    every_phrase_is_heard_after("hiss", with_noise(20));
}

#[test]
fn the_wrong_law_is_nonsense() {
    every_phrase_is_nonsense_after("A as mu", |sound| {
        sound.iter().map(|&s| ulaw::decode(encode_a(s))).collect()
    });
    every_phrase_is_nonsense_after("mu as A", |sound| {
        sound.iter().map(|&s| decode_a(ulaw::encode(s))).collect()
    });
    every_phrase_is_nonsense_after("mu as L16", |sound| {
        let codes: Vec<u8> = sound.iter().map(|&s| ulaw::encode(s)).collect();
        codes
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect()
    });
}

#[test]
fn the_wrong_byte_order_is_nonsense() {
    every_phrase_is_nonsense_after("swapped", |sound| {
        sound.iter().map(|s| s.swap_bytes()).collect()
    });
    every_phrase_is_nonsense_after("one byte off", |sound| {
        let bytes: Vec<u8> = sound.iter().flat_map(|s| s.to_le_bytes()).collect();
        bytes[1..]
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect()
    });
}

#[test]
fn the_wrong_rate_is_nonsense() {
    every_phrase_is_nonsense_after("double", |sound| sound.iter().copied().step_by(2).collect());
    every_phrase_is_nonsense_after("half", |sound| sound.iter().flat_map(|&s| [s, s]).collect());
}

#[test]
fn missing_and_repeated_pieces_are_nonsense() {
    every_phrase_is_nonsense_after("200 ms cut out", |sound| {
        let middle = sound.len() / 2;
        [&sound[..middle - 800], &sound[middle + 800..]].concat()
    });
    every_phrase_is_nonsense_after("each fifth frame missing", |sound| {
        let kept = sound
            .chunks(160)
            .enumerate()
            .filter(|(index, _)| index % 5 != 0);
        kept.flat_map(|(_, frame)| frame.to_vec()).collect()
    });
    every_phrase_is_nonsense_after("frames in the wrong order", |sound| {
        sound
            .chunks(640)
            .flat_map(|four| {
                four.chunks(160)
                    .rev()
                    .flatten()
                    .copied()
                    .collect::<Vec<_>>()
            })
            .collect()
    });
    every_phrase_is_nonsense_after("half of it", |sound| {
        let mut sound = sound.to_vec();
        let middle = sound.len() / 2;
        sound[..middle].fill(0);
        sound
    });
}

#[test]
fn a_phrase_it_does_not_know_is_nonsense() {
    let phrases = Script::standard().phrases();
    let mut best = 0.0_f32;
    for unknown in phrases {
        let known = phrases.iter().filter(|phrase| phrase.id != unknown.id);
        let mut hearing = Hearing::new(Arc::new(Lexicon::new(known).unwrap()));
        let heard = hearing.hear(&padded(&unknown.samples));
        best = best.max(heard[0].likeness);
        assert!(heard[0].phrase.is_none(), "{unknown:?} {heard:?}");
    }
    println!("unknown: at most {best}");
    assert!(best < LIKENESS_MIN - MARGIN, "{best}");
}

#[test]
fn steady_noise_is_one_long_nonsense_and_then_the_ear_is_used_to_it() {
    let noise = with_noise(5000)(&vec![0; 60 * 8000]);
    let heard = listen(&noise);
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(
        heard[0].phrase.is_none() && heard[0].end_ms - heard[0].start_ms == 20_000,
        "{heard:?}"
    );
}

#[test]
fn silence_and_clicks_are_nothing() {
    let mut sound = vec![0; 8000];
    sound[4000..4400].fill(9000);
    assert!(listen(&sound).is_empty());
}

#[test]
fn two_phrases_with_a_pause_between_are_two_utterances() {
    let script = Script::standard();
    let (one, two) = (
        script.phrase("customer-account").unwrap(),
        script.phrase("customer-pay").unwrap(),
    );
    for pause_ms in [400, 500, 1000] {
        let mut call = crate::speech::conversation::Conversation::new();
        let channel = crate::speech::conversation::Channel::Inbound;
        call.say(333, one, channel)
            .say_after(pause_ms, two, channel);
        let heard = listen(&call.channel(channel));
        assert_eq!(heard.len(), 2, "{heard:?}");
        for (heard, said) in heard.iter().zip(call.segments()) {
            assert_eq!(heard.phrase.as_ref().unwrap().id, said.phrase.id);
            assert!(heard.start_ms.abs_diff(said.at_ms) <= 10, "{heard:?}");
            assert!(heard.end_ms.abs_diff(said.end_ms()) <= 10, "{heard:?}");
        }
    }
}

#[test]
fn nonsense_lies_where_it_was_said() {
    let phrase = Script::standard().phrase("customer-pay").unwrap();
    let half = &phrase.samples[..phrase.samples.len() / 2];
    let heard = listen(&padded(half));
    assert!(heard[0].phrase.is_none());
    assert!(heard[0].start_ms.abs_diff(4077 / 8) <= 60, "{heard:?}");
    assert!(
        heard[0].end_ms.abs_diff((4077 + half.len() as u64) / 8) <= 60,
        "{heard:?}"
    );
}

#[test]
fn how_the_sound_is_cut_does_not_matter() {
    let sound = Script::standard()
        .payment_call()
        .unwrap()
        .channel(crate::speech::conversation::Channel::Inbound);
    let whole = format!("{:?}", listen(&sound));
    for size in [1, 7, 159, 160, 161, 800, 8000] {
        let mut hearing = Hearing::new(LEXICON.clone());
        let mut heard: Vec<Heard> = sound
            .chunks(size)
            .flat_map(|chunk| hearing.hear(chunk))
            .collect();
        heard.extend(hearing.finish());
        assert_eq!(format!("{heard:?}"), whole, "chunks of {size}");
    }
}

#[test]
fn an_utterance_is_understood_even_when_the_stream_ends_with_it() {
    let phrase = Script::standard().phrase("agent-paid").unwrap();
    let heard = listen(&phrase.samples);
    assert_eq!(heard[0].phrase.as_ref().unwrap().id, phrase.id);
}
