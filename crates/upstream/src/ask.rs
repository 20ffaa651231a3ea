//! A request that comes before a socket: for its address, or for leave to open it. Within a
//! deadline, and its answer within bounds. The only file that names reqwest.

use std::time::Duration;

use http::HeaderMap;
use serde::Serialize;
use url::Url;

use crate::service::{LocateError, Retry};
use crate::trust::Trust;
use crate::wire::retry_after;

/// Asks one service.
pub(crate) struct Asker {
    client: reqwest::Client,
    limits: AskLimits,
}

/// What is asked for, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AskLimits {
    /// For reports: `an address`.
    pub(crate) what: &'static str,
    /// How long question and answer may take together.
    pub(crate) timeout: Duration,
    /// A longer answer is refused.
    pub(crate) answer_bytes_max: usize,
}

/// An answer, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `Retry-After`.
    pub(crate) after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

impl Asker {
    /// `headers` go with every request. The error says why there is no client.
    pub(crate) fn new(
        limits: AskLimits,
        headers: HeaderMap,
        trust: &Trust,
    ) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured((*trust.config()).clone())
            .default_headers(headers)
            .timeout(limits.timeout)
            // A redirect would carry the secret to wherever it points.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { client, limits })
    }

    pub(crate) async fn get(&self, url: Url) -> Result<Answer, LocateError> {
        self.answer(self.client.get(url)).await
    }

    pub(crate) async fn post(
        &self,
        url: Url,
        question: &impl Serialize,
    ) -> Result<Answer, LocateError> {
        self.answer(self.client.post(url).json(question)).await
    }

    /// An answer that is not as it should be.
    pub(crate) fn nonsense(&self, what: &str) -> LocateError {
        let thing = self.limits.what;
        backoff(format!(
            "the service's answer to the request for {thing} {what}"
        ))
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Answer, LocateError> {
        let unreachable = |error| self.unreachable(&error);
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let after = retry_after(response.headers());
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(unreachable)? {
            if body.len() + piece.len() > self.limits.answer_bytes_max {
                return Err(self.nonsense("is too long"));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer {
            status,
            after,
            body,
        })
    }

    /// The error's own text would name the address.
    fn unreachable(&self, error: &reqwest::Error) -> LocateError {
        backoff(match error {
            error if error.is_timeout() => "the service did not answer in time".to_owned(),
            error if error.is_connect() => "the service cannot be reached".to_owned(),
            _ => format!("the request for {} failed", self.limits.what),
        })
    }
}

fn backoff(reason: String) -> LocateError {
    LocateError {
        reason,
        retry: Retry::Backoff,
    }
}
