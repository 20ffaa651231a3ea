//! A service at work, whatever it speaks: what it got, and what shall go wrong with it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::DropGuard;

use super::chaos::Chaos;
use super::dialect::{Dialect, House};
use super::door::{Door, Lever};
use super::faults::{Cut, Faults};
use super::reception::Reception;
use super::record::{Asked, Knock, Recorded};
use super::settings::Settings;

/// How long streams may take to say goodbye when the service stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections that wait to be accepted.
const BACKLOG: u32 = 4096;

/// The body of a REST call is a few ids.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// A service at work. It stops when this is dropped.
pub struct Running {
    name: &'static str,
    reception: Arc<Reception>,
    _stop_on_drop: DropGuard,
}

/// Listens, and serves until [`Running::stop`] or the drop.
pub(super) async fn start<D: Dialect>(dialect: D, settings: Settings) -> anyhow::Result<Running> {
    let listener = listen(&settings)?;
    let reception = Arc::new(Reception::new(settings, listener.local_addr()?));
    let door = Door::new(listener, reception.settings.tls.as_ref())?;
    let house = House {
        dialect,
        reception: reception.clone(),
    };
    reception.tasks.spawn(serve(house, door));
    Ok(Running {
        name: D::NAME,
        _stop_on_drop: reception.stopping.clone().drop_guard(),
        reception,
    })
}

impl Running {
    /// What it speaks, where people read: `AutoTranscribe`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where it is: `http://127.0.0.1:4000`.
    pub fn url(&self) -> String {
        self.reception.url()
    }

    /// Where its WebSockets are: `ws://127.0.0.1:4000`.
    pub fn socket_url(&self) -> String {
        self.url().replacen("http", "ws", 1)
    }

    /// All streams there were, in the order they connected.
    pub fn streams(&self) -> Vec<Recorded> {
        self.reception.records.streams()
    }

    /// Looks at the streams without copying them.
    pub fn with_streams<T>(&self, look: impl FnOnce(&[Recorded]) -> T) -> T {
        self.reception.records.with_streams(look)
    }

    /// All REST calls there were.
    pub fn asked(&self) -> Vec<Asked> {
        self.reception.records.asked()
    }

    /// All WebSockets that were asked for, opened or not.
    pub fn knocks(&self) -> Vec<Knock> {
        self.reception.records.with_knocks(<[Knock]>::to_vec)
    }

    /// Waits until the streams are as described. It looks at each change and never by the clock;
    /// bring a timeout.
    pub async fn wait_for(&self, mut so: impl FnMut(&[Recorded]) -> bool) {
        let records = &self.reception.records;
        records.wait_until(|| records.with_streams(&mut so)).await;
    }

    /// Waits for REST calls in the same way.
    pub async fn wait_for_asked(&self, mut so: impl FnMut(&[Asked]) -> bool) {
        let records = &self.reception.records;
        records.wait_until(|| records.with_asked(&mut so)).await;
    }

    /// Waits for WebSockets in the same way, opened or not.
    pub async fn wait_for_knocks(&self, mut so: impl FnMut(&[Knock]) -> bool) {
        let records = &self.reception.records;
        records.wait_until(|| records.with_knocks(&mut so)).await;
    }

    /// What goes wrong from now on with new REST calls and streams.
    pub fn set_faults(&self, faults: Faults) {
        self.reception.board.set(faults);
    }

    /// What goes wrong at random from now on with new streams.
    pub fn set_chaos(&self, chaos: Option<Chaos>) {
        self.reception.board.set_chaos(chaos);
    }

    /// Breaks a running stream now, by its place in [`Running::streams`]; false if there is none.
    pub fn inflict(&self, stream: usize, cut: Cut) -> bool {
        self.reception.inflict(stream, cut)
    }

    /// Breaks all running streams now, and says how many there were.
    pub fn inflict_all(&self, cut: Cut) -> usize {
        self.reception.inflict_all(cut)
    }

    /// Closes the door and ends all streams, as the drop does, without waiting for it.
    pub fn close(&self) {
        self.reception.stopping.cancel();
    }

    /// Ends all streams with the service's own words and waits until they are gone.
    pub async fn stop(self) {
        self.reception.stopping.cancel();
        self.reception.tasks.close();
        let gone = self.reception.tasks.wait();
        if tokio::time::timeout(STOP_TIMEOUT, gone).await.is_err() {
            tracing::warn!("Streams of the service did not end in time.");
        }
    }
}

fn listen(settings: &Settings) -> anyhow::Result<TcpListener> {
    let socket = match settings.listen {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    if let Some(bytes) = settings.receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket
        .bind(settings.listen)
        .with_context(|| format!("cannot listen on {}", settings.listen))?;
    Ok(socket.listen(BACKLOG)?)
}

async fn serve<D: Dialect>(house: House<D>, door: Door) {
    let stopping = house.reception.stopping.clone();
    let routes = D::routes()
        .fallback(|| async { D::refusal(StatusCode::NOT_FOUND) })
        .method_not_allowed_fallback(|| async { D::refusal(StatusCode::METHOD_NOT_ALLOWED) })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Arc::new(house))
        .into_make_service_with_connect_info::<Lever>();
    let served = axum::serve(door, routes)
        .with_graceful_shutdown(stopping.cancelled_owned())
        .await;
    if let Err(error) = served {
        tracing::warn!(%error, "The service stopped serving.");
    }
}
