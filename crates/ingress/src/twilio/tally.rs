//! What is counted about sockets: the names of what can happen, and plain numbers beside them.
//!
//! A session counts into a [`Tally`]; its socket adds that to the metrics once a wake, not once a
//! frame.

use call::ending::{Ending, Fault};
use call::leg::Gate;

use crate::labels::labels;

labels! {
    /// What became of a request to open a socket.
    Admission {
        /// It was opened.
        Accepted = "accepted",
        /// The signature does not fit.
        BadSignature = "bad_signature",
        /// The token is not ours.
        BadToken = "bad_token",
        /// The gateway is shutting down.
        Draining = "draining",
        /// The token was ours.
        ExpiredToken = "expired_token",
        /// `sockets_max` is reached.
        Full = "full",
        /// There is no signature.
        MissingSignature = "missing_signature",
        /// There is no token.
        MissingToken = "missing_token",
        /// It is no WebSocket handshake.
        NotWebSocket = "not_websocket",
        /// The gateway has too much of something.
        Overloaded = "overloaded",
        /// The signature's settings name an algorithm or a key we do not know.
        UnknownAlgorithm = "unknown_algorithm",
    }
}

labels! {
    /// Why a message was skipped.
    Bad {
        /// The payload is not base64.
        Base64 = "base64",
        /// It is a binary frame.
        Binary = "binary",
        /// It is not JSON.
        Json = "json",
        /// It is JSON of another shape.
        Shape = "shape",
        /// Its track has no name we know.
        Track = "track",
    }
}

labels! {
    /// Why a timestamp jumped ahead.
    GapCause {
        /// A message is missing before it.
        Lost = "lost",
        /// No message is missing: the platform never had the sound.
        Unsent = "unsent",
    }
}

labels! {
    /// Why sound was ignored.
    Ignored {
        /// It came after `stop`.
        AfterStop = "after_stop",
        /// It came before `start`.
        BeforeStart = "before_start",
        /// Newer media took the leg's place.
        Retired = "retired",
    }
}

labels! {
    /// Why a leg ended.
    LegEnd {
        /// No sound came for `media_timeout`.
        MediaTimeout = "media_timeout",
        /// The socket was closed because of what came through it.
        Refused = "refused",
        /// The gateway did not want it any more.
        Retired = "retired",
        /// The gateway shut down before the call was over.
        ShutDown = "shutdown",
        /// The socket was closed without `stop`, or broke.
        SocketLost = "socket_lost",
        /// `stop`
        Stopped = "stopped",
    }
}

labels! {
    /// How a socket ended.
    SocketEnd {
        /// Nothing came for `socket_timeout`.
        Idle = "idle",
        /// A row of bad messages.
        Nonsense = "nonsense",
        /// No `start` within `start_timeout`.
        NoStart = "no_start",
        /// The other side closed it, or it broke.
        Peer = "peer",
        /// The WebSocket protocol was violated.
        Protocol = "protocol",
        /// A second `start`, for another call.
        SecondCall = "second_call",
        /// The gateway shut down.
        ShutDown = "shutdown",
        /// The other side did not close it after `stop`.
        Stopped = "stopped",
        /// A message over `message_bytes_max`.
        TooLarge = "too_large",
        /// A `start` without a usable CallSid.
        Unnamed = "unnamed",
        /// A sound format we cannot take.
        Unsupported = "unsupported",
    }
}

labels! {
    /// What of a sound format is not supported.
    Unsupported {
        /// Not one channel.
        Channels = "channels",
        /// Neither μ-law, nor A-law, nor L16.
        Encoding = "encoding",
        /// Not 8000 Hz.
        Rate = "rate",
    }
}

labels! {
    /// A message's event, by name.
    EventName {
        /// `connected`
        Connected = "connected",
        /// `dtmf`
        Dtmf = "dtmf",
        /// `mark`
        Mark = "mark",
        /// `media`
        Media = "media",
        /// `start`
        Start = "start",
        /// `stop`
        Stop = "stop",
        /// Anything else.
        Unknown = "unknown",
    }
}

/// What one socket has seen since its numbers were last taken. One field a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages that could be read, by [`EventName`].
    pub messages: [u64; EventName::COUNT],
    /// Messages that were skipped, by [`Bad`].
    pub bad: [u64; Bad::COUNT],
    /// Frames of sound, by the gate they met.
    pub frames: [u64; GATE_NAMES.len()],
    /// Frames of sound that belonged to no live leg, by [`Ignored`].
    pub ignored: [u64; Ignored::COUNT],
    /// Samples by which timestamps jumped ahead, by [`GapCause`].
    pub gap_samples: [u64; GapCause::COUNT],
    /// Formats refused, by [`Unsupported`].
    pub unsupported: [u64; Unsupported::COUNT],
    /// Legs opened.
    pub legs_opened: u64,
    /// Legs ended, by [`LegEnd`].
    pub legs_ended: [u64; LegEnd::COUNT],
    /// Sequence numbers that never came.
    pub sequence_missing: u64,
    /// Sequence numbers that came again, or too late.
    pub sequence_backward: u64,
    /// Times the platform's clock began anew within a stream.
    pub clock_restarts: u64,
    /// Frames without a timestamp.
    pub untimed: u64,
    /// Tracks that `start` had not listed.
    pub unlisted_tracks: u64,
    /// A `start` that was repeated.
    pub starts_repeated: u64,
    /// Keys pressed while the gate was open.
    pub keys: u64,
    /// Of these, those that were not told: more came in a second than anybody presses.
    pub keys_untold: u64,
    /// Custom parameters that have our prefix and cannot be a wish.
    pub parameters_ignored: u64,
}

/// The gates a frame can meet, in the order of [`Tally::frames`].
pub const GATE_NAMES: [&str; 3] = ["open", "paused", "shut"];

impl LegEnd {
    /// What the gateway is told.
    pub fn ending(self) -> Ending {
        let fault = match self {
            Self::MediaTimeout | Self::Refused | Self::SocketLost => Fault::Client,
            Self::Retired | Self::Stopped => Fault::Nobody,
            Self::ShutDown => Fault::Gateway,
        };
        Ending::new(fault, self.as_str())
    }
}

impl Tally {
    /// Counts a frame of sound by the gate it met.
    pub fn frame(&mut self, gate: Gate) {
        let index = match gate {
            Gate::Open => 0,
            Gate::Paused => 1,
            Gate::Shut => 2,
        };
        self.frames[index] += 1;
    }
}
