//! How calls end, and why they do not come about.

use std::io;
use std::time::Duration;

use super::agent::lock;
use super::message::Message;
use super::{SiprecCall, rtcp};

/// A recording server's no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused with {status} {reason}{}", warning.as_ref().map(|w| format!(", {w}")).unwrap_or_default())]
pub struct Refused {
    /// 300 to 699.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// The `Warning` header.
    pub warning: Option<String>,
    /// `Retry-After` in seconds.
    pub retry_after: Option<u32>,
    /// All of it.
    pub response: Message,
}

/// Why there is no call.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The network.
    #[error("no connection: {0}")]
    Io(#[from] io::Error),
    /// The recording server said no.
    #[error(transparent)]
    Refused(Box<Refused>),
    /// It said nothing, or not the last word.
    #[error("no answer to the INVITE within {0:?}")]
    Timeout(Duration),
}

/// Why something did not work.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The recording server has ended the session, or the connection is gone.
    #[error("the recording server ended the session")]
    Ended,
    /// The network.
    #[error("the packet could not be sent: {0}")]
    Io(#[from] io::Error),
    /// The line's answer has no such format.
    #[error("the recording server did not take {0}")]
    NotTaken(&'static str),
    /// The recording server said no.
    #[error(transparent)]
    Refused(Box<Refused>),
    /// There was no answer in time.
    #[error("no {0} in time")]
    Timeout(&'static str),
}

impl Refused {
    pub(super) fn of(response: Message) -> Self {
        let reason = match &response.start {
            super::message::Start::Response { reason, .. } => reason.clone(),
            super::message::Start::Request { .. } => String::new(),
        };
        let number = |text: &str| text.split([' ', ';', '(']).next()?.parse().ok();
        Self {
            status: response.status(),
            reason,
            warning: response.header("Warning").map(str::to_owned),
            retry_after: response.header("Retry-After").and_then(number),
            response,
        }
    }
}

impl DialError {
    /// The no, if it was one.
    pub fn refused(&self) -> Option<&Refused> {
        match self {
            Self::Refused(refused) => Some(refused),
            Self::Io(_) | Self::Timeout(_) => None,
        }
    }
}

impl SiprecCall {
    /// The call is over: what is on its way arrives, RTCP says goodbye, then a BYE for each dialog.
    ///
    /// # Errors
    /// When the BYE is refused or not answered.
    pub async fn hang_up(mut self) -> Result<Self, CallError> {
        self.flush().await?;
        self.say_goodbye().await?;
        self.bye_all().await?;
        for line in 0..self.outlets.len() {
            self.listen_to(line);
        }
        Ok(self)
    }

    /// A goodbye on every line's RTCP, which `hang_up` says by itself.
    ///
    /// # Errors
    /// What the network says.
    pub async fn say_goodbye(&mut self) -> Result<(), CallError> {
        for line in 0..self.outlets.len() {
            if let Some(route) = self.route(line) {
                let packet = self.control_packet(line, rtcp::goodbye);
                self.outlets[line].control(packet, route.rtcp).await?;
            }
        }
        Ok(())
    }

    /// Waits until the recording server ends the session.
    pub async fn ended(&self, within: Duration) -> bool {
        let ended = |_: &[_]| self.is_over();
        self.wait_for(ended, within).await.is_ok()
    }

    /// Whether every dialog is over.
    pub fn is_over(&self) -> bool {
        self.dialogs.iter().all(|dialog| lock(&dialog.0).ended)
    }

    /// Ends the dialogs that are not over.
    pub(super) async fn bye_all(&mut self) -> Result<(), CallError> {
        for index in 0..self.dialogs.len() {
            if !lock(&self.dialogs[index].0).ended {
                let bye = lock(&self.dialogs[index].0).request("BYE");
                let answered = self.ask(index, bye, "answer to the BYE").await;
                lock(&self.dialogs[index].0).ended = true;
                answered?;
            }
            self.agent.leave(&self.dialogs[index].0).await;
        }
        Ok(())
    }
}
