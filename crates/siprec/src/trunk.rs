//! Who may record here and by which rules.

pub(crate) mod select;

use std::net::IpAddr;

use ipnet::IpNet;

use crate::answer::MediaPolicy;
use crate::roles::RolePolicy;

/// One trunk: how it is recognised, and its rules.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// For logs, metrics and the API.
    pub name: String,
    /// Source networks; empty: any.
    pub sources: Vec<IpNet>,
    /// Listeners (`udp:0.0.0.0:5060` as configured); empty: any.
    pub listeners: Vec<String>,
    /// Names in the peer's TLS certificate; empty: any.
    pub tls_names: Vec<String>,
    /// User parts of To or Request-URI; empty: any.
    pub users: Vec<String>,
    /// Accept an INVITE that does not say siprec (RFC 7866 §6.1.1).
    pub accept_anyway: bool,
    /// Order of call identifiers, by [`crate::identifiers::Identifier::source`].
    pub identifiers: Vec<String>,
    /// Who speaks where.
    pub roles: RolePolicy,
    /// Codecs, SRTP, lines.
    pub media: MediaPolicy,
    /// What is answered before a start.
    pub answer: BeforeStart,
    /// Whether a stop pauses the media again by re-INVITE.
    pub pause_on_stop: bool,
    /// Whether a session with one mixed line is taken.
    pub accept_mixed: bool,
    /// Sessions at once.
    pub sessions_max: usize,
    /// Our address in SDP, as this trunk sees it.
    pub media_address: Option<IpAddr>,
    /// Host and port of our Contact, as this trunk sees them.
    pub contact: Option<String>,
    /// User and password for digest challenges to our requests.
    pub credentials: Option<Credentials>,
    /// Metadata that may be kept: `aor`, `name`; everything else is kept as needed (M18).
    pub keep: Vec<String>,
}

/// For RFC 8760 / RFC 2617 challenges.
#[derive(Clone)]
pub struct Credentials {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// `siprec.answer`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeforeStart {
    /// `inactive` until a start, then a re-INVITE with `recvonly`.
    Inactive,
    /// `recvonly`: sound is received and discarded undecoded until a start.
    RecvOnly,
}
