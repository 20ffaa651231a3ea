//! What is counted about sessions, connections and packets: names, and plain numbers beside them.

use call::ending::{Ending, Fault};
use siprec::message::BadMessage;
use siprec::server::{Notice, SessionEnding};

use crate::labels::labels;

labels! {
    /// What became of an RTP packet.
    Fate {
        /// Comfort noise: silence goes in its place.
        ComfortNoise = "comfort_noise",
        /// It was here already.
        Duplicate = "duplicate",
        /// A key that was pressed.
        Event = "event",
        /// From an address that the line is not received from.
        ForeignAddress = "foreign_address",
        /// Of an earlier stream on this port.
        ForeignStream = "foreign_stream",
        /// Too old to be placed.
        Late = "late",
        /// No RTP, or longer than a packet is.
        Malformed = "malformed",
        /// Sound for an open gate.
        Passed = "passed",
        /// SRTP that was here already, or too old to tell.
        Replayed = "replayed",
        /// Newer media took the leg's place.
        Retired = "retired",
        /// SRTP whose seal is broken.
        Unauthentic = "unauthentic",
        /// Sound that a gate kept out, undecoded.
        Withheld = "withheld",
        /// Its payload number means nothing on this line.
        WrongType = "wrong_type",
    }
}

labels! {
    /// Why a recording session ended.
    SessionEnd {
        /// A change of it could not be used.
        BadOffer = "bad_offer",
        /// The peer said BYE.
        Bye = "bye",
        /// The first INVITE was cancelled.
        Cancelled = "cancelled",
        /// The session timer ran out.
        Expired = "expired",
        /// The peer does not know the dialog any more, or does not answer.
        Lost = "lost",
        /// Our 200 was never acknowledged.
        NoAck = "no_ack",
        /// We ended it.
        Ours = "ours",
    }
}

labels! {
    /// Why a media line ended.
    LineEnd {
        /// The session was over, by a BYE or by us.
        Ended = "stopped",
        /// The session timer ran out.
        Expired = "session_expired",
        /// The peer was lost.
        Lost = "session_lost",
        /// A change of the session took the line away.
        Removed = "line_removed",
        /// Newer media took the leg's place.
        Retired = "retired",
        /// The gateway shut down before the call was over.
        ShutDown = "shutdown",
        /// Its socket failed.
        SocketLost = "socket_lost",
    }
}

labels! {
    /// What the server noticed.
    Noticed {
        /// An INVITE that does not say siprec was taken by its trunk's rule.
        AcceptedAnyway = "accepted_anyway",
        /// Metadata that cannot be used.
        BadMetadata = "bad_metadata",
        /// A media line that was answered with port 0.
        LineRejected = "line_rejected",
        /// A source went over its rate.
        RateLimited = "rate_limited",
        /// A request of ours failed.
        RequestFailed = "request_failed",
        /// An INVITE came while the gateway had too much of something.
        TurnedAway = "turned_away",
        /// A message from a source that no trunk knows.
        UnknownSource = "unknown_source",
    }
}

labels! {
    /// Why a message was not read.
    BadSip {
        /// Content-Length.
        ContentLength = "content_length",
        /// A header line.
        Header = "header",
        /// A header that must be there.
        Missing = "missing_header",
        /// The start line.
        StartLine = "start_line",
        /// Over a limit.
        TooLarge = "too_large",
        /// Not SIP/2.0.
        Version = "version",
    }
}

labels! {
    /// How a TCP or TLS connection ended.
    ConnectionEnd {
        /// We closed it, shutting down.
        Closed = "closed",
        /// It was never there: the peer does not take it, or the handshake failed.
        Failed = "failed",
        /// Nothing came for `connection_idle_timeout`.
        Idle = "idle",
        /// The peer closed it, or it broke.
        Peer = "peer",
        /// Its bytes cannot be followed.
        Protocol = "protocol",
        /// `connections_max` was reached.
        Refused = "refused",
        /// The peer did not read what we wrote.
        Slow = "slow",
    }
}

