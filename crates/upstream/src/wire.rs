//! One WebSocket to a service: opened within a deadline, read and written independently, all
//! buffers bounded. The only file that names tokio-tungstenite.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Sink, Stream, StreamExt};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Utf8Bytes};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use crate::service::{Message, Retry};
use crate::trust::Trust;

/// The limits of one WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireConfig {
    /// Name, TCP, TLS and upgrade together must not take longer.
    pub connect_timeout: Duration,
    /// How long a closing handshake may take.
    pub close_timeout: Duration,
    /// A longer message from a service ends the socket.
    pub message_bytes_max: usize,
    /// Allocated for each socket, and cleared at each read.
    pub read_buffer_bytes: usize,
    /// What may wait to be written, here and once more in the system; allocated as it is used.
    pub write_buffer_bytes_max: usize,
    /// Whether `ws://` may lead to another machine. To this one it always may.
    pub allow_plain: bool,
}

/// Opens WebSockets. One for all streams.
#[derive(Debug)]
pub struct Wire {
    config: WireConfig,
    trust: Trust,
}

/// Why there is no socket, or no longer. Holds no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The service closed it, perhaps with a code and a reason.
    #[error("the service closed the connection{}", code(*.0))]
    Closed(Option<u16>, String),
    /// The address does not lead to a WebSocket.
    #[error("the service's address is no WebSocket address")]
    NotAnAddress,
    /// The operating system or TLS reported an error.
    #[error("the connection failed: {0}")]
    Network(String),
    /// An address without TLS on another machine.
    #[error("the service's address is without TLS, which is not allowed")]
    Plain,
    /// The service broke the protocol or a limit.
    #[error("the service broke the WebSocket protocol: {0}")]
    Protocol(String),
    /// The upgrade was answered with another status.
    #[error("the service refused the connection with HTTP status {status}")]
    Refused {
        /// That status.
        status: u16,
        /// Its `Retry-After` in whole seconds.
        retry_after: Option<Duration>,
    },
    /// It could not be opened in time.
    #[error("the connection could not be opened in time")]
    Timeout,
}

/// One open WebSocket.
#[derive(Debug)]
pub(crate) struct Link {
    /// Boxed, for it is large and moved around.
    socket: Box<WebSocketStream<MaybeTlsStream<TcpStream>>>,
    close_timeout: Duration,
}

/// What a service sent.
#[derive(Debug)]
pub(crate) enum Received {
    /// Binary, which no dialect expects.
    Binary,
    /// A ping or a pong: nothing but a sign of life.
    Life,
    /// Text.
    Text(Utf8Bytes),
}

impl Default for WireConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            close_timeout: Duration::from_secs(1),
            message_bytes_max: 1 << 20,
            read_buffer_bytes: 4096,
            write_buffer_bytes_max: 128 << 10,
            allow_plain: false,
        }
    }
}

impl WireError {
    /// The class of this failure.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Refused {
                status: 429,
                retry_after,
            } => retry_after.map_or(Retry::Backoff, Retry::After),
            Self::Refused { status: 500.., .. } => Retry::Backoff,
            Self::Refused { .. } | Self::Closed(Some(1008), _) => Retry::Token,
            Self::NotAnAddress | Self::Plain => Retry::Session,
            Self::Closed(..) | Self::Network(_) | Self::Protocol(_) | Self::Timeout => {
                Retry::Backoff
            }
        }
    }
}

impl Wire {
    /// With one trust for all sockets.
    pub fn new(config: WireConfig, trust: Trust) -> Self {
        Self { config, trust }
    }

    /// Whom it trusts.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Opens a socket within the deadline.
    pub(crate) async fn connect(&self, request: http::Request<()>) -> Result<Link, WireError> {
        let (parts, ()) = request.into_parts();
        self.check(&parts.uri)?;
        let mut request = parts
            .uri
            .clone()
            .into_client_request()
            .map_err(WireError::from)?;
        request.headers_mut().extend(parts.headers);
        let connector = Some(Connector::Rustls(self.trust.config()));
        let config = Some(self.socket_config());
        let opening = async {
            let tcp = self.tcp(&parts.uri).await.map_err(tungstenite::Error::Io)?;
            client_async_tls_with_config(request, tcp, config, connector).await
        };
        match timeout(self.config.connect_timeout, opening).await {
            Ok(Ok((socket, _))) => Ok(Link {
                socket: Box::new(socket),
                close_timeout: self.config.close_timeout,
            }),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(WireError::Timeout),
        }
    }

