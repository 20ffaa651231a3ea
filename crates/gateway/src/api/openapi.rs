//! The API's description in OpenAPI 3.1: paths and schemas from the code, and here what all of them
//! have in common: keys, parameters, errors, examples.

use serde_json::Value;
use utoipa::openapi::path::{HttpMethod, Operation, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Ref, SchemaFormat, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::{
    Content, ContentBuilder, Header, OpenApi as Doc, RefOr, Response, ResponseBuilder,
};
use utoipa::{Modify, OpenApi};

use super::auth::{ID_HEADER, SECRET_HEADER};
use super::errors::Code;
use super::shapes::{ErrorResponse, EventShape, Note, SubscribeMessage, UtteranceRow};
use super::{
    commands, conversations, docs, examples, exporter, health, messages, native, sse, tokens,
    webhooks, ws,
};

mod parameters;

use parameters::add_parameters;

/// `/openapi.json`, indented.
pub fn openapi_json() -> String {
    let mut json = Description::openapi()
        .to_pretty_json()
        .expect("it has string keys only");
    json.push('\n');
    json
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Antiphon",
        description = "Live call audio in, transcripts out. `control` is compatible with ASAPP's \
            AutoTranscribe media gateway; all else is an extension. Every answer carries \
            `x-request-id`. Members of a request that are not described are ignored.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "control", description = "Start and stop, as the contract has them"),
        (name = "calls", description = "Calls as they are now; pause and resume"),
        (name = "transcripts", description = "What was said, and all that is kept of calls"),
        (name = "events", description = "What happens to calls, as it happens"),
        (name = "export", description = "Files of all that was said, as the contract's exporter"),
        (name = "administration", description = "Erasing, and what could not be delivered"),
        (name = "operation", description = "Health, metrics, version"),
    ),
    paths(
        commands::twilio_media_stream_url,
        commands::start_streaming,
        commands::stop_streaming,
        commands::pause_call,
        commands::resume_call,
        native::list_calls,
        native::show_call,
        messages::by_external_id,
        messages::by_conversation,
        conversations::find,
        conversations::show,
        conversations::show_of_call,
        conversations::erase,
        conversations::erase_of_call,
        sse::all_events,
        sse::call_events,
        ws::all_events,
        ws::call_events,
        tokens::make,
        exporter::feeds,
        exporter::versions,
        exporter::formats,
        exporter::dates,
        exporter::intervals,
        exporter::files,
        exporter::file,
        exporter::download::read,
        webhooks::list,
        webhooks::dead_letters,
        webhooks::bury,
        webhooks::replay,
        webhooks::enable,
        health::health,
        health::live,
        health::ready,
        health::metrics,
        health::version,
        docs::openapi,
        docs::asyncapi,
    ),
    components(schemas(ErrorResponse, EventShape, Note, SubscribeMessage, UtteranceRow)),
    security(("API-ID" = [], "API-Secret" = [])),
    modifiers(&Shared),
)]
struct Description;

struct Shared;

impl Modify for Shared {
    fn modify(&self, doc: &mut Doc) {
        let components = doc.components.get_or_insert_default();
        for (name, header) in [("API-ID", ID_HEADER), ("API-Secret", SECRET_HEADER)] {
            let scheme = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(header)));
            components
                .security_schemes
                .insert(name.to_owned(), scheme.into());
        }
        for (path, item) in &mut doc.paths.paths {
            for (method, operation) in operations(item) {
                add_parameters(path, operation);
                add_errors(path, method, operation);
                add_stream_message(operation);
                add_examples(operation);
                add_request_id(operation);
            }
        }
    }
}

