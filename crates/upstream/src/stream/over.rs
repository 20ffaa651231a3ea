//! How one socket, or the attempt to get one, ended.

use std::time::Duration;

use call::start::{Status, Summary};

use crate::retry::Loss;
use crate::service::Retry;

/// What ended it.
#[derive(Debug)]
pub(crate) enum Over {
    /// We had said that nothing more comes. The service's last word, or ours if it gave none.
    Finished(Status, Option<Summary>),
    /// It ended although the stream has not.
    Lost(Lost),
}

/// A socket that ended although the stream has not, or was not had.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) why: String,
    pub(crate) loss: Loss,
    /// The service's own last word, if it gave one.
    pub(crate) status: Option<Status>,
    /// Whether it will have no second session beside the first.
    pub(crate) is_conflict: bool,
}

impl Lost {
    /// Without a word of the service's own.
    pub(crate) fn new(why: String, retry: Retry, lived: Option<Duration>, fresh: bool) -> Self {
        Self {
            why,
            loss: Loss {
                retry,
                lived,
                fresh,
            },
            status: None,
            is_conflict: retry == Retry::Session,
        }
    }
}
