//! What goes wrong on purpose.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::speech::Role;

/// Switches for new REST calls and streams; the default is that nothing goes wrong. Each field is a
/// switch of its own, which is why there are so many.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// Only streams of this role; REST calls and [`Faults::accept_then_close`] come before a role
    /// is known and are not narrowed.
    pub role: Option<Role>,
    /// Only so many REST calls and streams, and then nothing goes wrong any more.
    pub times: Option<u32>,
    /// The REST call fails.
    pub rest: Option<RestFault>,
    /// The REST call takes so long.
    pub rest_delay: Duration,
    /// The URL that is given is no good.
    pub token: TokenFault,
    /// The WebSocket opens and closes at once with this close code.
    pub accept_then_close: Option<u16>,
    /// The `startStream` is answered with a `finalResponse` of this status code.
    pub refuse: Option<u16>,
    /// All answers wait so long after `startStream`.
    pub start_delay: Duration,
    /// The stream breaks.
    pub cut: Option<CutAfter>,
    /// The stream does not end as it should.
    pub end: EndFault,
    /// All answers wait so long after `finishStream`.
    pub final_delay: Duration,
    /// The `finalResponse` comes twice.
    pub final_twice: bool,
    /// So many more bytes, or fewer, are in the summary than came.
    pub bytes_off: i64,
    /// A message of a type that no document knows follows the `startResponse`.
    pub unknown_message: bool,
    /// A transcript of a megabyte follows the `startResponse`.
    pub huge_message: bool,
}

/// How a REST call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestFault {
    /// The HTTP status.
    pub status: u16,
    /// The `Retry-After` header, in whole seconds.
    pub retry_after: Option<Duration>,
}

/// What is wrong with a URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenFault {
    /// Its token was never given out.
    Bad,
    /// Its token has expired.
    Expired,
    /// Nothing.
    #[default]
    None,
}

/// A break, and after how much sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutAfter {
    /// So much sound arrives first; zero breaks at the first of it.
    pub audio: Duration,
    /// The break.
    pub cut: Cut,
}

/// How a stream breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The service takes everything, and never answers or closes: not even a ping.
    BlackHole,
    /// A close frame with this code and no `finalResponse`.
    Close(u16),
    /// The connection ends without a close frame.
    Drop,
    /// A `finalResponse` with this status code, then the close.
    Final(u16),
    /// The connection is reset.
    Reset,
    /// The service stops reading for so long.
    Stall(Duration),
}

/// How a stream that was finished does not end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndFault {
    /// The socket closes without a `finalResponse`.
    CloseOnly,
    /// It ends as it should.
    #[default]
    None,
    /// Neither a `finalResponse` nor a close.
    Silence,
}

/// The faults that are set, and how often they have happened.
#[derive(Debug)]
pub(super) struct Board {
    set: Mutex<(Faults, u32)>,
}

impl Board {
    pub(super) fn new(faults: Faults) -> Self {
        Self {
            set: Mutex::new((faults, 0)),
        }
    }

    pub(super) fn set(&self, faults: Faults) {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = (faults, 0);
    }

    /// What goes wrong with a REST call.
    pub(super) fn for_request(&self) -> Faults {
        self.take(Faults::is_about_requests)
    }

    /// What goes wrong with a WebSocket before it says who speaks.
    pub(super) fn for_socket(&self) -> Faults {
        self.take(|faults| faults.accept_then_close.is_some())
    }

    /// What goes wrong with a stream of that role.
    pub(super) fn for_stream(&self, role: Role) -> Faults {
        self.take(|faults| faults.is_about_streams() && faults.role.is_none_or(|only| only == role))
    }

    fn take(&self, concerned: impl Fn(&Faults) -> bool) -> Faults {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let (faults, happened) = &mut *set;
        if !concerned(faults) || faults.times.is_some_and(|times| *happened >= times) {
            return Faults::default();
        }
        *happened += 1;
        faults.clone()
    }
}

impl Faults {
    fn is_about_requests(&self) -> bool {
        self.rest.is_some() || self.rest_delay > Duration::ZERO || self.token != TokenFault::None
    }

    fn is_about_streams(&self) -> bool {
        let nothing = Self {
            role: self.role,
            times: self.times,
            rest: self.rest,
            rest_delay: self.rest_delay,
            token: self.token,
            accept_then_close: self.accept_then_close,
            ..Self::default()
        };
        *self != nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_happens_as_often_as_asked_and_to_whom_it_was_meant() {
        let faults = Faults {
            refuse: Some(5000),
            role: Some(Role::Agent),
            times: Some(2),
            ..Faults::default()
        };
        let board = Board::new(faults.clone());
        assert_eq!(board.for_request(), Faults::default());
        assert_eq!(board.for_stream(Role::Customer), Faults::default());
        assert_eq!(board.for_stream(Role::Agent), faults);
        assert_eq!(board.for_stream(Role::Agent), faults);
        assert_eq!(board.for_stream(Role::Agent), Faults::default());
        board.set(faults.clone());
        assert_eq!(board.for_stream(Role::Agent), faults);
    }
}
