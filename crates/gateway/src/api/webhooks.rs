//! Webhooks as they stand, and what could not be delivered: shown, sent once more, thrown away.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::{Extension, Json};
use store::StoreError;
use store::outbox::{DeadLetters, Outbox};

use super::auth::Caller;
use super::errors::{ApiError, Code};
use super::messages::BAD_PATH;
use super::native::{limit_of, parameter};
use super::shapes::{CommandResponse, DeadLetterCount, DeadLetterList, WebhookList, WebhookShape};
use super::{Api, kept};

/// Dead letters in one answer unless the request says otherwise, and at most.
pub(crate) const LETTERS: usize = 100;
pub(crate) const LETTERS_MAX: usize = 1_000;

/// Dead letters that one request may name, and that are moved in one transaction.
const NUMBERS_MAX: usize = 1_000;

/// List webhooks
///
/// The endpoints that events are delivered to, how each stands and how much waits for it. Webhooks
/// and their dead letters are everybody's: a key of a tenant is answered 403-01.
#[utoipa::path(
    get,
    path = "/v1/webhooks",
    operation_id = "listWebhooks",
    tag = "administration",
    responses((status = 200, description = "Webhooks", body = WebhookList)),
)]
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<WebhookList>, ApiError> {
    is_everybodys(&caller)?;
    let states = api.state.delivery.states();
    let webhooks = ask(&api, move |outbox| {
        let shape = |state: delivery::EndpointState| {
            let depth = outbox.depth(&state.name)?;
            Ok(WebhookShape::new(state, depth))
        };
        states.into_iter().map(shape).collect::<Result<_, _>>()
    });
    let webhooks = webhooks.await?;
    Ok(Json(WebhookList { webhooks }))
}

