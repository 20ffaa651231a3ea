//! Conversations that are kept: found, shown, and erased.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::{Extension, Json};
use call::name::Namespace;
use store::query::{ByName, Conversation, Search};

use super::auth::Caller;
use super::commands::{busy, call_of};
use super::errors::{ApiError, Code};
use super::messages::BAD_PATH;
use super::native::{limit_of, parameter};
use super::observe::RequestId;
use super::shapes::{CommandResponse, ConversationList, ConversationShape};
use super::{Api, kept};
use crate::events::{self, Event};
use crate::switchboard_task::By;

/// Conversations in one answer unless the request says otherwise, and at most.
pub(crate) const CONVERSATIONS: usize = 100;
pub(crate) const CONVERSATIONS_MAX: usize = 1_000;

/// Words of one search, at most, and characters in which there are no more words than that.
pub(crate) const WORDS_MAX: usize = 64;
pub(crate) const WORDS_CHARS_MAX: usize = 2 * WORDS_MAX - 1;

/// Characters of anything else that is looked for.
pub(crate) const QUERY_CHARS_MAX: usize = 512;

/// Find conversations
///
/// Conversations that are kept, the newest first, up to `limit` in one answer. All that is given
/// must hold.
#[utoipa::path(
    get,
    path = "/v1/conversations",
    operation_id = "findConversations",
    tag = "transcripts",
    responses((status = 200, description = "Conversations", body = ConversationList)),
)]
pub(crate) async fn find(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<ConversationList>, ApiError> {
    let search = search_of(&query.unwrap_or_default())?;
    let sight = caller.sight();
    let page = kept::ask(&api, move |store| store.find(&search, &sight)).await?;
    Ok(Json(page.into()))
}

/// Show a conversation
///
/// What is known of it but what was said: legs with their roles and why, streams with what the
/// service counted, gaps, pauses, and who commanded what.
#[utoipa::path(
    get,
    path = "/v1/conversations/{conversationId}",
    operation_id = "showConversation",
    tag = "transcripts",
    responses((status = 200, description = "The conversation", body = ConversationShape)),
)]
pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<ConversationShape>, ApiError> {
    let conversation = conversation(&api, &caller, id_of(path)?).await?;
    Ok(Json(conversation.into()))
}

