//! Whether one more call may come in: what every adapter asks before it takes one.
//!
//! Calls and legs are counted here, exactly; of what is measured (memory, backlogs, lag) whoever
//! measures it says here that it is too much. Only who is new is ever turned away: a call that was
//! admitted keeps its [`Permit`] to its end, whatever happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::labels::labels;

/// Legs that a call is expected to have until it has shown which it has.
const LEGS_EXPECTED: usize = 2;

labels! {
    /// What there can be too much of.
    Limit {
        /// Sound that waits to be sent.
        Backlogs = "backlogs",
        /// Calls.
        Calls = "calls",
        /// Lateness of tasks.
        Lag = "lag",
        /// Legs.
        Legs = "legs",
        /// Resident memory.
        Memory = "memory",
    }
}

/// How many calls and legs there may be at a time; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// Twilio's sockets and SIPREC's sessions.
    pub calls_max: usize,
    /// Tracks and media lines.
    pub legs_max: usize,
}

/// Counts who is in and says whether another may come. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AdmissionControl(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: AdmissionLimits,
    calls: AtomicUsize,
    /// Those that are there and those that are expected.
    legs: AtomicUsize,
    /// By [`Limit`]; those of calls and legs stay false.
    exceeded: [AtomicBool; Limit::COUNT],
}

/// One call that was admitted; dropped when it is over.
#[derive(Debug)]
pub struct Permit {
    control: AdmissionControl,
    expects: AtomicBool,
}

/// One leg that is there; dropped when it is over.
#[derive(Debug)]
pub(crate) struct LegPlace(AdmissionControl);

impl Limit {
    /// For whoever is turned away.
    pub fn told(self) -> &'static str {
        match self {
            Self::Backlogs => "too much sound waits to be sent to speech services",
            Self::Calls => "the gateway has as many calls as it may have",
            Self::Lag => "the gateway's tasks run late",
            Self::Legs => "the gateway has as many legs as it may have",
            Self::Memory => "the gateway has as much memory as it may have",
        }
    }
}

impl AdmissionControl {
    /// Nobody is in.
    pub fn new(limits: AdmissionLimits) -> Self {
        Self(Arc::new(Shared {
            limits,
            calls: AtomicUsize::new(0),
            legs: AtomicUsize::new(0),
            exceeded: Default::default(),
        }))
    }

    /// One more call, or of what there is too much already.
    pub fn admit(&self) -> Result<Permit, Limit> {
        if let Some(limit) = self.measured() {
            return Err(limit);
        }
        let AdmissionLimits {
            calls_max,
            legs_max,
        } = self.0.limits;
        let (calls, legs) = (&self.0.calls, &self.0.legs);
        if !raise(calls, 1, calls_max) {
            return Err(Limit::Calls);
        }
        if !raise(legs, LEGS_EXPECTED, legs_max) {
            calls.fetch_sub(1, Ordering::AcqRel);
            return Err(Limit::Legs);
        }
        Ok(Permit {
            control: self.clone(),
            expects: AtomicBool::new(true),
        })
    }

    /// Of what there is too much for one more call, if there is.
    pub fn exceeded(&self) -> Option<Limit> {
        let AdmissionLimits {
            calls_max,
            legs_max,
        } = self.0.limits;
        let is_full = |now: usize, more: usize, max: usize| max > 0 && now + more > max;
        self.measured().or_else(|| {
            if is_full(self.calls(), 1, calls_max) {
                Some(Limit::Calls)
            } else if is_full(self.legs(), LEGS_EXPECTED, legs_max) {
                Some(Limit::Legs)
            } else {
                None
            }
        })
    }

    /// Calls that are in.
    pub fn calls(&self) -> usize {
        self.0.calls.load(Ordering::Acquire)
    }

    /// Legs that are in or expected.
    pub fn legs(&self) -> usize {
        self.0.legs.load(Ordering::Acquire)
    }

    /// Whether there is too much of something that is measured elsewhere.
    pub fn set_exceeded(&self, limit: Limit, is_exceeded: bool) {
        self.0.exceeded[limit as usize].store(is_exceeded, Ordering::Release);
    }

    /// A leg is there, whatever the limits say: its call was admitted.
    pub(crate) fn leg(&self) -> LegPlace {
        self.0.legs.fetch_add(1, Ordering::AcqRel);
        LegPlace(self.clone())
    }

    fn measured(&self) -> Option<Limit> {
        let is_exceeded = |limit: &Limit| self.0.exceeded[*limit as usize].load(Ordering::Acquire);
        Limit::ALL.iter().copied().find(is_exceeded)
    }
}

