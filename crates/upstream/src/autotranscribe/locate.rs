//! Asks for the address of a WebSocket, and keeps a few fetched ahead of time.
//!
//! An address holds a token: it is used once, and never logged. The only file that names reqwest.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use http::HeaderValue;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tracing::debug;
use url::Url;

use call::name::CallName;

use super::{AutoTranscribeConfig, AutoTranscribeError};
use crate::metrics::{Lookup, Metrics};
use crate::service::{LocateError, Located, Retry};
use crate::trust::Trust;
use crate::wire::{is_this_machine, retry_after};

/// Finds addresses.
pub(super) struct Locator {
    client: reqwest::Client,
    url: Url,
    answer_bytes_max: usize,
    shelf: Shelf,
    metrics: Arc<Metrics>,
}

/// Addresses fetched ahead of time.
struct Shelf {
    calls: Mutex<HashMap<CallName, Entry>>,
    per_call: usize,
    calls_max: usize,
    age_max: Duration,
}

#[derive(Default)]
struct Entry {
    /// Oldest first.
    addresses: VecDeque<Address>,
    /// How many are being fetched.
    awaited: usize,
}

struct Address {
    uri: http::Uri,
    issued: Instant,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    external_id: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    streaming_url: String,
}

#[derive(Deserialize)]
struct Refusal {
    error: RefusalError,
}

#[derive(Deserialize)]
struct RefusalError {
    message: String,
}

impl Locator {
    const PATH: &'static str = "/autotranscribe/v1/streaming-url";
    /// More of a refusal's own words is not passed on.
    const REASON_CHARS_MAX: usize = 256;

    pub(super) fn new(
        config: &AutoTranscribeConfig,
        trust: &Trust,
        metrics: Arc<Metrics>,
    ) -> Result<Self, AutoTranscribeError> {
        let host = config
            .base_url
            .host_str()
            .ok_or(AutoTranscribeError::BaseUrl)?;
        let is_plain = config.base_url.scheme() == "http";
        let may_be_plain = config.allow_plain || is_this_machine(host);
        if config.base_url.scheme() != "https" && !(is_plain && may_be_plain) {
            return Err(AutoTranscribeError::BaseUrl);
        }
        let mut url = config.base_url.clone();
        url.set_path(&format!(
            "{}{}",
            url.path().trim_end_matches('/'),
            Self::PATH
        ));
        let shelf = Shelf {
            calls: Mutex::default(),
            per_call: config.urls_per_call,
            calls_max: config.url_calls_max,
            age_max: config.url_age_max,
        };
        let client = client(config, trust)?;
        Ok(Self {
            client,
            url,
            answer_bytes_max: config.answer_bytes_max,
            shelf,
            metrics,
        })
    }

    /// Fetches as many addresses as the call is short of.
    pub(super) async fn prepare(&self, call: &CallName) {
        let missing = self.shelf.reserve(call, Instant::now());
        join_all((0..missing).map(|_| async {
            let address = match self.ask(call.guid.as_str()).await {
                Ok(uri) => Some(Address {
                    uri,
                    issued: Instant::now(),
                }),
                Err(error) => {
                    self.metrics.prefetch_failed();
                    debug!(%error, "An address could not be fetched ahead of time.");
                    None
                }
            };
            self.shelf.put(call, address);
        }))
        .await;
    }

    pub(super) fn forget(&self, call: &CallName) {
        self.shelf.lock().remove(call);
    }

    /// An address from the shelf, or else a fresh one. What is on the shelf is for the call's own
    /// guid; a start that writes it otherwise (`external`) needs an address of its own.
    pub(super) async fn locate(
        &self,
        call: &CallName,
        external: &str,
    ) -> Result<Located, LocateError> {
        let is_own = call.guid.as_str() == external;
        let stored = match is_own {
            true => self.shelf.take(call, Instant::now()),
            false => None,
        };
        self.metrics.looked_up(if stored.is_some() {
            Lookup::Hit
        } else {
            Lookup::Miss
        });
        let fresh = stored.is_none();
        let uri = match stored {
            Some(uri) => uri,
            None => self.ask(external).await?,
        };
        let mut request = http::Request::new(());
        *request.uri_mut() = uri;
        Ok(Located { request, fresh })
    }

