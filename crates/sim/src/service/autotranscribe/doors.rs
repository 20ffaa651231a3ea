//! What can be asked over HTTP: the streaming URL, and the WebSocket behind it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Query, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::faults::{Board, Cut, Faults, TokenFault};
use super::line::{Door, Lever};
use super::record::{Asked, Recorded, Records};
use super::session::{Session, Surroundings};
use super::socket::{self, Driver};
use super::{Config, TokenRefusal};

/// The body of the REST call is one id.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// With more tokens than this the expired ones are forgotten.
const GRANTS_MAX: usize = 10_000;

/// Breaks that one stream can be asked for.
const CUTS_MAX: usize = 8;

/// What a request finds.
pub(super) struct Doors {
    pub(super) config: Config,
    pub(super) board: Board,
    pub(super) records: Arc<Records>,
    address: SocketAddr,
    grants: Mutex<HashMap<String, Grant>>,
    cuts: Mutex<HashMap<usize, mpsc::Sender<Cut>>>,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

/// An access token that was given out.
struct Grant {
    external_id: Option<String>,
    expires: Instant,
    used: bool,
}

/// Serves until it is told to stop.
pub(super) async fn serve(doors: Arc<Doors>, door: Door, stopping: CancellationToken) {
    let routes = Router::new()
        .route("/", get(open_stream))
        .route("/autotranscribe/v1/streaming-url", post(give_url))
        .fallback(|| async { refusal(StatusCode::NOT_FOUND) })
        .method_not_allowed_fallback(|| async { refusal(StatusCode::METHOD_NOT_ALLOWED) })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(doors)
        .into_make_service_with_connect_info::<Lever>();
    let served = axum::serve(door, routes)
        .with_graceful_shutdown(stopping.cancelled_owned())
        .await;
    if let Err(error) = served {
        tracing::warn!(%error, "The service stopped serving.");
    }
}

impl Doors {
    pub(super) fn new(
        config: Config,
        address: SocketAddr,
        tasks: TaskTracker,
        stopping: CancellationToken,
    ) -> Self {
        let board = Board::new(config.faults.clone());
        let records = Arc::new(Records::new(config.keep));
        let (grants, cuts) = (Mutex::default(), Mutex::default());
        Self {
            config,
            board,
            records,
            address,
            grants,
            cuts,
            tasks,
            stopping,
        }
    }

