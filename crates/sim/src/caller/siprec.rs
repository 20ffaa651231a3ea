//! A SIPREC session recording client that behaves as real ones do: its SIP, its metadata, its RTP
//! and SRTP, its holds and transfers. It shares no parser with the gateway. RFC 7866.

mod agent;
mod change;
mod codec;
mod command;
mod dialog;
mod digest;
mod ending;
mod identity;
mod like;
mod media;
mod message;
mod options;
mod place;
mod raw;
mod rtcp;
mod rtp;
mod scene;
mod sdp;
mod session;
mod srtp;
mod talk;
mod unhurried;
mod wire;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use self::agent::{Shared, lock};
use self::media::Outlet;
use super::SAMPLE_RATE;
use super::pace::Pace;
use crate::histogram::Histogram;

pub use self::agent::UserAgent;
pub use self::codec::Codec;
pub use self::command::{Arguments, run};
pub use self::dialog::Event;
pub use self::digest::{Algorithm, Challenge};
pub use self::ending::{CallError, DialError, Refused};
pub use self::identity::{Identifiers, Ucid};
pub use self::like::{Hold, Like};
pub use self::media::Sent;
pub use self::message::{Message, Start};
pub use self::options::{Edit, Options};
pub use self::raw::RawDialog;
pub use self::rtcp::Reports;
pub use self::rtp::{First, event, event_payload};
pub use self::sdp::{Direction, MediaLine, Sdp};
pub use self::srtp::{Crypto, Suite};
pub use self::talk::RawPacket;
pub use self::unhurried::Unhurried;
pub use self::wire::{Target, Transport};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The customer.
    Customer,
    /// The agent.
    Agent,
    /// Whoever joined on a line of their own.
    Third,
}

/// One recorded call, from its INVITE to its end.
///
/// Dropping it leaves the recording server alone, as a crashed host would.
#[derive(Debug)]
pub struct SiprecCall {
    options: Options,
    agent: UserAgent,
    dialogs: Vec<SharedDialog>,
    outlets: Vec<Outlet>,
    sides: Vec<Side>,
    pace: Pace,
    /// The media clock: samples since the call began.
    position: u64,
    /// The wall clock at its beginning, for sender reports.
    begun: SystemTime,
    /// What the network delays: by its arrival in milliseconds of the media clock.
    outbox: BTreeMap<(u64, u64), (usize, Vec<u8>)>,
    posted: u64,
    lateness: Histogram,
    answered_in: Duration,
}

/// Has a `Debug` that is short.
struct SharedDialog(Shared);

impl Side {
    /// Both parties of every call.
    pub const BOTH: [Self; 2] = [Self::Customer, Self::Agent];
}

impl SiprecCall {
    /// The guid for the control API, as its dialect's equipment is known by.
    pub fn guid(&self) -> String {
        let dialog = lock(&self.dialogs[0].0);
        (dialog.session.shape.guid)(&dialog.session.scene)
    }

    /// The Call-ID of the recording session; of two dialogs the first's.
    pub fn call_id(&self) -> String {
        lock(&self.dialogs[0].0).call_id.clone()
    }

    /// What a side has sent so far; on a mixed line both have sent the same.
    ///
    /// # Panics
    /// When no line carries that side.
    pub fn sent(&self, side: Side) -> &Sent {
        &self.outlet(side).sent
    }

    /// What every line has sent so far.
    pub fn all_sent(&self) -> impl Iterator<Item = &Sent> {
        self.outlets.iter().map(|outlet| &outlet.sent)
    }

    /// What the recording server reported on a side's line.
    ///
    /// # Panics
    /// As [`SiprecCall::sent`].
    pub fn reports(&self, side: Side) -> &Reports {
        &self.outlet(side).reports
    }

    /// RTP packets sent on all lines.
    pub fn packets_sent(&self) -> u64 {
        self.outlets.iter().map(|outlet| outlet.sent.packets).sum()
    }

    /// RTP packets that the recording server sent; it must send none.
    pub fn packets_heard(&self) -> u64 {
        self.outlets.iter().map(|outlet| outlet.heard).sum()
    }

