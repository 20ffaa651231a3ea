//! What can be asked over HTTP: the streaming URL, and the WebSocket behind it.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use uuid::Uuid;

use super::session::AutoTranscribeSession;
use super::{Config, Rules, TokenRefusal, status};
use crate::service::dialect::{Dialect, House};
use crate::service::faults::Faults;
use crate::service::knock::Knock;
use crate::service::reception::{self, Opening};
use crate::service::record::Asked;
use crate::service::settings::Settings;
use crate::service::tokens::Grants;

/// What is AutoTranscribe's own.
pub(super) struct AutoTranscribeDoors {
    api_id: String,
    api_secret: String,
    rules: Rules,
    /// Each token stands for the externalId that it was asked for with.
    grants: Grants<Option<String>>,
}

/// What a request finds.
type Doors = House<AutoTranscribeDoors>;

impl AutoTranscribeDoors {
    /// What is AutoTranscribe's own, and what is not.
    pub(super) fn new(config: Config) -> (Self, Settings) {
        let settings = Settings {
            listen: config.listen,
            tls: config.tls,
            lexicon: config.lexicon,
            keep: config.keep,
            receive_buffer_bytes: config.receive_buffer_bytes,
            faults: config.faults,
            chaos: config.chaos,
            observer: config.observer,
        };
        let doors = Self {
            api_id: config.api_id,
            api_secret: config.api_secret,
            rules: config.rules,
            grants: Grants::new(config.tokens),
        };
        (doors, settings)
    }

    fn knows(&self, headers: &HeaderMap) -> bool {
        let is = |name, wanted: &str| {
            headers
                .get(name)
                .is_some_and(|value| value.as_bytes() == wanted.as_bytes())
        };
        is("asapp-api-id", &self.api_id) && is("asapp-api-secret", &self.api_secret)
    }
}

impl Dialect for AutoTranscribeDoors {
    const NAME: &'static str = "AutoTranscribe";

    fn routes() -> Router<Arc<Doors>> {
        Router::new()
            .route("/", get(open_stream))
            .route("/autotranscribe/v1/streaming-url", post(give_url))
    }

    // The error envelope of all of ASAPP's REST calls.
    fn refusal(status: StatusCode) -> Response {
        let message = status.canonical_reason().unwrap_or("Error");
        let error = json!({
            "requestId": Uuid::new_v4().to_string(),
            "message": message,
            "code": format!("{}-01", status.as_u16()),
        });
        (status, axum::Json(json!({ "error": error }))).into_response()
    }

    fn reason(code: u16) -> &'static str {
        match code {
            1008 => status::description(code),
            _ => "",
        }
    }
}

async fn give_url(
    State(house): State<Arc<Doors>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let at = Instant::now();
    let faults = house.reception.board.for_request();
    tokio::time::sleep(faults.rest_delay).await;
    let external_id = body
        .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)
        .and_then(|body| external_id(&body));
    let response = answer(&house, &headers, external_id.clone(), &faults);
    let external_id = external_id.ok().flatten();
    house.reception.records.ask(Asked {
        external_id,
        status: response.status().as_u16(),
        at,
    });
    response
}

fn answer(
    house: &Doors,
    headers: &HeaderMap,
    external_id: Result<Option<String>, StatusCode>,
    faults: &Faults,
) -> Response {
    if let Some(fault) = faults.rest {
        return reception::refusal::<AutoTranscribeDoors>(fault);
    }
    if !house.dialect.knows(headers) {
        return AutoTranscribeDoors::refusal(StatusCode::UNAUTHORIZED);
    }
    match external_id {
        Err(status) => AutoTranscribeDoors::refusal(status),
        Ok(external_id) => {
            let (grants, fault) = (&house.dialect.grants, faults.token);
            let token = grants.give(external_id, grants.ttl(), fault);
            // As documented, without a path.
            let url = format!("{}?token={token}", house.reception.socket_url(headers));
            axum::Json(json!({ "streamingUrl": url })).into_response()
        }
    }
}

async fn open_stream(State(house): State<Arc<Doors>>, knock: Knock) -> Response {
    let grants = &house.dialect.grants;
    let granted = knock
        .parameter("token")
        .and_then(|token| grants.redeem(token));
    let Some(external_id) = granted else {
        return match grants.refusal() {
            TokenRefusal::Close1008 => {
                let reason = AutoTranscribeDoors::reason(1008);
                house.reception.turn_away(knock, 1008, reason, None)
            }
            TokenRefusal::Http401 => house
                .reception
                .reject::<AutoTranscribeDoors>(StatusCode::UNAUTHORIZED),
        };
    };
    let rules = house.dialect.rules;
    let opening = Opening {
        external_id,
        message_bytes_max: rules.message_bytes_max,
    };
    let begin = move |ear| AutoTranscribeSession::new(ear, rules, Instant::now());
    house
        .reception
        .receive::<AutoTranscribeDoors, _, _>(knock, opening, begin)
        .await
}

fn external_id(body: &[u8]) -> Result<Option<String>, StatusCode> {
    if body.is_empty() {
        return Ok(None);
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(mut fields)) => match fields.remove("externalId") {
            None => Ok(None),
            Some(Value::String(id)) => Ok(Some(id)),
            Some(_) => Err(StatusCode::UNPROCESSABLE_ENTITY),
        },
        _ => Err(StatusCode::BAD_REQUEST),
    }
}
