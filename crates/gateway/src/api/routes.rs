//! All routes, each behind what it needs: a key with a scope, a token, or nothing.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, post};

use super::auth::{self, Scope};
use super::{
    Api, commands, conversations, cors, docs, exporter, health, messages, native, sse, tokens,
    webhooks, ws,
};

/// All routes.
pub(super) fn all(api: &Arc<Api>) -> Router<Arc<Api>> {
    keyed()
        .layer(from_fn_with_state(Arc::clone(api), auth::authenticate))
        .merge(events(api))
        .merge(open())
}

/// Routes that want a key, each with what the key must be allowed to do.
fn keyed() -> Router<Arc<Api>> {
    let scoped = |router: Router<Arc<Api>>, scope| {
        router.route_layer(from_fn_with_state(scope, auth::authorize))
    };
    scoped(control(), Scope::Control)
        .merge(scoped(transcripts(), Scope::Transcripts))
        .merge(scoped(export(), Scope::Export))
        .merge(scoped(administration(), Scope::Admin))
        .route("/v1/health", get(health::health))
}

/// Streams of events, which a token opens as well, also for web pages from elsewhere.
fn events(api: &Arc<Api>) -> Router<Arc<Api>> {
    Router::new()
        .route("/v1/calls/{namespace}/{guid}/events", get(sse::call_events))
        .route("/v1/events", get(sse::all_events))
        .route(
            "/v1/calls/{namespace}/{guid}/events/ws",
            get(ws::call_events),
        )
        .route("/v1/events/ws", get(ws::all_events))
        .route_layer(from_fn_with_state(Scope::Transcripts, auth::authorize))
        .layer(from_fn_with_state(
            Arc::clone(api),
            auth::authenticate_reader,
        ))
        .layer(from_fn_with_state(Arc::clone(api), cors::cors))
}

fn control() -> Router<Arc<Api>> {
    let contract = [
        ("start-streaming", post(commands::start_streaming)),
        ("stop-streaming", post(commands::stop_streaming)),
        (
            "twilio-media-stream-url",
            get(commands::twilio_media_stream_url),
        ),
    ];
    let mut router = Router::new();
    for (name, method) in contract {
        router = both(router, &format!("/mg-autotranscribe/v1/{name}"), method);
    }
    router
        .route(
            "/v1/calls/{namespace}/{guid}/pause",
            post(commands::pause_call),
        )
        .route(
            "/v1/calls/{namespace}/{guid}/resume",
            post(commands::resume_call),
        )
}

fn transcripts() -> Router<Arc<Api>> {
    let messages = "/conversation/v1/conversation/messages";
    let messages_of = "/conversation/v1/conversations/{conversationId}/messages";
    let router = both(Router::new(), messages, get(messages::by_external_id));
    both(router, messages_of, get(messages::by_conversation))
        .route("/v1/calls", get(native::list_calls))
        .route("/v1/calls/{namespace}/{guid}", get(native::show_call))
        .route("/v1/conversations", get(conversations::find))
        .route(CONVERSATION, get(conversations::show))
        .route(CONVERSATION_OF_CALL, get(conversations::show_of_call))
        .route("/v1/tokens", post(tokens::make))
}

fn export() -> Router<Arc<Api>> {
    let lists = [
        ("listfeeds", post(exporter::feeds)),
        ("listfeedversions", post(exporter::versions)),
        ("listfeedformats", post(exporter::formats)),
        ("listfeeddates", post(exporter::dates)),
        ("listfeedintervals", post(exporter::intervals)),
        ("listfeedfiles", post(exporter::files)),
        ("getfeedfile", post(exporter::file)),
    ];
    let add = |router, (name, method): (&str, _)| {
        both(router, &format!("/fileexporter/v1/static/{name}"), method)
    };
    lists.into_iter().fold(Router::new(), add)
}

fn administration() -> Router<Arc<Api>> {
    Router::new()
        .route(CONVERSATION, delete(conversations::erase))
        .route(CONVERSATION_OF_CALL, delete(conversations::erase_of_call))
        .route("/v1/webhooks", get(webhooks::list))
        .route(
            "/v1/webhooks/{name}/dead-letters",
            get(webhooks::dead_letters).delete(webhooks::bury),
        )
        .route(
            "/v1/webhooks/{name}/dead-letters/replay",
            post(webhooks::replay),
        )
        .route("/v1/webhooks/{name}/enable", post(webhooks::enable))
}

const CONVERSATION: &str = "/v1/conversations/{conversationId}";
const CONVERSATION_OF_CALL: &str = "/v1/conversations/{namespace}/{guid}";

/// Routes for everybody.
fn open() -> Router<Arc<Api>> {
    Router::new()
        .route(
            "/fileexporter/v1/static/files/{fileName}",
            get(exporter::download::read),
        )
        .route("/asyncapi.json", get(docs::asyncapi))
        .route("/docs", get(docs::to_folder))
        .route("/docs/", get(docs::index))
        .route("/docs/{file}", get(docs::file))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(docs::openapi))
        .route("/version", get(health::version))
}

/// The contract's guides write a slash at the end of its paths, its specification does not.
fn both(router: Router<Arc<Api>>, path: &str, method: MethodRouter<Arc<Api>>) -> Router<Arc<Api>> {
    router
        .route(path, method.clone())
        .route(&format!("{path}/"), method)
}
