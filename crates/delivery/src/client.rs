//! One request: signed, authenticated, to an address that may be reached, within its time, its
//! answer read within bounds and thrown away. Only this file and those below it name reqwest.

mod answer;
mod resolve;
mod tls;
mod token;

use std::error::Error;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use call::private::Private;
use futures_util::future::BoxFuture;
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Proxy, Response};
use tokio::time::timeout;
use url::Url;

pub(crate) use self::answer::retry_after;
use self::resolve::{Forbidden, GuardedResolver};
pub(crate) use self::token::Grant;
use self::token::Tokens;
use crate::endpoint::{Authentication, Endpoint, Problem};
use crate::lanes::{Class, Outcome};
use crate::limits::Limits;
use crate::metrics::EndpointMetrics;
use crate::signature::Signer;

/// Carries requests to an endpoint.
pub(crate) trait Carrier: Send + Sync + 'static {
    /// One attempt.
    fn carry(&self, letter: Letter) -> BoxFuture<'_, Outcome>;
}

/// What is sent in one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    /// `webhook-id`
    pub(crate) id: String,
    pub(crate) content_type: String,
    pub(crate) body: Private<Bytes>,
    /// Later events of its call went before it.
    pub(crate) late: bool,
}

/// The client of one endpoint.
pub(crate) struct Client {
    http: reqwest::Client,
    url: Url,
    timeout: Duration,
    limits: Limits,
    credentials: RwLock<Arc<Credentials>>,
    metrics: Arc<EndpointMetrics>,
}

/// What SIGHUP may replace.
struct Credentials {
    signer: Signer,
    proof: Proof,
}

enum Proof {
    Header(HeaderName, HeaderValue),
    None,
    Parameter(String, Private<String>),
    Token(Box<Tokens>),
}

impl Client {
    /// Opens nothing yet.
    pub(crate) fn new(
        endpoint: &Endpoint,
        limits: &Limits,
        metrics: Arc<EndpointMetrics>,
    ) -> Result<Self, Problem> {
        let failed = |error: reqwest::Error| Problem::Client(error.without_url().to_string());
        let resolver = GuardedResolver::new(endpoint);
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(&endpoint.tls)?)
            .dns_resolver(resolver)
            .user_agent(concat!("antiphon/", env!("CARGO_PKG_VERSION")))
            // A redirect would carry what was said to wherever it points.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .connect_timeout(limits.connect_timeout)
            .pool_idle_timeout(limits.idle_timeout)
            .pool_max_idle_per_host(endpoint.concurrency)
            .no_proxy();
        if let Some(proxy) = &endpoint.proxy {
            builder = builder.proxy(Proxy::all(proxy.clone()).map_err(failed)?);
        }
        Ok(Self {
            http: builder.build().map_err(failed)?,
            url: endpoint.url.clone(),
            timeout: endpoint.timeout,
            limits: *limits,
            credentials: RwLock::new(Arc::new(Credentials::new(endpoint)?)),
            metrics,
        })
    }

    /// Goes on with other secrets; with the old ones if the new ones cannot be used.
    pub(crate) fn replace_secrets(&self, endpoint: &Endpoint) -> Result<(), Problem> {
        let new = Arc::new(Credentials::new(endpoint)?);
        *self
            .credentials
            .write()
            .unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(
            &self
                .credentials
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    async fn attempt(&self, letter: Letter) -> Outcome {
        let asked = timeout(self.timeout, self.ask(&letter)).await;
        let response = match asked {
            Ok(Ok(response)) => response,
            Ok(Err(why)) => return Outcome::new(Class::Failed, why),
            Err(_) => return Outcome::new(Class::Failed, "timeout"),
        };
        let status = response.status().as_u16();
        let after = retry_after(response.headers(), SystemTime::now());
        // The answer stands, whatever becomes of the rest of it.
        timeout(self.limits.response_wait, self.drain(response))
            .await
            .ok();
        Outcome {
            class: Class::of(status),
            why: format!("status {status}"),
            after,
        }
    }

    /// With a token that is refused, once more with another.
    async fn ask(&self, letter: &Letter) -> Result<Response, String> {
        let credentials = self.credentials();
        let Proof::Token(tokens) = &credentials.proof else {
            return self.send(letter, &credentials, None).await;
        };
        let token = self.token(tokens).await?;
        let response = self.send(letter, &credentials, Some(&token)).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        tokens.forget(&token).await;
        let token = self.token(tokens).await?;
        self.send(letter, &credentials, Some(&token)).await
    }

    async fn token(&self, tokens: &Tokens) -> Result<HeaderValue, String> {
        tokens.bearer(&self.http, &self.limits, &self.metrics).await
    }

    async fn send(
        &self,
        letter: &Letter,
        credentials: &Credentials,
        token: Option<&HeaderValue>,
    ) -> Result<Response, String> {
        let mut headers = credentials.headers(letter)?;
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, token.clone());
        }
        let request = self
            .http
            .post(credentials.url(&self.url))
            .headers(headers)
            .body(letter.body.reveal().clone());
        request.send().await.map_err(|error| words(&error))
    }

    /// Reads the rest of an answer so that its connection can be used again, if it is not long.
    async fn drain(&self, mut response: Response) {
        let mut bytes = 0;
        while let Ok(Some(piece)) = response.chunk().await {
            bytes += piece.len();
            if bytes > self.limits.response_bytes_max {
                return;
            }
        }
    }
}

