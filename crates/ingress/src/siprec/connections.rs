//! TCP and TLS connections: each one read and written by a task of its own.
//!
//! Writing never delays the signalling task: what a peer does not read waits in a queue of limited
//! length, and a connection whose queue is full is closed. RFC 3261 §18, RFC 5626 §4.4.1.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls_pki_types::ServerName;
use siprec::framing::MessageLimits;
use siprec::transaction::{Flow, Transport};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, RwLock, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::Metrics;
use crate::siprec::config::SiprecConfig;
use crate::siprec::peers::Peers;
use crate::siprec::signal::Signal;
use crate::siprec::stream::{Pipe, Wire};
use crate::siprec::tally::ConnectionEnd;
use crate::siprec::tls::{self, Tls};

/// A peer that is gone without a word is noticed after some of these.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// After the kernel refused a connection for want of something, it is asked again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// All connections. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Connections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: Limits,
    open: Mutex<Open>,
    next: AtomicU64,
    permits: Arc<Semaphore>,
    tls: Option<RwLock<Tls>>,
    peers: Arc<Peers>,
    signals: mpsc::Sender<Signal>,
    metrics: Arc<Metrics>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

#[derive(Debug)]
struct Limits {
    message: MessageLimits,
    idle_timeout: Duration,
    connect_timeout: Duration,
    queue_max: usize,
}

#[derive(Debug, Default)]
struct Open {
    pipes: HashMap<u64, Pipe>,
    /// Those that we opened.
    ours: HashMap<(Transport, SocketAddr), u64>,
}

/// What a connection shares with its tasks.
pub(crate) struct Deps {
    pub(crate) signals: mpsc::Sender<Signal>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) tasks: TaskTracker,
}

