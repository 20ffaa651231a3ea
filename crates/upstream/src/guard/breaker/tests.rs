use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn breaker() -> (Breaker, Instant) {
    (Breaker::new(GuardConfig::default()), Instant::now())
}

fn fail(breaker: &mut Breaker, now: Instant, class: Retry) {
    let attempt = breaker.attempt();
    breaker.failed(now, &attempt, class, 0.5);
}

fn accept(breaker: &mut Breaker, now: Instant) {
    let attempt = breaker.attempt();
    breaker.accepted(now, &attempt);
}

#[test]
fn a_refused_credential_opens_it_at_once() {
    let (mut breaker, now) = breaker();
    fail(&mut breaker, now, Retry::Credential);
    assert_eq!(breaker.stage(), Stage::Open);
    assert_eq!(breaker.wait(now), Some(now + 45 * SECOND));
}

#[test]
fn it_says_whether_a_credential_or_the_service_itself_has_opened_it() {
    let refused = "the service refuses the credential and is left alone for a while";
    let failing = "the service fails and is left alone for a while";
    let (mut breaker, now) = breaker();
    fail(&mut breaker, now, Retry::Credential);
    assert_eq!(breaker.why(), refused);
    fail(&mut breaker, now + 45 * SECOND, Retry::Backoff);
    assert_eq!(breaker.why(), failing);
    fail(&mut breaker, now + 90 * SECOND, Retry::Credential);
    assert_eq!(breaker.why(), refused);
}

#[test]
fn half_of_twenty_attempts_open_it_and_less_does_not() {
    let (mut breaker, now) = breaker();
    (0..10).for_each(|_| accept(&mut breaker, now));
    (0..9).for_each(|_| fail(&mut breaker, now, Retry::Backoff));
    assert_eq!(breaker.stage(), Stage::Closed);
    fail(&mut breaker, now, Retry::Unknown);
    assert_eq!(breaker.stage(), Stage::Open);
    assert_eq!(breaker.openings(), 1);
}

#[test]
fn nineteen_failures_say_nothing_yet() {
    let (mut breaker, now) = breaker();
    (0..19).for_each(|_| fail(&mut breaker, now, Retry::Backoff));
    assert_eq!(breaker.stage(), Stage::Closed);
    fail(&mut breaker, now, Retry::Now);
    assert_eq!(breaker.stage(), Stage::Open);
}

#[test]
fn failures_of_half_a_minute_ago_are_forgotten() {
    let (mut breaker, start) = breaker();
    (0..19).for_each(|_| fail(&mut breaker, start, Retry::Backoff));
    let later = start + 30 * SECOND;
    (0..19).for_each(|_| fail(&mut breaker, later, Retry::Backoff));
    assert_eq!(breaker.stage(), Stage::Closed);
}

#[test]
fn what_one_stream_asked_for_and_rate_limiting_are_no_failure_of_the_service() {
    let (mut breaker, now) = breaker();
    let innocent = [
        Retry::After(SECOND),
        Retry::Few(1),
        Retry::Rollover,
        Retry::Session,
        Retry::Sound,
        Retry::Token,
    ];
    for class in innocent {
        (0..100).for_each(|_| fail(&mut breaker, now, class));
        assert_eq!(breaker.stage(), Stage::Closed, "{class:?}");
    }
    (0..19).for_each(|_| fail(&mut breaker, now, Retry::Backoff));
    assert_eq!(breaker.stage(), Stage::Closed);
}

#[test]
fn it_is_probed_by_one_attempt_only() {
    let (mut breaker, now) = breaker();
    fail(&mut breaker, now, Retry::Credential);
    let later = now + 45 * SECOND;
    assert_eq!(breaker.wait(later), None);
    let probe = breaker.attempt();
    assert_eq!(breaker.stage(), Stage::HalfOpen);
    let an_hour = Duration::from_secs(3600);
    assert!(breaker.wait(later + an_hour).is_some());
    breaker.accepted(later, &probe);
    assert_eq!(breaker.wait(later), None);
    assert_eq!(breaker.stage(), Stage::Closed);
}