    /// Breaks a running stream.
    pub(super) fn inflict(&self, place: usize, cut: Cut) -> bool {
        let cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        cuts.get(&place)
            .is_some_and(|cuts| cuts.try_send(cut).is_ok())
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

    fn knows(&self, headers: &HeaderMap) -> bool {
        let is = |name, wanted: &str| {
            headers
                .get(name)
                .is_some_and(|value| value.as_bytes() == wanted.as_bytes())
        };
        is("asapp-api-id", &self.config.api_id) && is("asapp-api-secret", &self.config.api_secret)
    }

    fn grant(&self, external_id: Option<String>, fault: TokenFault) -> String {
        let token = Uuid::new_v4().simple().to_string();
        let now = Instant::now();
        let expires = match fault {
            TokenFault::Bad => return token,
            TokenFault::Expired => now,
            TokenFault::None => now + self.config.tokens.ttl,
        };
        let mut grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        if grants.len() >= GRANTS_MAX {
            grants.retain(|_, grant| grant.expires > now && !grant.used);
        }
        grants.insert(
            token.clone(),
            Grant {
                external_id,
                expires,
                used: false,
            },
        );
        token
    }

    // The externalId that a token stands for, if it may open a WebSocket.
    fn redeem(&self, token: &str) -> Option<Option<String>> {
        let mut grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        let grant = grants.get_mut(token)?;
        if Instant::now() >= grant.expires || (grant.used && self.config.tokens.single_use) {
            return None;
        }
        grant.used = true;
        Some(grant.external_id.clone())
    }

    // The record and the session of a new stream; `None` when there are too many.
    fn begin(&self, external_id: Option<String>) -> Option<(usize, Session)> {
        let now = Instant::now();
        let stream_id = Uuid::new_v4().to_string();
        let place =
            self.records
                .open(Recorded::open(stream_id.clone(), external_id.clone(), now))?;
        let around = Surroundings {
            rules: self.config.rules,
            lexicon: self.config.lexicon.clone(),
            observer: self.config.observer.clone(),
            records: self.records.clone(),
            place,
            stream_id,
            external_id: external_id.unwrap_or_default(),
        };
        Some((place, Session::new(around, now)))
    }

    fn streaming_url(&self, headers: &HeaderMap, token: &str) -> String {
        let scheme = if self.config.tls.is_some() {
            "wss"
        } else {
            "ws"
        };
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let host = host.map_or_else(|| self.address.to_string(), str::to_owned);
        // As documented, without a path.
        format!("{scheme}://{host}?token={token}")
    }
}

async fn give_url(
    State(doors): State<Arc<Doors>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let at = Instant::now();
    let faults = doors.board.for_request();
    tokio::time::sleep(faults.rest_delay).await;
    let external_id = body
        .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)
        .and_then(|body| external_id(&body));
    let response = answer(&doors, &headers, external_id.clone(), &faults);
    let external_id = external_id.ok().flatten();
    doors.records.ask(Asked {
        external_id,
        status: response.status().as_u16(),
        at,
    });
    response
}

fn answer(
    doors: &Doors,
    headers: &HeaderMap,
    external_id: Result<Option<String>, StatusCode>,
    faults: &Faults,
) -> Response {
    if let Some(fault) = faults.rest {
        let mut response = refusal(
            StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        );
        if let Some(retry_after) = fault.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, retry_after.as_secs().into());
        }
        return response;
    }
    if !doors.knows(headers) {
        return refusal(StatusCode::UNAUTHORIZED);
    }
    match external_id {
        Err(status) => refusal(status),
        Ok(external_id) => {
            let token = doors.grant(external_id, faults.token);
            axum::Json(json!({ "streamingUrl": doors.streaming_url(headers, &token) }))
                .into_response()
        }
    }
}

async fn open_stream(
    State(doors): State<Arc<Doors>>,
    ConnectInfo(lever): ConnectInfo<Lever>,
    Query(query): Query<HashMap<String, String>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let upgrade = upgrade
        .read_buffer_size(4096)
        .max_message_size(doors.config.rules.message_bytes_max)
        .max_frame_size(doors.config.rules.message_bytes_max);
    let Some(external_id) = query.get("token").and_then(|token| doors.redeem(token)) else {
        return match doors.config.tokens.refusal {
            TokenRefusal::Close1008 => upgrade.on_upgrade(|socket| socket::close(socket, 1008)),
            TokenRefusal::Http401 => refusal(StatusCode::UNAUTHORIZED),
        };
    };
    if let Some(code) = doors.board.for_socket().accept_then_close {
        return upgrade.on_upgrade(move |socket| socket::close(socket, code));
    }
    upgrade.on_upgrade(move |socket| {
        let (tasks, stopping) = (doors.tasks.clone(), doors.stopping.clone());
        tasks.track_future(async move {
            match doors.begin(external_id) {
                Some(begun) => Driver::new(socket, begun, lever, doors).run(stopping).await,
                // Try again later.
                None => socket::close(socket, 1013).await,
            }
        })
    })
}

fn external_id(body: &[u8]) -> Result<Option<String>, StatusCode> {
    if body.is_empty() {
        return Ok(None);
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(mut fields)) => match fields.remove("externalId") {
            None => Ok(None),
            Some(Value::String(id)) => Ok(Some(id)),
            Some(_) => Err(StatusCode::UNPROCESSABLE_ENTITY),
        },
        _ => Err(StatusCode::BAD_REQUEST),
    }
}

// The error envelope of all of ASAPP's REST calls.
fn refusal(status: StatusCode) -> Response {
    let message = status.canonical_reason().unwrap_or("Error");
    let error = json!({
        "requestId": Uuid::new_v4().to_string(),
        "message": message,
        "code": format!("{}-01", status.as_u16()),
    });
    (status, axum::Json(json!({ "error": error }))).into_response()
}