labels! {
    /// RTCP packets that came, by what they were.
    RtcpKind {
        /// A goodbye.
        Bye = "bye",
        /// Not from the peer's address, or not to be read or opened.
        Refused = "refused",
        /// Anything else, reports of receivers among them.
        Other = "other",
        /// A report of a sender.
        SenderReport = "sender_report",
    }
}

/// What one media line has seen since its numbers were last taken. One field a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineTally {
    /// Packets, by [`Fate`].
    pub packets: [u64; Fate::COUNT],
    /// Samples at 8 kHz that conceal a loss.
    pub concealed: u64,
    /// Samples at 8 kHz put where sound was lost, those that conceal it included.
    pub filled: u64,
    /// Sequence numbers that never came.
    pub lost: u64,
    /// Packets that came after their successors and were placed.
    pub reordered: u64,
    /// Times a stream began anew: another SSRC, or a jump.
    pub restarts: u64,
    /// Times another address was taken as the source.
    pub source_changes: u64,
    /// Keys pressed while the gate was open.
    pub keys: u64,
    /// Of these, those that were not told: more came in a second than anybody presses, or the gate
    /// was shut in that moment.
    pub keys_untold: u64,
    /// RTCP packets received, by [`RtcpKind`].
    pub rtcp_received: [u64; RtcpKind::COUNT],
    /// RTCP packets sent.
    pub rtcp_sent: u64,
}

impl LineTally {
    /// Counts a packet.
    pub(crate) fn packet(&mut self, fate: Fate) {
        self.packets[fate as usize] += 1;
    }
}

impl From<SessionEnding> for SessionEnd {
    fn from(ending: SessionEnding) -> Self {
        match ending {
            SessionEnding::BadOffer => Self::BadOffer,
            SessionEnding::Bye => Self::Bye,
            SessionEnding::Cancelled => Self::Cancelled,
            SessionEnding::Expired => Self::Expired,
            SessionEnding::Lost => Self::Lost,
            SessionEnding::NoAck => Self::NoAck,
            SessionEnding::Ours => Self::Ours,
        }
    }
}

impl From<SessionEnding> for LineEnd {
    fn from(ending: SessionEnding) -> Self {
        match ending {
            SessionEnding::Bye | SessionEnding::Cancelled | SessionEnding::Ours => Self::Ended,
            SessionEnding::Expired => Self::Expired,
            SessionEnding::BadOffer | SessionEnding::Lost | SessionEnding::NoAck => Self::Lost,
        }
    }
}

impl LineEnd {
    /// What the gateway is told.
    pub fn ending(self) -> Ending {
        let fault = match self {
            Self::Ended | Self::Removed | Self::Retired => Fault::Nobody,
            Self::Expired | Self::Lost => Fault::Client,
            Self::ShutDown | Self::SocketLost => Fault::Gateway,
        };
        Ending::new(fault, self.as_str())
    }
}

impl Noticed {
    /// What of a notice is counted by kind; requests and answers are counted by method.
    pub(crate) fn of(notice: &Notice) -> Option<Self> {
        match notice {
            Notice::AcceptedAnyway { .. } => Some(Self::AcceptedAnyway),
            Notice::Answered { .. } | Notice::Request(_) => None,
            Notice::BadMetadata { .. } => Some(Self::BadMetadata),
            Notice::LineRejected { .. } => Some(Self::LineRejected),
            Notice::RateLimited => Some(Self::RateLimited),
            Notice::RequestFailed { .. } => Some(Self::RequestFailed),
            Notice::TurnedAway => Some(Self::TurnedAway),
            Notice::UnknownSource => Some(Self::UnknownSource),
        }
    }
}

impl From<&BadMessage> for BadSip {
    fn from(bad: &BadMessage) -> Self {
        match bad {
            BadMessage::ContentLength => Self::ContentLength,
            BadMessage::Header(_) => Self::Header,
            BadMessage::Missing(_) => Self::Missing,
            BadMessage::StartLine => Self::StartLine,
            BadMessage::TooLarge => Self::TooLarge,
            BadMessage::Version => Self::Version,
        }
    }
}
