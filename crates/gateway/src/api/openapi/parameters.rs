//! The parameters of every path, which the code reads out of the path and the query by itself.

use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{KnownFormat, RefOr, Required};

use super::super::conversations::{
    CONVERSATIONS, CONVERSATIONS_MAX, QUERY_CHARS_MAX, WORDS_CHARS_MAX,
};
use super::super::webhooks::{LETTERS, LETTERS_MAX};
use super::text;
use crate::events::Event;

pub(super) fn add_parameters(path: &str, operation: &mut Operation) {
    let id = operation.operation_id.clone().unwrap_or_default();
    let mut parameters = in_path(path);
    parameters.extend(match &*id {
        "listCalls" => calls(),
        "findConversations" => conversations(),
        "allEvents" | "callEvents" => events(),
        "allEventsWebSocket" | "callEventsWebSocket" => sockets(),
        "getMessagesByExternalId" => external_id(),
        "listDeadLetters" => letters(),
        "buryDeadLetters" | "replayDeadLetters" => numbers(),
        _ => Vec::new(),
    });
    if !parameters.is_empty() {
        operation.parameters = Some(parameters.into_iter().map(RefOr::T).collect());
    }
}

fn in_path(path: &str) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    let mut add = |name: &str, meaning, schema| {
        if path.contains(&format!("{{{name}}}")) {
            parameters.push(parameter(name, ParameterIn::Path, meaning, schema));
        }
    };
    let guid = text()
        .min_length(Some(1))
        .max_length(Some(128))
        .pattern(Some("^[!-~]([ -~]*[!-~])?$"));
    add("namespace", "The platform.", platform());
    add("guid", "The platform's id of it.", guid);
    let id = text().min_length(Some(1)).max_length(Some(128));
    let ours = "The gateway's own id of it.";
    add("conversationId", ours, id.pattern(Some(PLAIN)));
    let name = text().min_length(Some(1)).max_length(Some(64));
    let configured = "The endpoint, as the configuration names it.";
    add("name", configured, name.pattern(Some(PLAIN)));
    parameters
}

fn calls() -> Vec<Parameter> {
    let after = text().pattern(Some(
        "^(amazonconnect|genesysaudiohook|siprec|twilio)/[!-~]{1,128}$",
    ));
    vec![
        query("limit", "Calls in one answer.", up_to(1_000, 1_000)),
        query("after", GOES_ON, after),
    ]
}

fn conversations() -> Vec<Parameter> {
    let short = || text().max_length(Some(QUERY_CHARS_MAX));
    let time = || text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    let words = "Words that must all have been said in it, in upper or lower case.";
    let limit = up_to(CONVERSATIONS_MAX, CONVERSATIONS);
    vec![
        query("q", words, text().max_length(Some(WORDS_CHARS_MAX))),
        query("from", "Begun at or after.", time()),
        query("to", "Begun before.", time()),
        query("namespace", "Of this platform.", platform()),
        query("sender", "With this customerId or agentId.", short()),
        query("after", GOES_ON, short()),
        query("limit", "Conversations in one answer.", limit),
    ]
}

fn events() -> Vec<Parameter> {
    let id = text().pattern(Some("^(0|[0-9a-f]{1,16}-[0-9]{1,18})$"));
    let flag = || {
        ObjectBuilder::new()
            .schema_type(Type::Boolean)
            .default(Some(true.into()))
    };
    let after = "Begin after the event with this id; 0: with the oldest of this process that is in \
                 memory.";
    let follow = "With `false` the stream ends when it has told what is kept.";
    let kinds = "Only events of these kinds, with commas between.";
    let partials = "Whether partial transcripts are told as well as final ones.";
    let known = Event::KINDS.join("|");
    let names = text().pattern(Some(format!("^({known})?(,({known})?)*$")));
    vec![
        query("after", after, id),
        query("follow", follow, flag()),
        query("kinds", kinds, names),
        query("partials", partials, flag()),
    ]
}

fn sockets() -> Vec<Parameter> {
    let flag = ObjectBuilder::new().schema_type(Type::Boolean);
    let wait = "With `true` nothing is told before the client has subscribed.";
    let mut parameters = events();
    parameters.push(query("wait", wait, flag.default(Some(false.into()))));
    parameters
}

fn external_id() -> Vec<Parameter> {
    let id = text().min_length(Some(1)).max_length(Some(256));
    let meaning = "The call's guid, or another identifier of its media session. It may be in a \
                   JSON body instead.";
    let mut parameter = query("externalId", meaning, id);
    parameter.required = Required::True;
    vec![parameter]
}

fn letters() -> Vec<Parameter> {
    let number = ObjectBuilder::new().schema_type(Type::Integer);
    let limit = up_to(LETTERS_MAX, LETTERS);
    vec![
        query(
            "after",
            GOES_ON,
            number.minimum(Some(0)).maximum(Some(NUMBER_MAX)),
        ),
        query("limit", "Dead letters in one answer.", limit),
    ]
}

fn numbers() -> Vec<Parameter> {
    let meaning = "Only the dead letters with these numbers, with commas between.";
    let list = text().pattern(Some("^[0-9]{1,18}(,[0-9]{1,18})*$"));
    vec![query("numbers", meaning, list)]
}

/// An id, or a name, of ours.
const PLAIN: &str = "^[A-Za-z0-9_-]+$";

const GOES_ON: &str = "Where to go on: `next` of the answer before.";

/// Whole numbers up to here survive every reader of JSON.
const NUMBER_MAX: f64 = 9_007_199_254_740_991.0;

fn platform() -> ObjectBuilder {
    text().enum_values(Some([
        "siprec",
        "twilio",
        "amazonconnect",
        "genesysaudiohook",
    ]))
}

fn up_to(most: usize, default: usize) -> ObjectBuilder {
    let whole = ObjectBuilder::new().schema_type(Type::Integer);
    let bounded = whole.minimum(Some(1)).maximum(Some(most as f64));
    bounded.default(Some(default.into()))
}

fn query(name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    parameter(name, ParameterIn::Query, description, schema)
}

fn parameter(
    name: &str,
    place: ParameterIn,
    description: &str,
    schema: ObjectBuilder,
) -> Parameter {
    let required = match place {
        ParameterIn::Path => Required::True,
        _ => Required::False,
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
