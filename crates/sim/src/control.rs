//! A client of the gateway's HTTP API, as an integrator would write one.

pub mod sse;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

pub use self::sse::{Event, Events};

use crate::caller::tls;

/// How long any answer but an event stream may take; a stop waits for the last transcripts.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// One gateway, seen through its API.
#[derive(Clone, Debug)]
pub struct Gateway {
    http: Client,
    base: String,
    api_id: String,
    api_secret: String,
    /// Of the calls that are spoken of.
    namespace: &'static str,
}

/// Any answer of the API, a refusal included.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The `x-request-id` header.
    pub request_id: Option<String>,
    /// The body; null when it is not JSON.
    pub body: Value,
}

/// What `start-streaming` is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// Twilio's Call SID, a SIPREC call's id in decimal form.
    pub guid: String,
    /// `customerId`.
    pub customer: String,
    /// `agentId`.
    pub agent: String,
    /// Further members, for example `{"twilioParams": {…}}`.
    pub more: Value,
}

impl Gateway {
    /// A client for the gateway at `base`, such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// When the CA file cannot be used.
    pub fn new(
        base: &str,
        api_id: &str,
        api_secret: &str,
        ca_file: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let tls = tls::client_config(ca_file)?;
        // The test machine's proxy settings are not meant for a gateway on loopback.
        let http = Client::builder()
            .tls_backend_preconfigured((*tls).clone())
            .no_proxy()
            .build()
            .context("cannot make an HTTP client")?;
        Ok(Self {
            http,
            base: base.trim_end_matches('/').to_owned(),
            api_id: api_id.to_owned(),
            api_secret: api_secret.to_owned(),
            namespace: "twilio",
        })
    }

    /// The same gateway, for calls of another platform than Twilio: `siprec`.
    pub fn on(&self, namespace: &'static str) -> Self {
        Self {
            namespace,
            ..self.clone()
        }
    }

    /// The same gateway with another key.
    pub fn with_key(&self, api_id: &str, api_secret: &str) -> Self {
        let (api_id, api_secret) = (api_id.to_owned(), api_secret.to_owned());
        Self {
            api_id,
            api_secret,
            ..self.clone()
        }
    }

    /// A fresh URL for Twilio.
    ///
    /// # Errors
    /// When the gateway does not answer with one.
    pub async fn twilio_url(&self) -> anyhow::Result<String> {
        let answer = self
            .get("/mg-autotranscribe/v1/twilio-media-stream-url")
            .await?;
        match answer.body["streamingUrl"].as_str() {
            Some(url) => Ok(url.to_owned()),
            None => bail!("no streaming URL: {}", answer.complaint()),
        }
    }

    /// `start-streaming`.
    ///
    /// # Errors
    /// When there is no answer; a refusal is one.
    pub async fn start(&self, start: &Start) -> anyhow::Result<Answer> {
        let mut body = json!({
            "namespace": self.namespace,
            "guid": start.guid,
            "customerId": start.customer,
            "agentId": start.agent,
        });
        if let (Some(body), Some(more)) = (body.as_object_mut(), start.more.as_object()) {
            body.extend(more.clone());
        }
        self.post("/mg-autotranscribe/v1/start-streaming", &body)
            .await
    }

    /// `stop-streaming`.
    ///
    /// # Errors
    /// When there is no answer; a refusal is one.
    pub async fn stop(&self, guid: &str) -> anyhow::Result<Answer> {
        let body = json!({"namespace": self.namespace, "guid": guid});
        self.post("/mg-autotranscribe/v1/stop-streaming", &body)
            .await
    }

    /// Pauses a call on the native API.
    ///
    /// # Errors
    /// When there is no answer; a refusal is one.
    pub async fn pause(&self, guid: &str) -> anyhow::Result<Answer> {
        let path = self.path_of(guid) + "/pause";
        self.post(&path, &json!({})).await
    }

    /// Resumes a call on the native API.
    ///
    /// # Errors
    /// When there is no answer; a refusal is one.
    pub async fn resume(&self, guid: &str) -> anyhow::Result<Answer> {
        let path = self.path_of(guid) + "/resume";
        self.post(&path, &json!({})).await
    }

    /// The first page of calls, as the native API shows them.
    ///
    /// # Errors
    /// When there is no answer; a refusal is one.
    pub async fn calls(&self) -> anyhow::Result<Answer> {
        self.get("/v1/calls").await
    }

    /// One call, as the native API shows it.
    ///
    /// # Errors
    /// When there is no answer; a refusal is one.
    pub async fn call(&self, guid: &str) -> anyhow::Result<Answer> {
        self.get(&self.path_of(guid)).await
    }

