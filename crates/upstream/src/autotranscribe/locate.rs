//! Asks for the address of a WebSocket, and keeps a few fetched ahead of time.
//!
//! An address holds a token: it is used once, and never logged.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tracing::debug;
use url::Url;

use call::name::CallName;

use super::{AutoTranscribeConfig, AutoTranscribeError};
use crate::ask::{Answer as Answered, AskLimits, Asker};
use crate::json;
use crate::metrics::{Lookup, Metrics};
use crate::service::{LocateError, Located, Retry};
use crate::trust::Trust;
use crate::wire::is_this_machine;

/// Finds addresses.
pub(super) struct Locator {
    asker: Asker,
    url: Url,
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
        let limits = AskLimits {
            what: "an address",
            timeout: config.locate_timeout,
            answer_bytes_max: config.answer_bytes_max,
        };
        let asker = Asker::new(limits, credentials(config)?, trust);
        Ok(Self {
            asker: asker.map_err(AutoTranscribeError::Client)?,
            url,
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
        let answer = self.asker.post(self.url.clone(), &question).await?;
        if answer.status != 200 {
            return Err(refused(&answer));
        }
        let nonsense = |what| self.asker.nonsense(what);
        let answer: Answer =
            serde_json::from_slice(&answer.body).map_err(|_| nonsense("has no streamingUrl"))?;
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

fn credentials(config: &AutoTranscribeConfig) -> Result<HeaderMap, AutoTranscribeError> {
    let header = |text: &str| {
        let value = HeaderValue::from_str(text).map_err(|_| AutoTranscribeError::Credential);
        value.map(|mut value| {
            value.set_sensitive(true);
            value
        })
    };
    let mut headers = HeaderMap::new();
    headers.insert("asapp-api-id", header(&config.api_id)?);
    headers.insert("asapp-api-secret", header(config.api_secret.reveal())?);
    Ok(headers)
}

/// `wss://host?token=…` has no path; a request needs one, and the URL parser adds it.
fn address(text: &str) -> Option<http::Uri> {
    let url = Url::parse(text).ok()?;
    matches!(url.scheme(), "ws" | "wss")
        .then(|| url.as_str().parse().ok())
        .flatten()
}

fn refused(answer: &Answered) -> LocateError {
    let said: Option<Refusal> = serde_json::from_slice(&answer.body).ok();
    let said = said.map(|refusal| json::description(&refusal.error.message));
    let said = said.unwrap_or_default();
    let colon = if said.is_empty() { "" } else { ": " };
    let status = answer.status;
    let retry = match status {
        401 | 403 => Retry::Credential,
        429 => answer.after.map_or(Retry::Backoff, Retry::After),
        300..=499 => Retry::Session,
        _ => Retry::Backoff,
    };
    let reason = format!("the service gave no address, HTTP status {status}{colon}{said}");
    LocateError { reason, retry }
}

#[cfg(test)]
mod tests;
