//! What goes wrong on purpose.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::chaos::Chaos;
use crate::speech::Role;

/// Switches for new REST calls and streams; the default is that nothing goes wrong. Each field is a
/// switch of its own, which is why there are so many. What a service has no place for, as a token
/// where there are none, it passes over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// Only streams of this role. Where no message says who speaks, the first phrase that is heard
    /// does, so only what comes later can be narrowed there. REST calls and what happens before a
    /// stream is open are not narrowed.
    pub role: Option<Role>,
    /// So many REST calls and streams are left alone first.
    pub skip: u32,
    /// Only so many REST calls and streams, and then nothing goes wrong any more.
    pub times: Option<u32>,
    /// The REST call fails.
    pub rest: Option<RestFault>,
    /// The REST call takes so long.
    pub rest_delay: Duration,
    /// The URL or the token that is given is no good.
    pub token: TokenFault,
    /// The WebSocket is refused with an HTTP status.
    pub upgrade: Option<RestFault>,
    /// The WebSocket takes so long to open.
    pub upgrade_delay: Duration,
    /// The WebSocket opens and closes at once with this close code.
    pub accept_then_close: Option<u16>,
    /// The stream is refused with this status code, in the service's own words, as soon as it is
    /// asked for.
    pub refuse: Option<u16>,
    /// All answers wait so long after the beginning.
    pub start_delay: Duration,
    /// The stream breaks.
    pub cut: Option<CutAfter>,
    /// The stream does not end as it should.
    pub end: EndFault,
    /// All answers wait so long after the client's last message.
    pub final_delay: Duration,
    /// The acknowledgement of the end comes twice.
    pub final_twice: bool,
    /// Each final transcript comes twice.
    pub transcript_twice: bool,
    /// The last transcript comes again behind the acknowledgement of the end.
    pub transcript_late: bool,
    /// So many more bytes, or fewer, are in the service's sums than came.
    pub bytes_off: i64,
    /// A message of a type that no document knows follows the beginning.
    pub unknown_message: bool,
    /// A transcript of a megabyte follows the beginning.
    pub huge_message: bool,
    /// A warning follows the beginning.
    pub warning: bool,
    /// Transcripts do not say whether they are formatted.
    pub unflagged: bool,
}

/// How a REST call or an upgrade fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestFault {
    /// The HTTP status.
    pub status: u16,
    /// The `Retry-After` header, in whole seconds.
    pub retry_after: Option<Duration>,
}

/// What is wrong with a URL or a token.
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
    /// A close frame with this code and no last message.
    Close(u16),
    /// The connection ends without a close frame.
    Drop,
    /// The service's last message with this status code (`finalResponse`, `Error`), then the close.
    Final(u16),
    /// The connection is reset between two messages.
    Reset,
    /// The service stops reading for so long.
    Stall(Duration),
    /// The connection is reset in the middle of a frame.
    Tear,
}

/// How a stream that was finished does not end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndFault {
    /// The socket closes without an acknowledgement.
    CloseOnly,
    /// It ends as it should.
    #[default]
    None,
    /// Neither an acknowledgement nor a close.
    Silence,
}

/// The faults that are set, and how often they have happened.
#[derive(Debug)]
pub(super) struct Board {
    set: Mutex<Set>,
}

#[derive(Debug)]
struct Set {
    faults: Faults,
    /// REST calls and streams that the faults concerned.
    met: u32,
    chaos: Option<Chaos>,
}

impl Board {
    pub(super) fn new(faults: Faults, chaos: Option<Chaos>) -> Self {
        Self {
            set: Mutex::new(Set {
                faults,
                met: 0,
                chaos,
            }),
        }
    }

    pub(super) fn set(&self, faults: Faults) {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        (set.faults, set.met) = (faults, 0);
    }

    pub(super) fn set_chaos(&self, chaos: Option<Chaos>) {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        set.chaos = chaos;
    }

    /// What goes wrong with a REST call.
    pub(super) fn for_request(&self) -> Faults {
        self.take(Faults::is_about_requests).unwrap_or_default()
    }

    /// What goes wrong with the n-th WebSocket before it says who speaks.
    pub(super) fn for_socket(&self, nth: u64) -> Faults {
        self.take(Faults::is_about_sockets)
            .or_else(|| self.draw(nth).filter(Faults::is_about_sockets))
            .unwrap_or_default()
    }

    /// What goes wrong with the stream on the n-th WebSocket; `None` if that depends on who speaks
    /// and nobody knows yet.
    pub(super) fn for_stream(&self, nth: u64, role: Option<Role>) -> Option<Faults> {
        if role.is_none() && self.asks_who_speaks() {
            return None;
        }
        let concerned = |faults: &Faults| {
            faults.is_about_streams() && faults.role.is_none_or(|only| Some(only) == role)
        };
        let faults = self.take(concerned);
        Some(faults.or_else(|| self.draw(nth)).unwrap_or_default())
    }

