//! A service's end of the wire, for tests: one accepted WebSocket at a time, played by hand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_async};

/// No test waits for longer.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

/// One accepted WebSocket.
pub(crate) struct Peer<S = TcpStream>(WebSocketStream<S>);

/// What a client said.
#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    Text(String),
    Sound(Vec<u8>),
    Gone,
}

impl Server {
    pub(crate) fn bind() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // A small window, so that a peer that does not read is noticed soon.
        socket.set_recv_buffer_size(8 << 10).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(16).unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/?token=hunter2", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) async fn tcp(&self) -> TcpStream {
        timeout(PATIENCE, self.listener.accept())
            .await
            .expect("nobody connects")
            .unwrap()
            .0
    }

    pub(crate) async fn accept(&self) -> Peer {
        Peer::greet(self.tcp().await).await
    }

    pub(crate) async fn accept_tls(
        &self,
        config: Arc<rustls::ServerConfig>,
    ) -> Option<Peer<tokio_rustls::server::TlsStream<TcpStream>>> {
        let tcp = self.tcp().await;
        match tokio_rustls::TlsAcceptor::from(config).accept(tcp).await {
            Ok(stream) => Some(Peer::greet(stream).await),
            Err(_) => None,
        }
    }

    /// Answers an upgrade with something else.
    pub(crate) async fn refuse(&self, head: &str) {
        let mut tcp = self.tcp().await;
        let mut request = [0; 4096];
        let length = tcp.read(&mut request).await.unwrap();
        assert!(request[..length].ends_with(b"\r\n\r\n"));
        let answer = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n");
        tcp.write_all(answer.as_bytes()).await.unwrap();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    async fn greet(stream: S) -> Self {
        Self(
            timeout(PATIENCE, accept_async(stream))
                .await
                .expect("no upgrade")
                .unwrap(),
        )
    }

    /// The next message, answering pings on the way.
    pub(crate) async fn next(&mut self) -> Said {
        loop {
            match timeout(PATIENCE, self.0.next())
                .await
                .expect("the client says nothing")
            {
                Some(Ok(Message::Text(text))) => return Said::Text(text.to_string()),
                Some(Ok(Message::Binary(sound))) => return Said::Sound(sound.into()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(_) | Err(_)) | None => return Said::Gone,
            }
        }
    }

    pub(crate) async fn text(&mut self) -> String {
        match self.next().await {
            Said::Text(text) => text,
            said => panic!("{said:?} instead of a text"),
        }
    }

    pub(crate) async fn sound(&mut self) -> Vec<u8> {
        match self.next().await {
            Said::Sound(sound) => sound,
            said => panic!("{said:?} instead of sound"),
        }
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn say_binary(&mut self, bytes: Vec<u8>) {
        self.0.send(Message::binary(bytes)).await.unwrap();
    }

    pub(crate) async fn close(mut self, code: u16) {
        let frame = CloseFrame {
            code: code.into(),
            reason: "".into(),
        };
        self.0.send(Message::Close(Some(frame))).await.unwrap();
        while self.next().await != Said::Gone {}
    }
}

impl Peer {
    /// RST: what the client still has to read is lost to it.
    pub(crate) fn reset(self) {
        let stream = self.0.into_inner();
        stream.set_zero_linger().unwrap();
    }
}
