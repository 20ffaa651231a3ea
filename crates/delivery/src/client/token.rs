//! Bearer tokens by OAuth 2.0 client credentials, RFC 6749 section 4.4: kept until they are about
//! to run out, fetched by one attempt at a time while the others wait for it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::words;
use crate::endpoint::OAuth2;
use crate::limits::Limits;
use crate::metrics::EndpointMetrics;

pub(super) struct Tokens {
    oauth2: OAuth2,
    kept: Mutex<Option<Token>>,
}

struct Token {
    bearer: HeaderValue,
    until: Instant,
}

/// The answer, RFC 6749 section 5.1.
#[derive(Deserialize)]
pub(crate) struct Grant {
    access_token: String,
    token_type: String,
    expires_in: Option<u64>,
}

impl Tokens {
    /// How long a token lives that does not say.
    const LIFE: u64 = 300;
    /// No token is believed to live longer.
    const LIFE_MAX: u64 = 24 * 60 * 60;

    pub(super) fn new(oauth2: &OAuth2) -> Self {
        Self {
            oauth2: oauth2.clone(),
            kept: Mutex::new(None),
        }
    }

    /// `Authorization` for a request.
    pub(super) async fn bearer(
        &self,
        http: &reqwest::Client,
        limits: &Limits,
        metrics: &EndpointMetrics,
    ) -> Result<HeaderValue, String> {
        let mut kept = self.kept.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| token.until > Instant::now()) {
            return Ok(token.bearer.clone());
        }
        let grant = self.fetch(http, limits.response_bytes_max).await;
        metrics.token_fetched(grant.is_ok());
        let grant = grant.map_err(|why| format!("no token: {why}"))?;
        let token = Token {
            bearer: grant.bearer().ok_or("no token: it is no bearer token")?,
            until: Instant::now() + grant.life(limits.token_skew),
        };
        Ok(kept.insert(token).bearer.clone())
    }

    /// It was refused. Another attempt may have replaced it already.
    pub(super) async fn forget(&self, bearer: &HeaderValue) {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_some_and(|token| token.bearer == bearer) {
            *kept = None;
        }
    }

    async fn fetch(&self, http: &reqwest::Client, bytes_max: usize) -> Result<Grant, String> {
        let request = http
            .post(self.oauth2.token_url.clone())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = match self.oauth2.secret_in_body {
            true => request,
            false => request.header(AUTHORIZATION, self.basic()),
        };
        let sent = request.body(self.form()).send().await;
        let mut response = sent.map_err(|error| words(&error))?;
        if !response.status().is_success() {
            return Err(format!("status {}", response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| words(&error))? {
            if body.len() + piece.len() > bytes_max {
                return Err("the answer is too long".to_owned());
            }
            body.extend_from_slice(&piece);
        }
        Grant::read(&body).ok_or_else(|| "the answer is none".to_owned())
    }

    fn form(&self) -> String {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if let Some(scope) = &self.oauth2.scope {
            form.append_pair("scope", scope);
        }
        if let Some(audience) = &self.oauth2.audience {
            form.append_pair("audience", audience);
        }
        if self.oauth2.secret_in_body {
            form.append_pair("client_id", &self.oauth2.client_id);
            form.append_pair("client_secret", self.oauth2.client_secret.reveal());
        }
        form.finish()
    }

    /// RFC 6749 section 2.3.1: both are form-encoded first.
    fn basic(&self) -> HeaderValue {
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let id = encoded(&self.oauth2.client_id);
        let secret = encoded(self.oauth2.client_secret.reveal());
        let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
        let mut basic = HeaderValue::try_from(basic).expect("base64 is visible ASCII");
        basic.set_sensitive(true);
        basic
    }
}

impl Grant {
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// `None` if it is for something else, or cannot be sent.
    pub(crate) fn bearer(&self) -> Option<HeaderValue> {
        if !self.token_type.eq_ignore_ascii_case("bearer") || self.access_token.is_empty() {
            return None;
        }
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", self.access_token)).ok()?;
        bearer.set_sensitive(true);
        Some(bearer)
    }

    /// How long it is used: a little less than it lives, and at least half of that.
    pub(crate) fn life(&self, skew: Duration) -> Duration {
        let life = self
            .expires_in
            .unwrap_or(Tokens::LIFE)
            .min(Tokens::LIFE_MAX);
        let life = Duration::from_secs(life);
        life.saturating_sub(skew).max(life / 2)
    }
}
