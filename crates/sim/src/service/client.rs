//! A client of a few lines, for the tests of all dialects.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// How long a test waits for anything.
pub(super) const SECONDS: Duration = Duration::from_secs(20);

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What a client sees, in order: messages, the close code, how the connection went.
#[derive(Debug, PartialEq)]
pub(super) enum Seen {
    Text(Value),
    Close(u16),
    End,
    Broken,
}

impl Seen {
    /// A text message.
    pub(super) fn text(self) -> Value {
        match self {
            Self::Text(message) => message,
            other => panic!("{other:?}"),
        }
    }
}

pub(super) async fn say(socket: &mut Socket, message: Value) {
    socket
        .send(Message::text(message.to_string()))
        .await
        .unwrap();
}

pub(super) async fn see(socket: &mut Socket) -> Seen {
    match tokio::time::timeout(SECONDS, socket.next())
        .await
        .expect("something is seen in time")
    {
        Some(Ok(Message::Text(text))) => Seen::Text(serde_json::from_str(&text).unwrap()),
        Some(Ok(Message::Close(frame))) => {
            Seen::Close(frame.map_or(1005, |frame| frame.code.into()))
        }
        Some(Ok(other)) => panic!("{other:?}"),
        Some(Err(Error::ConnectionClosed)) | None => Seen::End,
        Some(Err(_)) => Seen::Broken,
    }
}

pub(super) async fn see_all(socket: &mut Socket) -> Vec<Seen> {
    let mut all = Vec::new();
    loop {
        let seen = see(socket).await;
        let last = matches!(seen, Seen::End | Seen::Broken);
        all.push(seen);
        if last {
            return all;
        }
    }
}

/// Sends L16 in messages of 100 ms.
pub(super) async fn hear(socket: &mut Socket, samples: &[i16]) {
    for chunk in samples.chunks(800) {
        let bytes: Vec<u8> = chunk
            .iter()
            .flat_map(|sample| sample.to_le_bytes())
            .collect();
        socket.send(Message::binary(bytes)).await.unwrap();
    }
}
