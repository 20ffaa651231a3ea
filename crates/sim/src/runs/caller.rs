//! One call that has been placed, whatever it goes over.

use super::speaker::Speaker;
use crate::control::{Answer, Gateway, Start};
use crate::load::fleet::Seat;
use crate::load::origin::Session;

/// What a caller says.
pub(super) enum Spoken {
    Phrases(Speaker),
    /// Stamps while the fleet sends them, silence else.
    Stamps,
}

/// One placed call.
pub(super) struct Caller {
    pub(super) guid: String,
    /// The API, for calls of its platform.
    pub(super) gateway: Gateway,
    pub(super) seat: Seat,
    /// Of SIPREC: the dialog.
    pub(super) session: Option<Session>,
}

impl Caller {
    /// `start-streaming`, with all defaults.
    ///
    /// # Errors
    /// When there is no answer.
    pub(super) async fn start(&self) -> anyhow::Result<Answer> {
        self.gateway.start(&Start::of(&self.guid)).await
    }

    /// `stop-streaming`
    ///
    /// # Errors
    /// When there is no answer.
    pub(super) async fn stop(&self) -> anyhow::Result<Answer> {
        self.gateway.stop(&self.guid).await
    }

    /// The call is over: nothing more is sent, and then it is said so.
    ///
    /// # Errors
    /// When the gateway does not take the goodbye.
    pub(super) async fn hang_up(self) -> anyhow::Result<()> {
        self.seat.leave().await;
        if let Some(session) = self.session {
            session.call.hang_up().await?;
        }
        Ok(())
    }
}
