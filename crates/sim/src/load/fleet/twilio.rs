//! A Twilio stream without a runtime.

use std::io::ErrorKind;

use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message, WebSocket};

use super::{Line, PERIOD};
use crate::caller::transport::Unhurried;
use crate::caller::twilio::{CONNECTED, Media, Side, Writer};
use crate::load::stamp::FRAME;

/// What a socket that does not take its bytes may have waiting; then its caller is given up.
const WRITE_BUFFER_MAX: usize = 1 << 20;

/// What a close frame without a code counts as; RFC 6455 section 7.1.5.
const NO_CODE: u16 = 1005;

/// An upgraded connection and what was sent over it.
pub(crate) struct TwilioLine {
    socket: WebSocket<Unhurried>,
    writer: Writer,
    sequence: u64,
    sent: [u64; 2],
    text: String,
    broken: bool,
    goodbye: Option<u16>,
}

impl TwilioLine {
    /// Announces the stream. `rest` are bytes that came behind the answer to the upgrade.
    pub(crate) fn open(transport: Unhurried, rest: Vec<u8>, writer: Writer) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(4096)
            .write_buffer_size(0)
            .max_write_buffer_size(WRITE_BUFFER_MAX);
        let socket = WebSocket::from_partially_read(transport, rest, Role::Client, Some(config));
        let start = writer.start(1, &Side::BOTH, &[]);
        let mut line = Self {
            socket,
            writer,
            sequence: 1,
            sent: [0; 2],
            text: String::new(),
            broken: false,
            goodbye: None,
        };
        line.send(Message::text(CONNECTED));
        line.send(Message::text(start));
        line
    }

    /// What the kernel does not take stays in the WebSocket's buffer and goes with the next frame.
    fn send(&mut self, message: Message) -> bool {
        if self.broken {
            return false;
        }
        match self.socket.send(message) {
            Ok(()) => false,
            Err(SocketError::Io(error)) if error.kind() == ErrorKind::WouldBlock => true,
            Err(_) => {
                self.broken = true;
                false
            }
        }
    }
}

impl Line for TwilioLine {
    fn frame(&mut self, track: usize, codes: &[u8; FRAME]) -> bool {
        self.sequence += 1;
        let media = Media {
            side: Side::BOTH[track],
            sequence: self.sequence,
            chunk: self.sent[track] + 1,
            timestamp_ms: self.sent[track] * PERIOD.as_millis() as u64,
            payload: codes,
        };
        self.sent[track] += 1;
        self.text.clear();
        self.writer.media(&media, &mut self.text);
        self.send(Message::text(self.text.as_str()))
    }

    /// Pings and a close frame are answered on the way; nothing else is expected.
    fn listen(&mut self) {
        while !self.broken {
            match self.socket.read() {
                Ok(Message::Close(frame)) => {
                    self.goodbye = Some(frame.map_or(NO_CODE, |frame| frame.code.into()));
                }
                Ok(_) => {}
                Err(SocketError::Io(error)) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.broken = true,
            }
        }
    }

    fn hang_up(&mut self) {
        let stop = self.writer.stop(self.sequence + 1);
        self.send(Message::text(stop));
        let normal = CloseFrame {
            code: 1000.into(),
            reason: "".into(),
        };
        self.send(Message::Close(Some(normal)));
    }

    fn is_broken(&self) -> bool {
        self.broken
    }

    fn goodbye(&self) -> Option<u16> {
        self.goodbye
    }
}