    /// The event stream of all calls, from behind the event with the given id when there is one.
    ///
    /// # Errors
    /// When the gateway does not answer with an event stream.
    pub async fn events(&self, last_id: Option<&str>) -> anyhow::Result<Events> {
        self.events_at("/v1/events", last_id).await
    }

    /// The event stream of one call.
    ///
    /// # Errors
    /// When the gateway does not answer with an event stream.
    pub async fn call_events(&self, guid: &str, last_id: Option<&str>) -> anyhow::Result<Events> {
        let path = self.path_of(guid) + "/events";
        self.events_at(&path, last_id).await
    }

    /// Any `GET`.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.answer(self.request(Method::GET, path)).await
    }

    /// Any `POST` of JSON.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.answer(self.request(Method::POST, path).json(body))
            .await
    }

    /// Any `POST` of anything, labelled as JSON.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn post_bytes(&self, path: &str, body: Vec<u8>) -> anyhow::Result<Answer> {
        let request = self.request(Method::POST, path);
        self.answer(
            request
                .header("content-type", "application/json")
                .body(body),
        )
        .await
    }

    /// The text behind a path, such as `/metrics`.
    ///
    /// # Errors
    /// When there is no answer, or none with a status of success.
    pub async fn text(&self, path: &str) -> anyhow::Result<String> {
        let response = self
            .request(Method::GET, path)
            .timeout(ANSWER_TIMEOUT)
            .send()
            .await?;
        Ok(response.error_for_status()?.text().await?)
    }

    /// Waits until the gateway is ready for calls.
    ///
    /// # Errors
    /// When it is not within `patience`.
    pub async fn ready(&self, patience: Duration) -> anyhow::Result<()> {
        let wait = async {
            while !matches!(self.get("/health/ready").await, Ok(answer) if answer.status == 200) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let in_time = tokio::time::timeout(patience, wait).await;
        in_time.with_context(|| format!("{} is not ready after {patience:?}", self.base))
    }

    /// Where the native API has a call; a guid may have letters that a path may not.
    fn path_of(&self, guid: &str) -> String {
        let guid: String = url::form_urlencoded::byte_serialize(guid.as_bytes()).collect();
        format!("/v1/calls/{}/{}", self.namespace, guid.replace('+', "%20"))
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.base))
            .header("asapp-api-id", &self.api_id)
            .header("asapp-api-secret", &self.api_secret)
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
        let sent = request.timeout(ANSWER_TIMEOUT).send().await;
        let response = sent.with_context(|| format!("no answer from {}", self.base))?;
        let status = response.status().as_u16();
        let header = response.headers().get("x-request-id");
        let request_id = header
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let body = response.bytes().await?;
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Ok(Answer {
            status,
            request_id,
            body,
        })
    }

    async fn events_at(&self, path: &str, last_id: Option<&str>) -> anyhow::Result<Events> {
        let mut request = self
            .request(Method::GET, path)
            .header("accept", "text/event-stream");
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await?;
        if response.status() != StatusCode::OK {
            bail!("no event stream at {path}: HTTP {}", response.status());
        }
        Ok(Events::new(response))
    }
}

impl Start {
    /// A start with made-up parties and all defaults.
    pub fn of(guid: &str) -> Self {
        Self {
            guid: guid.to_owned(),
            customer: "customer-1".to_owned(),
            agent: "agent-1".to_owned(),
            more: Value::Null,
        }
    }
}

impl Answer {
    /// `isOk` of a command's answer.
    pub fn is_ok(&self) -> bool {
        self.status == 200 && self.body["isOk"] == true
    }

    /// `error.code` of a refusal, such as `409-201`.
    pub fn code(&self) -> Option<&str> {
        self.body["error"]["code"].as_str()
    }

    /// What a command's answer says of one role's stream.
    pub fn stream(&self, role: &str) -> &Value {
        &self.body["autotranscribeResponse"][role]
    }

    /// Bytes that the service has counted on one role's stream.
    pub fn confirmed_bytes(&self, role: &str) -> Option<u64> {
        self.stream(role)["summary"]["totalAudioBytes"].as_u64()
    }

    /// Why this is not what was asked for, in words.
    pub fn complaint(&self) -> String {
        let error = &self.body["error"];
        let message = error["message"]
            .as_str()
            .or_else(|| self.body["errorMessage"].as_str());
        let code = self.code().unwrap_or("no code");
        format!(
            "HTTP {} {code}: {}",
            self.status,
            message.unwrap_or("no message")
        )
    }
}
