//! A SIPREC recording server: SIP over UDP, TCP and TLS, and the RTP of the sessions it takes.
//!
//! The crate `siprec` decides what is said and `rtp` where a packet belongs; here are the sockets.
//! One task owns the server and all sessions; each connection has a task; media lines are read by a
//! few, many lines each. Reading media waits for nothing behind it.
//!
//! A leg that is retired, because newer media took its place, leaves its session alone: the line is
//! read and forgotten until the peer ends the session. A BYE of ours could end the recorded call
//! where its recording is mandatory.

mod calls;
mod clock;
pub mod config;
mod connections;
mod drops;
mod formats;
mod line;
mod media;
mod naming;
mod notices;
mod peers;
mod ports;
mod random;
mod seal;
mod session;
mod signal;
mod signalling;
mod sockets;
mod source;
mod stream;
pub mod tally;
pub mod tls;
mod trust;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use siprec::server::Server;
use siprec::transaction::Transport;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::siprec::config::{Listen, SiprecConfig, Trunk};
use crate::siprec::connections::{Connections, Deps};
use crate::siprec::media::Readers;
use crate::siprec::peers::Peers;
use crate::siprec::ports::Ports;
use crate::siprec::signalling::{Orders, Signalling, TrunkCredentials, World};
use crate::siprec::sockets::{Bound, Datagrams};
use crate::siprec::tls::{Tls, TlsError};

/// The adapter: its listeners and all its sessions.
#[derive(Debug)]
pub struct Siprec {
    config: Arc<SiprecConfig>,
    addresses: Vec<SocketAddr>,
    sessions: Arc<AtomicUsize>,
    /// What [`Siprec::run`] takes.
    unserved: Mutex<Option<Unserved>>,
    credentials: watch::Sender<Vec<TrunkCredentials>>,
    draining: CancellationToken,
    closing: CancellationToken,
    ended: CancellationToken,
}

/// Why listeners cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be listened on.
    #[error("siprec.listen: {listen}: {error}")]
    Listen {
        /// Which one.
        listen: Listen,
        /// Why not.
        error: io::Error,
    },
    /// Certificates cannot be used.
    #[error("siprec.tls: {0}")]
    Tls(#[from] TlsError),
}

/// Bound, not served.
#[derive(Debug)]
struct Unserved {
    bound: Vec<Bound>,
    tls: Option<Tls>,
    intake: Intake,
    metrics: Arc<Metrics>,
}

/// The normal form in which a call's identifiers and a command's guid are compared.
pub fn guid_normal(raw: &str) -> String {
    siprec::identifiers::normal(raw)
}

