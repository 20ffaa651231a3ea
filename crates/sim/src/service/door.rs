//! Connections that can be broken in ways a server does not break them, and the door they come
//! through.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::settings::TlsFiles;

/// TLS handshakes under way; while there are so many nobody else is let in.
const HANDSHAKES_MAX: usize = 256;

/// A handshake that takes longer is given up.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait after the system could not accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Lets connections in, with TLS or without.
pub(crate) struct Door {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    handshakes: JoinSet<io::Result<(Wire, SocketAddr)>>,
}

/// A connection, with TLS or without.
pub(crate) enum Wire {
    Plain(Line),
    Tls(Box<TlsStream<Line>>),
}

/// A TCP connection with a lever.
pub(crate) struct Line {
    tcp: TcpStream,
    lever: Lever,
}

/// Breaks the connection it belongs to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lever(Arc<AtomicU8>);

/// All is well; the other states of a [`Lever`] are below.
const BLACK_HOLE: u8 = 1;
const RESET: u8 = 2;
const TEAR: u8 = 3;

impl Door {
    pub(crate) fn new(listener: TcpListener, files: Option<&TlsFiles>) -> anyhow::Result<Self> {
        Self::asking(listener, files, None)
    }

    /// A door that lets in only whose certificate one of these authorities has issued.
    pub(crate) fn asking(
        listener: TcpListener,
        files: Option<&TlsFiles>,
        client_ca: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let tls = files.map(|files| acceptor(files, client_ca)).transpose()?;
        Ok(Self {
            listener,
            tls,
            handshakes: JoinSet::new(),
        })
    }

    // The connection, or with TLS a handshake more under way.
    fn admit(&mut self, tcp: TcpStream, address: SocketAddr) -> Option<(Wire, SocketAddr)> {
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, "A connection was gone at once.");
            return None;
        }
        let line = Line {
            tcp,
            lever: Lever::default(),
        };
        let Some(tls) = &self.tls else {
            return Some((Wire::Plain(line), address));
        };
        let handshake = tls.accept(line);
        self.handshakes.spawn(async move {
            let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await??;
            Ok((Wire::Tls(Box::new(stream)), address))
        });
        None
    }
}

impl Listener for Door {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        loop {
            let has_room = self.handshakes.len() < HANDSHAKES_MAX;
            tokio::select! {
                accepted = self.listener.accept(), if has_room => match accepted {
                    Ok((tcp, address)) => {
                        if let Some(admitted) = self.admit(tcp, address) {
                            return admitted;
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "A connection could not be accepted.");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(done) = self.handshakes.join_next() => match done {
                    Ok(Ok(admitted)) => return admitted,
                    Ok(Err(error)) => tracing::debug!(%error, "A TLS handshake failed."),
                    Err(error) => tracing::warn!(%error, "A TLS handshake broke."),
                },
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Lever {
    /// From now on nothing that comes is seen, so nothing is answered either.
    pub(crate) fn black_hole(&self) {
        self.0.store(BLACK_HOLE, Ordering::Relaxed);
    }

    /// Makes the end of the connection a reset.
    pub(crate) fn reset(&self) {
        self.0.store(RESET, Ordering::Relaxed);
    }

    /// Half of what is written next gets through, and then the connection is reset.
    pub(crate) fn tear(&self) {
        self.0.store(TEAR, Ordering::Relaxed);
    }

    fn is(&self, state: u8) -> bool {
        self.0.load(Ordering::Relaxed) == state
    }
}

impl Connected<IncomingStream<'_, Door>> for Lever {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        match stream.io() {
            Wire::Plain(line) => line.lever.clone(),
            Wire::Tls(tls) => tls.get_ref().0.lever.clone(),
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.lever.is(BLACK_HOLE) {
            return Pin::new(&mut self.tcp).poll_read(context, buffer);
        }
        let mut swallowed = [0_u8; 4096];
        loop {
            let mut swallowed = ReadBuf::new(&mut swallowed);
            std::task::ready!(Pin::new(&mut self.tcp).poll_read(context, &mut swallowed))?;
            if swallowed.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.lever.is(TEAR) {
            let half = &bytes[..bytes.len() / 2];
            std::task::ready!(Pin::new(&mut self.tcp).poll_write(context, half))?;
            self.lever.reset();
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.tcp).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.lever.is(RESET)
            && let Err(error) = self.tcp.set_zero_linger()
        {
            tracing::warn!(%error, "A connection could not be reset.");
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(line) => Pin::new(line).poll_read(context, buffer),
            Self::Tls(tls) => Pin::new(tls).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(line) => Pin::new(line).poll_write(context, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(line) => Pin::new(line).poll_flush(context),
            Self::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(line) => Pin::new(line).poll_shutdown(context),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}

fn acceptor(files: &TlsFiles, client_ca: Option<&Path>) -> anyhow::Result<TlsAcceptor> {
    let context = |path: &Path| format!("cannot read {}", path.display());
    let chain = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| context(&files.cert))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).with_context(|| context(&files.key))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            let authorities = CertificateDer::pem_file_iter(path).with_context(|| context(path))?;
            for authority in authorities {
                roots.add(authority.with_context(|| context(path))?)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build()?)
        }
    };
    Ok(TlsAcceptor::from(Arc::new(
        builder.with_single_cert(chain, key)?,
    )))
}
