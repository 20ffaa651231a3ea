use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Chunks of a hundred samples, of which three are kept.
fn backlog() -> Backlog {
    Backlog::new(100, 3)
}

/// Silence in a pause's place, as a leg appends it.
fn pause(backlog: &mut Backlog, samples: u64) {
    let from = backlog.end();
    backlog.note(Gap {
        from,
        to: from + samples,
        reason: GapReason::Paused,
    });
    backlog.append_silence(now(), samples);
}

#[expect(clippy::disallowed_methods, reason = "a test begins at some time")]
fn now() -> Instant {
    Instant::now()
}

fn gaps(backlog: &mut Backlog) -> Vec<Gap> {
    std::iter::from_fn(|| backlog.take_gap()).collect()
}

fn gap(from: u64, to: u64, reason: GapReason) -> Gap {
    Gap { from, to, reason }
}

#[test]
fn what_overflows_during_a_pause_is_one_gap_and_the_pause_another() {
    let mut backlog = backlog();
    backlog.append_silence(now(), 300);
    for _ in 0..200 {
        pause(&mut backlog, 100);
    }
    let expected = [
        gap(300, 20_300, GapReason::Paused),
        gap(0, 20_000, GapReason::Overflow),
    ];
    assert_eq!(gaps(&mut backlog), expected);
}

#[test]
fn a_full_list_tells_of_too_much_rather_than_of_too_little() {
    let mut backlog = backlog();
    for piece in 0..100 {
        backlog.note(gap(1000 + piece * 10, 1005 + piece * 10, GapReason::Lost));
    }
    backlog.note(gap(0, 100, GapReason::Overflow));
    backlog.note(gap(200, 300, GapReason::Overflow));
    let gaps = gaps(&mut backlog);
    assert_eq!(gaps.len(), Backlog::GAPS_MAX + 1);
    assert_eq!(gaps[Backlog::GAPS_MAX - 1].to, 1995);
    assert_eq!(gaps.last(), Some(&gap(0, 300, GapReason::Overflow)));
}

#[derive(Clone, Debug)]
enum Step {
    Lose(u64),
    Pause(u64),
    Say(u64),
    Take,
    Tell,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (1u64..200).prop_map(Step::Lose),
        2 => (1u64..500).prop_map(Step::Pause),
        2 => (1u64..500).prop_map(Step::Say),
        1 => Just(Step::Take),
        1 => Just(Step::Tell),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However little is told meanwhile: each sample that went in was taken, or waits, or is in a
    /// gap that says what became of it.
    #[test]
    fn every_sample_that_is_dropped_is_in_a_gap(steps in vec(step(), 1..600)) {
        let (mut backlog, now) = (backlog(), now());
        let (mut told, mut taken) = (Vec::new(), Vec::new());
        let mut paused = Vec::new();
        for step in steps {
            let at = backlog.end();
            match step {
                Step::Lose(samples) => {
                    backlog.note(gap(at, at + samples, GapReason::Lost));
                    backlog.append_silence(now, samples);
                }
                Step::Pause(samples) => {
                    paused.extend(at..at + samples);
                    pause(&mut backlog, samples);
                }
                Step::Say(samples) => {
                    backlog.append_silence(now, samples);
                }
                Step::Take => {
                    if let Taken::Chunk(chunk) = backlog.take() {
                        taken.extend(chunk.position..chunk.position + chunk.len());
                    }
                }
                Step::Tell => told.extend(backlog.take_gap()),
            }
            prop_assert!(backlog.gaps.len() <= Backlog::GAPS_MAX + GapReason::ALL.len());
        }
        let waiting = backlog.end() - backlog.waiting();
        told.extend(gaps(&mut backlog));
        let is_told = |sample: u64, reason: GapReason| {
            let mut of_it = told.iter().filter(|gap| gap.reason == reason);
            of_it.any(|gap| (gap.from..gap.to).contains(&sample))
        };
        let mut was_taken = vec![false; waiting as usize];
        taken.iter().for_each(|&sample| was_taken[sample as usize] = true);
        for (sample, was_taken) in was_taken.iter().enumerate() {
            prop_assert!(*was_taken || is_told(sample as u64, GapReason::Overflow), "{}", sample);
        }
        for sample in paused {
            prop_assert!(is_told(sample, GapReason::Paused), "{}", sample);
        }
    }
}
