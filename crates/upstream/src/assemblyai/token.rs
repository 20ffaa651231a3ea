//! Leave to open one socket: a token that stands in its address. It is used once and never logged.

use std::time::Duration;

use http::HeaderMap;
use serde::Deserialize;
use url::Url;

use super::{AssemblyAiError, TokenConfig};
use crate::ask::{Answer, AskLimits, Asker};
use crate::json::{self, if_readable};
use crate::service::{LocateError, Retry};
use crate::trust::Trust;

/// Asks for tokens.
pub(super) struct Tokens {
    asker: Asker,
    url: Url,
}

#[derive(Deserialize)]
struct Given {
    token: String,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default, deserialize_with = "if_readable")]
    error: Option<String>,
}

impl Tokens {
    pub(super) const PATH: &'static str = "/v3/token";
    const LIFETIMES: std::ops::RangeInclusive<u64> = 1..=600;
    const SESSIONS: std::ops::RangeInclusive<u64> = 60..=10_800;

    /// `url` is as one of a socket.
    pub(super) fn new(
        config: &TokenConfig,
        session_max: Duration,
        (mut url, headers): (Url, HeaderMap),
        trust: &Trust,
    ) -> Result<Self, AssemblyAiError> {
        let lifetime = config.lifetime.as_secs();
        if !Self::LIFETIMES.contains(&lifetime) {
            return Err(AssemblyAiError::TokenLifetime);
        }
        let limits = AskLimits {
            what: "a token",
            timeout: config.timeout,
            answer_bytes_max: config.answer_bytes_max,
        };
        let scheme = match url.scheme() {
            "wss" => "https",
            _ => "http",
        };
        url.set_scheme(scheme)
            .map_err(|()| AssemblyAiError::BaseUrl)?;
        let (shortest, longest) = Self::SESSIONS.into_inner();
        let session = session_max.as_secs();
        let session = match session {
            0 => longest,
            session => session.clamp(shortest, longest),
        };
        url.query_pairs_mut()
            .append_pair("expires_in_seconds", &lifetime.to_string())
            .append_pair("max_session_duration_seconds", &session.to_string());
        let asker = Asker::new(limits, headers, trust).map_err(AssemblyAiError::Client)?;
        Ok(Self { asker, url })
    }

    /// A fresh one.
    pub(super) async fn ask(&self) -> Result<String, LocateError> {
        let answer = self.asker.get(self.url.clone()).await?;
        if answer.status != 200 {
            return Err(refused(&answer));
        }
        match serde_json::from_slice(&answer.body) {
            Ok(Given { token }) if !token.is_empty() => Ok(token),
            _ => Err(self.asker.nonsense("has no token")),
        }
    }
}

fn refused(answer: &Answer) -> LocateError {
    let said: Option<Refusal> = serde_json::from_slice(&answer.body).ok();
    let said = said.and_then(|refusal| refusal.error).unwrap_or_default();
    let colon = if said.is_empty() { "" } else { ": " };
    let status = answer.status;
    let retry = match status {
        401..=403 => Retry::Credential,
        429 => answer.after.map_or(Retry::Backoff, Retry::After),
        300..=499 => Retry::Session,
        _ => Retry::Backoff,
    };
    let said = json::description(&said);
    LocateError {
        reason: format!("the service gave no token, HTTP status {status}{colon}{said}"),
        retry,
    }
}
