//! The HTTP API: the control API of the contract, the native API beside it, and what watches over
//! the program. Routes and layers; each handler's file says what it does.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};
use bytes::Bytes;
use call::name::{Namespace, Role};
use call::start::{Phrase, Wish};
use ingress::admission::AdmissionControl;
use tokio_util::sync::CancellationToken;
use upstream::service::BadParameter;
use uuid::Uuid;

use crate::events::Bus;
use crate::metrics::Metrics;
use crate::switchboard_task::SwitchboardHandle;

pub mod auth;
mod body;
mod commands;
mod docs;
mod errors;
mod examples;
mod health;
mod judge;
pub mod limits;
mod named;
mod native;
mod observe;
mod openapi;
mod seats;
mod shapes;
mod sse;

use auth::ApiKeys;
use errors::{ApiError, Code};
use limits::{Limits, Rate};
use seats::Seats;

pub use openapi::openapi_json;

/// What the API works with.
#[derive(Clone)]
pub struct ApiState {
    /// Carries out commands and shows calls.
    pub switchboard: SwitchboardHandle,
    /// What happens to calls.
    pub bus: Arc<Bus>,
    /// Who may ask.
    pub keys: ApiKeys,
    /// Makes the WebSocket URL for Twilio, with a fresh token.
    pub streaming_url: Arc<dyn Fn() -> String + Send + Sync>,
    /// Whether a stream of this role may wish for this.
    pub wishes: Arc<WishCheck>,
    /// What `/metrics` shows.
    pub registry: prometheus::Registry,
    /// The program's own metrics, registered there.
    pub metrics: Arc<Metrics>,
    /// Limits and defaults.
    pub settings: ApiSettings,
    /// Cancelled when the gateway begins to drain: readiness goes, new streams get 503-01.
    pub draining: CancellationToken,
    /// Of what there is too much for new calls: readiness goes.
    pub admission: AdmissionControl,
    /// Which build this is.
    pub build: Build,
    /// Makes request ids and stream ids.
    pub ids: Arc<dyn Fn() -> Uuid + Send + Sync>,
}

/// Says whether a stream of a role may wish for something.
pub type WishCheck = dyn Fn(Role, &Wish) -> Result<(), BadParameter> + Send + Sync;

/// Limits and defaults of the API.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// A longer body is refused with 413-01.
    pub body_bytes_max: usize,
    /// A body that takes longer to arrive is refused with 408-01.
    pub body_timeout: Duration,
    /// JSON that is nested deeper is refused with 422-01.
    pub json_depth_max: usize,
    /// Requests of one key; more are refused with 429-01.
    pub key_requests: Rate,
    /// Failed authentications of one address (IPv6: one /64); after more it gets 429-01.
    pub auth_failures: Rate,
    /// Addresses whose failures are counted one by one; beyond, all others share one count.
    pub addresses_max: usize,
    /// Whether the last entry of `X-Forwarded-For` is the client: only behind a proxy that sets it.
    pub trust_forwarded_for: bool,
    /// `Retry-After` of a 503-01.
    pub retry_after: Duration,
    /// Phrases that every start boosts.
    pub vocabulary: Vec<Phrase>,
    /// Platforms with an ingress. A command for any other is refused with 400-203 at once.
    pub namespaces: Vec<Namespace>,
    /// Event streams at once; one more is refused with 429-01, or takes the place of a reader that
    /// has stopped reading.
    pub subscribers_max: usize,
    /// A reader of events that has taken nothing for so long has stopped reading. More than
    /// `heartbeat`.
    pub subscriber_stall: Duration,
    /// A comment is sent on an event stream that has been silent for so long.
    pub heartbeat: Duration,
}

/// Which build this is.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    /// The release.
    pub version: &'static str,
    /// The source it was built from, if the build knew it.
    pub commit: Option<&'static str>,
}

/// What handlers share.
pub(crate) struct Api {
    state: ApiState,
    limits: Limits,
    seats: Arc<Seats>,
    openapi: Bytes,
}