#[test]
fn a_failed_probe_opens_it_again() {
    let (mut breaker, now) = breaker();
    fail(&mut breaker, now, Retry::Credential);
    let later = now + 45 * SECOND;
    fail(&mut breaker, later, Retry::Backoff);
    assert_eq!(breaker.wait(later), Some(later + 45 * SECOND));
    assert_eq!(breaker.openings(), 2);
}

#[test]
fn a_probe_that_says_nothing_makes_room_for_another() {
    let (mut breaker, now) = breaker();
    fail(&mut breaker, now, Retry::Credential);
    let later = now + 45 * SECOND;
    fail(&mut breaker, later, Retry::Session);
    assert_eq!(breaker.stage(), Stage::Open);
    assert_eq!(breaker.wait(later), None);
    let probe = breaker.attempt();
    breaker.untold(later, &probe);
    assert_eq!(breaker.wait(later), None);
}

#[test]
fn what_was_begun_before_it_opened_changes_nothing() {
    let (mut breaker, now) = breaker();
    let early: Vec<_> = (0..4).map(|_| breaker.attempt()).collect();
    fail(&mut breaker, now, Retry::Credential);
    let until = breaker.wait(now);
    breaker.accepted(now, &early[0]);
    breaker.failed(now, &early[1], Retry::Credential, 1.0);
    breaker.untold(now, &early[2]);
    assert_eq!(breaker.wait(now), until);
    accept(&mut breaker, now + 45 * SECOND);
    breaker.failed(now, &early[3], Retry::Credential, 1.0);
    assert_eq!(breaker.stage(), Stage::Closed);
}

#[test]
fn probes_come_after_thirty_to_sixty_seconds() {
    for (chance, seconds) in [(0.0, 30), (1.0, 60)] {
        let (mut breaker, now) = breaker();
        let attempt = breaker.attempt();
        breaker.failed(now, &attempt, Retry::Credential, chance);
        assert_eq!(breaker.wait(now), Some(now + seconds * SECOND));
    }
}

#[test]
fn its_memory_does_not_grow() {
    let (mut breaker, start) = breaker();
    for n in 0..100_000 {
        accept(&mut breaker, start + Duration::from_millis(3) * n);
    }
    assert!(breaker.recent.0.len() <= 31);
}

#[test]
fn another_credential_closes_it_if_one_was_refused() {
    let (mut breaker, now) = breaker();
    fail(&mut breaker, now, Retry::Credential);
    breaker.renewed(now + SECOND);
    assert_eq!(breaker.stage(), Stage::Closed);
    assert_eq!(breaker.wait(now + SECOND), None);
    fail(&mut breaker, now + SECOND, Retry::Credential);
    assert_eq!(breaker.stage(), Stage::Open, "it is no better");
}

#[test]
fn another_credential_says_nothing_of_a_service_that_fails() {
    let (mut breaker, now) = breaker();
    (0..20).for_each(|_| fail(&mut breaker, now, Retry::Backoff));
    let wait = breaker.wait(now);
    breaker.renewed(now);
    assert_eq!((breaker.stage(), breaker.wait(now)), (Stage::Open, wait));
    let later = now + 60 * SECOND;
    let probe = breaker.attempt();
    breaker.renewed(later);
    assert_eq!(breaker.wait(later), None, "another probe may be made");
    breaker.failed(later, &probe, Retry::Backoff, 0.5);
    assert_eq!(breaker.wait(later), None);
    accept(&mut breaker, later);
    assert_eq!(breaker.stage(), Stage::Closed);
}

#[test]
fn what_comes_late_of_the_old_credential_does_not_open_it() {
    let (mut breaker, now) = breaker();
    let old = breaker.attempt();
    breaker.renewed(now);
    breaker.failed(now, &old, Retry::Credential, 0.5);
    assert_eq!(breaker.stage(), Stage::Closed);
    fail(&mut breaker, now, Retry::Credential);
    let probe = breaker.attempt();
    breaker.renewed(now);
    breaker.failed(now, &probe, Retry::Credential, 0.5);
    assert_eq!(breaker.stage(), Stage::Closed);
}
