//! Legs that come, tell and go.

use call::audio::Codec;
use call::backlog::Taken;
use call::feed::LineConfig;
use call::name::Namespace;

use super::*;

fn call() -> CallName {
    CallName {
        namespace: Namespace::Twilio,
        guid: Guid::parse("CA1").unwrap(),
    }
}

fn first() -> Introduction {
    Introduction::new(call(), Side::First, Vec::new())
}

#[test]
fn a_leg_is_announced_fed_and_its_end_reported_after_its_stream_was_finished() {
    let (intake, mut arrivals) = Intake::new(LegConfig::default());
    let now = Instant::now();
    let clock = MediaClock::default();
    let introduction = Introduction::new(call(), Side::Second, vec![("streamSid", "MZ1".into())]);
    let feed = intake.open(now, &clock, introduction);
    let Ok(Arrival::Opened(opened)) = arrivals.try_recv() else {
        panic!("no leg")
    };
    assert_eq!(
        (
            opened.id,
            opened.introduction.side,
            opened.introduction.call
        ),
        (feed.id(), Side::Second, call())
    );
    assert_eq!(
        opened.introduction.identifiers,
        [("streamSid", "MZ1".to_owned())]
    );
    let line = LineConfig {
        chunk_samples: 160,
        chunks_max: 10,
    };
    let mut source = opened.control.open(0, line).unwrap();
    feed.push(
        now,
        Frame {
            position: 0,
            codec: Codec::Pcmu,
            payload: &[0; 200],
        },
    );
    assert_eq!(feed.stats().passed, 200);
    feed.end(Ending::new(Fault::Nobody, "stopped"));
    let Ok(Arrival::Ended(id, ending)) = arrivals.try_recv() else {
        panic!("no end")
    };
    assert_eq!((id, ending.reason), (opened.id, "stopped"));
    assert!(source.is_ended());
    let context = Context::from_waker(std::task::Waker::noop());
    let mut taken = 0;
    while let std::task::Poll::Ready(Taken::Chunk(chunk)) = source.poll_take(&context) {
        taken += chunk.len();
    }
    assert_eq!(taken, 200);
}

#[test]
fn a_feed_that_is_just_dropped_says_that_nobody_knows_why() {
    let (intake, mut arrivals) = Intake::new(LegConfig::default());
    drop(intake.open(Instant::now(), &MediaClock::default(), first()));
    assert!(matches!(arrivals.try_recv(), Ok(Arrival::Opened(_))));
    let Ok(Arrival::Ended(_, ending)) = arrivals.try_recv() else {
        panic!("no end")
    };
    assert_eq!(ending, Ending::new(Fault::Unknown, "dropped"));
}

#[test]
fn what_the_platform_says_to_sound_that_is_wanted_is_told_with_the_leg() {
    let (intake, mut arrivals) = Intake::new(LegConfig::default());
    let feed = intake.open(Instant::now(), &MediaClock::default(), first());
    feed.teller().granted();
    feed.teller().refused("no".to_owned());
    assert!(matches!(arrivals.try_recv(), Ok(Arrival::Opened(_))));
    let told = [arrivals.try_recv(), arrivals.try_recv()];
    let [
        Ok(Arrival::Granted(granted)),
        Ok(Arrival::Refused(refused, why)),
    ] = told
    else {
        panic!("{told:?}")
    };
    assert_eq!((granted, refused, &*why), (feed.id(), feed.id(), "no"));
}

fn pressed(key: char) -> Pressed {
    Pressed {
        key: Private::new(key),
        duration: None,
    }
}

#[test]
fn a_key_goes_on_behind_an_open_gate_only_and_is_never_printed() {
    let (intake, mut arrivals) = Intake::new(LegConfig::default());
    let now = Instant::now();
    let mut feed = intake.open(now, &MediaClock::default(), first());
    let Ok(Arrival::Opened(opened)) = arrivals.try_recv() else {
        panic!("no leg")
    };
    assert!(!feed.press(now, pressed('1')), "shut");
    let line = LineConfig {
        chunk_samples: 160,
        chunks_max: 10,
    };
    let _source = opened.control.open(0, line).unwrap();
    assert!(feed.press(now, pressed('2')));
    opened.control.pause(false);
    assert!(!feed.press(now, pressed('3')), "paused");
    opened.control.shut(false);
    assert!(!feed.press(now, pressed('4')), "shut again");
    let told = arrivals.try_recv();
    assert!(!format!("{told:?}").contains('2'), "{told:?}");
    assert!(
        matches!(told, Ok(Arrival::Pressed(id, key)) if id == feed.id() && key == pressed('2'))
    );
    assert!(arrivals.try_recv().is_err());
}

#[test]
fn more_keys_than_anybody_presses_in_a_second_do_not_go_on() {
    let (intake, mut arrivals) = Intake::new(LegConfig::default());
    let begun = Instant::now();
    let mut feed = intake.open(begun, &MediaClock::default(), first());
    let Ok(Arrival::Opened(opened)) = arrivals.try_recv() else {
        panic!("no leg")
    };
    let line = LineConfig {
        chunk_samples: 160,
        chunks_max: 10,
    };
    let _source = opened.control.open(0, line).unwrap();
    let mut press = |ms| feed.press(begun + Duration::from_millis(ms), pressed('#'));
    let first = (0..100).filter(|ms| press(*ms)).count();
    let second = (1000..2500).filter(|ms| press(*ms)).count();
    let max = Feed::KEYS_PER_SECOND_MAX as usize;
    assert_eq!((first, second), (max, 2 * max));
    let told = std::iter::from_fn(|| arrivals.try_recv().ok()).count();
    assert_eq!(told, 3 * max);
}

#[test]
fn ids_are_never_used_twice_and_retiring_is_heard() {
    let (intake, _arrivals) = Intake::new(LegConfig::default());
    let clock = MediaClock::default();
    let one = intake.open(Instant::now(), &clock, first());
    let second = intake.clone().open(Instant::now(), &clock, first());
    assert_ne!(one.id(), second.id());
    let retired = one.retired();
    assert!(!retired.is_cancelled());
    drop(one);
    assert!(retired.is_cancelled() && !second.retired().is_cancelled());
}