    async fn ask(&self, external_id: &str) -> Result<http::Uri, LocateError> {
        let question = Question { external_id };
        let sending = self.client.post(self.url.clone()).json(&question).send();
        let mut response = sending.await.map_err(|error| unreachable(&error))?;
        let (status, after) = (response.status(), retry_after(response.headers()));
        let mut body = Vec::new();
        while let Some(piece) = response
            .chunk()
            .await
            .map_err(|error| unreachable(&error))?
        {
            if body.len() + piece.len() > self.answer_bytes_max {
                return Err(nonsense("is too long"));
            }
            body.extend_from_slice(&piece);
        }
        if status != http::StatusCode::OK {
            return Err(refused(status.as_u16(), after, &body));
        }
        let answer: Answer =
            serde_json::from_slice(&body).map_err(|_| nonsense("has no streamingUrl"))?;
        address(&answer.streaming_url).ok_or_else(|| nonsense("has an unusable streamingUrl"))
    }
}

impl Shelf {
    /// How many addresses to fetch for a call. Each is to be [`Shelf::put`], come or not.
    fn reserve(&self, call: &CallName, now: Instant) -> usize {
        let mut calls = self.lock();
        if !calls.contains_key(call) && calls.len() >= self.calls_max {
            calls.retain(|_, entry| entry.awaited > 0 || !entry.discard_old(now, self.age_max));
            if calls.len() >= self.calls_max {
                return 0;
            }
        }
        let entry = calls.entry(call.clone()).or_default();
        entry.discard_old(now, self.age_max);
        let missing = self
            .per_call
            .saturating_sub(entry.addresses.len() + entry.awaited);
        entry.awaited += missing;
        missing
    }

    /// Whether it came or not, it is no longer awaited. A call that was forgotten stays forgotten.
    fn put(&self, call: &CallName, address: Option<Address>) {
        if let Some(entry) = self.lock().get_mut(call) {
            entry.awaited = entry.awaited.saturating_sub(1);
            entry.addresses.extend(address);
        }
    }

    /// Each address is given out once.
    fn take(&self, call: &CallName, now: Instant) -> Option<http::Uri> {
        let mut calls = self.lock();
        let entry = calls.get_mut(call)?;
        entry.discard_old(now, self.age_max);
        entry.addresses.pop_front().map(|address| address.uri)
    }

    // A panic while the lock is held leaves whole entries.
    fn lock(&self) -> MutexGuard<'_, HashMap<CallName, Entry>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// True if nothing is left.
    fn discard_old(&mut self, now: Instant, age_max: Duration) -> bool {
        self.addresses
            .retain(|address| now < address.issued + age_max);
        self.addresses.is_empty()
    }
}

fn client(
    config: &AutoTranscribeConfig,
    trust: &Trust,
) -> Result<reqwest::Client, AutoTranscribeError> {
    let header = |text: &str| {
        let value = HeaderValue::from_str(text).map_err(|_| AutoTranscribeError::Credential);
        value.map(|mut value| {
            value.set_sensitive(true);
            value
        })
    };
    let mut headers = http::HeaderMap::new();
    headers.insert("asapp-api-id", header(&config.api_id)?);
    headers.insert("asapp-api-secret", header(config.api_secret.reveal())?);
    reqwest::Client::builder()
        .tls_backend_preconfigured((*trust.config()).clone())
        .default_headers(headers)
        .timeout(config.locate_timeout)
        // A redirect would carry the secret to wherever it points.
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(|error| AutoTranscribeError::Client(error.to_string()))
}

/// `wss://host?token=…` has no path; a request needs one, and the URL parser adds it.
fn address(text: &str) -> Option<http::Uri> {
    let url = Url::parse(text).ok()?;
    matches!(url.scheme(), "ws" | "wss")
        .then(|| url.as_str().parse().ok())
        .flatten()
}

fn refused(status: u16, after: Option<Duration>, body: &[u8]) -> LocateError {
    let said = serde_json::from_slice(body)
        .ok()
        .map(|refusal: Refusal| refusal.error.message);
    let said: String = said
        .unwrap_or_default()
        .chars()
        .take(Locator::REASON_CHARS_MAX)
        .collect();
    let colon = if said.is_empty() { "" } else { ": " };
    let retry = match status {
        401 | 403 => Retry::Credential,
        429 => after.map_or(Retry::Backoff, Retry::After),
        300..=499 => Retry::Session,
        _ => Retry::Backoff,
    };
    let reason = format!("the service gave no address, HTTP status {status}{colon}{said}");
    LocateError { reason, retry }
}

/// The error's own text would name the address.
fn unreachable(error: &reqwest::Error) -> LocateError {
    let reason = match error {
        error if error.is_timeout() => "the service did not answer in time",
        error if error.is_connect() => "the service cannot be reached",
        _ => "the request for an address failed",
    };
    LocateError {
        reason: reason.to_owned(),
        retry: Retry::Backoff,
    }
}

fn nonsense(what: &str) -> LocateError {
    let reason = format!("the service's answer to the request for an address {what}");
    LocateError {
        reason,
        retry: Retry::Backoff,
    }
}

#[cfg(test)]
mod tests;