impl Siprec {
    /// Binds every listener. Nothing is served before [`Siprec::run`].
    pub fn bind(
        config: SiprecConfig,
        intake: Intake,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, BindError> {
        let is_tls = |listen: &Listen| listen.transport == Transport::Tls;
        let tls = match config.listen.iter().any(is_tls) {
            true => Some(Tls::load(&config.tls, Peers::new(&config.trunks).names())?),
            false => None,
        };
        let (mut bound, mut addresses) = (Vec::new(), Vec::new());
        for listen in &config.listen {
            let told = |error| BindError::Listen {
                listen: *listen,
                error,
            };
            let (socket, address) = Bound::new(*listen).map_err(told)?;
            bound.push(socket);
            addresses.push(address);
        }
        Ok(Arc::new(Self {
            config: Arc::new(config),
            addresses,
            sessions: Arc::default(),
            unserved: Mutex::new(Some(Unserved {
                bound,
                tls,
                intake,
                metrics,
            })),
            credentials: watch::Sender::default(),
            draining: CancellationToken::new(),
            closing: CancellationToken::new(),
            ended: CancellationToken::new(),
        }))
    }

    /// Where it listens, in the order of [`SiprecConfig::listen`].
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Serves until [`Siprec::close_all`] has ended every session. Once only: a second call returns
    /// at once.
    pub async fn run(self: Arc<Self>) {
        let mut credentials = self.credentials.subscribe();
        credentials.mark_changed();
        let Some(unserved) = self.unserved() else {
            return;
        };
        let _ended = self.ended.clone().drop_guard();
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        // Readers and watchers stop with this function, however it ends.
        let _stopped = stop.clone().drop_guard();
        let (signals, heard) = mpsc::channel(self.config.messages_queue_max.max(1));
        let world = self.world(unserved, signals, (&tasks, &stop));
        let connections = world.connections.clone();
        let random = Box::new(random::fill);
        let server = Server::new(self.config.server(&self.addresses), random);
        let orders = Orders {
            draining: self.draining.clone(),
            closing: self.closing.clone(),
            credentials,
        };
        Signalling::new(server, world).run(heard, orders).await;
        connections.close();
        stop.cancel();
        tasks.close();
        if tokio::time::timeout(self.config.close_timeout, tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("Connections did not end in time and are cut off.");
        }
    }

    /// From now on no session is taken: INVITE and OPTIONS are answered 503. Those that run go on.
    pub fn refuse_new(&self) {
        self.draining.cancel();
    }

    /// From now on challenges are answered with the credentials of these trunks, by name. Sessions
    /// run on, and nothing else of a trunk changes; one that is not named keeps what it has.
    pub fn reload(&self, trunks: &[Trunk]) {
        let credentials = trunks.iter().map(|trunk| {
            let name = trunk.name.clone();
            (name, trunk.credentials.clone())
        });
        self.credentials.send_replace(credentials.collect());
    }

    /// How many sessions run.
    pub fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Acquire)
    }

    /// Ends what is left: legs end, so their streams are flushed and finished, and each session is
    /// told BYE. Takes twice `close_timeout` at most.
    pub async fn close_all(&self) {
        self.refuse_new();
        self.closing.cancel();
        if self.unserved().is_none() {
            self.ended.cancelled().await;
        }
    }

    fn unserved(&self) -> Option<Unserved> {
        self.unserved
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Sets every listener and watcher going.
    fn world(
        &self,
        unserved: Unserved,
        signals: mpsc::Sender<signal::Signal>,
        (tasks, stop): (&TaskTracker, &CancellationToken),
    ) -> World {
        let Unserved {
            bound,
            tls,
            intake,
            metrics,
        } = unserved;
        let config = &self.config;
        let peers = Arc::new(Peers::new(&config.trunks));
        let start = random::number() as usize;
        let resting = (config.rtp_port_quarantine, config.rtp_socket_buffer);
        let ports = Ports::new(config.rtp_ports, start, resting, Arc::clone(&metrics));
        let connections = Connections::new(
            config,
            tls,
            Deps {
                signals: signals.clone(),
                metrics: Arc::clone(&metrics),
                peers: Arc::clone(&peers),
                tasks: tasks.clone(),
            },
        );
        tasks.spawn(
            stop.clone()
                .run_until_cancelled_owned(Arc::clone(&ports).watch()),
        );
        let every = config.tls.check_interval;
        if !every.is_zero() {
            let watching = connections.clone().watch_files(every);
            tasks.spawn(stop.clone().run_until_cancelled_owned(watching));
        }
        let mut sockets = Vec::new();
        for (index, (bound, listen)) in bound.into_iter().zip(&config.listen).enumerate() {
            sockets.push(match bound {
                Bound::Stream(listener) => {
                    let listener = sockets::stream_listener(listener);
                    let at = (index, listen.transport);
                    tasks.spawn(connections.clone().accept(listener, at));
                    None
                }
                Bound::Udp(socket) => {
                    let socket = sockets::datagram_socket(socket);
                    let reading = Datagrams {
                        listener: index,
                        socket: Arc::clone(&socket),
                        limits: config.message_limits(),
                        signals: signals.clone(),
                        peers: Arc::clone(&peers),
                        metrics: Arc::clone(&metrics),
                    };
                    tasks.spawn(stop.clone().run_until_cancelled_owned(reading.run()));
                    Some(socket)
                }
            });
        }
        World {
            config: Arc::clone(config),
            intake,
            metrics,
            ports,
            readers: Readers::new(config.rtp_read_interval, tasks.clone()),
            connections,
            sockets,
            signals,
            tasks: tasks.clone(),
            sessions: Arc::clone(&self.sessions),
        }
    }
}

#[cfg(test)]
mod tests;
