//! Whose messages the client's are like. One file a dialect says what its equipment is known to
//! send, with values of our own; what none of them says is that of [`plain`].

mod audiocodes;
mod avaya;
mod bib;
mod broadworks;
mod cube;
mod metadata;
mod metaswitch;
mod nbr;
mod netsapiens;
mod opensips;
mod oracle;
mod plain;
mod ribbon;
mod twilio;

use super::scene::Scene;

/// The equipment that is imitated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Like {
    /// AudioCodes Mediant.
    Audiocodes,
    /// Avaya SBCE.
    Avaya,
    /// A Cisco phone's own forks: two dialogs, the offer comes from the recorder.
    Bib,
    /// BroadWorks and Webex Calling.
    Broadworks,
    /// Cisco CUBE.
    Cube,
    /// Metaswitch CFS: one mixed line.
    Metaswitch,
    /// Cisco network-based recording: no metadata, the parties are in header fields.
    Nbr,
    /// NetSapiens: a transfer is a new session.
    Netsapiens,
    /// OpenSIPS before 2024: no streams in the metadata.
    Opensips,
    /// Oracle (Acme Packet).
    Oracle,
    /// What the RFCs say and nothing else.
    Plain,
    /// Ribbon (Sonus).
    Ribbon,
    /// Twilio `<Siprec>`.
    Twilio,
}

/// Everything in which one dialect's messages differ from another's. Wide because it is a table.
pub(super) struct Shape {
    pub(super) lines: Lines,
    /// Which participant is heard on which line; the caller is participant 0.
    pub(super) order: [usize; 2],
    pub(super) early: Early,
    pub(super) hold: Hold,
    /// Whether a transfer ends the session and begins another one of the same group.
    pub(super) transfer_anew: bool,
    pub(super) head: Head,
    pub(super) body: Body,
    pub(super) sdp: Description,
    /// `None`: no metadata at all.
    pub(super) metadata: Option<fn(&Scene) -> String>,
    /// The call's name for the control API.
    pub(super) guid: fn(&Scene) -> String,
}

/// How the parties are spread over media lines and dialogs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    /// Each party has a dialog with one line.
    Dialogs,
    /// One line carries both.
    Mixed,
    /// One dialog, a line for each.
    Two,
}

/// How a session begins before the callee has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Early {
    /// All lines inactive.
    Inactive,
    /// Only the caller's line.
    OneLine,
    /// As ever; only the metadata differs.
    Same,
}

/// How media is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// `a=inactive`
    Inactive,
    /// `c=0.0.0.0`
    ZeroAddress,
}

/// Header fields.
pub(super) struct Head {
    pub(super) require: Option<&'static str>,
    pub(super) supported: Option<&'static str>,
    /// `Contact` of a URI.
    pub(super) contact: fn(&str) -> String,
    /// The user of the Request-URI, then of `From`.
    pub(super) users: [&'static str; 2],
    /// Further parameters of the From-URI.
    pub(super) from: fn(&Scene) -> String,
    pub(super) more: fn(&Scene) -> Vec<(&'static str, String)>,
}

/// The multipart body.
pub(super) struct Body {
    pub(super) boundary: &'static str,
    /// Before the first boundary.
    pub(super) preamble: &'static str,
    /// The last boundary and what follows it.
    pub(super) close: &'static str,
    /// Header fields of the part with the SDP.
    pub(super) sdp: &'static str,
    /// Header fields of the part with the metadata.
    pub(super) metadata: &'static str,
    pub(super) metadata_first: bool,
    /// A third part, header fields and all.
    pub(super) more: fn(&Scene) -> Option<String>,
}

/// The session description.
pub(super) struct Description {
    /// User name of `o=`.
    pub(super) origin: &'static str,
    /// `s=`
    pub(super) name: &'static str,
    pub(super) connection: Connection,
    /// Formats before and behind the codecs that can really be sent.
    pub(super) formats: [&'static [Format]; 2],
    /// Whether static payload numbers have an `a=rtpmap`.
    pub(super) mapped: bool,
    pub(super) labels: [&'static str; 3],
    /// Further attributes of every line.
    pub(super) attributes: &'static [&'static str],
    /// Whether the direction is said.
    pub(super) directed: bool,
}

/// Where `c=` stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    Both,
    Media,
    Session,
}

/// Number, `a=rtpmap`, `a=fmtp`; empty where it has none.
pub(super) type Format = (u8, &'static str, &'static str);

/// Keys as events with the number that most have.
const EVENTS: Format = (101, "telephone-event/8000", "0-16");

impl Like {
    pub(super) fn shape(self) -> &'static Shape {
        match self {
            Self::Audiocodes => &audiocodes::SHAPE,
            Self::Avaya => &avaya::SHAPE,
            Self::Bib => &bib::SHAPE,
            Self::Broadworks => &broadworks::SHAPE,
            Self::Cube => &cube::SHAPE,
            Self::Metaswitch => &metaswitch::SHAPE,
            Self::Nbr => &nbr::SHAPE,
            Self::Netsapiens => &netsapiens::SHAPE,
            Self::Opensips => &opensips::SHAPE,
            Self::Oracle => &oracle::SHAPE,
            Self::Plain => &plain::SHAPE,
            Self::Ribbon => &ribbon::SHAPE,
            Self::Twilio => &twilio::SHAPE,
        }
    }

    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Audiocodes,
        Self::Avaya,
        Self::Bib,
        Self::Broadworks,
        Self::Cube,
        Self::Metaswitch,
        Self::Nbr,
        Self::Netsapiens,
        Self::Opensips,
        Self::Oracle,
        Self::Plain,
        Self::Ribbon,
        Self::Twilio,
    ];
}
