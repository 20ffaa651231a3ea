//! The HTTP server: connections with limits and deadlines, TLS or not, around one router.
//!
//! A connection counts until its socket is gone, also when it has become a WebSocket. Nothing a
//! client does or leaves undone before a handler has its request holds one for longer than the
//! deadlines allow; from there on it is the handler that has to.

mod door;
pub mod files;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use self::door::{Door, Guest};
use crate::tls::{Certificates, TlsError};

/// A server that listens and does not accept yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    certificates: Option<Certificates>,
    config: ServerConfig,
    notice: Notice,
}

/// The limits of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Connections at a time.
    pub connections_max: usize,
    /// Connections at a time from one address.
    pub connections_per_address_max: Option<usize>,
    /// A request's line and headers together.
    pub header_bytes_max: usize,
    /// A request's headers.
    pub headers_max: usize,
    /// For a request's headers, and for the wait between requests.
    pub headers_timeout: Duration,
    /// For the TLS handshake.
    pub handshake_timeout: Duration,
    /// For running requests, when the server is told to stop.
    pub goodbye_timeout: Duration,
}

/// What a server notices, for counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Noticed {
    /// The system gave no connection, as when there are too many open files.
    AcceptFailed,
    /// New certificate files were bad; the old ones stay.
    CertificateRefused,
    /// New certificate files are in use.
    CertificateTaken,
    /// A socket is gone.
    ConnectionClosed,
    /// A connection was let in.
    ConnectionOpened,
    /// A connection was refused: there were too many.
    ConnectionRefused,
    /// A TLS handshake failed or took too long.
    HandshakeFailed,
}

/// Told of everything noticed; must not block.
pub type Notice = Arc<dyn Fn(Noticed) + Send + Sync>;

/// Why a server does not listen.
#[derive(Debug, Error)]
pub enum BindError {
    /// The address is taken, or not ours.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// What all connections share.
struct House {
    router: Router,
    acceptor: Option<TlsAcceptor>,
    http: http1::Builder,
    config: ServerConfig,
    stop: CancellationToken,
    notice: Notice,
}

impl Server {
    /// Listens; clients may connect from here on, and wait until [`Server::run`].
    pub async fn bind(
        config: ServerConfig,
        certificates: Option<Certificates>,
        notice: Notice,
    ) -> Result<Self, BindError> {
        let failed = |error| BindError::Listen(config.listen, error);
        let tls = certificates
            .as_ref()
            .map(Certificates::server_config)
            .transpose()?;
        let acceptor = tls.map(|tls| TlsAcceptor::from(Arc::new(tls)));
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            address,
            acceptor,
            certificates,
            config,
            notice,
        })
    }

    /// Where it listens, with the port that the system chose if none was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until told to stop, then lets running requests come to their end. WebSockets are
    /// their handlers' own from the upgrade on, and are not waited for.
    pub async fn run(self, router: Router, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        let notice = self.notice.clone();
        if let Some(certificates) = self.certificates {
            let notice = notice.clone();
            let watch = certificates.watch(move |good| {
                notice(if good {
                    Noticed::CertificateTaken
                } else {
                    Noticed::CertificateRefused
                });
            });
            tasks.spawn(stop.clone().run_until_cancelled_owned(watch));
        }
        let door = Door::new(&self.config, notice.clone());
        let house = Arc::new(House {
            router,
            acceptor: self.acceptor,
            http: http(&self.config),
            config: self.config,
            stop: stop.clone(),
            notice,
        });
        while let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await {
            match accepted {
                Ok((stream, peer)) => match door.admit(peer.ip()) {
                    Some(guest) => drop(tasks.spawn(house.clone().serve(stream, peer, guest))),
                    None => door::refuse(stream, house.acceptor.is_some()),
                },
                Err(error) => house.accept_failed(error).await,
            }
        }
        drop(self.listener);
        tasks.close();
        tasks.wait().await;
    }
}

impl House {
    /// Errors of a single connection are over at once; a lack of something lasts a while, and must
    /// not become a loop that takes a whole core.
    async fn accept_failed(&self, error: io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
        if matches!(
            error.kind(),
            ConnectionAborted | ConnectionRefused | ConnectionReset
        ) {
            return;
        }
        (self.notice)(Noticed::AcceptFailed);
        tracing::warn!(%error, "A connection cannot be accepted.");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, guest: Guest) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "A connection went before it was served.");
            return;
        }
        let Some(acceptor) = &self.acceptor else {
            return self.speak(guest.holding(stream), peer).await;
        };
        match timeout(self.config.handshake_timeout, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => self.speak(guest.holding(stream), peer).await,
            Ok(Err(error)) => self.handshake_failed(&error.to_string()),
            Err(_) => self.handshake_failed("it took too long"),
        }
    }

    fn handshake_failed(&self, error: &str) {
        (self.notice)(Noticed::HandshakeFailed);
        tracing::debug!(error, "A TLS handshake failed.");
    }

    async fn speak<S>(&self, stream: S, peer: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            self.router.clone().call(request.map(Body::new))
        });
        let connection = self
            .http
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let served = tokio::select! {
            served = connection.as_mut() => Some(served),
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                timeout(self.config.goodbye_timeout, connection).await.ok()
            }
        };
        if let Some(Err(error)) = served {
            tracing::debug!(%error, "A connection broke.");
        }
    }
}

fn http(config: &ServerConfig) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(config.headers_timeout)
        .max_buf_size(config.header_bytes_max)
        .max_headers(config.headers_max);
    http
}

#[cfg(test)]
mod tests;
