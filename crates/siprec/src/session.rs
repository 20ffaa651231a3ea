//! One recording session: its dialog, its media lines, what is known of it, what it waits for.
//!
//! It decides nothing about the wire; the server does that with the parts kept here.

pub(crate) mod knowledge;
pub(crate) mod media;
pub(crate) mod refresh;

use std::time::Duration;

use crate::answer::LinePlan;
use crate::dialog::Dialog;
use crate::message::{Request, Response};
use crate::offer::{Description, Direction};
use crate::server::{SessionEnding, SessionId};
use crate::session::knowledge::Knowledge;
use crate::session::media::Media;
use crate::session::refresh::Refresh;
use crate::transaction::{ClientId, Flow, ServerId};
use crate::trunk::{BeforeStart, Trunk};

/// A request that is being answered.
#[derive(Clone)]
pub(crate) struct Asked {
    /// Its transaction.
    pub(crate) id: ServerId,
    /// How it came.
    pub(crate) flow: Flow,
    /// Itself.
    pub(crate) request: Box<Request>,
}

/// A recording session. More fields than most: each is one thing that may be outstanding.
pub(crate) struct Session {
    /// Which one.
    pub(crate) id: SessionId,
    /// Its trunk, by index.
    pub(crate) trunk: usize,
    /// By which way the peer's last request came.
    pub(crate) flow: Flow,
    /// RFC 3261 §12.
    pub(crate) dialog: Dialog,
    /// How far it is.
    pub(crate) phase: Phase,
    /// An INVITE or UPDATE that waits for ports.
    pub(crate) pending: Option<Pending>,
    /// A 200 that waits for its ACK.
    pub(crate) unacked: Option<Unacked>,
    /// Media lines.
    pub(crate) media: Media,
    /// Metadata, identifiers, roles.
    pub(crate) knowledge: Knowledge,
    /// RFC 4028; `None`: no session timer.
    pub(crate) refresh: Option<Refresh>,
    /// What we ask of the peer.
    pub(crate) errands: Errands,
    /// Ports are being bound.
    pub(crate) is_binding: bool,
    /// The peer's Allow has UPDATE.
    pub(crate) takes_update: bool,
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It is over, and waits only for the ports that were asked for.
    Ended(SessionEnding),
    /// Its first INVITE is not answered yet.
    Inviting,
    /// Its lines are open.
    Open,
}

/// An offer that waits for ports.
pub(crate) struct Pending {
    /// INVITE or UPDATE.
    pub(crate) asked: Asked,
    /// The peer's offer and what we make of it; `None`: we offer in the 200, so many lines.
    pub(crate) offer: Result<(Description, Vec<LinePlan>), usize>,
    /// The timer that the 2xx will announce.
    pub(crate) refresh: Option<Refresh>,
}

/// A 200 to an INVITE that is repeated until it is acknowledged. RFC 3261 §13.3.1.4.
pub(crate) struct Unacked {
    /// Its transaction.
    pub(crate) id: ServerId,
    /// The CSeq that the ACK will have.
    pub(crate) cseq: u32,
    /// Itself.
    pub(crate) response: Response,
    /// Until it is repeated again.
    pub(crate) interval: Duration,
    /// It carries our offer, so the ACK must carry the answer.
    pub(crate) has_offer: bool,
}

/// Requests of ours, under way or wished for.
#[derive(Default)]
pub(crate) struct Errands {
    /// Our INVITE that has no final answer.
    pub(crate) inviting: Option<ClientId>,
    /// What the latest `Wanted` said, until it is granted or refused.
    pub(crate) granting: Option<bool>,
    /// The direction we want to be in.
    pub(crate) direction: Option<Direction>,
    /// A re-INVITE must be sent to keep the session alive.
    pub(crate) is_refresh_due: bool,
    /// The metadata's state is lost: a snapshot must be asked for.
    pub(crate) is_snapshot_due: bool,
    /// The least session interval that the peer asked for with 422.
    pub(crate) min_se: Option<Duration>,
    /// BYE must be sent as soon as it may be: ending and reason.
    pub(crate) hang_up: Option<(SessionEnding, String)>,
}

/// What a session waits for. RFC 3261 and RFC 4028 name no letters for these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wait {
    /// Until a request that met 491 is sent again.
    Backoff,
    /// For ports.
    Bind,
    /// For a refresh by the peer.
    Expiry,
    /// For the answer to a `Wanted`.
    Grant,
    /// For an ACK, in all.
    NoAck,
    /// Until we refresh.
    Refresh,
    /// Until the 200 is repeated.
    Repeat,
}

impl Wait {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Backoff,
        Self::Bind,
        Self::Expiry,
        Self::Grant,
        Self::NoAck,
        Self::Refresh,
        Self::Repeat,
    ];
}

impl Session {
    /// The peer's latest request came this way; ours go back by it. A connection is not given up
    /// for datagrams.
    pub(crate) fn came_by(&mut self, flow: &Flow) {
        if flow.connection != 0 || self.flow.connection == 0 {
            self.flow = flow.clone();
        }
    }

    /// Whether an INVITE of ours may be sent. RFC 3261 §14.1.
    pub(crate) fn may_invite(&self) -> bool {
        self.phase == Phase::Open
            && self.pending.is_none()
            && self.unacked.is_none()
            && self.errands.inviting.is_none()
    }

    /// Whether an offer of ours has no answer yet.
    pub(crate) fn has_offered(&self) -> bool {
        self.errands.inviting.is_some()
            || self
                .unacked
                .as_ref()
                .is_some_and(|unacked| unacked.has_offer)
    }

    /// The direction that lines shall have while sound is wanted or not.
    pub(crate) fn direction_for(&self, sound: bool, trunk: &Trunk) -> Direction {
        if sound {
            Direction::RecvOnly
        } else if trunk.pause_on_stop {
            Direction::Inactive
        } else {
            self.media.direction()
        }
    }
}

/// What lines are answered with before any start.
pub(crate) fn direction_before_start(trunk: &Trunk) -> Direction {
    match trunk.answer {
        BeforeStart::Inactive => Direction::Inactive,
        BeforeStart::RecvOnly => Direction::RecvOnly,
    }
}