    fn asks_who_speaks(&self) -> bool {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        set.faults.role.is_some() && set.faults.is_about_streams()
    }

    fn draw(&self, nth: u64) -> Option<Faults> {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        set.chaos.map(|chaos| chaos.draw(nth))
    }

    fn take(&self, concerned: impl Fn(&Faults) -> bool) -> Option<Faults> {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        if !concerned(&set.faults) {
            return None;
        }
        let met = set.met;
        set.met = met.saturating_add(1);
        let happened = met.checked_sub(set.faults.skip)?;
        let more = set.faults.times.is_none_or(|times| happened < times);
        more.then(|| set.faults.clone())
    }
}

impl Faults {
    /// The names of what goes wrong with a stream besides breaks and strange messages, as its
    /// switches are called.
    pub(super) fn names(&self) -> Vec<String> {
        let switches = [
            ("start-delay", self.start_delay > Duration::ZERO),
            ("final-delay", self.final_delay > Duration::ZERO),
            ("bytes-off", self.bytes_off != 0),
            ("final-twice", self.final_twice),
            ("no-end", self.end == EndFault::Silence),
            ("no-final", self.end == EndFault::CloseOnly),
            ("transcript-late", self.transcript_late),
            ("transcript-twice", self.transcript_twice),
            ("unflagged", self.unflagged),
        ];
        let on = switches.into_iter().filter(|(_, on)| *on);
        let refuse = self.refuse.map(|code| format!("refuse:{code}"));
        let names = on.map(|(name, _)| name.to_owned());
        refuse.into_iter().chain(names).collect()
    }

    fn is_about_requests(&self) -> bool {
        self.rest.is_some() || self.rest_delay > Duration::ZERO || self.token != TokenFault::None
    }

    fn is_about_sockets(&self) -> bool {
        self.accept_then_close.is_some()
            || self.upgrade.is_some()
            || self.upgrade_delay > Duration::ZERO
    }

    fn is_about_streams(&self) -> bool {
        let nothing = Self {
            role: self.role,
            skip: self.skip,
            times: self.times,
            rest: self.rest,
            rest_delay: self.rest_delay,
            token: self.token,
            upgrade: self.upgrade,
            upgrade_delay: self.upgrade_delay,
            accept_then_close: self.accept_then_close,
            ..Self::default()
        };
        *self != nothing
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlackHole => f.write_str("black-hole"),
            Self::Close(code) => write!(f, "close:{code}"),
            Self::Drop => f.write_str("drop"),
            Self::Final(code) => write!(f, "final:{code}"),
            Self::Reset => f.write_str("reset"),
            Self::Stall(long) => write!(f, "stall:{}ms", long.as_millis()),
            Self::Tear => f.write_str("tear"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusing() -> Faults {
        Faults {
            refuse: Some(5000),
            ..Faults::default()
        }
    }

    #[test]
    fn a_fault_happens_as_often_as_asked_and_to_whom_it_was_meant() {
        let faults = Faults {
            role: Some(Role::Agent),
            times: Some(2),
            ..refusing()
        };
        let board = Board::new(faults.clone(), None);
        assert_eq!(board.for_request(), Faults::default());
        assert_eq!(board.for_stream(0, None), None, "nobody knows who speaks");
        let strike = |role| board.for_stream(0, Some(role)).unwrap();
        assert_eq!(strike(Role::Customer), Faults::default());
        assert_eq!(strike(Role::Agent), faults);
        assert_eq!(strike(Role::Agent), faults);
        assert_eq!(strike(Role::Agent), Faults::default());
        board.set(faults.clone());
        assert_eq!(board.for_stream(0, Some(Role::Agent)), Some(faults));
    }

    #[test]
    fn the_first_ones_are_left_alone_when_asked() {
        let faults = Faults {
            skip: 2,
            times: Some(1),
            ..refusing()
        };
        let board = Board::new(faults.clone(), None);
        let met: Vec<_> = (0..4).map(|nth| board.for_stream(nth, None)).collect();
        let none = Some(Faults::default());
        assert_eq!(met, [none.clone(), none.clone(), Some(faults), none]);
    }

    #[test]
    fn chaos_rules_where_no_fault_is_set() {
        let chaos = Chaos {
            refused_percent: 0,
            ..Chaos::new(1)
        };
        let once = Faults {
            times: Some(1),
            ..refusing()
        };
        let board = Board::new(once.clone(), Some(chaos));
        assert_eq!(board.for_socket(0), Faults::default());
        assert_eq!(board.for_stream(0, None), Some(once));
        assert_eq!(board.for_stream(1, None), Some(chaos.draw(1)));
        assert_eq!(board.for_request(), Faults::default());
        board.set_chaos(Some(Chaos {
            refused_percent: 100,
            ..chaos
        }));
        assert!(board.for_socket(2).upgrade.is_some());
        board.set_chaos(None);
        assert_eq!(board.for_socket(2), Faults::default());
    }
}
