//! What may come of an attempt, and what follows for its parcels.

use store::outbox::Settled;

use super::{Flight, Held, Lanes, Standing};

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) class: Class,
    /// In words without anything private: `status 500`.
    pub(crate) why: String,
    /// How long it asked us to wait, in milliseconds.
    pub(crate) after: Option<u64>,
}

/// Kinds of outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// 429: not this parcel's fault.
    Busy,
    /// 2xx.
    Delivered,
    /// 1xx, 3xx, 408, 425, other 5xx, a timeout, no connection.
    Failed,
    /// 410.
    Gone,
    /// 502, 503 and 504: perhaps this parcel's fault.
    Overloaded,
    /// Other 4xx: most likely this parcel's fault.
    Refused,
    /// No request was made, or not to its end, by our own doing.
    Unsent,
}

/// What follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// For the outbox.
    pub(crate) settled: Vec<Settled>,
    /// When the parcels that were taken had been made.
    pub(crate) taken: Vec<u64>,
}

impl Class {
    /// All of them, in alphabetical order.
    pub(crate) const ALL: [Self; 7] = [
        Self::Busy,
        Self::Delivered,
        Self::Failed,
        Self::Gone,
        Self::Overloaded,
        Self::Refused,
        Self::Unsent,
    ];

    /// For labels.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Gone => "gone",
            Self::Overloaded => "overloaded",
            Self::Refused => "refused",
            Self::Unsent => "unsent",
        }
    }

    /// Of a status.
    pub(crate) fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Delivered,
            410 => Self::Gone,
            429 => Self::Busy,
            502..=504 => Self::Overloaded,
            408 | 425 => Self::Failed,
            400..=499 => Self::Refused,
            _ => Self::Failed,
        }
    }
}

impl Outcome {
    pub(crate) fn new(class: Class, why: impl Into<String>) -> Self {
        Self {
            class,
            why: why.into(),
            after: None,
        }
    }
}

impl Lanes {
    pub(super) fn judge(&mut self, flight: Flight, outcome: &Outcome, now: u64) -> Verdict {
        // What failed while the endpoint rests says nothing about the parcel.
        let resting = self.health.standing() == Standing::Resting;
        self.notice(outcome, now);
        let counts = match outcome.class {
            Class::Delivered => return Self::taken(&flight),
            // Without retries, an answer is the end of it whatever it is.
            _ if self.rules.schedule.is_none() && outcome.class != Class::Unsent => {
                return Self::dropped(&flight);
            }
            Class::Failed | Class::Overloaded | Class::Refused => !resting,
            Class::Busy | Class::Gone | Class::Unsent => false,
        };
        if counts {
            return self.try_again(flight, outcome, now);
        }
        let wait = match outcome.class {
            Class::Unsent => self.rules.rest_min,
            _ => 0,
        };
        self.keep(flight, now.saturating_add(wait));
        Verdict::default()
    }

    fn notice(&mut self, outcome: &Outcome, now: u64) {
        match outcome.class {
            Class::Delivered => self.health.succeeded(),
            Class::Gone => self.health.gone(),
            Class::Unsent => {}
            Class::Busy | Class::Overloaded => {
                self.health.throttled(&self.rules, now, outcome.after);
                self.health.failed(&self.rules, now, &mut self.chance);
            }
            Class::Failed | Class::Refused => {
                self.health.failed(&self.rules, now, &mut self.chance);
            }
        }
    }

    fn taken(flight: &Flight) -> Verdict {
        let numbers = flight.parcels.iter().map(|held| held.number);
        Verdict {
            settled: numbers
                .map(|number| Settled::Delivered { number })
                .collect(),
            taken: flight.parcels.iter().map(|held| held.at).collect(),
        }
    }

    fn dropped(flight: &Flight) -> Verdict {
        let numbers = flight.parcels.iter().map(|held| held.number);
        Verdict {
            settled: numbers.map(|number| Settled::Dropped { number }).collect(),
            taken: Vec::new(),
        }
    }

    /// Back to where they were, to go at `due`.
    fn keep(&mut self, mut flight: Flight, due: u64) {
        for held in &mut flight.parcels {
            held.due = held.due.max(due);
        }
        if let Some(lane) = self.lanes.get_mut(&flight.lane) {
            lane.put_back(flight.parcels, flight.late);
        }
    }

    fn try_again(&mut self, flight: Flight, outcome: &Outcome, now: u64) -> Verdict {
        let mut verdict = Verdict::default();
        let mut waiting = Vec::new();
        let mut late = Vec::new();
        for mut held in flight.parcels {
            held.attempts = held.attempts.saturating_add(1);
            held.refusals += u32::from(outcome.class == Class::Refused);
            match self.due_again(&held, now) {
                Some(due) => {
                    held.due = due;
                    verdict.settled.push(Settled::Later {
                        number: held.number,
                        attempts: held.attempts,
                        refusals: held.refusals,
                        not_before_unix_ms: due,
                    });
                    if flight.late || self.rules.is_late(held.attempts) {
                        held.marked = flight.late;
                        late.push(held);
                    } else {
                        waiting.push(held);
                    }
                }
                None => verdict.settled.push(Settled::Dead {
                    number: held.number,
                    attempts: held.attempts,
                    at_unix_ms: now,
                    why: outcome.why.clone(),
                }),
            }
        }
        if let Some(lane) = self.lanes.get_mut(&flight.lane) {
            lane.put_back(waiting, false);
            lane.put_back(late, true);
        }
        verdict
    }

    /// When it may be tried again; `None`: it is a dead letter.
    fn due_again(&mut self, held: &Held, now: u64) -> Option<u64> {
        if self.rules.is_hopeless(held.refusals) {
            return None;
        }
        let delay = self.rules.delay(held.attempts, &mut self.chance)?;
        Some(now.saturating_add(delay))
    }
}