/// Show the conversation of a call
///
/// As by its id, by the call's name.
#[utoipa::path(
    get,
    path = "/v1/conversations/{namespace}/{guid}",
    operation_id = "showConversationOfCall",
    tag = "transcripts",
    responses((status = 200, description = "The conversation", body = ConversationShape)),
)]
pub(crate) async fn show_of_call(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<ConversationShape>, ApiError> {
    let by = ByName::Call(call_of(path)?);
    Ok(Json(conversation(&api, &caller, by).await?.into()))
}

/// Erase a conversation
///
/// Removes all that is kept of it, and what waits to be delivered of it, so that nothing of what
/// was said is left in any file. While the call lives this is refused with 409-204. That it was
/// erased, by whom and when, is kept, as the audit trail of a conversation without content.
#[utoipa::path(
    delete,
    path = "/v1/conversations/{conversationId}",
    operation_id = "eraseConversation",
    tag = "administration",
    responses((status = 200, description = "It is erased", body = CommandResponse)),
)]
pub(crate) async fn erase(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(id): Extension<RequestId>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<CommandResponse>, ApiError> {
    erase_by(&api, &caller, id, id_of(path)?).await
}

/// Erase the conversation of a call
///
/// As by its id, by the call's name.
#[utoipa::path(
    delete,
    path = "/v1/conversations/{namespace}/{guid}",
    operation_id = "eraseConversationOfCall",
    tag = "administration",
    responses((status = 200, description = "It is erased", body = CommandResponse)),
)]
pub(crate) async fn erase_of_call(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(id): Extension<RequestId>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<CommandResponse>, ApiError> {
    erase_by(&api, &caller, id, ByName::Call(call_of(path)?)).await
}

async fn conversation(api: &Api, caller: &Caller, by: ByName) -> Result<Conversation, ApiError> {
    let sight = caller.sight();
    let found = kept::ask(api, move |store| store.conversation(&by, &sight)).await?;
    found.ok_or_else(unknown)
}

async fn erase_by(
    api: &Api,
    caller: &Caller,
    request: RequestId,
    by: ByName,
) -> Result<Json<CommandResponse>, ApiError> {
    let line = conversation(api, caller, by).await?.line;
    let live = api.state.switchboard.call(line.call.clone()).await;
    if live.map_err(|_| busy(api))?.is_some() {
        return Err(Code::Live.into());
    }
    let (id, sight) = (ByName::Id(line.id), caller.sight());
    let (bus, call, by) = (
        Arc::clone(&api.state.bus),
        line.call.clone(),
        caller.by(&request),
    );
    // Whoever asked may go meanwhile; what is begun is done whole, and told.
    let keeping = Arc::clone(&api.state.keeping);
    let was_there = kept::blocking(api, move || {
        let was_there = keeping.erase(&id, &sight)?;
        if was_there {
            bus.erase(&call);
            bus.publish(&call, erased(by));
        }
        Ok(was_there)
    });
    if !was_there.await? {
        return Err(unknown());
    }
    tracing::info!(request_id = %request.0, call = %line.call, "A conversation was erased.");
    Ok(Json(CommandResponse {
        is_ok: true,
        error_message: None,
    }))
}

/// For the audit trail.
fn erased(by: By) -> Event {
    Event::Command(events::Command {
        verb: "erase",
        key: by.key,
        from: by.from,
        outcome: "ok",
        request: by.request,
    })
}

fn id_of(path: Result<Path<String>, PathRejection>) -> Result<ByName, ApiError> {
    let Path(id) = path.map_err(|_| ApiError::new(Code::BadParameter, BAD_PATH))?;
    Ok(ByName::Id(id))
}

fn unknown() -> ApiError {
    ApiError::new(Code::NotFound, "There is no such conversation")
}

/// What a query asks for.
pub(super) fn search_of(query: &str) -> Result<Search, ApiError> {
    let wrong = |what: &'static str| ApiError::new(Code::BadParameter, what);
    let namespace = parameter(query, "namespace").map(|text| {
        let known = "namespace: must be siprec, twilio, amazonconnect or genesysaudiohook";
        Namespace::parse(&text).ok_or_else(|| wrong(known))
    });
    let short = |name: &str, what: &'static str| {
        let text = parameter(query, name);
        let is_long = |text: &String| text.chars().count() > QUERY_CHARS_MAX;
        match text.filter(|text| !text.is_empty()) {
            Some(text) if is_long(&text) => Err(wrong(what)),
            text => Ok(text),
        }
    };
    let words = parameter(query, "q").unwrap_or_default();
    if words.chars().count() > WORDS_CHARS_MAX {
        return Err(wrong("q: must have 127 characters at most"));
    }
    let words = words.split_whitespace().map(str::to_owned).collect();
    let sender = short("sender", "sender: must have 512 characters at most")?;
    let limit = parameter(query, "limit");
    Ok(Search {
        words,
        from_unix_ms: time(
            query,
            "from",
            "from: must be a time, as 2026-01-31T09:00:00Z",
        )?,
        to_unix_ms: time(query, "to", "to: must be a time, as 2026-01-31T09:00:00Z")?,
        namespace: namespace.transpose()?,
        sender: sender.map(Into::into),
        after: short("after", "after: must be what `next` said")?,
        most: limit.map_or(Ok(CONVERSATIONS), |limit| limit_of(&limit))?,
    })
}

/// A time of RFC 3339, in milliseconds since 1970; earlier counts as 1970.
fn time(query: &str, name: &str, what: &'static str) -> Result<Option<u64>, ApiError> {
    let read = |text: String| {
        let time: jiff::Timestamp = text.parse().ok()?;
        Some(u64::try_from(time.as_millisecond()).unwrap_or(0))
    };
    let wrong = || ApiError::new(Code::BadParameter, what);
    parameter(query, name)
        .map(|text| read(text).ok_or_else(wrong))
        .transpose()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_query_says_what_is_looked_for() {
        let query = "q=red++shoes&from=1970-01-01T00:00:01Z&to=1970-01-01T01:00:02%2B01:00&\
                     namespace=siprec&sender=c-1&limit=7&after=x";
        let search = search_of(query).unwrap();
        assert_eq!(search.words, ["red", "shoes"]);
        let span = (search.from_unix_ms, search.to_unix_ms);
        assert_eq!(span, (Some(1_000), Some(2_000)));
        assert_eq!(search.namespace, Some(Namespace::Siprec));
        assert_eq!(search.sender.unwrap().reveal(), "c-1");
        assert_eq!((search.after.as_deref(), search.most), (Some("x"), 7));
        let all = search_of("").unwrap();
        assert!(all.words.is_empty() && all.most == CONVERSATIONS);
    }

    #[test]
    fn a_query_that_makes_no_sense_is_refused() {
        let many = format!("q={}", "a+".repeat(WORDS_MAX));
        let long = format!("sender={}", "a".repeat(QUERY_CHARS_MAX + 1));
        let others = ["from=x", "to=yesterday", "namespace=skype", "limit=0"];
        for query in others.into_iter().chain([&*many, &*long]) {
            assert_eq!(search_of(query).unwrap_err().code, Code::BadParameter);
        }
    }

    proptest! {
        #[test]
        fn any_query_is_understood_or_refused(query in "[ -~]{0,80}") {
            if let Ok(search) = search_of(&query) {
                prop_assert!(search.words.len() <= WORDS_MAX);
                prop_assert!((1..=CONVERSATIONS_MAX).contains(&search.most));
            }
        }
    }
}