/// List dead letters
///
/// What could not be delivered to an endpoint, the oldest first, without its content.
#[utoipa::path(
    get,
    path = "/v1/webhooks/{name}/dead-letters",
    operation_id = "listDeadLetters",
    tag = "administration",
    responses((status = 200, description = "Dead letters", body = DeadLetterList)),
)]
pub(crate) async fn dead_letters(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Json<DeadLetterList>, ApiError> {
    is_everybodys(&caller)?;
    let query = query.unwrap_or_default();
    let after = match parameter(&query, "after") {
        Some(after) => number(&after).ok_or_else(|| wrong("after: must be a number"))?,
        None => 0,
    };
    let limit = parameter(&query, "limit");
    let limit = limit.map_or(Ok(LETTERS), |limit| limit_of(&limit))?;
    let endpoint = known(&api, path).await?;
    let which = DeadLetters {
        endpoint: Some(endpoint),
        numbers: Vec::new(),
        after,
        most: limit + 1,
    };
    let letters = ask(&api, move |outbox| outbox.dead_letters(&which)).await?;
    Ok(Json(DeadLetterList::new(letters, limit)))
}

/// Replay dead letters
///
/// Has them wait to be delivered once more, behind what waits already; all of the endpoint unless
/// `numbers` says which.
#[utoipa::path(
    post,
    path = "/v1/webhooks/{name}/dead-letters/replay",
    operation_id = "replayDeadLetters",
    tag = "administration",
    responses((status = 200, description = "How many", body = DeadLetterCount)),
)]
pub(crate) async fn replay(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Json<DeadLetterCount>, ApiError> {
    is_everybodys(&caller)?;
    let numbers = numbers_of(&query.unwrap_or_default())?;
    let endpoint = known(&api, path).await?;
    let count = move_letters(&api, endpoint, numbers, |outbox, which| {
        outbox.replay(which)
    })
    .await?;
    api.state.delivery.wake();
    Ok(Json(DeadLetterCount { count }))
}

/// Bury dead letters
///
/// Throws them away; all of the endpoint unless `numbers` says which.
#[utoipa::path(
    delete,
    path = "/v1/webhooks/{name}/dead-letters",
    operation_id = "buryDeadLetters",
    tag = "administration",
    responses((status = 200, description = "How many", body = DeadLetterCount)),
)]
pub(crate) async fn bury(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Json<DeadLetterCount>, ApiError> {
    is_everybodys(&caller)?;
    let numbers = numbers_of(&query.unwrap_or_default())?;
    let endpoint = known(&api, path).await?;
    let count = move_letters(&api, endpoint, numbers, |outbox, which| outbox.bury(which)).await?;
    Ok(Json(DeadLetterCount { count }))
}

/// Enable a webhook
///
/// Delivers again to an endpoint that answered 410 Gone.
#[utoipa::path(
    post,
    path = "/v1/webhooks/{name}/enable",
    operation_id = "enableWebhook",
    tag = "administration",
    responses((status = 200, description = "It is enabled", body = CommandResponse)),
)]
pub(crate) async fn enable(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<CommandResponse>, ApiError> {
    is_everybodys(&caller)?;
    let Path(name) = path.map_err(|_| wrong(BAD_PATH))?;
    if !api.state.delivery.enable(&name) {
        return Err(unknown());
    }
    tracing::info!(webhook = name, "A webhook was enabled.");
    Ok(Json(CommandResponse {
        is_ok: true,
        error_message: None,
    }))
}

/// Moves all that are asked for, and no more than there were at the beginning: what dies again
/// meanwhile stays where it is.
async fn move_letters(
    api: &Api,
    endpoint: String,
    numbers: Vec<u64>,
    step: fn(&dyn Outbox, &DeadLetters) -> Result<u64, StoreError>,
) -> Result<u64, ApiError> {
    let which = DeadLetters {
        endpoint: Some(endpoint.clone()),
        numbers,
        after: 0,
        most: NUMBERS_MAX,
    };
    let there = ask(api, move |outbox| Ok(outbox.depth(&endpoint)?.dead)).await?;
    let mut moved = 0;
    while moved < there {
        let which = which.clone();
        let now = ask(api, move |outbox| step(outbox, &which)).await?;
        moved += now;
        if now == 0 {
            break;
        }
    }
    Ok(moved)
}

async fn ask<T: Send + 'static>(
    api: &Api,
    question: impl FnOnce(&dyn Outbox) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, ApiError> {
    let outbox = api.state.keeping.outbox();
    kept::blocking(api, move || question(&*outbox)).await
}

/// An endpoint that is configured, or was and has left something behind.
async fn known(api: &Api, path: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    let Path(name) = path.map_err(|_| wrong(BAD_PATH))?;
    let states = api.state.delivery.states();
    if states.iter().any(|state| state.name == name) {
        return Ok(name);
    }
    let asked = name.clone();
    let depth = ask(api, move |outbox| outbox.depth(&asked)).await?;
    if depth.dead == 0 {
        return Err(unknown());
    }
    Ok(name)
}

fn is_everybodys(caller: &Caller) -> Result<(), ApiError> {
    match caller.tenant {
        None => Ok(()),
        Some(_) => {
            let message = "Webhooks are not for keys of a tenant";
            Err(ApiError::new(Code::Forbidden, message))
        }
    }
}

fn unknown() -> ApiError {
    ApiError::new(Code::NotFound, "There is no such webhook")
}

fn wrong(what: &'static str) -> ApiError {
    ApiError::new(Code::BadParameter, what)
}

fn numbers_of(query: &str) -> Result<Vec<u64>, ApiError> {
    let Some(list) = parameter(query, "numbers") else {
        return Ok(Vec::new());
    };
    let numbers: Option<Vec<u64>> = list.split(',').map(number).collect();
    let numbers = numbers.filter(|numbers| numbers.len() <= NUMBERS_MAX);
    numbers.ok_or_else(|| wrong("numbers: must be 1 to 1000 numbers with commas between"))
}

fn number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain && text.len() <= 18)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_named_by_numbers_with_commas_between() {
        assert_eq!(numbers_of("numbers=1,22").unwrap(), [1, 22]);
        assert!(numbers_of("").unwrap().is_empty());
        for query in [
            "numbers=",
            "numbers=1,",
            "numbers=+1",
            "numbers=x",
            "numbers=-1",
        ] {
            assert_eq!(numbers_of(query).unwrap_err().code, Code::BadParameter);
        }
    }
}
