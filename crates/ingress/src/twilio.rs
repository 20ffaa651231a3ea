//! Twilio Media Streams: WebSockets that Twilio opens to us, each with one or two tracks of one
//! call.
//!
//! A socket needs a token from a streaming URL and a signature of Twilio's. Nothing is ever sent
//! through it but pongs and a close. Who is refused is not told why; the counter and the debug log
//! know.

pub mod binding;
pub mod feeds;
pub mod fuzz;
pub mod key;
pub mod message;
pub mod parameters;
pub mod payload;
mod refusal;
pub mod session;
pub mod signature;
mod socket;
pub mod tally;
pub mod timeline;
pub mod token;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, Uri};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use call::private::Private;

use crate::admission::Permit;
use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::twilio::refusal::Refusal;
use crate::twilio::session::SessionLimits;
use crate::twilio::signature::{BadSignature, Signed, Verifier};
use crate::twilio::socket::SocketTask;
use crate::twilio::tally::Admission;
use crate::twilio::token::{BadToken, Tokens};

/// Where streaming URLs lead; a token follows as one more segment.
pub const STREAM_PATH: &str = "/mg-twilio-autotranscribe/twilio-media";

/// Settings and limits. One field a key of the configuration.
#[derive(Clone, Debug)]
pub struct TwilioConfig {
    /// What Twilio is told to call, and what it signs.
    pub public_url: Url,
    /// AuthTokens of the accounts whose signatures are accepted.
    pub auth_tokens: Vec<Private<String>>,
    /// SharedKeys for HMAC-SHA256 signatures, by id.
    pub shared_keys: Vec<(String, Private<String>)>,
    /// Whether a socket needs a signature.
    pub require_signature: bool,
    /// Signs the tokens in streaming URLs. Empty: one is made up, and tokens die with the process.
    pub token_secret: Private<String>,
    /// Secrets whose tokens are accepted besides, while they are being replaced.
    pub token_secrets_accepted: Vec<Private<String>>,
    /// How long a streaming URL opens sockets.
    pub token_ttl: Duration,
    /// From a socket's opening to `start`; then it is closed.
    pub start_timeout: Duration,
    /// Without sound for so long, a socket's legs end.
    pub media_timeout: Duration,
    /// Without any message for so long, a socket without live legs is closed.
    pub socket_timeout: Duration,
    /// How long a close may take.
    pub close_timeout: Duration,
    /// The largest message; a larger one closes its socket.
    pub message_bytes_max: usize,
    /// So many bad messages in a row close their socket.
    pub bad_messages_max: u32,
    /// Sockets at one time; one more is answered 503.
    pub sockets_max: usize,
    /// What a 503 says in `Retry-After`.
    pub retry_after: Duration,
}

/// The adapter: its routes, and all its sockets.
#[derive(Debug)]
pub struct Twilio {
    config: TwilioConfig,
    base: String,
    secrets: RwLock<Arc<Secrets>>,
    intake: Intake,
    metrics: Arc<Metrics>,
    permits: Arc<Semaphore>,
    draining: AtomicBool,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

/// What one socket holds as long as it is there: a place among Twilio's, and one among all calls.
#[derive(Debug)]
struct Places {
    socket: OwnedSemaphorePermit,
    call: Permit,
}

/// What can be replaced while we run.
#[derive(Debug)]
struct Secrets {
    tokens: Tokens,
    verifier: Verifier,
}

impl Default for TwilioConfig {
    fn default() -> Self {
        Self {
            public_url: Url::parse("http://127.0.0.1:8080").expect("it is a URL"),
            auth_tokens: Vec::new(),
            shared_keys: Vec::new(),
            require_signature: true,
            token_secret: Private::default(),
            token_secrets_accepted: Vec::new(),
            token_ttl: Duration::from_secs(300),
            start_timeout: Duration::from_secs(5),
            media_timeout: Duration::from_secs(30),
            socket_timeout: Duration::from_secs(300),
            close_timeout: Duration::from_secs(5),
            message_bytes_max: 256 * 1024,
            bad_messages_max: 100,
            sockets_max: 4_000,
            retry_after: Duration::from_secs(5),
        }
    }
}

impl TwilioConfig {
    /// What of it is a session's.
    pub fn session_limits(&self) -> SessionLimits {
        SessionLimits {
            start_timeout: self.start_timeout,
            media_timeout: self.media_timeout,
            socket_timeout: self.socket_timeout,
            close_timeout: self.close_timeout,
            bad_messages_max: self.bad_messages_max,
        }
    }