impl Default for AdmissionControl {
    /// Without limits.
    fn default() -> Self {
        Self::new(AdmissionLimits::default())
    }
}

impl Permit {
    /// The call's legs are there: what was expected is not counted beside them any more.
    pub fn legs_are_there(&self) {
        if self.expects.swap(false, Ordering::AcqRel) {
            let legs = &self.control.0.legs;
            legs.fetch_sub(LEGS_EXPECTED, Ordering::AcqRel);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.legs_are_there();
        self.control.0.calls.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for LegPlace {
    fn drop(&mut self) {
        self.0.0.legs.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Adds, unless it would be more than allowed.
fn raise(count: &AtomicUsize, more: usize, max: usize) -> bool {
    let raised = |now: usize| (max == 0 || now + more <= max).then_some(now + more);
    count
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, raised)
        .is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn control(calls_max: usize, legs_max: usize) -> AdmissionControl {
        AdmissionControl::new(AdmissionLimits {
            calls_max,
            legs_max,
        })
    }

    #[test]
    fn so_many_calls_are_admitted_and_one_more_when_one_is_over() {
        let control = control(2, 0);
        let first = control.admit().unwrap();
        let _second = control.admit().unwrap();
        assert_eq!(control.admit().unwrap_err(), Limit::Calls);
        assert_eq!(control.exceeded(), Some(Limit::Calls));
        drop(first);
        assert_eq!(control.exceeded(), None);
        assert!(control.admit().is_ok());
    }

    #[test]
    fn a_call_counts_for_two_legs_until_its_own_are_there() {
        let control = control(0, 5);
        let permit = control.admit().unwrap();
        assert_eq!(control.legs(), 2);
        let only = control.leg();
        permit.legs_are_there();
        permit.legs_are_there();
        assert_eq!(control.legs(), 1);
        let _second = control.admit().unwrap();
        let third = control.admit().unwrap();
        assert_eq!(control.admit().unwrap_err(), Limit::Legs);
        assert_eq!((control.calls(), control.legs()), (3, 5));
        drop((permit, only, third));
        assert_eq!((control.calls(), control.legs()), (1, 2));
    }

    #[test]
    fn a_call_that_is_in_may_have_as_many_legs_as_it_likes() {
        let control = control(0, 2);
        let _permit = control.admit().unwrap();
        let _legs: Vec<LegPlace> = (0..7).map(|_| control.leg()).collect();
        assert_eq!(control.legs(), 9);
    }

    #[test]
    fn what_is_measured_keeps_everybody_out_until_it_is_less() {
        let control = AdmissionControl::default();
        let permit = control.admit();
        for limit in [Limit::Backlogs, Limit::Lag, Limit::Memory] {
            control.set_exceeded(limit, true);
            assert_eq!(control.admit().unwrap_err(), limit);
            assert_eq!(control.exceeded(), Some(limit));
            control.set_exceeded(limit, false);
            assert!(control.admit().is_ok());
        }
        assert!(permit.is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn the_counts_are_what_is_held_and_never_more_calls_than_may_be(
            calls_max in 0..6_usize,
            legs_max in 0..12_usize,
            walk in vec((0..5_u8, any::<prop::sample::Index>()), 0..100),
        ) {
            let control = control(calls_max, legs_max);
            let (mut calls, mut legs) = (Vec::new(), Vec::new());
            for (step, index) in walk {
                match step {
                    0 => match (control.exceeded(), control.admit()) {
                        (None, Ok(permit)) => calls.push((permit, LEGS_EXPECTED)),
                        (Some(said), Err(limit)) => prop_assert_eq!(said, limit),
                        other => prop_assert!(false, "{:?}", other),
                    },
                    1 => legs.push(control.leg()),
                    2 if !calls.is_empty() => {
                        let at = index.index(calls.len());
                        calls[at].0.legs_are_there();
                        calls[at].1 = 0;
                    }
                    3 if !calls.is_empty() => drop(calls.swap_remove(index.index(calls.len()))),
                    4 if !legs.is_empty() => drop(legs.swap_remove(index.index(legs.len()))),
                    _ => {}
                }
                let expected: usize = calls.iter().map(|(_, expected)| expected).sum();
                prop_assert_eq!(control.calls(), calls.len());
                prop_assert_eq!(control.legs(), legs.len() + expected);
                prop_assert!(calls_max == 0 || calls.len() <= calls_max);
            }
            drop((calls, legs));
            prop_assert_eq!((control.calls(), control.legs()), (0, 0));
        }
    }
}
