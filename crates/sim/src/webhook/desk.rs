//! What becomes of a delivery: authenticated, read, taken, answered; or what the faults say.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use axum::routing::{any, post};
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use super::event::{self, Event};
use super::faults::{Fault, Faults};
use super::issuer::{self, BadToken, Issuer};
use super::ledger::{Ledger, Taken};
use super::signature::{self, Signed};
use super::{PATH, Settings};
use crate::service::door::Lever;

/// Longer bodies are refused.
const BODY_BYTES_MAX: usize = 16 << 20;

/// Where redirects lead.
const ELSEWHERE: &str = "/elsewhere";

/// Where deliveries are dealt with.
pub(super) struct Desk {
    pub(super) ledger: Ledger,
    pub(super) issuer: Issuer,
    settings: Settings,
    faults: Mutex<Faults>,
    deliveries: AtomicU64,
}

/// What the handlers share.
#[derive(Clone)]
struct Counter {
    desk: Arc<Desk>,
    closing: CancellationToken,
}

/// A delivery that is authentic and could be read.
struct Delivery {
    events: Vec<Event>,
    signed: Signed,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

pub(super) fn routes(desk: &Arc<Desk>, closing: CancellationToken) -> Router {
    Router::new()
        .route(PATH, post(answer))
        .route(ELSEWHERE, any(followed))
        .route(issuer::PATH, post(token))
        .with_state(Counter {
            desk: Arc::clone(desk),
            closing,
        })
}

impl Desk {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            ledger: Ledger::default(),
            issuer: Issuer::new(settings.oauth2.clone()),
            faults: Mutex::new(settings.faults.clone()),
            settings: settings.clone(),
            deliveries: AtomicU64::new(0),
        }
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    fn faults<T>(&self, look: impl FnOnce(&mut Faults) -> T) -> T {
        look(&mut self.faults.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts a delivery and gives what can be made of it.
    fn read(&self, head: &Parts, body: Vec<u8>) -> Result<Delivery, StatusCode> {
        self.ledger.count(|counts| counts.deliveries += 1);
        match self.issuer.check(&head.headers) {
            Ok(()) => {}
            Err(BadToken::Revoked) => {
                self.ledger.count(|counts| counts.revoked += 1);
                return Err(StatusCode::UNAUTHORIZED);
            }
            Err(BadToken::Forged) => {
                self.ledger.count(|counts| counts.forged += 1);
                self.ledger
                    .complain("the bearer token is missing or nobody's".to_owned());
                return Err(StatusCode::UNAUTHORIZED);
            }
        }
        let signed = self.authenticate(head, &body).map_err(|why| {
            self.ledger.count(|counts| counts.forged += 1);
            self.ledger.complain(why);
            StatusCode::UNAUTHORIZED
        })?;
        let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
        let content_type = header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
        let events = event::read(content_type, &signed.id, &body).map_err(|why| {
            self.ledger.count(|counts| counts.unreadable += 1);
            self.ledger.complain(why);
            StatusCode::BAD_REQUEST
        })?;
        let each = head.headers.iter();
        let headers = each.map(|(name, value)| {
            let value = value.to_str().unwrap_or_default();
            (name.as_str().to_owned(), value.to_owned())
        });
        Ok(Delivery {
            events,
            signed,
            headers: headers.collect(),
            body,
        })
    }

    fn authenticate(&self, head: &Parts, body: &[u8]) -> Result<Signed, String> {
        let Settings {
            header, parameter, ..
        } = &self.settings;
        if let Some((name, value)) = header {
            let found = head.headers.get(name).map(HeaderValue::as_bytes);
            if found != Some(value.as_bytes()) {
                return Err(format!("the header {name} is missing or wrong"));
            }
        }
        if let Some((name, value)) = parameter {
            let query = head.uri.query().unwrap_or_default();
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            if !pairs.any(|(own, its)| own == *name && its == *value) {
                return Err(format!("the parameter {name} is missing or wrong"));
            }
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_unix_s = now.unwrap_or_default().as_secs();
        signature::verify(&self.settings.secrets, &head.headers, body, now_unix_s)
            .map_err(|forgery| forgery.to_string())
    }

    fn next_fault(&self, delivery: &Delivery) -> Option<Fault> {
        let nth = self.deliveries.fetch_add(1, Ordering::Relaxed);
        let conversation = delivery.events.first().map(|event| &*event.conversation);
        let fault = self.faults(|faults| faults.next(nth, conversation.unwrap_or_default()));
        if fault.is_some() {
            self.ledger.count(|counts| counts.faults += 1);
        }
        fault
    }

    fn take(&self, delivery: Delivery) {
        let Delivery {
            events,
            signed,
            headers,
            body,
        } = delivery;
        for event in events {
            self.ledger.take(Taken {
                event,
                signed: signed.clone(),
                headers: headers.clone(),
                body: body.clone(),
                at: Instant::now(),
            });
        }
    }
}

async fn answer(
    State(Counter { desk, closing }): State<Counter>,
    ConnectInfo(lever): ConnectInfo<Lever>,
    request: Request<Body>,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let slow = desk.faults(|faults| faults.slow_bytes_per_second);
    let Some(body) = collect(body, slow).await else {
        return status(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let delivery = match desk.read(&head, body) {
        Ok(delivery) => delivery,
        Err(refusal) => return status(refusal),
    };
    let fault = desk.next_fault(&delivery);
    if matches!(fault, None | Some(Fault::LoseAnswer)) {
        desk.take(delivery);
    }
    match fault {
        None => status(StatusCode::OK),
        Some(fault) => misbehave(fault, &lever, &closing).await,
    }
}

async fn token(
    State(Counter { desk, .. }): State<Counter>,
    request: Request<Body>,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Some(form) = collect(body, None).await else {
        return status(StatusCode::PAYLOAD_TOO_LARGE);
    };
    match desk.issuer.give(&head.headers, &form) {
        Ok(grant) => {
            desk.ledger.count(|counts| counts.tokens += 1);
            let mut response = with(StatusCode::OK, header::CONTENT_TYPE, "application/json");
            *response.body_mut() = Body::from(grant);
            response
        }
        Err(refusal) => {
            desk.ledger.count(|counts| counts.tokens_refused += 1);
            status(refusal)
        }
    }
}

async fn followed(State(Counter { desk, .. }): State<Counter>) -> StatusCode {
    desk.ledger.count(|counts| counts.followed += 1);
    StatusCode::OK
}

async fn misbehave(fault: Fault, lever: &Lever, closing: &CancellationToken) -> Response<Body> {
    match fault {
        Fault::Gone => status(StatusCode::GONE),
        Fault::LoseAnswer | Fault::Reset => {
            lever.tear();
            with(StatusCode::OK, header::CONNECTION, "close")
        }
        Fault::Redirect => with(StatusCode::TEMPORARY_REDIRECT, header::LOCATION, ELSEWHERE),
        Fault::Stall => {
            closing.cancelled().await;
            status(StatusCode::SERVICE_UNAVAILABLE)
        }
        Fault::Status(code) => {
            status(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        }
        Fault::TooMany(wait) => with(
            StatusCode::TOO_MANY_REQUESTS,
            header::RETRY_AFTER,
            &wait.as_secs().to_string(),
        ),
    }
}

/// The body, read as fast as is allowed; `None` if it is too long or broke off.
async fn collect(body: Body, bytes_per_second: Option<u32>) -> Option<Vec<u8>> {
    let mut collected = Vec::new();
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.ok()?;
        if let Some(pace) = bytes_per_second {
            let seconds = piece.len() as f64 / f64::from(pace.max(1));
            tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        }
        collected.extend_from_slice(&piece);
        if collected.len() > BODY_BYTES_MAX {
            return None;
        }
    }
    Some(collected)
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn with(code: StatusCode, name: header::HeaderName, value: &str) -> Response<Body> {
    let mut response = status(code);
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}
