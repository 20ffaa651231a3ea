//! The outermost layer: gives every request its id, catches what breaks, writes the envelope of
//! every error, and counts.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONNECTION, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use uuid::Uuid;

use super::Api;
use super::errors::{ApiError, Code};
use super::shapes::ErrorResponse;
use crate::metrics::labels::Route;

/// The id of one request: in the answer's header, in an error's body and in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestId(pub(crate) Uuid);

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(crate) async fn observe(
    State(api): State<Arc<Api>>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = RequestId((api.state.ids)());
    let (route, method) = (route(&request), request.method().clone());
    request.extensions_mut().insert(id);
    // A panic is a defect of ours and ends only this request. What it touched is a request's own,
    // or behind locks that are fit to be used after one.
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let response = answered.unwrap_or_else(|_| {
        api.state.metrics.panicked();
        tracing::error!(request_id = %id.0, "A request failed by a defect.");
        ApiError::from(Code::Internal).into_response()
    });
    let mut response = match response.status().as_u16() {
        400.. => envelope(response, id),
        _ => response,
    };
    let value = HeaderValue::try_from(id.0.to_string()).expect("a UUID is visible ASCII");
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, value);
    // Answers are for the one who asked, and are what they say they are.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    api.state.metrics.request(route, &method, response.status());
    response
}

/// Writes the contract's envelope, whoever made the error: a handler, a layer or axum itself.
fn envelope(response: Response, id: RequestId) -> Response {
    let (mut parts, _) = response.into_parts();
    let error = parts.extensions.remove::<ApiError>();
    let error = error.unwrap_or_else(|| ApiError::of_status(parts.status));
    let body = ErrorResponse::new(
        id.0.to_string(),
        error.message.into_owned(),
        error.code.as_str(),
    );
    let mut response = (error.code.status(), Json(body)).into_response();
    if let Some(allow) = parts.headers.remove(ALLOW) {
        response.headers_mut().insert(ALLOW, allow);
    }
    if matches!(error.code, Code::Timeout | Code::TooLarge) {
        // The rest of the body is not read, so the connection ends: a client that is not told sends
        // its next request into it.
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(wait) = error.retry_after {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        response
            .headers_mut()
            .insert(RETRY_AFTER, seconds.max(1).into());
    }
    response
}

fn route(request: &Request) -> Route {
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.starts_with("/fileexporter/") {
        return Route::FileExporter;
    }
    match path {
        "/conversation/v1/conversation/messages" => Route::Messages,
        "/conversation/v1/conversations/{conversationId}/messages" => Route::Messages,
        "/docs" | "/docs/{file}" => Route::Docs,
        "/health/live" => Route::Live,
        "/health/ready" => Route::Ready,
        "/metrics" => Route::Metrics,
        "/mg-autotranscribe/v1/start-streaming" => Route::Start,
        "/mg-autotranscribe/v1/stop-streaming" => Route::Stop,
        "/mg-autotranscribe/v1/twilio-media-stream-url" => Route::StreamUrl,
        "/asyncapi.json" | "/openapi.json" => Route::OpenApi,
        "/v1/calls" => Route::Calls,
        "/v1/calls/{namespace}/{guid}" => Route::Call,
        "/v1/calls/{namespace}/{guid}/events" => Route::CallEvents,
        "/v1/calls/{namespace}/{guid}/pause" => Route::Pause,
        "/v1/calls/{namespace}/{guid}/resume" => Route::Resume,
        "/v1/conversations" => Route::Conversations,
        "/v1/conversations/{conversationId}" => Route::Conversation,
        "/v1/conversations/{namespace}/{guid}" => Route::Conversation,
        "/v1/calls/{namespace}/{guid}/events/ws" => Route::CallEvents,
        "/v1/events" | "/v1/events/ws" => Route::Events,
        "/v1/health" => Route::Health,
        "/v1/tokens" => Route::Tokens,
        "/v1/webhooks" | "/v1/webhooks/{name}/enable" => Route::Webhooks,
        "/v1/webhooks/{name}/dead-letters" => Route::DeadLetters,
        "/v1/webhooks/{name}/dead-letters/replay" => Route::DeadLetters,
        "/version" => Route::Version,
        _ => Route::Other,
    }
}
