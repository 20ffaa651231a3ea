//! The byte stream under a caller's WebSocket: TCP, with or without TLS.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// An open connection.
#[derive(Debug)]
pub enum Transport {
    /// Without TLS: loopback, or a proxy in front of the gateway that ends it.
    Plain(TcpStream),
    /// With TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

/// The same connection for a thread that paces many of them without a runtime. It stays
/// non-blocking: what would wait is an error of kind `WouldBlock`.
#[derive(Debug)]
pub enum Unhurried {
    /// Without TLS.
    Plain(std::net::TcpStream),
    /// With TLS.
    Tls(Box<StreamOwned<ClientConnection, std::net::TcpStream>>),
}

impl Transport {
    /// Connects with Nagle off, as everything that sends speech must.
    ///
    /// # Errors
    /// What the network or the TLS handshake says; an unusable server name.
    pub async fn connect(
        host: &str,
        port: u16,
        tls: Option<(&Arc<ClientConfig>, &str)>,
    ) -> io::Result<Self> {
        let tcp = TcpStream::connect((host, port)).await?;
        tcp.set_nodelay(true)?;
        let Some((config, server)) = tls else {
            return Ok(Self::Plain(tcp));
        };
        let server = ServerName::try_from(server.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let tls = TlsConnector::from(Arc::clone(config))
            .connect(server, tcp)
            .await?;
        Ok(Self::Tls(Box::new(tls)))
    }

    /// Takes the connection out of the runtime.
    ///
    /// # Errors
    /// When the runtime will not part with it.
    pub fn into_unhurried(self) -> io::Result<Unhurried> {
        Ok(match self {
            Self::Plain(tcp) => Unhurried::Plain(tcp.into_std()?),
            Self::Tls(tls) => {
                let (tcp, connection) = tls.into_inner();
                Unhurried::Tls(Box::new(StreamOwned::new(connection, tcp.into_std()?)))
            }
        })
    }

    /// The TCP connection below.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
        }
    }
}

impl Read for Unhurried {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(buf),
            Self::Tls(tls) => tls.read(buf),
        }
    }
}

impl Write for Unhurried {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write(buf),
            Self::Tls(tls) => tls.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}