/// Each with its method.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    [
        (HttpMethod::Get, &mut item.get),
        (HttpMethod::Post, &mut item.post),
        (HttpMethod::Delete, &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

fn add_errors(path: &str, method: HttpMethod, operation: &mut Operation) {
    let keyed = operation.security.is_none();
    let signed = path.ends_with("/{fileName}");
    // Of this one the body is optional, and a GET cannot declare it.
    let may_have_body = path.ends_with("/conversation/messages");
    let has_body = operation.request_body.is_some() || may_have_body;
    let control = path.starts_with("/mg-");
    let erases = method == HttpMethod::Delete && path.starts_with("/v1/conversations/");
    let commands = method == HttpMethod::Post && (control || path.starts_with("/v1/calls/"));
    let with_parameters = operation.parameters.is_some();
    let named = path.contains('{') || path.ends_with("/conversation/messages");
    let wanted = [
        (
            400,
            has_body || commands || with_parameters,
            "A parameter is wrong, or there is no such call",
        ),
        (401, keyed, "The keys are missing or wrong"),
        (
            403,
            signed || keyed && path != "/v1/health",
            "The key, the token or the URL does not allow this",
        ),
        // For control it is the contract's; the gateway answers 400 there.
        (404, control || named, "Not found"),
        (408, has_body, "The body did not arrive in time"),
        (
            409,
            commands || erases,
            "The state of the call does not allow it",
        ),
        (413, has_body, "The body is too large"),
        (415, has_body, "The body is not JSON in UTF-8"),
        (
            422,
            has_body,
            "The JSON is nested too deep or has a member twice",
        ),
        (
            429,
            keyed,
            "Too many requests, or too many failed authentications",
        ),
        (
            503,
            signed || keyed || path == "/health/ready",
            "The gateway is shutting down or overloaded, or the store cannot answer",
        ),
    ];
    for (status, wanted, description) in wanted {
        if wanted {
            let mut response = error_response(description);
            if matches!(status, 429 | 503) {
                let seconds = ObjectBuilder::new()
                    .schema_type(Type::Integer)
                    .minimum(Some(1));
                let mut header = Header::new(seconds);
                header.description = Some("Seconds to wait before the next try".to_owned());
                response
                    .headers
                    .insert("Retry-After".to_owned(), header.into());
            }
            operation
                .responses
                .responses
                .insert(status.to_string(), response.into());
        }
    }
    let internal = error_response("Any other error; a defect of the gateway is 500-201");
    operation
        .responses
        .responses
        .insert("default".to_owned(), internal.into());
}

fn error_response(description: &str) -> Response {
    let schema = Ref::from_schema_name("ErrorResponse");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .description(description)
        .content(JSON, content)
        .build()
}

/// The schema of an event stream is that of each of its messages: OpenAPI 3.1 knows no other place
/// for it.
fn add_stream_message(operation: &mut Operation) {
    let data = text()
        .content_media_type("application/json")
        .description(Some("An `Event` or an `EventNote`"));
    let message = ObjectBuilder::new().description(Some("One message of the stream"));
    let message = ["event", "id"].iter().fold(message, |message, name| {
        message.property(*name, text()).required(*name)
    });
    let message = message.property("data", data).required("data").build();
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response
            && let Some(RefOr::T(content)) = response.content.get_mut("text/event-stream")
        {
            content.schema = Some(message.clone().into());
        }
    }
}

fn add_examples(operation: &mut Operation) {
    let id = operation.operation_id.clone().unwrap_or_default();
    for example in examples::all()
        .into_iter()
        .filter(|example| example.operation == id)
    {
        if let Some(RefOr::T(body)) = &mut operation.request_body
            && let Some(RefOr::T(content)) = body.content.get_mut(JSON)
        {
            add_example(content, &example, example.request.clone());
        }
        let response = operation
            .responses
            .responses
            .get_mut(&example.status.to_string());
        if let Some(RefOr::T(response)) = response
            && let Some(RefOr::T(content)) = response.content.get_mut(JSON)
        {
            add_example(content, &example, example.response.clone());
        }
    }
    // An error that no example shows has its code shown by the plainest one there is.
    for code in [
        Code::Unauthorized,
        Code::TooLarge,
        Code::TooMany,
        Code::Unavailable,
    ] {
        let status = code.status().as_str().to_owned();
        if let Some(RefOr::T(response)) = operation.responses.responses.get_mut(&status)
            && let Some(RefOr::T(content)) = response.content.get_mut(JSON)
        {
            content.example = Some(examples::error(code.as_str(), code.message()));
        }
    }
}

fn add_example(content: &mut Content, example: &examples::Example, value: Value) {
    let mut shown = utoipa::openapi::example::Example::new();
    shown.summary = example.summary.to_owned();
    shown.value = Some(value);
    content
        .examples
        .insert(example.name.to_owned(), shown.into());
}

fn add_request_id(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            let id = text().format(Some(SchemaFormat::Custom("uuid".to_owned())));
            let mut header = Header::new(id);
            header.description = Some("Unique id of the request".to_owned());
            response
                .headers
                .insert("x-request-id".to_owned(), header.into());
        }
    }
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

const JSON: &str = "application/json";