    /// The synchronisation source of a side's line.
    ///
    /// # Panics
    /// As [`SiprecCall::sent`].
    pub fn ssrc(&self, side: Side) -> u32 {
        self.outlet(side).source.ssrc
    }

    /// The media clock: how much time of the call has passed, holds and lost sound included.
    pub fn media_time(&self) -> Duration {
        Duration::from_micros(self.position * 1_000_000 / u64::from(SAMPLE_RATE))
    }

    /// How late packets were sent, in microseconds.
    pub fn lateness(&self) -> &Histogram {
        &self.lateness
    }

    /// From the first INVITE to the last 200.
    pub fn answered_in(&self) -> Duration {
        self.answered_in
    }

    /// The newest description of the recording server's, dialog by dialog behind each other: its
    /// first answer, or what it has offered since.
    pub fn answer(&self) -> Sdp {
        let mut all = Sdp::default();
        for dialog in &self.dialogs {
            let theirs = lock(&dialog.0).session.theirs.clone().unwrap_or_default();
            all.origin = theirs.origin;
            all.times = theirs.times;
            all.lines.extend(theirs.lines);
        }
        all
    }

    /// What in those descriptions is not as RFC 3264, RFC 4568 and RFC 7866 demand.
    pub fn answer_faults(&self) -> Vec<String> {
        let dialogs = self.dialogs.iter();
        let faults = dialogs.flat_map(|dialog| lock(&dialog.0).session.faults());
        faults.collect()
    }

    /// What the recording server did by itself, of all dialogs, oldest first.
    pub fn events(&self) -> Vec<Event> {
        let dialogs = self.dialogs.iter();
        let events = dialogs.flat_map(|dialog| lock(&dialog.0).events.clone());
        events.collect()
    }

    /// Whether a side's sound would be sent now: both ends want it.
    ///
    /// # Panics
    /// As [`SiprecCall::sent`].
    pub fn is_open(&self, side: Side) -> bool {
        let (dialog, line) = self.outlet(side).place;
        let route = lock(&self.dialogs[dialog].0).session.route(line);
        route.is_some_and(|route| route.open)
    }

    /// Waits until the events are as wanted.
    ///
    /// # Errors
    /// [`CallError::Timeout`] when they are not in time.
    pub async fn wait_for(
        &self,
        so: impl Fn(&[Event]) -> bool,
        within: Duration,
    ) -> Result<(), CallError> {
        let look = async {
            // Looked at anew now and then: the news may be another dialog's.
            while !so(&self.events()) {
                let changed = lock(&self.dialogs[0].0).changed.clone();
                let changed = changed.notified();
                drop(tokio::time::timeout(Duration::from_millis(20), changed).await);
            }
        };
        let in_time = tokio::time::timeout(within, look).await;
        in_time.map_err(|_| CallError::Timeout("event"))
    }

    /// Refuses the recording server's next request of that method.
    pub fn refuse(&self, method: &str, status: u16) {
        for dialog in &self.dialogs {
            let refusal = (method.to_owned(), status);
            lock(&dialog.0).refusals.push_back(refusal);
        }
    }

    /// From now on the recording server's requests of that method get no answer.
    pub fn ignore(&self, method: &str) {
        for dialog in &self.dialogs {
            lock(&dialog.0).unanswered.push(method.to_owned());
        }
    }

    /// Which sides are sent from now on; the others' lines carry nothing.
    pub fn set_sides(&mut self, sides: &[Side]) {
        self.sides = sides.to_vec();
    }

    fn outlet(&self, side: Side) -> &Outlet {
        &self.outlets[self.line_of(side)]
    }

    fn line_of(&self, side: Side) -> usize {
        let mut lines = self.outlets.iter();
        let line = lines.position(|outlet| outlet.sides.contains(&side));
        line.unwrap_or_else(|| panic!("no line carries the {side:?}"))
    }
}

impl std::fmt::Debug for SharedDialog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dialog({})", lock(&self.0).call_id)
    }
}

#[cfg(test)]
mod tests;
