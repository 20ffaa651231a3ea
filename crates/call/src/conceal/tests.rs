//! Holes in known sound, and what is heard in them.

use proptest::prelude::*;

use super::*;

fn tone(hertz: f32, from: usize, samples: usize) -> Vec<i16> {
    (from..from + samples)
        .map(|at| {
            let turn = at as f32 * hertz / 8000.0 * std::f32::consts::TAU;
            (turn.sin() * 8000.0) as i16
        })
        .collect()
}

fn after(sound: &[i16]) -> Concealer {
    let mut concealer = Concealer::new();
    let mut sound = sound.to_vec();
    for frame in sound.chunks_mut(160) {
        concealer.hear(frame);
    }
    concealer
}

fn energy(sound: &[i16]) -> f64 {
    sound.iter().map(|&it| f64::from(it).powi(2)).sum()
}

/// The energy of the difference against that of the sound: what silence would make 1.
fn error(heard: &[i16], said: &[i16]) -> f64 {
    let difference: Vec<i16> = heard.iter().zip(said).map(|(a, b)| a - b).collect();
    energy(&difference) / energy(said)
}

#[test]
fn a_tone_goes_on_through_a_hole_of_twenty_milliseconds() {
    for hertz in [70.0, 100.0, 133.0, 180.0, 250.0, 440.0] {
        let mut concealer = after(&tone(hertz, 0, 800));
        let mut heard = Vec::new();
        assert_eq!(concealer.conceal(160, 480, &mut heard), 160);
        let mut next = tone(hertz, 960, 160);
        concealer.hear(&mut next);
        heard.extend(next);
        let said = tone(hertz, 800, 320);
        let error = error(&heard[..160], &said[..160]);
        assert!(error < 0.1, "{hertz} Hz: {error}");
        assert!(
            self::error(&heard[160..], &said[160..]) < 0.05,
            "{hertz} Hz"
        );
    }
}

#[test]
fn nowhere_does_the_sound_jump_more_than_the_tone_itself() {
    for hertz in [97.0, 150.0, 211.0] {
        let mut heard = tone(hertz, 0, 800);
        let steepest = heard.windows(2).map(|it| it[0].abs_diff(it[1])).max();
        let mut concealer = after(&heard);
        concealer.conceal(400, 480, &mut heard);
        let mut next = tone(hertz, 1200, 160);
        concealer.hear(&mut next);
        heard.extend(next);
        let jump = heard.windows(2).map(|it| it[0].abs_diff(it[1])).max();
        assert!(jump.unwrap() < 2 * steepest.unwrap(), "{hertz}: {jump:?}");
    }
}

#[test]
fn it_is_at_full_level_for_ten_milliseconds_fades_and_is_silent_after_sixty() {
    let mut concealer = after(&tone(200.0, 0, 800));
    let mut heard = Vec::new();
    assert_eq!(concealer.conceal(800, 800, &mut heard), 480);
    let levels: Vec<f64> = heard.chunks(80).map(energy).collect();
    let full = energy(&tone(200.0, 0, 80));
    assert!((0.9..1.1).contains(&(levels[0] / full)));
    assert!(levels.windows(2).all(|pair| pair[1] < pair[0]));
    assert!(levels[5] / full < 0.02);
    assert!(heard[479].abs() < 50);
    let mut next = tone(200.0, 1600, 160);
    concealer.hear(&mut next);
    assert_eq!(
        next,
        tone(200.0, 1600, 160),
        "after silence nothing overlaps"
    );
}

#[test]
fn without_enough_of_a_past_there_is_nothing_to_go_on_with() {
    let mut concealer = after(&tone(200.0, 0, 320));
    assert_eq!(concealer.conceal(160, 480, &mut Vec::new()), 0);
    let mut concealer = after(&tone(200.0, 0, 800));
    concealer.forget();
    assert_eq!(concealer.conceal(160, 480, &mut Vec::new()), 0);
    let mut concealer = after(&tone(200.0, 0, 800));
    assert_eq!(concealer.conceal(160, 0, &mut Vec::new()), 0);
}

#[test]
fn what_was_wiped_is_gone() {
    let mut concealer = after(&tone(200.0, 0, 800));
    concealer.conceal(100, 480, &mut Vec::new());
    concealer.wipe();
    assert_eq!(concealer.history, [0; HISTORY]);
    assert_eq!(concealer.tail, [0; STEP]);
    assert_eq!((concealer.held, concealer.tail_len), (0, 0));
}

#[test]
fn it_is_small_and_prints_no_sound() {
    assert!(size_of::<Concealer>() <= 1024);
    let concealer = after(&[1234; 400]);
    assert_eq!(format!("{concealer:?}"), "Concealer(390 samples)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lengths_are_exact_and_silence_stays_silent(
        sound in prop::collection::vec(any::<i16>(), 0..900),
        holes in prop::collection::vec((0_u64..700, 0_u64..600, 0_usize..400), 1..6),
        is_silent in any::<bool>(),
    ) {
        let sound = if is_silent { vec![0; 900] } else { sound };
        let mut concealer = after(&sound);
        for (lost, max, next) in holes {
            let mut out = vec![7; 3];
            let concealed = concealer.conceal(lost, max, &mut out);
            prop_assert_eq!(out.len() as u64, 3 + concealed);
            prop_assert!(concealed <= lost.min(max).min(480));
            prop_assert!(!is_silent || out[3..].iter().all(|&it| it == 0));
            let mut sound = vec![0; next];
            concealer.hear(&mut sound);
            prop_assert_eq!(sound.len(), next);
        }
    }
}
