//! How a call, a leg or a stream ended: whose fault, and why. Log level and metric follow from it.

/// Every ending has one fault and one reason, decided where it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ending {
    /// Whose doing it was.
    pub fault: Fault,
    /// A short fixed text, fit for a metric label: `stopped`, `socket_lost`, `media_timeout`.
    pub reason: &'static str,
}

/// Whose doing an ending was. *Nobody* and *client* are logged at info, *upstream* and *unknown* at
/// warn, *gateway* at error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// The platform or the API's user.
    Client,
    /// Ours.
    Gateway,
    /// The call was simply over.
    Nobody,
    /// Nothing told.
    Unknown,
    /// The speech service.
    Upstream,
}

impl Ending {
    /// An ending with its fault and reason.
    pub const fn new(fault: Fault, reason: &'static str) -> Self {
        Self { fault, reason }
    }
}

impl Fault {
    /// All of them, in alphabetical order.
    pub const ALL: [Self; 5] = [
        Self::Client,
        Self::Gateway,
        Self::Nobody,
        Self::Unknown,
        Self::Upstream,
    ];

    /// For labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Nobody => "nobody",
            Self::Unknown => "unknown",
            Self::Upstream => "upstream",
        }
    }
}
