//! Which line is which side of which call. A call may have one session, two at once (each party's
//! phone records its own, or two peers record one call each in part), or one after the other.
//!
//! Sessions whose first identifier is the same are one call. They share a clock, so that both sides
//! stay aligned, and two sides; whoever comes last to a side has it, and the switchboard retires
//! the leg that had it before.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use call::name::{Guid, Side};
use siprec::roles::Party;
use siprec::server::SessionId;

use crate::siprec::clock::SessionClock;

/// Calls with a session that runs.
#[derive(Debug, Default)]
pub(crate) struct Calls(HashMap<Guid, Seats>);

#[derive(Debug)]
struct Seats {
    clock: Arc<SessionClock>,
    sessions: usize,
    sides: [Option<Seat>; 2],
}

/// Who has a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) session: SessionId,
    pub(crate) line: usize,
    pub(crate) party: Option<Party>,
}

impl Calls {
    /// A session of this call begins.
    pub(crate) fn join(&mut self, now: Instant, call: &Guid) -> Arc<SessionClock> {
        let seats = self.0.entry(call.clone()).or_insert_with(|| Seats {
            clock: Arc::new(SessionClock::new(now)),
            sessions: 0,
            sides: [None, None],
        });
        seats.sessions += 1;
        Arc::clone(&seats.clock)
    }

    /// A session of this call is over; its lines have left already.
    pub(crate) fn leave(&mut self, call: &Guid) {
        if let Some(seats) = self.0.get_mut(call) {
            seats.sessions -= 1;
            if seats.sessions == 0 {
                self.0.remove(call);
            }
        }
    }

    /// The side of a line that begins. `is_alone`: its session has no other line.
    ///
    /// Lines of one session sit in their order. A line that is alone takes the side that is free,
    /// else the one of its party. Both parties on one line are the first side.
    pub(crate) fn seat(&mut self, call: &Guid, seat: Seat, is_alone: bool) -> Side {
        let Some(seats) = self.0.get_mut(call) else {
            return Side::First;
        };
        let side = seats.choose(seat, is_alone);
        seats.sides[side as usize] = Some(seat);
        side
    }

    /// A line is over.
    pub(crate) fn vacate(&mut self, call: &Guid, session: SessionId, line: usize) {
        let Some(seats) = self.0.get_mut(call) else {
            return;
        };
        for side in &mut seats.sides {
            if side.is_some_and(|seat| seat.session == session && seat.line == line) {
                *side = None;
            }
        }
    }
}

impl Seats {
    fn choose(&self, seat: Seat, is_alone: bool) -> Side {
        let find = |wanted: &dyn Fn(Option<Seat>) -> bool| {
            let mut sides = Side::BOTH.into_iter();
            sides.find(|side| wanted(self.sides[*side as usize]))
        };
        if seat.party == Some(Party::Mixed) {
            return Side::First;
        }
        let not_ours = |taken: Option<Seat>| taken.is_none_or(|it| it.session != seat.session);
        let has_line = find(&|taken| !not_ours(taken)).is_some();
        if has_line || !is_alone {
            let other = find(&not_ours);
            return other
                .or_else(|| find(&|taken| taken.is_some_and(|it| it.party == seat.party)))
                .unwrap_or(Side::First);
        }
        find(&|taken| taken.is_none())
            .or_else(|| find(&|taken| taken.is_some_and(|it| it.party == seat.party)))
            .unwrap_or(Side::First)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        calls: Calls,
        call: Guid,
    }

    impl World {
        fn new() -> Self {
            Self {
                calls: Calls::default(),
                call: Guid::parse("0042").unwrap(),
            }
        }

        fn join(&mut self) -> Arc<SessionClock> {
            self.calls.join(Instant::now(), &self.call)
        }

        fn alone(&mut self, session: u64, party: Party) -> Side {
            self.sit(session, 0, party, true)
        }

        fn sit(&mut self, session: u64, line: usize, party: Party, is_alone: bool) -> Side {
            let seat = Seat {
                session: SessionId(session),
                line,
                party: Some(party),
            };
            self.calls.seat(&self.call, seat, is_alone)
        }
    }

    #[test]
    fn lines_of_one_session_sit_in_their_order() {
        let mut world = World::new();
        world.join();
        assert_eq!(world.sit(1, 0, Party::Agent, false), Side::First);
        assert_eq!(world.sit(1, 1, Party::Customer, false), Side::Second);
    }

    #[test]
    fn two_sessions_of_one_line_each_are_the_two_sides_on_one_clock() {
        let mut world = World::new();
        let (one, other) = (world.join(), world.join());
        assert!(one.media().is_same(other.media()));
        assert_eq!(world.alone(1, Party::Agent), Side::First);
        assert_eq!(world.alone(2, Party::Customer), Side::Second);
    }

    #[test]
    fn a_third_alone_takes_the_side_of_its_party() {
        let mut world = World::new();
        for _ in 0..3 {
            world.join();
        }
        world.alone(1, Party::Agent);
        world.alone(2, Party::Customer);
        assert_eq!(world.alone(3, Party::Customer), Side::Second);
    }

    #[test]
    fn a_session_that_follows_another_takes_both_sides_in_its_own_order() {
        let mut world = World::new();
        world.join();
        world.alone(1, Party::Customer);
        world.join();
        assert_eq!(world.sit(2, 0, Party::Customer, false), Side::First);
        assert_eq!(world.sit(2, 1, Party::Agent, false), Side::Second);
        // What it took is not given back by the session that had it.
        world.calls.vacate(&world.call, SessionId(1), 0);
        world.calls.leave(&world.call);
        assert_eq!(world.sit(2, 2, Party::Agent, false), Side::Second);
    }

    #[test]
    fn a_line_added_later_takes_the_side_that_is_left() {
        let mut world = World::new();
        world.join();
        assert_eq!(world.alone(1, Party::Customer), Side::First);
        assert_eq!(world.sit(1, 1, Party::Agent, false), Side::Second);
        world.calls.vacate(&world.call, SessionId(1), 1);
        assert_eq!(world.sit(1, 2, Party::Agent, false), Side::Second);
    }

    #[test]
    fn both_parties_on_one_line_are_the_first_side() {
        let mut world = World::new();
        world.join();
        assert_eq!(world.alone(1, Party::Mixed), Side::First);
        world.join();
        assert_eq!(world.alone(2, Party::Mixed), Side::First);
    }

    #[test]
    fn a_call_is_forgotten_with_its_last_session() {
        let mut world = World::new();
        let before = world.join();
        world.join();
        world.calls.leave(&world.call);
        assert!(world.join().media().is_same(before.media()));
        world.calls.leave(&world.call);
        world.calls.leave(&world.call);
        assert!(!world.join().media().is_same(before.media()));
    }
}
