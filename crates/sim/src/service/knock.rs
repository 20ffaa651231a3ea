//! A request for a WebSocket, with all that a service may want to know of it.

use axum::extract::{ConnectInfo, FromRequestParts, WebSocketUpgrade};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use super::door::Lever;

/// Names in a query whose values nobody shall find in a record.
const SECRET: [&str; 2] = ["token", "access_token"];

/// A request for a WebSocket.
pub(super) struct Knock {
    pub(super) upgrade: WebSocketUpgrade,
    pub(super) lever: Lever,
    pub(super) headers: HeaderMap,
    /// In its order; a name may come more than once.
    pub(super) query: Vec<(String, String)>,
}

impl Knock {
    /// A parameter of the query; of several the first.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The `Authorization` header.
    pub(super) fn authorization(&self) -> Option<&str> {
        let header = self.headers.get(header::AUTHORIZATION)?;
        header.to_str().ok()
    }

    /// The query without its secrets.
    pub(super) fn public_query(&self) -> Vec<(String, String)> {
        let public = |(name, _): &&(String, String)| !SECRET.contains(&name.as_str());
        self.query.iter().filter(public).cloned().collect()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Knock {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let lever = ConnectInfo::<Lever>::from_request_parts(parts, state).await;
        let upgrade = WebSocketUpgrade::from_request_parts(parts, state).await;
        let query = parts.uri.query().unwrap_or_default();
        let query = url::form_urlencoded::parse(query.as_bytes());
        Ok(Self {
            upgrade: upgrade.map_err(IntoResponse::into_response)?,
            lever: lever.map_err(IntoResponse::into_response)?.0,
            headers: parts.headers.clone(),
            query: query.into_owned().collect(),
        })
    }
}