impl Carrier for Client {
    fn carry(&self, letter: Letter) -> BoxFuture<'_, Outcome> {
        Box::pin(self.attempt(letter))
    }
}

impl Credentials {
    fn new(endpoint: &Endpoint) -> Result<Self, Problem> {
        let proof = match &endpoint.authentication {
            Authentication::None => Proof::None,
            Authentication::Header { name, secret } => {
                let header = name.parse().map_err(|_| Problem::Header(name.clone()))?;
                let value = HeaderValue::from_str(secret.reveal());
                let mut value = value.map_err(|_| Problem::SecretText)?;
                value.set_sensitive(true);
                Proof::Header(header, value)
            }
            Authentication::Parameter { name, secret } => {
                Proof::Parameter(name.clone(), secret.clone())
            }
            Authentication::OAuth2(oauth2) => Proof::Token(Box::new(Tokens::new(oauth2))),
        };
        Ok(Self {
            signer: Signer::new(&endpoint.secrets)?,
            proof,
        })
    }

    fn headers(&self, letter: &Letter) -> Result<HeaderMap, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = now.unwrap_or_default().as_secs();
        let text = |text: &str| {
            HeaderValue::from_str(text).map_err(|_| "its id or type cannot be sent".to_owned())
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, text(&letter.content_type)?);
        headers.insert("webhook-id", text(&letter.id)?);
        headers.insert("webhook-timestamp", seconds.into());
        if let Some(signature) = self.signer.sign(&letter.id, seconds, letter.body.reveal()) {
            headers.insert("webhook-signature", text(&signature)?);
        }
        if letter.late {
            headers.insert("webhook-out-of-order", HeaderValue::from_static("true"));
        }
        if let Proof::Header(name, value) = &self.proof {
            headers.insert(name, value.clone());
        }
        Ok(headers)
    }

    fn url(&self, url: &Url) -> Url {
        let mut url = url.clone();
        if let Proof::Parameter(name, secret) = &self.proof {
            url.query_pairs_mut().append_pair(name, secret.reveal());
        }
        url
    }
}

/// The error's own text would name the URL.
fn words(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(deeper) = cause {
        if deeper.is::<Forbidden>() {
            return "its address is not public".to_owned();
        }
        if let Some(words) = tls::words(deeper) {
            return words;
        }
        cause = deeper.source();
    }
    let words = match error {
        error if error.is_timeout() => "timeout",
        error if error.is_connect() => "no connection",
        _ => "the connection was lost",
    };
    words.to_owned()
}

#[cfg(test)]
mod tests;