    fn token_secrets(&self) -> Vec<Private<String>> {
        let accepted = self.token_secrets_accepted.iter();
        std::iter::once(&self.token_secret)
            .chain(accepted)
            .cloned()
            .collect()
    }
}

impl Twilio {
    /// An adapter that opens its legs on `intake`.
    pub fn new(config: TwilioConfig, intake: Intake, metrics: Arc<Metrics>) -> Arc<Self> {
        let verifier = Verifier::new(&config.public_url, &config.auth_tokens, &config.shared_keys);
        let tokens = Tokens::new(&config.token_secrets(), config.token_ttl);
        let sockets_max = config.sockets_max.min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            base: signature::socket_base(&config.public_url),
            secrets: RwLock::new(Arc::new(Secrets { tokens, verifier })),
            intake,
            metrics,
            permits: Arc::new(Semaphore::new(sockets_max)),
            draining: AtomicBool::new(false),
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
            config: TwilioConfig {
                sockets_max,
                ..config
            },
        })
    }

    /// The WebSocket routes: the token as a segment, and as a query for senders that keep it.
    pub fn routes(self: &Arc<Self>) -> Router {
        Router::new()
            .route(&format!("{STREAM_PATH}/{{token}}"), get(by_path))
            .route(STREAM_PATH, get(by_query))
            .route("/twilio-media", get(by_query))
            .with_state(Arc::clone(self))
    }

    /// A URL that opens sockets for the next `token_ttl`.
    pub fn streaming_url(&self, now: SystemTime) -> String {
        format!(
            "{}{STREAM_PATH}/{}",
            self.base,
            self.secrets().tokens.issue(now)
        )
    }

    /// From now on nobody is let in; open sockets go on.
    pub fn refuse_new(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Replaces the secrets. The first of `token_secrets` signs, all are accepted; without any,
    /// those in use stay.
    pub fn reload(
        &self,
        auth_tokens: &[Private<String>],
        shared_keys: &[(String, Private<String>)],
        token_secrets: &[Private<String>],
    ) {
        let verifier = Verifier::new(&self.config.public_url, auth_tokens, shared_keys);
        let mut secrets = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        let kept = secrets.tokens.clone();
        let replaced = token_secrets
            .iter()
            .any(|secret| !secret.reveal().is_empty());
        let tokens = if replaced {
            Tokens::new(token_secrets, self.config.token_ttl)
        } else {
            kept
        };
        *secrets = Arc::new(Secrets { tokens, verifier });
    }

    /// How many sockets are open or being opened.
    pub fn sockets(&self) -> usize {
        self.config.sockets_max - self.permits.available_permits()
    }

    /// Ends what is left: legs end, so their streams are flushed and finished, and sockets are
    /// closed. Takes `close_timeout` at most.
    pub async fn close_all(&self) {
        self.refuse_new();
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn secrets(&self) -> Arc<Secrets> {
        Arc::clone(&self.secrets.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn open(
        self: &Arc<Self>,
        token: &str,
        uri: &Uri,
        headers: &HeaderMap,
        upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    ) -> Response {
        let admitted = self
            .admit(token, uri, headers)
            .and_then(|places| match upgrade {
                Ok(upgrade) => Ok((places, upgrade)),
                Err(_) => Err(Admission::NotWebSocket),
            });
        match admitted {
            Ok((places, upgrade)) => {
                self.metrics.admission(Admission::Accepted);
                self.run(places, upgrade)
            }
            Err(admission) => {
                self.metrics.admission(admission);
                Refusal::new(admission, self.config.retry_after).into_response()
            }
        }
    }

    fn admit(&self, token: &str, uri: &Uri, headers: &HeaderMap) -> Result<Places, Admission> {
        if self.draining.load(Ordering::Acquire) {
            return Err(Admission::Draining);
        }
        let secrets = self.secrets();
        secrets
            .tokens
            .verify(token, SystemTime::now())
            .map_err(|bad| match bad {
                BadToken::Expired => Admission::ExpiredToken,
                BadToken::Forged => Admission::BadToken,
                BadToken::Missing => Admission::MissingToken,
            })?;
        if self.config.require_signature {
            let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
            let signed = Signed {
                path: uri.path(),
                query: uri.query(),
                signature: header("x-twilio-signature"),
                settings: header("x-twilio-webhooks-signature-settings"),
            };
            secrets.verifier.verify(&signed).map_err(|bad| match bad {
                BadSignature::Mismatch => Admission::BadSignature,
                BadSignature::Missing => Admission::MissingSignature,
                BadSignature::Unknown => Admission::UnknownAlgorithm,
            })?;
        }
        let socket = Arc::clone(&self.permits).try_acquire_owned();
        let socket = socket.map_err(|_| Admission::Full)?;
        let call = self.intake.admission().admit().map_err(|limit| {
            self.metrics.turned_away(limit);
            Admission::Overloaded
        })?;
        Ok(Places { socket, call })
    }

    fn run(self: &Arc<Self>, places: Places, upgrade: WebSocketUpgrade) -> Response {
        let twilio = Arc::clone(self);
        let tracked = self.tasks.token();
        let Places {
            socket: place,
            call,
        } = places;
        socket::tune(upgrade, self.config.message_bytes_max).on_upgrade(move |socket| async move {
            let task = SocketTask::new(
                socket,
                twilio.config.session_limits(),
                twilio.intake.admitted(call),
                Arc::clone(&twilio.metrics),
                twilio.shutdown.clone(),
            );
            task.run().await;
            drop(place);
            drop(tracked);
        })
    }
}

async fn by_path(
    State(twilio): State<Arc<Twilio>>,
    Path(token): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    twilio.open(&token, &uri, &headers, upgrade)
}

async fn by_query(
    State(twilio): State<Arc<Twilio>>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let query = uri.query().unwrap_or_default().as_bytes();
    let token = url::form_urlencoded::parse(query).find(|(name, _)| name == "token");
    let token = token.map(|(_, token)| token).unwrap_or_default();
    twilio.open(&token, &uri, &headers, upgrade)
}

#[cfg(test)]
mod tests;