    /// TCP to the first address of the host that takes it. The system may keep little of what a
    /// service does not read: what waits shall wait in the leg's backlog, where it is counted.
    async fn tcp(&self, uri: &http::Uri) -> io::Result<TcpStream> {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let default = if uri.scheme_str() == Some("wss") {
            443
        } else {
            80
        };
        let port = uri.port_u16().unwrap_or(default);
        let bytes = u32::try_from(self.config.write_buffer_bytes_max).unwrap_or(u32::MAX);
        let mut failed = io::Error::from(io::ErrorKind::NotFound);
        for address in lookup_host((host, port)).await? {
            let socket = match address {
                SocketAddr::V4(_) => TcpSocket::new_v4()?,
                SocketAddr::V6(_) => TcpSocket::new_v6()?,
            };
            socket.set_send_buffer_size(bytes)?;
            socket.set_nodelay(true)?;
            match socket.connect(address).await {
                Ok(tcp) => return Ok(tcp),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    fn check(&self, uri: &http::Uri) -> Result<(), WireError> {
        let host = uri.host().ok_or(WireError::NotAnAddress)?;
        match uri.scheme_str() {
            Some("wss") => Ok(()),
            Some("ws") if self.config.allow_plain || is_this_machine(host) => Ok(()),
            Some("ws") => Err(WireError::Plain),
            _ => Err(WireError::NotAnAddress),
        }
    }

    fn socket_config(&self) -> WebSocketConfig {
        // Each message is flushed by itself, so there is nothing to collect in a buffer.
        WebSocketConfig::default()
            .read_buffer_size(self.config.read_buffer_bytes)
            .write_buffer_size(0)
            .max_write_buffer_size(self.config.write_buffer_bytes_max.max(1))
            .max_message_size(Some(self.config.message_bytes_max))
            .max_frame_size(Some(self.config.message_bytes_max))
    }
}

impl Link {
    /// What the service sent next. An end of any kind is an error.
    pub(crate) fn poll_hear(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Received, WireError>> {
        use tungstenite::Message as Incoming;
        Poll::Ready(
            match ready!(Pin::new(&mut self.socket).poll_next(context)) {
                Some(Ok(Incoming::Text(text))) => Ok(Received::Text(text)),
                Some(Ok(Incoming::Binary(_))) => Ok(Received::Binary),
                Some(Ok(Incoming::Close(frame))) => Err(closed(frame)),
                Some(Ok(_)) => Ok(Received::Life),
                Some(Err(error)) => Err(error.into()),
                None => Err(closed(None)),
            },
        )
    }

    /// Puts a message into the write buffer. To be followed by [`Link::poll_flush`].
    pub(crate) fn feed(&mut self, message: Message) -> Result<(), WireError> {
        let message = match message {
            Message::Binary(bytes) => tungstenite::Message::Binary(bytes),
            Message::Text(text) => tungstenite::Message::Text(text.into()),
        };
        Pin::new(&mut self.socket)
            .start_send(message)
            .map_err(WireError::from)
    }

    /// Puts a ping into the write buffer.
    pub(crate) fn feed_ping(&mut self) -> Result<(), WireError> {
        let ping = tungstenite::Message::Ping(bytes::Bytes::new());
        Pin::new(&mut self.socket)
            .start_send(ping)
            .map_err(WireError::from)
    }

    /// Ready when everything is written.
    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        Pin::new(&mut self.socket)
            .poll_flush(context)
            .map_err(WireError::from)
    }

    /// Closes politely, but not for long.
    pub(crate) async fn close(mut self) {
        let socket = &mut self.socket;
        let parting = async {
            // The service may have closed already, and then there is nobody to tell.
            if socket.close(None).await.is_ok() {
                while let Some(Ok(_)) = socket.next().await {}
            }
        };
        // Whether the service answers in time changes nothing.
        timeout(self.close_timeout, parting)
            .await
            .unwrap_or_default();
    }
}

impl From<tungstenite::Error> for WireError {
    fn from(error: tungstenite::Error) -> Self {
        use tungstenite::Error;
        use tungstenite::error::ProtocolError;
        match error {
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(
                ProtocolError::ResetWithoutClosingHandshake | ProtocolError::SendAfterClosing,
            ) => closed(None),
            Error::Http(response) => Self::Refused {
                status: response.status().as_u16(),
                retry_after: retry_after(response.headers()),
            },
            Error::Io(error) => Self::Network(error.to_string()),
            Error::Tls(error) => Self::Network(error.to_string()),
            Error::Url(_) | Error::HttpFormat(_) => Self::NotAnAddress,
            error @ (Error::Capacity(_) | Error::Protocol(_)) => Self::Protocol(error.to_string()),
            Error::WriteBufferFull(_) => Self::Protocol("a message is too long to send".to_owned()),
            Error::Utf8(_) | Error::AttackAttempt => Self::Protocol("not UTF-8".to_owned()),
        }
    }
}

/// `Retry-After` in whole seconds, at most a day; the form with a date is not used by services.
pub(crate) fn retry_after(headers: &http::HeaderMap) -> Option<Duration> {
    let value = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?;
    let seconds: u64 = value.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(24 * 60 * 60)))
}

/// Whether an address without TLS stays inside this machine.
pub(crate) fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The reason may be anything, so that it is for the dialect to read and for no log.
fn closed(frame: Option<CloseFrame>) -> WireError {
    let code = frame.as_ref().map(|frame| frame.code.into());
    let reason = frame.map(|frame| frame.reason.to_string());
    WireError::Closed(code, reason.unwrap_or_default())
}

fn code(code: Option<u16>) -> String {
    code.map(|code| format!(" with code {code}"))
        .unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