impl Connections {
    pub(crate) fn new(config: &SiprecConfig, tls: Option<Tls>, deps: Deps) -> Self {
        let permits = config.connections_max.min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Shared {
            limits: Limits {
                message: config.message_limits(),
                idle_timeout: config.connection_idle_timeout,
                connect_timeout: config.connect_timeout,
                queue_max: config.connection_queue_max.max(1),
            },
            open: Mutex::default(),
            next: AtomicU64::new(1),
            permits: Arc::new(Semaphore::new(permits)),
            tls: tls.map(RwLock::new),
            peers: deps.peers,
            signals: deps.signals,
            metrics: deps.metrics,
            tasks: deps.tasks,
            closing: CancellationToken::new(),
        }))
    }

    /// Takes connections until [`Connections::close`].
    pub(crate) async fn accept(
        self,
        listener: TcpListener,
        (index, transport): (usize, Transport),
    ) {
        let closing = self.0.closing.clone();
        let accepting = async {
            loop {
                match listener.accept().await {
                    Ok((stream, peer)) => self.take(stream, peer, (index, transport)),
                    Err(error) => {
                        tracing::warn!(%error, "A SIP connection could not be taken.");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        closing.run_until_cancelled(accepting).await;
    }

    /// Writes to a connection, or opens one where the flow names none. What cannot be written is
    /// gone: its sender hears that the connection is.
    pub(crate) fn send(&self, flow: &Flow, bytes: Vec<u8>) {
        let mut open = self.open();
        let known = match flow.connection {
            0 => open.ours.get(&(flow.transport, flow.peer)).copied(),
            connection => Some(connection),
        };
        match known.and_then(|connection| open.pipes.get(&connection)) {
            Some(pipe) => pipe.write(bytes),
            None if flow.connection == 0 => {
                let (pipe, wire) = Pipe::new(self.0.limits.queue_max);
                pipe.write(bytes);
                let connection = self.number();
                open.pipes.insert(connection, pipe);
                open.ours.insert((flow.transport, flow.peer), connection);
                drop(open);
                let flow = Flow {
                    connection,
                    ..flow.clone()
                };
                let connections = self.clone();
                self.0.tasks.spawn(connections.open_to(flow, wire));
            }
            None => self.0.metrics.siprec().unsent(),
        }
    }

    /// Takes no more connections, and ends those that are there after what is queued was written.
    pub(crate) fn close(&self) {
        self.0.closing.cancel();
        let mut open = self.open();
        open.pipes.clear();
        open.ours.clear();
    }

    /// Reads certificate and key again whenever they changed, for ever.
    pub(crate) async fn watch_files(self, every: Duration) {
        let Some(tls) = &self.0.tls else { return };
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match tls.write().await.refresh() {
                None => continue,
                Some(Ok(())) => {
                    tracing::info!("The certificate of SIP over TLS was read again.");
                    self.0.metrics.siprec().certificate_read(true);
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "The new certificate of SIP over TLS cannot be used.");
                    self.0.metrics.siprec().certificate_read(false);
                }
            }
        }
    }

    /// A peer opened a connection.
    fn take(&self, stream: TcpStream, peer: SocketAddr, (listener, transport): (usize, Transport)) {
        let Ok(permit) = Arc::clone(&self.0.permits).try_acquire_owned() else {
            self.ended(ConnectionEnd::Refused);
            return;
        };
        let Ok(local) = stream.local_addr() else {
            self.ended(ConnectionEnd::Failed);
            return;
        };
        let connection = self.number();
        let flow = Flow {
            listener,
            transport,
            local,
            peer,
            connection,
        };
        let (pipe, wire) = Pipe::new(self.0.limits.queue_max);
        self.open().pipes.insert(connection, pipe);
        let connections = self.clone();
        self.0
            .tasks
            .spawn(async move { connections.serve(stream, flow, wire, permit).await });
    }

    async fn serve(self, stream: TcpStream, flow: Flow, wire: Wire, permit: OwnedSemaphorePermit) {
        self.0.metrics.siprec().connection_opened();
        let connection = flow.connection;
        let end = self.talk(stream, flow, wire).await;
        drop(permit);
        self.0.metrics.siprec().connection_closed();
        self.over(connection, end).await;
    }

    async fn talk(&self, stream: TcpStream, flow: Flow, wire: Wire) -> ConnectionEnd {
        if let Err(error) = tune(&stream) {
            tracing::debug!(%error, "A connection could not be tuned.");
        }
        let limits = &self.0.limits;
        // Who is not known may say one thing and be told no, but not hold a place.
        let idle_timeout = match self.0.peers.knows(flow.peer.ip()) {
            true => limits.idle_timeout,
            false => limits.connect_timeout.min(limits.idle_timeout),
        };
        let wire = wire.with(
            (limits.message, idle_timeout),
            self.0.signals.clone(),
            Arc::clone(&self.0.metrics),
        );
        if flow.transport != Transport::Tls {
            return wire.run(stream, flow, Arc::from([])).await;
        }
        let Some(tls) = &self.0.tls else {
            return ConnectionEnd::Failed;
        };
        let acceptor = tls.read().await.acceptor.clone();
        match timeout(limits.connect_timeout, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let shown = stream.get_ref().1.peer_certificates();
                let names = tls::names_of(shown, self.0.peers.names());
                wire.run(stream, flow, names).await
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, peer = %flow.peer, "A TLS handshake failed.");
                ConnectionEnd::Failed
            }
            Err(_) => ConnectionEnd::Failed,
        }
    }

    /// Opens a connection for requests of ours.
    async fn open_to(self, flow: Flow, wire: Wire) {
        let limits = &self.0.limits;
        let connection = flow.connection;
        let Ok(permit) = Arc::clone(&self.0.permits).try_acquire_owned() else {
            return self.over(connection, ConnectionEnd::Refused).await;
        };
        let connected = timeout(limits.connect_timeout, TcpStream::connect(flow.peer)).await;
        let stream = match connected.map_err(io::Error::from).and_then(|result| result) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%error, peer = %flow.peer, "A connection cannot be opened.");
                return self.over(connection, ConnectionEnd::Failed).await;
            }
        };
        let flow = Flow {
            local: stream.local_addr().unwrap_or(flow.local),
            ..flow
        };
        if flow.transport != Transport::Tls {
            return self.serve(stream, flow, wire, permit).await;
        }
        self.0.metrics.siprec().connection_opened();
        let end = self.talk_first(stream, flow, wire).await;
        drop(permit);
        self.0.metrics.siprec().connection_closed();
        self.over(connection, end).await;
    }

    async fn talk_first(&self, stream: TcpStream, flow: Flow, wire: Wire) -> ConnectionEnd {
        let limits = &self.0.limits;
        let connector = match &self.0.tls {
            Some(tls) => tls.read().await.connector.clone(),
            None => None,
        };
        let Some(connector) = connector else {
            tracing::debug!("Without client_ca_file no TLS connection can be opened.");
            return ConnectionEnd::Failed;
        };
        let name = ServerName::IpAddress(flow.peer.ip().into());
        let wire = wire.with(
            (limits.message, limits.idle_timeout),
            self.0.signals.clone(),
            Arc::clone(&self.0.metrics),
        );
        match timeout(limits.connect_timeout, connector.connect(name, stream)).await {
            Ok(Ok(stream)) => {
                let shown = stream.get_ref().1.peer_certificates();
                let names = tls::names_of(shown, self.0.peers.names());
                wire.run(stream, flow, names).await
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, peer = %flow.peer, "A TLS handshake of ours failed.");
                ConnectionEnd::Failed
            }
            Err(_) => ConnectionEnd::Failed,
        }
    }

    async fn over(&self, connection: u64, end: ConnectionEnd) {
        {
            let mut open = self.open();
            open.pipes.remove(&connection);
            open.ours.retain(|_, known| *known != connection);
        }
        self.ended(end);
        // When nobody hears it, everything is over.
        drop(self.0.signals.send(Signal::Closed { connection }).await);
    }

    fn ended(&self, end: ConnectionEnd) {
        self.0.metrics.siprec().connection_ended(end);
    }

    fn number(&self) -> u64 {
        self.0.next.fetch_add(1, Ordering::Relaxed)
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // A panic while the lock is held leaves maps that are whole.
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
