//! Where WebSockets are opened, refused and kept track of, the same for every dialect.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::dialect::{Dialect, Session};
use super::driver::{self, Driver, Line};
use super::ear::Ear;
use super::faults::{Board, Cut, RestFault};
use super::knock::Knock;
use super::record::{self, Recorded, Records};
use super::settings::Settings;

/// Breaks that one stream can be asked for.
const CUTS_MAX: usize = 8;

/// What all requests of a service have in common.
pub(super) struct Reception {
    pub(super) settings: Settings,
    pub(super) board: Board,
    pub(super) records: Arc<Records>,
    pub(super) tasks: TaskTracker,
    pub(super) stopping: CancellationToken,
    address: SocketAddr,
    /// WebSockets that were asked for.
    knocks: AtomicU64,
    cuts: Mutex<HashMap<usize, mpsc::Sender<Cut>>>,
}

/// How a WebSocket is opened.
#[derive(Clone, Debug, Default)]
pub(super) struct Opening {
    /// What the client called the call.
    pub(super) external_id: Option<String>,
    /// A longer message ends the connection.
    pub(super) message_bytes_max: usize,
}

impl Reception {
    pub(super) fn new(settings: Settings, address: SocketAddr) -> Self {
        Self {
            board: Board::new(settings.faults.clone(), settings.chaos),
            records: Arc::new(Records::new(settings.keep)),
            settings,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            address,
            knocks: AtomicU64::new(0),
            cuts: Mutex::default(),
        }
    }

    /// Where it is, as `http` or, with TLS, `https`.
    pub(super) fn url(&self) -> String {
        format!("http{}://{}", self.s(), self.address)
    }

    /// Where its WebSockets are, by the name that a request called it.
    pub(super) fn socket_url(&self, headers: &HeaderMap) -> String {
        let host = headers.get(header::HOST);
        let host = host.and_then(|host| host.to_str().ok());
        let host = host.map_or_else(|| self.address.to_string(), str::to_owned);
        format!("ws{}://{host}", self.s())
    }

    /// Opens a WebSocket and begins a session on it, unless a fault is in the way.
    pub(super) async fn receive<D, B, S>(
        self: &Arc<Self>,
        knock: Knock,
        opening: Opening,
        begin: B,
    ) -> Response
    where
        D: Dialect,
        B: FnOnce(Ear) -> S + Send + 'static,
        S: Session + 'static,
    {
        let nth = self.knocks.fetch_add(1, Ordering::Relaxed);
        let faults = self.board.for_socket(nth);
        tokio::time::sleep(faults.upgrade_delay).await;
        if let Some(fault) = faults.upgrade {
            return self.refuse::<D>(fault);
        }
        let query = knock.public_query();
        let upgrade = knock
            .upgrade
            .read_buffer_size(4096)
            .max_message_size(opening.message_bytes_max)
            .max_frame_size(opening.message_bytes_max);
        let reason = D::reason;
        if let Some(code) = faults.accept_then_close {
            let fault = format!("accept-then-close:{code}");
            self.note(101, Some(code), Some(fault));
            return upgrade.on_upgrade(move |socket| driver::close(socket, code, reason(code)));
        }
        self.note(101, None, None);
        let (lever, reception) = (knock.lever, self.clone());
        upgrade.on_upgrade(move |socket| {
            let tasks = reception.tasks.clone();
            tasks.track_future(async move {
                match reception.admit(opening.external_id, query) {
                    Some(ear) => {
                        let session = Box::new(begin(ear));
                        let line = Line { socket, lever, nth };
                        Driver::new(line, session, reason, reception).run().await;
                    }
                    // Try again later.
                    None => driver::close(socket, 1013, "").await,
                }
            })
        })
    }

    /// Opens a WebSocket only to close it, after a last message if there is one.
    pub(super) fn turn_away(
        &self,
        knock: Knock,
        code: u16,
        reason: &'static str,
        last: Option<String>,
    ) -> Response {
        self.note(101, Some(code), None);
        knock.upgrade.on_upgrade(move |mut socket| async move {
            if let Some(last) = last {
                driver::send(&mut socket, last).await;
            }
            driver::close(socket, code, reason).await;
        })
    }

    /// Streams that are open now.
    pub(super) fn open_now(&self) -> usize {
        let is_open = |stream: &&Recorded| !stream.is_closed();
        self.records
            .with_streams(|streams| streams.iter().filter(is_open).count())
    }

    /// Streams that opened in the last so long.
    pub(super) fn opened_within(&self, long: Duration) -> usize {
        let now = Instant::now();
        let is_young = |stream: &&Recorded| now.duration_since(stream.opened_at) < long;
        self.records
            .with_streams(|streams| streams.iter().rev().take_while(is_young).count())
    }

    /// Refuses a WebSocket for what the client did.
    pub(super) fn reject<D: Dialect>(&self, status: StatusCode) -> Response {
        self.note(status.as_u16(), None, None);
        D::refusal(status)
    }

    /// Breaks a running stream.
    pub(super) fn inflict(&self, place: usize, cut: Cut) -> bool {
        let cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        cuts.get(&place)
            .is_some_and(|cuts| cuts.try_send(cut).is_ok())
    }

    /// Breaks all running streams, and says how many.
    pub(super) fn inflict_all(&self, cut: Cut) -> usize {
        let cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        cuts.values()
            .filter(|cuts| cuts.try_send(cut).is_ok())
            .count()
    }

    /// The breaks that this stream is asked for from now on.
    pub(super) fn listen_for_cuts(&self, place: usize) -> mpsc::Receiver<Cut> {
        let (sender, cuts) = mpsc::channel(CUTS_MAX);
        self.cuts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(place, sender);
        cuts
    }

    /// The stream is over.
    pub(super) fn forget_cuts(&self, place: usize) {
        self.cuts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&place);
    }

    // What hears a new stream; `None` when there are too many.
    fn admit(&self, external_id: Option<String>, query: Vec<(String, String)>) -> Option<Ear> {
        let stream_id = Uuid::new_v4().to_string();
        let mut recorded = Recorded::open(stream_id, external_id, Instant::now());
        recorded.query = query;
        let place = self.records.open(recorded)?;
        Some(Ear::new(&self.settings, self.records.clone(), place))
    }

    fn refuse<D: Dialect>(&self, fault: RestFault) -> Response {
        let name = format!("upgrade:{}", fault.status);
        self.note(fault.status, None, Some(name));
        refusal::<D>(fault)
    }

    fn note(&self, status: u16, closed: Option<u16>, fault: Option<String>) {
        self.records.knock(record::Knock {
            status,
            closed,
            fault,
            at: Instant::now(),
        });
    }

    // Of https and wss.
    fn s(&self) -> &'static str {
        if self.settings.tls.is_some() { "s" } else { "" }
    }
}

/// A refusal that was asked for.
pub(super) fn refusal<D: Dialect>(fault: RestFault) -> Response {
    let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = D::refusal(status);
    if let Some(retry_after) = fault.retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, retry_after.as_secs().into());
    }
    response
}
