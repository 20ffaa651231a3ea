//! What can be asked over HTTP: a temporary token, and the WebSocket.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::json;

use super::parameters::Parameters;
use super::session::{AssemblyAiSession, Opened};
use super::{Config, Rules, message, status};
use crate::service::dialect::{Dialect, House};
use crate::service::faults::TokenFault;
use crate::service::knock::Knock;
use crate::service::reception::{self, Opening};
use crate::service::record::Asked;
use crate::service::tokens::{Grants, TokenRefusal};

/// The header with the version of the protocol, and what is spoken without it.
const VERSION: (&str, &str) = ("assemblyai-version", "2025-05-12");

/// How long a temporary token may live.
const TTL_SECONDS: std::ops::RangeInclusive<u64> = 1..=600;

/// How long the session of a temporary token may last.
const SESSION_SECONDS: std::ops::RangeInclusive<u64> = 60..=10_800;

/// What is AssemblyAI's own.
pub(super) struct AssemblyAiDoors {
    key: String,
    rules: Rules,
    /// Each token stands for how long its session may last.
    grants: Grants<Option<Duration>>,
}

/// What a request finds.
type Doors = House<AssemblyAiDoors>;

/// What is asked of a token, as text so that each mistake has its own answer.
#[derive(Deserialize)]
struct Wanted {
    expires_in_seconds: Option<String>,
    max_session_duration_seconds: Option<String>,
}

/// Why somebody may not come in.
enum Refused {
    Key(&'static str),
    TooMany,
}

impl AssemblyAiDoors {
    pub(super) fn new(config: Config) -> Self {
        Self {
            key: config.key,
            rules: config.rules,
            grants: Grants::new(config.tokens),
        }
    }

    // How long a session may last, if its token says so.
    fn judge_key(&self, knock: &Knock) -> Result<Option<Duration>, Refused> {
        let bad = |why| Err(Refused::Key(why));
        match (knock.parameter("token"), knock.authorization()) {
            // The bare key: there is no scheme before it.
            (None, Some(key)) if key == self.key => Ok(None),
            // The vendor's Python client has its token in the header.
            (Some(token), _) | (None, Some(token)) => match self.grants.redeem(token) {
                Some(session) => Ok(session),
                None => bad(status::description(status::UNAUTHORIZED)),
            },
            (None, None) => bad("Unauthorized Connection: Missing Authorization header"),
        }
    }

    fn give(&self, wanted: &Wanted, fault: TokenFault) -> Response {
        let number = |text: &String| text.parse::<u64>().unwrap_or_default();
        let bad = |name: &str| {
            let error = format!("{name} is missing or out of range");
            (
                StatusCode::BAD_REQUEST,
                axum::Json(json!({ "error": error })),
            )
                .into_response()
        };
        let ttl = wanted.expires_in_seconds.as_ref().map_or(0, number);
        if !TTL_SECONDS.contains(&ttl) {
            return bad("expires_in_seconds");
        }
        let session = wanted.max_session_duration_seconds.as_ref().map(number);
        if session.is_some_and(|seconds| !SESSION_SECONDS.contains(&seconds)) {
            return bad("max_session_duration_seconds");
        }
        let session = session.map(Duration::from_secs);
        let token = self.grants.give(session, Duration::from_secs(ttl), fault);
        axum::Json(json!({ "token": token, "expires_in_seconds": ttl })).into_response()
    }
}

impl Dialect for AssemblyAiDoors {
    const NAME: &'static str = "AssemblyAI";

    fn routes() -> Router<Arc<Doors>> {
        Router::new()
            .route("/v3/token", get(give_token))
            .route("/v3/ws", get(open_session))
    }

    fn refusal(status: StatusCode) -> Response {
        let error = status.canonical_reason().unwrap_or("Error");
        (status, axum::Json(json!({ "error": error }))).into_response()
    }

    fn reason(code: u16) -> &'static str {
        match code {
            1000..=1007 => "",
            _ => status::description(code),
        }
    }
}

async fn give_token(
    State(house): State<Arc<Doors>>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Response {
    let at = Instant::now();
    let faults = house.reception.board.for_request();
    tokio::time::sleep(faults.rest_delay).await;
    let key = headers.get(header::AUTHORIZATION);
    let response = match faults.rest {
        Some(fault) => reception::refusal::<AssemblyAiDoors>(fault),
        None if key.is_none_or(|key| key.as_bytes() != house.dialect.key.as_bytes()) => {
            AssemblyAiDoors::refusal(StatusCode::UNAUTHORIZED)
        }
        None => house.dialect.give(&wanted, faults.token),
    };
    house.reception.records.ask(Asked {
        external_id: None,
        status: response.status().as_u16(),
        at,
    });
    response
}

async fn open_session(State(house): State<Arc<Doors>>, knock: Knock) -> Response {
    let (doors, reception) = (&house.dialect, &house.reception);
    let rules = doors.rules;
    let admitted = match doors.judge_key(&knock) {
        Ok(_) if is_full(&house) => Err(Refused::TooMany),
        judged => judged,
    };
    let turn_away = |knock, code, error| {
        let last = message::error(code, error);
        reception.turn_away(knock, code, error, Some(last))
    };
    let duration_max = match admitted {
        Ok(asked) => asked.map_or(rules.duration_max, |asked| asked.min(rules.duration_max)),
        Err(Refused::TooMany) => {
            let error = status::description(status::TOO_MANY);
            return turn_away(knock, rules.refusal_code, error);
        }
        Err(Refused::Key(error)) => {
            return match doors.grants.refusal() {
                TokenRefusal::Close1008 => turn_away(knock, status::UNAUTHORIZED, error),
                TokenRefusal::Http401 => {
                    reception.reject::<AssemblyAiDoors>(StatusCode::UNAUTHORIZED)
                }
            };
        }
    };
    let version = knock.headers.get(VERSION.0);
    let version = version.and_then(|version| version.to_str().ok());
    let opened = Opened {
        parameters: Parameters::read(&knock.query),
        rules,
        duration_max,
        expires_at: unix_seconds_in(duration_max),
        version: version.unwrap_or(VERSION.1).to_owned(),
    };
    let opening = Opening {
        external_id: None,
        message_bytes_max: rules.message_bytes_max,
    };
    let begin = move |ear| AssemblyAiSession::new(ear, opened, Instant::now());
    reception
        .receive::<AssemblyAiDoors, _, _>(knock, opening, begin)
        .await
}

fn is_full(house: &Doors) -> bool {
    let (rules, reception) = (house.dialect.rules, &house.reception);
    let minute = Duration::from_secs(60);
    let at_once = rules.sessions_max;
    let in_a_minute = rules.opens_per_minute;
    at_once.is_some_and(|max| reception.open_now() >= max)
        || in_a_minute.is_some_and(|max| reception.opened_within(minute) >= max)
}

fn unix_seconds_in(long: Duration) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    (now.unwrap_or_default() + long).as_secs()
}