/// The whole API. Whoever serves it adds `ConnectInfo<SocketAddr>` to each request; without it all
/// clients count as one address.
pub fn router(state: ApiState) -> Router {
    let settings = &state.settings;
    let limits = Limits::new(
        settings.key_requests,
        settings.auth_failures,
        settings.addresses_max,
    );
    let (most, stall) = (settings.subscribers_max, settings.subscriber_stall);
    let seats = Seats::new(most, stall, Arc::clone(&state.metrics));
    let openapi = Bytes::from(openapi_json());
    let api = Arc::new(Api {
        state,
        limits,
        seats,
        openapi,
    });
    Router::new()
        .merge(keyed().layer(from_fn_with_state(Arc::clone(&api), auth::authenticate)))
        .merge(open())
        .fallback(async || ApiError::from(Code::NotFound))
        .method_not_allowed_fallback(async || ApiError::from(Code::MethodNotAllowed))
        .layer(from_fn_with_state(Arc::clone(&api), observe::observe))
        .with_state(api)
}

/// Feeds arbitrary bytes to the readers of both bodies; a defect panics.
pub fn fuzz(data: &[u8]) {
    let settings = ApiSettings::default();
    if let Ok(read) = body::understand(data, settings.json_depth_max)
        && let Ok(start) = judge::start(read.body, &[], String::new)
    {
        assert_ne!(
            start.first.role, start.second.role,
            "one role on both sides"
        );
        assert_eq!(
            start.first.call, start.second.call,
            "two calls in one start"
        );
    }
    if let Ok(read) = body::understand(data, settings.json_depth_max) {
        drop(judge::stop(&read.body));
    }
}

/// Routes that want a key.
fn keyed() -> Router<Arc<Api>> {
    let control = [
        ("start-streaming", post(commands::start_streaming)),
        ("stop-streaming", post(commands::stop_streaming)),
        (
            "twilio-media-stream-url",
            get(commands::twilio_media_stream_url),
        ),
    ];
    let mut router = Router::new();
    for (name, method) in control {
        router = both(router, &format!("/mg-autotranscribe/v1/{name}"), method);
    }
    router
        .route("/v1/calls", get(native::list_calls))
        .route("/v1/calls/{namespace}/{guid}", get(native::show_call))
        .route("/v1/calls/{namespace}/{guid}/events", get(sse::call_events))
        .route(
            "/v1/calls/{namespace}/{guid}/pause",
            post(commands::pause_call),
        )
        .route(
            "/v1/calls/{namespace}/{guid}/resume",
            post(commands::resume_call),
        )
        .route("/v1/events", get(sse::all_events))
        .route("/v1/health", get(health::health))
}

/// Routes for everybody.
fn open() -> Router<Arc<Api>> {
    Router::new()
        .route("/docs", get(docs::to_folder))
        .route("/docs/", get(docs::index))
        .route("/docs/{file}", get(docs::file))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(docs::openapi))
        .route("/version", get(health::version))
}

/// The contract's guides write a slash at the end of its paths, its specification does not.
fn both(router: Router<Arc<Api>>, path: &str, method: MethodRouter<Arc<Api>>) -> Router<Arc<Api>> {
    router
        .route(path, method.clone())
        .route(&format!("{path}/"), method)
}

impl Default for ApiSettings {
    fn default() -> Self {
        let rate = |allowed, per, burst| Rate {
            allowed,
            per: Duration::from_secs(per),
            burst,
        };
        let at_once = |burst| NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        Self {
            body_bytes_max: 256 * 1024,
            body_timeout: Duration::from_secs(10),
            json_depth_max: 16,
            key_requests: rate(100, 1, at_once(200)),
            auth_failures: rate(10, 60, at_once(10)),
            addresses_max: 10_000,
            trust_forwarded_for: false,
            retry_after: Duration::from_secs(5),
            vocabulary: Vec::new(),
            namespaces: vec![Namespace::Twilio],
            subscribers_max: 64,
            subscriber_stall: Duration::from_secs(60),
            heartbeat: Duration::from_secs(15),
        }
    }
}

impl Default for Build {
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: option_env!("ANTIPHON_COMMIT"),
        }
    }
}

#[cfg(test)]
mod tests;
