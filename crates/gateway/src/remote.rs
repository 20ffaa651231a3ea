//! A running gateway, spoken to from the command line through its own API, with the first key of
//! the configuration that may administer it. The only file of the program that names reqwest.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use call::private::Private;
use reqwest::{Certificate, Client, Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::api::auth::Scope;
use crate::config::Config;

/// An answer that takes longer is not waited for: burying a million letters takes a while.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is to be done with dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Throw away those of a webhook: all, or these.
    Bury(String, Vec<u64>),
    /// Show those of a webhook, or of all.
    List(Option<String>),
    /// Send those of a webhook once more: all, or these.
    Replay(String, Vec<u64>),
}

/// Why the gateway could not be told.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// No key may do this.
    #[error("api_keys: none without a tenant has the scope admin")]
    NoKey,
    /// It does not answer, or not in a way that is understood.
    #[error("the gateway at {url}: {what}")]
    Gateway {
        /// Where.
        url: Url,
        /// What is wrong, without a key in it.
        what: String,
    },
    /// The certificate of the configuration cannot be read.
    #[error("http.tls.cert_file: {0}")]
    Certificate(String),
}

/// Does it, and says in lines what came of it.
pub async fn dead_letters(config: &Config, order: Order) -> Result<Vec<String>, RemoteError> {
    let gateway = Gateway::of(config)?;
    match order {
        Order::Bury(webhook, numbers) => {
            let path = letters(&webhook, "", &numbers);
            let count: Count = gateway.ask(Method::DELETE, &path).await?;
            Ok(vec![format!("{} buried.", count.count)])
        }
        Order::List(Some(webhook)) => gateway.list(&webhook).await,
        Order::List(None) => {
            let known: Webhooks = gateway.ask(Method::GET, "v1/webhooks").await?;
            let mut lines = Vec::new();
            for webhook in known.webhooks {
                lines.extend(gateway.list(&webhook.name).await?);
            }
            Ok(lines)
        }
        Order::Replay(webhook, numbers) => {
            let path = letters(&webhook, "/replay", &numbers);
            let count: Count = gateway.ask(Method::POST, &path).await?;
            Ok(vec![format!("{} wait to be sent once more.", count.count)])
        }
    }
}

struct Gateway {
    client: Client,
    base: Url,
    id: String,
    secret: Private<String>,
}

#[derive(Deserialize)]
struct Count {
    count: u64,
}

#[derive(Deserialize)]
struct Webhooks {
    webhooks: Vec<Webhook>,
}

#[derive(Deserialize)]
struct Webhook {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Letters {
    dead_letters: Vec<Letter>,
    next: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Letter {
    number: u64,
    kind: String,
    call: String,
    attempts: u32,
    dead_at: String,
    why: String,
}

impl Gateway {
    fn of(config: &Config) -> Result<Self, RemoteError> {
        let mut keys = config.api_keys.iter();
        let key = keys.find(|key| key.scopes.contains(&Scope::Admin) && key.tenant.is_none());
        let key = key.ok_or(RemoteError::NoKey)?;
        let address = reachable(config.http.listen);
        let unusable = |error: reqwest::Error| RemoteError::Certificate(error.to_string());
        let mut client = Client::builder().timeout(PATIENCE).no_proxy();
        let mut base = Url::parse(&format!("http://{address}/")).expect("an address makes a URL");
        if let Some((cert, _)) = config.http.tls.files() {
            let pem = std::fs::read(cert);
            let pem = pem.map_err(|error| RemoteError::Certificate(error.to_string()))?;
            let own = Certificate::from_pem_bundle(&pem).map_err(unusable)?;
            client = client.tls_certs_merge(own);
            // It is made out for the public name, which need not lead here.
            let host = config.http.public_url.host_str().unwrap_or("localhost");
            client = client.resolve(host, address);
            let named = Url::parse(&format!("https://{host}:{}/", address.port()));
            base = named.expect("a host of a URL makes another");
        }
        Ok(Self {
            client: client.build().map_err(unusable)?,
            base,
            id: key.id.clone(),
            secret: key.secret.clone(),
        })
    }

    async fn list(&self, webhook: &str) -> Result<Vec<String>, RemoteError> {
        let (mut lines, mut after) = (Vec::new(), 0);
        loop {
            let path = letters(webhook, "", &[]);
            let path = format!("{path}?limit=1000&after={after}");
            let page: Letters = self.ask(Method::GET, &path).await?;
            lines.extend(page.dead_letters.iter().map(|letter| letter.line(webhook)));
            match page.next {
                Some(next) => after = next,
                None => return Ok(lines),
            }
        }
    }

    async fn ask<T: for<'de> Deserialize<'de>>(
        &self,
        method: Method,
        path: &str,
    ) -> Result<T, RemoteError> {
        let failed = |what: String| RemoteError::Gateway {
            url: self.base.clone(),
            what,
        };
        let unheard = |error: reqwest::Error| failed(error.without_url().to_string());
        let url = self
            .base
            .join(path)
            .map_err(|error| failed(error.to_string()))?;
        let request = self.client.request(method, url);
        let request = request.header("asapp-api-id", &self.id);
        let request = request.header("asapp-api-secret", self.secret.reveal());
        let response = request.send().await.map_err(unheard)?;
        let status = response.status();
        let json: Value = response.json().await.map_err(unheard)?;
        if status != StatusCode::OK {
            let message = json["error"]["message"].as_str().unwrap_or_default();
            return Err(failed(format!("{status}: {message}")));
        }
        serde_json::from_value(json).map_err(|error| failed(error.to_string()))
    }
}

impl Letter {
    fn line(&self, webhook: &str) -> String {
        let Self {
            number,
            kind,
            call,
            attempts,
            dead_at,
            why,
        } = self;
        format!("{webhook} {number} {dead_at} {call} {kind} after {attempts} attempts: {why}")
    }
}

/// The path of a webhook's dead letters.
fn letters(webhook: &str, more: &str, numbers: &[u64]) -> String {
    let name: String = url::form_urlencoded::byte_serialize(webhook.as_bytes()).collect();
    let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
    let query = match numbers.is_empty() {
        true => String::new(),
        false => format!("?numbers={}", numbers.join(",")),
    };
    format!("v1/webhooks/{name}/dead-letters{more}{query}")
}

/// The address at which this machine reaches what listens there.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everywhere_is_reached_here() {
        let reached = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(reached("0.0.0.0:1"), "127.0.0.1:1");
        assert_eq!(reached("[::]:1"), "[::1]:1");
        assert_eq!(reached("192.0.2.1:1"), "192.0.2.1:1");
    }

    #[test]
    fn letters_are_named_in_the_path() {
        assert_eq!(letters("a", "", &[]), "v1/webhooks/a/dead-letters");
        let some = letters("a", "/replay", &[1, 2]);
        assert_eq!(some, "v1/webhooks/a/dead-letters/replay?numbers=1,2");
    }
}
