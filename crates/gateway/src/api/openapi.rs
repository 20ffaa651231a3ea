//! The API's description in OpenAPI 3.1: paths and schemas from the code, and here what all of them
//! have in common: keys, parameters, errors, examples.

use serde_json::Value;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Ref, SchemaFormat, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::{
    Content, ContentBuilder, Header, OpenApi as Doc, RefOr, Required, Response, ResponseBuilder,
};
use utoipa::{Modify, OpenApi};

use super::auth::{ID_HEADER, SECRET_HEADER};
use super::errors::Code;
use super::shapes::{ErrorResponse, EventShape, Note};
use super::{commands, docs, examples, health, native, sse};

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
        (name = "events", description = "What happens to calls, as it happens"),
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
        sse::all_events,
        sse::call_events,
        health::health,
        health::live,
        health::ready,
        health::metrics,
        health::version,
        docs::openapi,
    ),
    components(schemas(ErrorResponse, EventShape, Note)),
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
            for (is_post, operation) in operations(item) {
                let open = operation.security.is_some();
                add_parameters(path, operation);
                add_errors(
                    path,
                    open,
                    is_post && operation.request_body.is_some(),
                    operation,
                );
                add_stream_message(operation);
                add_examples(operation);
                add_request_id(operation);
            }
        }
    }
}

/// Get and post, each with whether it is a post.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (bool, &mut Operation)> {
    let get = item.get.as_mut().map(|operation| (false, operation));
    get.into_iter()
        .chain(item.post.as_mut().map(|operation| (true, operation)))
}

fn add_parameters(path: &str, operation: &mut Operation) {
    let mut parameters = Vec::new();
    if path.contains("{namespace}") {
        let platforms = ["siprec", "twilio", "amazonconnect", "genesysaudiohook"];
        let namespace = text().enum_values(Some(platforms));
        let guid = text()
            .min_length(Some(1))
            .max_length(Some(128))
            .pattern(Some("^[!-~]([ -~]*[!-~])?$"));
        parameters.push(parameter(
            "namespace",
            ParameterIn::Path,
            "The platform.",
            namespace,
        ));
        parameters.push(parameter(
            "guid",
            ParameterIn::Path,
            "The platform's id of it.",
            guid,
        ));
    }
    if path == "/v1/calls" {
        let whole = ObjectBuilder::new().schema_type(Type::Integer);
        let limit = whole
            .minimum(Some(1))
            .maximum(Some(1000))
            .default(Some(1000.into()));
        let pattern = "^(amazonconnect|genesysaudiohook|siprec|twilio)/[!-~]{1,128}$";
        let after = text().pattern(Some(pattern));
        let goes_on = "Where to go on: `next` of the answer before.";
        parameters.push(parameter(
            "limit",
            ParameterIn::Query,
            "Calls in one answer.",
            limit,
        ));
        parameters.push(parameter("after", ParameterIn::Query, goes_on, after));
    }
    if path.ends_with("/events") {
        let id = text().pattern(Some("^(0|[0-9a-f]{1,16}-[0-9]{1,18})$"));
        let flag = || {
            ObjectBuilder::new()
                .schema_type(Type::Boolean)
                .default(Some(true.into()))
        };
        let after = "Begin after the event with this id; 0: with the oldest that is kept.";
        let follow = "With `false` the stream ends when it has told what is kept.";
        let partials = "Whether partial transcripts are told as well as final ones.";
        parameters.push(parameter("after", ParameterIn::Query, after, id));
        parameters.push(parameter("follow", ParameterIn::Query, follow, flag()));
        parameters.push(parameter("partials", ParameterIn::Query, partials, flag()));
    }
    if !parameters.is_empty() {
        operation.parameters = Some(parameters.into_iter().map(RefOr::T).collect());
    }
}

fn parameter(
    name: &str,
    place: ParameterIn,
    description: &str,
    schema: ObjectBuilder,
) -> Parameter {
    let required = if place == ParameterIn::Path {
        Required::True
    } else {
        Required::False
    };
    let parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required);
    parameter
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

fn add_errors(path: &str, open: bool, has_body: bool, operation: &mut Operation) {
    let control = path.starts_with("/mg-");
    let command = has_body || path.ends_with("/pause") || path.ends_with("/resume");
    let named = path.contains("{namespace}");
    let with_parameters = operation.parameters.is_some();
    // 403 and, for reading, 404 are the contract's; the gateway itself sends no 403.
    let wanted = [
        (
            400,
            command || with_parameters,
            "A parameter is wrong, or there is no such call",
        ),
        (401, !open, "The keys are missing or wrong"),
        (403, control, "Reserved by the contract"),
        (404, control || named, "Not found"),
        (408, has_body, "The body did not arrive in time"),
        (409, command, "The state of the call does not allow it"),
        (413, has_body, "The body is too large"),
        (415, has_body, "The body is not JSON in UTF-8"),
        (
            422,
            has_body,
            "The JSON is nested too deep or has a member twice",
        ),
        (
            429,
            !open,
            "Too many requests, or too many failed authentications",
        ),
        (
            503,
            !open || path == "/health/ready",
            "The gateway is shutting down or overloaded",
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
