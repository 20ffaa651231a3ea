//! The HTTP API: the control API of the contract, the native API beside it, and what watches over
//! the program. Routes and layers; each handler's file says what it does.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use bytes::Bytes;
use call::name::{Namespace, Role};
use call::private::Private;
use call::start::{Phrase, Wish};
use delivery::Delivery;
use ingress::admission::AdmissionControl;
use tokio_util::sync::CancellationToken;
use upstream::service::BadParameter;
use url::Url;
use uuid::Uuid;

use crate::events::Bus;
use crate::metrics::Metrics;
use crate::record::Keeping;
use crate::switchboard_task::SwitchboardHandle;

mod asyncapi;
pub mod auth;
mod body;
mod commands;
mod conversations;
mod cors;
mod docs;
mod errors;
mod examples;
mod exporter;
mod health;
mod judge;
mod kept;
pub mod limits;
mod messages;
mod named;
mod native;
mod observe;
mod openapi;
mod reader;
mod routes;
mod seats;
pub(crate) mod shapes;
mod signing;
mod sse;
mod tokens;
mod webhooks;
mod ws;

use auth::ApiKeys;
use errors::{ApiError, Code};
use kept::Questions;
use limits::{Limits, Rate};
use seats::Seats;
use signing::Signer;

pub use asyncapi::asyncapi_json;
pub use openapi::openapi_json;
pub(crate) use shapes::{EventShape, counters_json};

/// What the API works with.
#[derive(Clone)]
pub struct ApiState {
    /// Carries out commands and shows calls.
    pub switchboard: SwitchboardHandle,
    /// What happens to calls.
    pub bus: Arc<Bus>,
    /// What is kept of them.
    pub keeping: Arc<Keeping>,
    /// What is sent out of them.
    pub delivery: Arc<Delivery>,
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
    /// Messages of one conversation in one answer of the messages API.
    pub messages_max: usize,
    /// Questions that the store is asked at once; more wait.
    pub store_questions_max: usize,
    /// A question that is not answered within this is refused with 503-01.
    pub store_timeout: Duration,
    /// Events, or utterances, that are read from the store in one go.
    pub store_page: usize,
    /// Signs tokens and URLs of files. Without it they are good in one process only.
    pub signing_key: Option<Private<String>>,
    /// How long a token may be used that says nothing else.
    pub token_ttl: Duration,
    /// How long the URL of an exported file may be used.
    pub file_url_ttl: Duration,
    /// The URL under which this API is reached.
    pub public_url: Url,
    /// Web pages of these origins may read events; `*`: of all.
    pub cors_origins: Vec<String>,
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
    questions: Questions,
    signer: Signer,
    openapi: Bytes,
    asyncapi: Bytes,
}

/// The whole API. Whoever serves it adds `ConnectInfo<SocketAddr>` to each request; without it all
/// clients count as one address.
pub fn router(state: ApiState) -> Router {
    let api = Arc::new(Api::new(state));
    Router::new()
        .merge(routes::all(&api))
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
    drop(messages::understand(data, settings.json_depth_max));
    if let Ok(query) = str::from_utf8(data)
        && let Ok(search) = conversations::search_of(query)
    {
        assert!(search.words.len() <= conversations::WORDS_MAX);
    }
    exporter::fuzz(data, settings.json_depth_max);
    tokens::fuzz(data);
    drop(ws::understand(data, settings.json_depth_max));
}

impl Api {
    fn new(state: ApiState) -> Self {
        let settings = &state.settings;
        let (most, stall) = (settings.subscribers_max, settings.subscriber_stall);
        Self {
            limits: Limits::new(
                settings.key_requests,
                settings.auth_failures,
                settings.addresses_max,
            ),
            seats: Seats::new(most, stall, Arc::clone(&state.metrics)),
            questions: Questions::new(settings),
            signer: Signer::new(settings.signing_key.as_ref()),
            openapi: openapi_json().into(),
            asyncapi: asyncapi_json().into(),
            state,
        }
    }
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
            messages_max: 1_000,
            store_questions_max: 8,
            store_timeout: Duration::from_secs(10),
            store_page: 500,
            signing_key: None,
            token_ttl: Duration::from_secs(300),
            file_url_ttl: Duration::from_secs(900),
            public_url: Url::parse("http://localhost:8080").expect("it is a URL"),
            cors_origins: Vec::new(),
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
