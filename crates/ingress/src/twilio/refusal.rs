//! The answer to a request that opens no socket: the API's error envelope, which never says why.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{HeaderName, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use uuid::Uuid;

use crate::twilio::tally::Admission;

/// One refusal.
#[derive(Debug)]
pub(crate) struct Refusal {
    admission: Admission,
    retry_after: Duration,
}

impl Refusal {
    pub(crate) fn new(admission: Admission, retry_after: Duration) -> Self {
        Self {
            admission,
            retry_after,
        }
    }

    fn answer(&self) -> (StatusCode, &'static str, &'static str) {
        match self.admission {
            Admission::BadToken | Admission::ExpiredToken | Admission::MissingToken => {
                (StatusCode::UNAUTHORIZED, "401-01", "Unauthorized")
            }
            Admission::BadSignature | Admission::MissingSignature | Admission::UnknownAlgorithm => {
                (StatusCode::FORBIDDEN, "403-01", "Forbidden Response")
            }
            Admission::Accepted | Admission::Draining | Admission::Full | Admission::Overloaded => {
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "503-01",
                    "Service Unavailable",
                )
            }
            Admission::NotWebSocket => (
                StatusCode::BAD_REQUEST,
                "400-01",
                "A WebSocket handshake is expected here",
            ),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, message) = self.answer();
        let request_id = Uuid::new_v4().to_string();
        let reason = self.admission.as_str();
        tracing::debug!(%request_id, reason, "A media socket is refused.");
        let envelope = serde_json::json!({
            "error": { "requestId": request_id, "message": message, "code": code }
        });
        let mut response = (status, Json(envelope)).into_response();
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&request_id) {
            headers.insert(HeaderName::from_static("x-request-id"), id);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(
                RETRY_AFTER,
                HeaderValue::from(self.retry_after.as_secs().max(1)),
            );
        }
        response
    }
}
