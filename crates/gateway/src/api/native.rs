//! Calls as they are now.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::{Extension, Json};
use call::name::{CallName, Guid, Namespace};

use super::Api;
use super::auth::Caller;
use super::commands::{busy, call_of};
use super::errors::{ApiError, Code};
use super::shapes::{CallList, CallShape};

/// Calls in one answer, at most.
const CALLS_MAX: usize = 1000;

/// List calls
///
/// All calls the gateway knows, in the order of their names, up to `limit` in one answer. A key of
/// a tenant is shown those that were started with a key of that tenant.
#[utoipa::path(
    get,
    path = "/v1/calls",
    operation_id = "listCalls",
    tag = "calls",
    responses((status = 200, description = "Calls", body = CallList)),
)]
pub(crate) async fn list_calls(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<CallList>, ApiError> {
    let query = query.unwrap_or_default();
    let limit = match parameter(&query, "limit") {
        Some(limit) => limit_of(&limit)?,
        None => CALLS_MAX,
    };
    let after = parameter(&query, "after")
        .map(|after| after_of(&after))
        .transpose()?;
    let calls = api.state.switchboard.calls().await;
    let mut calls = calls.map_err(|_| busy(&api))?;
    let tenant = caller.tenant.as_deref();
    calls.retain(|call| call.owner.shows_to(tenant));
    calls.retain(|call| after.as_ref().is_none_or(|after| call.name > *after));
    calls.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let more = calls.len() > limit;
    calls.truncate(limit);
    let next = calls
        .last()
        .filter(|_| more)
        .map(|call| call.name.to_string());
    Ok(Json(CallList {
        calls: calls.into_iter().map(CallShape::from).collect(),
        next,
    }))
}

/// Show a call
///
/// State, legs, streams, counters and identifiers of one call.
#[utoipa::path(
    get,
    path = "/v1/calls/{namespace}/{guid}",
    operation_id = "showCall",
    tag = "calls",
    responses((status = 200, description = "The call", body = CallShape)),
)]
pub(crate) async fn show_call(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<CallShape>, ApiError> {
    let call = api.state.switchboard.call(call_of(path)?).await;
    let call = call.map_err(|_| busy(&api))?;
    let call = call.filter(|call| call.owner.shows_to(caller.tenant.as_deref()));
    let unknown = || ApiError::new(Code::NotFound, Code::NoCall.message());
    Ok(Json(call.ok_or_else(unknown)?.into()))
}

/// The first value of a query's parameter.
pub(crate) fn parameter(query: &str, wanted: &str) -> Option<String> {
    let mut parameters = url::form_urlencoded::parse(query.as_bytes());
    parameters.find_map(|(name, value)| (name == wanted).then(|| value.into_owned()))
}

pub(crate) fn limit_of(text: &str) -> Result<usize, ApiError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let limit = text
        .parse()
        .ok()
        .filter(|limit| digits && (1..=CALLS_MAX).contains(limit));
    let message = "limit: must be a number from 1 to 1000";
    limit.ok_or_else(|| ApiError::new(Code::BadParameter, message))
}

fn after_of(text: &str) -> Result<CallName, ApiError> {
    let name = text.split_once('/').and_then(|(namespace, guid)| {
        let (namespace, guid) = (Namespace::parse(namespace)?, Guid::parse(guid).ok()?);
        Some(CallName { namespace, guid })
    });
    let message = "after: must be a namespace and a guid with a slash between";
    name.ok_or_else(|| ApiError::new(Code::BadParameter, message))
}
