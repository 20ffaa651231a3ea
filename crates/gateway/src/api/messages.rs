//! What was said in a conversation, as the contract's messages API has it.

use std::sync::Arc;

use axum::body::HttpBody;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use call::name::Namespace;
use store::query::{ByName, Message};

use super::auth::Caller;
use super::errors::{ApiError, Code};
use super::named::Named;
use super::native::parameter;
use super::shapes::{MessageList, MessagesRequest};
use super::{Api, body, kept};

/// Says that there are more messages than the answer has.
const LEFT_OUT: HeaderName = HeaderName::from_static("x-messages-left-out");

/// Characters of an external id, at most: a guid with blanks in it, generously.
const EXTERNAL_ID_CHARS_MAX: usize = 256;

/// List messages with an externalId
///
/// The final transcripts of a call in the order in which they were said, by its guid or by any
/// other identifier of its media session; of several calls with one identifier those of the newest.
/// During the call: what has been said so far. `externalId` is taken from the query or, if it is
/// not there, from a JSON body.
///
/// A conversation's first 1,000 messages are told (`api.messages_max`); if it has more, the answer
/// carries `x-messages-left-out: true`, and all of them are in the export. `customer` also stands
/// for a line that carries both parties. Answers at the same path with a slash at the end as well.
#[utoipa::path(
    get,
    path = "/conversation/v1/conversation/messages",
    operation_id = "getMessagesByExternalId",
    tag = "transcripts",
    responses((status = 200, description = "Messages", body = MessageList)),
)]
pub(crate) async fn by_external_id(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let in_query = parameter(request.uri().query().unwrap_or_default(), "externalId");
    let written = match in_query {
        Some(written) => written,
        None if request.body().is_end_stream() => return Err(missing()),
        None => in_body(&api, request).await?,
    };
    let length = written.chars().count();
    if !(1..=EXTERNAL_ID_CHARS_MAX).contains(&length) {
        let message = "externalId: must have 1 to 256 characters";
        return Err(ApiError::new(Code::BadRequest, message));
    }
    messages(&api, &caller, names(written)).await
}

/// List messages of a conversation
///
/// As by external id, by the gateway's own id of the conversation. Answers at the same path with a
/// slash at the end as well.
#[utoipa::path(
    get,
    path = "/conversation/v1/conversations/{conversationId}/messages",
    operation_id = "getMessagesByConversationId",
    tag = "transcripts",
    responses((status = 200, description = "Messages", body = MessageList)),
)]
pub(crate) async fn by_conversation(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let Path(id) = path.map_err(|_| ApiError::new(Code::BadRequest, BAD_PATH))?;
    messages(&api, &caller, vec![ByName::Id(id)]).await
}

pub(crate) const BAD_PATH: &str = "The path has percent-encoding that is not UTF-8";

async fn messages(api: &Api, caller: &Caller, names: Vec<ByName>) -> Result<Response, ApiError> {
    let (most, sight) = (api.state.settings.messages_max, caller.sight());
    let found = kept::ask(api, move |store| {
        for name in &names {
            if let Some(messages) = store.messages(name, &sight, most.saturating_add(1))? {
                return Ok(Some(messages));
            }
        }
        Ok(None)
    });
    let unknown = || ApiError::new(Code::NotFound, "There is no such conversation");
    Ok(answer(found.await?.ok_or_else(unknown)?, most))
}

fn answer(mut messages: Vec<Message>, most: usize) -> Response {
    let are_left_out = messages.len() > most;
    messages.truncate(most);
    let mut response = Json(MessageList::from(messages)).into_response();
    if are_left_out {
        let headers = response.headers_mut();
        headers.insert(LEFT_OUT, HeaderValue::from_static("true"));
    }
    response
}

/// As it is written, and as a SIPREC identifier of several spellings is kept.
fn names(written: String) -> Vec<ByName> {
    let normal = Named::new(Namespace::Siprec, &written).ok();
    let normal = normal.map(|named| named.call.guid.as_str().to_owned());
    let normal = normal.filter(|normal| *normal != written);
    let names = std::iter::once(written).chain(normal);
    names.map(ByName::External).collect()
}

async fn in_body(api: &Api, request: Request) -> Result<String, ApiError> {
    let settings = &api.state.settings;
    let bytes = body::read(request, settings).await?;
    let read = understand(&bytes, settings.json_depth_max)?;
    api.state.metrics.unknown_fields(read.unknown_fields);
    Ok(read.body.external_id)
}

pub(super) fn understand(
    bytes: &[u8],
    depth_max: usize,
) -> Result<body::Understood<MessagesRequest>, ApiError> {
    body::understand(bytes, depth_max).map_err(generic)
}

/// Outside of control the contract knows no code of its own for a wrong parameter: 400-01.
pub(super) fn generic(error: ApiError) -> ApiError {
    match error.code {
        Code::BadParameter => ApiError::new(Code::BadRequest, error.message),
        _ => error,
    }
}

fn missing() -> ApiError {
    let message = "externalId: is missing; it is wanted in the query or in a JSON body";
    ApiError::new(Code::BadRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_siprec_identifier_is_looked_for_as_written_and_in_its_normal_form() {
        let names = |written: &str| names(written.to_owned());
        assert_eq!(names("CA1"), [ByName::External("CA1".to_owned())]);
        let [written, normal] = names("0001183F5093914D").try_into().unwrap();
        assert_eq!(written, ByName::External("0001183F5093914D".to_owned()));
        let ByName::External(normal) = normal else {
            panic!("it is an external name");
        };
        let named = Named::new(Namespace::Siprec, "00001062071351848269").unwrap();
        assert_eq!(normal, named.call.guid.as_str());
    }
}
