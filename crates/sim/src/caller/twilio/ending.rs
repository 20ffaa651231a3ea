//! How a stream ends: by whom, how, and what a test can see of it.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use super::TwilioCall;
use crate::caller::transport::Transport;

/// How the gateway ended the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The close frame's code; `None` when TCP ended without one.
    pub code: Option<u16>,
    /// The close frame's reason, or what TCP said.
    pub reason: String,
}

/// A half-open connection: nothing is read, nothing is sent, TCP stays up until this is dropped.
#[derive(Debug)]
pub struct Silent {
    _socket: WebSocketStream<Transport>,
}

/// Why sending failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The gateway has ended the socket.
    #[error("the gateway closed the stream: {:?} {}", .0.code, .0.reason)]
    Closed(Closed),
    /// The gateway did not answer a close frame.
    #[error("no answer to the close frame within {0:?}")]
    CloseTimeout(Duration),
    /// The network.
    #[error("the stream broke: {0}")]
    Socket(#[from] SocketError),
}

impl TwilioCall {
    /// Waits until the gateway ends the socket.
    pub async fn closed(&mut self, within: Duration) -> Option<Closed> {
        let wait = async {
            while self.closed.is_none() {
                let message = self.socket.next().await;
                self.hear(message);
            }
        };
        timeout(within, wait).await.ok()?;
        self.closed.clone()
    }

    /// The call is over: `stop`, then the closing handshake.
    pub async fn hang_up(mut self) -> Result<Closed, CallError> {
        self.stop().await?;
        self.close().await
    }

    /// The closing handshake without a `stop`.
    pub async fn close(mut self) -> Result<Closed, CallError> {
        let frame = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        self.send(Message::Close(Some(frame))).await?;
        let limit = self.options.close_timeout;
        self.closed(limit)
            .await
            .ok_or(CallError::CloseTimeout(limit))
    }

    /// TCP is reset: whatever was on its way is lost.
    pub fn reset(self) {
        // Closing with a zero linger time sends RST; if the option cannot be set the connection is
        // already gone.
        drop(self.socket.get_ref().tcp().set_zero_linger());
    }

    /// The network between goes dark: TCP stays up, nothing moves.
    pub fn go_silent(self) -> Silent {
        Silent {
            _socket: self.socket,
        }
    }

    /// A failed write may have a close frame waiting behind it that tells more.
    pub(super) async fn why(&mut self, error: SocketError) -> CallError {
        if self.closed.is_none() {
            self.closed(Duration::from_millis(100)).await;
        }
        self.closed
            .clone()
            .map_or(CallError::Socket(error), CallError::Closed)
    }

    /// Takes what has come in, without waiting: pings are answered, a close frame ends the call.
    pub(super) fn listen(&mut self) -> Result<(), CallError> {
        while let Some(message) = self.socket.next().now_or_never() {
            self.hear(message);
            if let Some(closed) = &self.closed {
                return Err(CallError::Closed(closed.clone()));
            }
        }
        Ok(())
    }

    fn hear(&mut self, message: Option<Result<Message, SocketError>>) {
        let without_code = |reason: String| Some(Closed { code: None, reason });
        match message {
            Some(Ok(Message::Close(frame))) => {
                self.closed = frame.map_or_else(
                    || without_code("empty close frame".to_owned()),
                    |frame| {
                        let reason = frame.reason.as_str().to_owned();
                        Some(Closed {
                            code: Some(frame.code.into()),
                            reason,
                        })
                    },
                );
            }
            Some(Ok(Message::Binary(_) | Message::Text(_))) => self.heard += 1,
            Some(Ok(_)) => {}
            Some(Err(error)) => self.closed = without_code(error.to_string()),
            None => self.closed = without_code("end of stream".to_owned()),
        }
    }
}
