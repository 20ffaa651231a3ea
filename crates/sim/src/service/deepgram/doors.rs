//! What can be asked over HTTP: the WebSocket.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use uuid::Uuid;

use super::parameters::Parameters;
use super::session::DeepgramSession;
use super::{Rules, message};
use crate::service::dialect::{Dialect, House};
use crate::service::knock::Knock;
use crate::service::reception::Opening;

/// What is Deepgram's own.
pub(super) struct DeepgramDoors {
    pub(super) key: String,
    pub(super) rules: Rules,
}

impl DeepgramDoors {
    /// An API key has the scheme `Token`, a short-lived one `Bearer`.
    fn knows(&self, knock: &Knock) -> bool {
        let key = knock.authorization().and_then(|header| {
            let (scheme, key) = header.split_once(' ')?;
            let is_known = ["token", "bearer"].contains(&scheme.to_lowercase().as_str());
            is_known.then_some(key)
        });
        key == Some(&self.key)
    }
}

impl Dialect for DeepgramDoors {
    const NAME: &'static str = "Deepgram";

    fn routes() -> Router<Arc<House<Self>>> {
        Router::new().route("/v1/listen", get(open_session))
    }

    fn refusal(status: StatusCode) -> Response {
        let (code, words) = match status {
            StatusCode::BAD_REQUEST => ("Bad Request", "A parameter of the query is not usable."),
            StatusCode::PAYMENT_REQUIRED => ("ASR_PAYMENT_REQUIRED", "The project has no funds."),
            StatusCode::UNAUTHORIZED => ("INVALID_AUTH", "Invalid credentials."),
            StatusCode::TOO_MANY_REQUESTS => ("TOO_MANY_REQUESTS", "Too many requests."),
            _ => ("ERROR", status.canonical_reason().unwrap_or("Error")),
        };
        let id = Uuid::new_v4().to_string();
        let body = json!({ "err_code": code, "err_msg": words, "request_id": id });
        let mut response = (status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert("dg-error", HeaderValue::from_static(words));
        if let Ok(id) = HeaderValue::from_str(&id) {
            headers.insert("dg-request-id", id);
        }
        response
    }

    fn reason(code: u16) -> &'static str {
        message::reason(code)
    }
}

async fn open_session(State(house): State<Arc<House<DeepgramDoors>>>, knock: Knock) -> Response {
    let (doors, reception) = (&house.dialect, &house.reception);
    if !doors.knows(&knock) {
        return reception.reject::<DeepgramDoors>(StatusCode::UNAUTHORIZED);
    }
    let Ok(parameters) = Parameters::read(&knock.query) else {
        return reception.reject::<DeepgramDoors>(StatusCode::BAD_REQUEST);
    };
    let rules = doors.rules;
    let opening = Opening {
        external_id: None,
        message_bytes_max: rules.message_bytes_max,
    };
    let begin = move |ear| DeepgramSession::new(ear, parameters, rules, Instant::now());
    reception
        .receive::<DeepgramDoors, _, _>(knock, opening, begin)
        .await
}
