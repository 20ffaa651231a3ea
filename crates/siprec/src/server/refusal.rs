//! Why a request is refused: status, cause in words, headers that help the peer.

use crate::answer::{LinePlan, LineRefusal};
use crate::message::Method;
use crate::multipart::BadBody;
use crate::offer::BadDescription;

/// Methods we answer with more than 405.
pub(super) const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, PRACK, INFO";
/// Bodies we read. Both names of the metadata type: RFC 9806 §2.
pub(super) const ACCEPT: &str = "application/sdp, multipart/mixed, application/rs-metadata+xml, \
                                 application/rs-metadata";
/// Extensions we know. `siprec` is not said here: RFC 7866 §11.1.1.
pub(super) const SUPPORTED: &str = "timer, 100rel";

/// A response of 400 and more. Its words go into `Warning` and into the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) why: String,
    /// RFC 3261 §20.43.
    pub(super) warn_code: u16,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Refusal {
    /// With a cause, without further headers.
    pub(super) fn new(status: u16, why: impl Into<String>) -> Self {
        Self {
            status,
            why: why.into(),
            warn_code: 399,
            headers: Vec::new(),
        }
    }

    /// With a header more.
    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// A header is missing or cannot be read.
    pub(super) fn bad_header(name: &str) -> Self {
        Self::new(400, format!("{name} is missing or cannot be read"))
    }

    /// 405, or 501 for a method nobody knows. RFC 3261 §8.2.1, §21.5.2.
    pub(super) fn method(method: &Method) -> Self {
        let status = if matches!(method, Method::Other(_)) {
            501
        } else {
            405
        };
        Self::new(status, "the method is not one of Allow").with("Allow", ALLOW)
    }

    /// 481
    pub(super) fn no_dialog() -> Self {
        Self::new(481, "there is no such dialog")
    }

    /// 488 for a session whose every line is rejected, naming the first that was offered.
    pub(super) fn no_line(plan: &[LinePlan]) -> Self {
        let rejected = plan
            .iter()
            .enumerate()
            .filter_map(|(index, line)| match line {
                LinePlan::Accepted(_) => None,
                LinePlan::Rejected(why) => Some((index, *why)),
            });
        let mut rejected = rejected.collect::<Vec<_>>();
        rejected.sort_by_key(|(index, why)| (*why == LineRefusal::Removed, *index));
        let Some((index, why)) = rejected.first() else {
            return Self::new(488, "there is no media line");
        };
        let mut refusal = Self::new(488, format!("m-line {}: {why}", index + 1));
        refusal.warn_code = match why {
            LineRefusal::NotAudio => 304,
            LineRefusal::OnlyG729 | LineRefusal::NoCodec => 305,
            LineRefusal::Transport => 302,
            _ => 399,
        };
        refusal
    }
}

impl From<BadBody> for Refusal {
    fn from(bad: BadBody) -> Self {
        match bad {
            BadBody::Multipart(_) => Self::new(400, bad.to_string()),
            BadBody::UnsupportedType(_) | BadBody::RequiredPart(_) => {
                Self::new(415, bad.to_string()).with("Accept", ACCEPT)
            }
        }
    }
}

impl From<BadDescription> for Refusal {
    fn from(bad: BadDescription) -> Self {
        let status = match bad {
            BadDescription::NoMedia => 488,
            BadDescription::TooLarge(_) => 413,
            BadDescription::Unreadable(_) => 400,
        };
        Self::new(status, bad.to_string())
    }
}
