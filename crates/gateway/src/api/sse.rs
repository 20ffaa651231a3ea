//! Events as server-sent events, with a place to come back to.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use call::name::CallName;

use super::Api;
use super::auth::Caller;
use super::commands::call_of;
use super::errors::{ApiError, Code};
use super::native::parameter;
use super::reader::{BadFilter, Filter, Next, Reader, Resume, Told};
use super::seats::Seat;

/// Events of all calls
///
/// Server-sent events, from now on or from where a reader left off: the header `Last-Event-ID`,
/// which browsers send by themselves when they reconnect, or the parameter `after`. What this
/// process does not have in memory any more, and what happened before it began, comes from the
/// store, but for partial transcripts, which are never kept. Events that are not kept any more are
/// told as an event `lost`. A silent stream carries a comment now and then. A key of a tenant is
/// told of that tenant's calls, from their first start on.
#[utoipa::path(
    get,
    path = "/v1/events",
    operation_id = "allEvents",
    tag = "events",
    responses((
        status = 200, description = "Each `data:` is an `Event` or an `EventNote`", body = String,
        content_type = "text/event-stream",
    )),
)]
pub(crate) async fn all_events(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    stream(&api, &caller, (None, &query.unwrap_or_default()), &headers)
}

/// Events of one call
///
/// As the events of all calls. The call need not exist yet, and the stream outlives it: new media
/// may come under the same guid.
#[utoipa::path(
    get,
    path = "/v1/calls/{namespace}/{guid}/events",
    operation_id = "callEvents",
    tag = "events",
    responses((
        status = 200, description = "Each `data:` is an `Event` or an `EventNote`", body = String,
        content_type = "text/event-stream",
    )),
)]
pub(crate) async fn call_events(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<(String, String)>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let wanted = (Some(call_of(path)?), &*query.unwrap_or_default());
    stream(&api, &caller, wanted, &headers)
}

fn stream(
    api: &Arc<Api>,
    caller: &Caller,
    (call, query): (Option<CallName>, &str),
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let filter = filter_of(caller, call, query)?;
    let follow = flag(query, "follow", true)?;
    let resume = resume(query, headers)?;
    let seat = seat(api)?;
    let reader = Reader::new(Arc::clone(api), filter, resume, follow, seat);
    let first = Bytes::from_static(b"retry: 2000\n\n");
    let bytes = futures_util::stream::unfold((Some(first), reader), async |(first, mut reader)| {
        let bytes = match first {
            Some(first) => first,
            None => match reader.next().await {
                Next::Cut(told) => frames(&[told]),
                Next::End => return None,
                Next::Events(told) => frames(&told),
                Next::Silence => Bytes::from_static(b": heartbeat\n\n"),
            },
        };
        Some((Ok::<_, Infallible>(bytes), (None, reader)))
    });
    let content_type = [(CONTENT_TYPE, "text/event-stream")];
    Ok((content_type, Body::from_stream(bytes)).into_response())
}

/// A place among the readers of events.
pub(crate) fn seat(api: &Api) -> Result<Seat, ApiError> {
    api.seats.take().ok_or_else(|| {
        let error = ApiError::new(Code::TooMany, "Too many event streams are open");
        error.again_after(api.state.settings.subscriber_stall)
    })
}

/// What a caller wants, by the path and the query, and may have.
pub(crate) fn filter_of(
    caller: &Caller,
    call: Option<CallName>,
    query: &str,
) -> Result<Filter, ApiError> {
    let kinds = parameter(query, "kinds").unwrap_or_default();
    let names = kinds.split(',').filter(|name| !name.is_empty());
    let filter = Filter {
        calls: call.into_iter().collect(),
        kinds: Filter::kinds(names).map_err(bad)?,
        partials: flag(query, "partials", true)?,
        tenant: caller.tenant.clone(),
    };
    granted(caller, filter)
}

/// What is asked for, as far as the caller's token goes. 403-01 if that is something else.
pub(crate) fn granted(caller: &Caller, mut filter: Filter) -> Result<Filter, ApiError> {
    if let Some(grant) = &caller.grant
        && !filter.narrow(grant.call.as_ref(), &grant.kinds)
    {
        let message = "The token is not for these events";
        return Err(ApiError::new(Code::Forbidden, message));
    }
    Ok(filter)
}

pub(crate) fn bad(filter: BadFilter) -> ApiError {
    ApiError::new(Code::BadParameter, filter.to_string())
}

/// Where a reader wants to begin. The header is newer: a browser that reconnects sends it along
/// with the URL it began with.
pub(crate) fn resume(query: &str, headers: &HeaderMap) -> Result<Resume, ApiError> {
    if let Some(id) = headers.get("last-event-id").filter(|id| !id.is_empty()) {
        let id = id.to_str().ok().and_then(|id| id.parse().ok());
        return Ok(id.map_or(Resume::Nowhere, Resume::At));
    }
    parameter(query, "after").map_or(Ok(Resume::Now), |after| resume_after(&after))
}

pub(crate) fn resume_after(after: &str) -> Result<Resume, ApiError> {
    if after == "0" {
        return Ok(Resume::Beginning);
    }
    let message = "after: must be the id of an event, or 0";
    let id = after.parse().map(Resume::At);
    id.map_err(|()| ApiError::new(Code::BadParameter, message))
}

pub(crate) fn flag(query: &str, name: &'static str, default: bool) -> Result<bool, ApiError> {
    match parameter(query, name).as_deref() {
        None => Ok(default),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err(ApiError::new(
            Code::BadParameter,
            format!("{name}: must be true or false"),
        )),
    }
}

// JSON has no line breaks of its own, so one data line holds it.
fn frames(told: &[Told]) -> Bytes {
    let frame = |told: &Told| {
        let Told { id, kind, json } = told;
        format!("id: {id}\nevent: {kind}\ndata: {json}\n\n")
    };
    told.iter().map(frame).collect::<String>().into()
}
