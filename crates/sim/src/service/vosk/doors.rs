//! What can be asked over HTTP: the WebSocket, by anybody.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Rules;
use super::session::VoskSession;
use crate::service::dialect::{Dialect, House};
use crate::service::knock::Knock;
use crate::service::reception::Opening;

/// What is Vosk's own.
pub(super) struct VoskDoors {
    pub(super) rules: Rules,
}

impl Dialect for VoskDoors {
    const NAME: &'static str = "Vosk";

    fn routes() -> Router<Arc<House<Self>>> {
        Router::new().route("/", get(open_session))
    }

    fn refusal(status: StatusCode) -> Response {
        let text = status.canonical_reason().unwrap_or("Error");
        (status, text).into_response()
    }
}

async fn open_session(State(house): State<Arc<House<VoskDoors>>>, knock: Knock) -> Response {
    let rules = house.dialect.rules;
    let opening = Opening {
        external_id: None,
        message_bytes_max: rules.message_bytes_max,
    };
    let begin = move |ear| VoskSession::new(ear, rules);
    house
        .reception
        .receive::<VoskDoors, _, _>(knock, opening, begin)
        .await
}
