//! What the signalling task hears from all the others.

use std::sync::Arc;

use siprec::message::Message;
use siprec::server::SessionId;
use siprec::transaction::Flow;

/// One thing that happened at a socket, a leg or a line.
#[derive(Debug)]
pub(crate) enum Signal {
    /// A connection is gone.
    Closed { connection: u64 },
    /// A message arrived.
    Message {
        flow: Flow,
        message: Box<Message>,
        /// Names of the peer's verified certificate that trunks ask for.
        tls_names: Arc<[String]>,
    },
    /// Whether anything came on a line for `media_timeout`.
    Silent {
        session: SessionId,
        line: usize,
        is_silent: bool,
    },
    /// Whether a leg's gate is open.
    Wanted {
        session: SessionId,
        line: usize,
        sound: bool,
    },
}
