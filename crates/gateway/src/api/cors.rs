//! Which web pages may read events: those of the configured origins.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ORIGIN, VARY};
use axum::middleware::Next;
use axum::response::Response;

use super::Api;

/// The layer before streams of events. A browser sends no request beforehand for them: a token is
/// in the URL, and `Last-Event-ID` is a header that every page may send.
pub(crate) async fn cors(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).cloned();
    let mut response = next.run(request).await;
    let origins = &api.state.settings.cors_origins;
    if origins.is_empty() {
        return response;
    }
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    let is_known = |origin: &HeaderValue| {
        let known = |known: &String| known == "*" || known.as_bytes() == origin.as_bytes();
        origins.iter().any(known)
    };
    if let Some(origin) = origin.filter(is_known) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response
}
