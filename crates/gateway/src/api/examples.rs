//! Examples in the API's description. A test sends each request through the router and compares the
//! answer with the response of the same name.

use serde_json::{Value, json};

/// One request and what it is answered.
pub(crate) struct Example {
    /// Of the request, and of the response that belongs to it.
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) operation: &'static str,
    /// The body, or the query as a text; `Null` for requests that have neither.
    pub(crate) request: Value,
    pub(crate) status: u16,
    pub(crate) response: Value,
}

/// Calls that the examples know: the guid says how it stands with the call.
pub(crate) const CALL: &str = "CA5b040e075515c424391012acc5a870cf";
pub(crate) const SIPREC_CALL: &str = "0867617078-0032318833-2221801472-0002236962";
pub(crate) const STREAMING_CALL: &str = "CA11111111111111111111111111111111";
pub(crate) const UNKNOWN_CALL: &str = "CA00000000000000000000000000000000";
pub(crate) const PENDING_CALL: &str = "CA22222222222222222222222222222222";
pub(crate) const ENDED_CALL: &str = "CA33333333333333333333333333333333";
pub(crate) const REFUSED_CALL: &str = "CA44444444444444444444444444444444";

/// The ids that the examples' gateway makes, in this order.
pub(crate) const IDS: [&str; 3] = [
    "8e033668-9f1a-41ec-b909-0242ac120002",
    "5ce2b755-3f38-41ed-b755-7aed4b5c38d5",
    "cf311160-3f38-41ed-9116-7a0a36c763f1",
];

/// What the examples' gateway hands out for Twilio.
pub(crate) const STREAMING_URL: &str = "wss://gateway.example.com/mg-twilio-autotranscribe/\
    twilio-media/eyJhbGciOiJIUzI1NiJ9.e30.c2ln";

pub(crate) fn all() -> Vec<Example> {
    let mut all = starts();
    all.extend(mistaken_starts());
    all.extend(untimely_starts());
    all.extend(stops());
    all.extend(others());
    all.extend(messages());
    all.extend(files());
    all
}

fn starts() -> Vec<Example> {
    let started = json!({
        "isOk": true,
        "autotranscribeResponse": {"customer": stream(1), "agent": stream(2)},
    });
    vec![
        Example {
            name: "twilio",
            summary: "A Twilio call",
            operation: "startStreaming",
            request: start(
                CALL,
                json!({
                    "twilioParams": {"trackMap": {"inbound": "customer", "outbound": "agent"}},
                    "autotranscribeParams": {
                        "language": "en-US", "detailedToken": false,
                        "audioRecordingAllowed": false, "redactionOutput": "redacted",
                    },
                }),
            ),
            status: 200,
            response: started.clone(),
        },
        siprec(started.clone()),
        Example {
            name: "least",
            summary: "As little as can be said",
            operation: "startStreaming",
            request: start(CALL, json!({})),
            status: 200,
            response: started.clone(),
        },
        Example {
            name: "detailed",
            summary: "Word by word, with phrases to boost",
            operation: "startStreaming",
            request: start(
                CALL,
                json!({"autotranscribeParams": {
                    "detailedToken": true, "redactionOutput": "unredacted",
                    "vocabulary": [
                        {"phrase": "IEEE", "soundsLike": ["i triple e"], "category": "company"},
                    ],
                }}),
            ),
            status: 200,
            response: started.clone(),
        },
        elsewhere(started),
        Example {
            name: "oneRefused",
            summary: "The service has refused one stream",
            operation: "startStreaming",
            request: start(REFUSED_CALL, json!({})),
            status: 200,
            response: json!({
                "isOk": false,
                "errorMessage": "agent: No instances available",
                "autotranscribeResponse": {
                    "customer": stream(1),
                    "agent": {
                        "streamId": IDS[2],
                        "status": {"code": 5002, "description": "No instances available"},
                    },
                },
            }),
        },
    ]
}

fn elsewhere(started: Value) -> Example {
    Example {
        name: "service",
        summary: "To another service, with parameters of its own",
        operation: "startStreaming",
        request: start(
            CALL,
            json!({"antiphon": {
                "service": "assemblyai",
                "parameters": {"max_turn_silence": 1_280, "keyterms_prompt": ["IEEE"]},
            }}),
        ),
        status: 200,
        response: started,
    }
}

fn siprec(started: Value) -> Example {
    Example {
        name: "siprec",
        summary: "A SIPREC call, by its Cisco-Guid",
        operation: "startStreaming",
        request: start(
            SIPREC_CALL,
            json!({
                "namespace": "siprec",
                "siprecParams": {"mediaLineOrder": "CUSTOMER_FIRST"},
            }),
        ),
        status: 200,
        response: started,
    }
}

/// Starts that show a mistake.
fn mistaken_starts() -> Vec<Example> {
    let mistaken = |name, summary, extra, code, message| {
        refused(name, summary, start(CALL, extra), (400, code, message))
    };
    let params = |params: Value| json!({ "autotranscribeParams": params });
    let trap = "$.autotranscribeParams.redactionOutput: is missing, so it is \"redacted\", which \
                cannot be combined with detailedToken true; set it to \"unredacted\", or leave \
                detailedToken out";
    vec![
        mistaken(
            "noCustomer",
            "A parameter is wrong",
            json!({"customerId": ""}),
            "400-201",
            "$.customerId: must have 1 to 256 characters",
        ),
        mistaken(
            "language",
            "A value in autotranscribeParams is wrong",
            params(json!({"language": "de-DE"})),
            "400-202",
            "$.autotranscribeParams.language: must be en-US or es-US",
        ),
        mistaken(
            "redactionTrap",
            "detailedToken without redactionOutput",
            params(json!({"detailedToken": true})),
            "400-202",
            trap,
        ),
        mistaken(
            "noService",
            "A service that is not configured",
            json!({"antiphon": {"service": "asemblyai"}}),
            "400-201",
            "$.antiphon.service: names no service that is configured",
        ),
        mistaken(
            "noParameter",
            "A parameter that the service does not have",
            json!({"antiphon": {"service": "assemblyai", "parameters": {"max_silence": 1_280}}}),
            "400-201",
            "$.antiphon.parameters.max_silence: is no parameter of assemblyai",
        ),
        mistaken(
            "noIngress",
            "A platform without an ingress",
            json!({"namespace": "genesysaudiohook", "guid": "5ce2b755-3f38-41ed-b755-7aed4b5c38d5"}),
            "400-203",
            NO_CALL,
        ),
    ]
}

/// Starts that the state of the call does not allow.
fn untimely_starts() -> Vec<Example> {
    let refused =
        |name, summary, guid: &str, answer| refused(name, summary, start(guid, json!({})), answer);
    let unknown = (400, "400-203", NO_CALL);
    let already = (409, "409-201", ALREADY);
    let pending = (409, "409-202", PENDING);
    let ended = (409, "409-203", DRAINING);
    vec![
        refused("unknown", "No such call", UNKNOWN_CALL, unknown),
        refused("already", "Already started", STREAMING_CALL, already),
        refused("pending", "Another is pending", PENDING_CALL, pending),
        refused("ended", "The media is over", ENDED_CALL, ended),
    ]
}

/// A start that is answered with a status, a code and a message.
fn refused(
    name: &'static str,
    summary: &'static str,
    request: Value,
    (status, code, message): (u16, &str, &str),
) -> Example {
    Example {
        name,
        summary,
        operation: "startStreaming",
        request,
        status,
        response: error(code, message),
    }
}

fn stops() -> Vec<Example> {
    let example = |name, summary, guid: &str, status, response| Example {
        name,
        summary,
        operation: "stopStreaming",
        request: json!({"namespace": "twilio", "guid": guid}),
        status,
        response,
    };
    let stopped = |id: usize| {
        let mut stopped = stream(id);
        stopped["summary"] = json!({
            "totalAudioBytes": 1_334_720, "audioDurationMs": 83_420,
            "streamingSeconds": 84, "transcripts": 2,
        });
        stopped
    };
    let ok = json!({
        "isOk": true,
        "autotranscribeResponse": {"customer": stopped(1), "agent": stopped(2)},
    });
    vec![
        example(
            "stopped",
            "A call that was transcribed",
            STREAMING_CALL,
            200,
            ok,
        ),
        example(
            "notStarted",
            "Not started",
            CALL,
            409,
            error("409-201", ALREADY),
        ),
        example(
            "unknown",
            "No such call",
            UNKNOWN_CALL,
            400,
            error("400-203", NO_CALL),
        ),
    ]
}

fn others() -> Vec<Example> {
    let example = |operation, response| Example {
        name: "ok",
        summary: "An answer",
        operation,
        request: Value::Null,
        status: 200,
        response,
    };
    vec![
        example(
            "getTwilioMediaStreams",
            json!({"streamingUrl": STREAMING_URL}),
        ),
        example("health", json!({"healthCheck": "SUCCESS"})),
        example("live", json!({"status": "live"})),
        example("ready", json!({"status": "ready", "store": "off"})),
    ]
}

fn messages() -> Vec<Example> {
    let example = |name, summary, guid: &str, status, response| Example {
        name,
        summary,
        operation: "getMessagesByExternalId",
        request: Value::String(format!("?externalId={guid}")),
        status,
        response,
    };
    let said = json!({
        "text": "I need help upgrading my streaming package and my PIN number is ####",
        "sender": {"role": "customer", "externalId": "123456"},
        "messageId": "01GMXE90AEV7H3J4DPBD000002",
        "createdTimestamp": "2021-11-23T12:13:16.853Z",
        "clientTimestamp": "2021-11-23T12:13:14.555Z",
    });
    let unknown = error("404-01", "There is no such conversation");
    vec![
        example("said", "What was said", CALL, 200, json!({"items": [said]})),
        example("unknown", "No such call", UNKNOWN_CALL, 404, unknown),
    ]
}

fn files() -> Vec<Example> {
    let of = json!({"feed": "utterances", "version": "version=1", "format": "jsonl"});
    let with = |of: &Value, name: &str, value: Value| {
        let mut with = of.clone();
        with[name] = value;
        with
    };
    let example = |operation, request: Value, name, value| Example {
        name: "ok",
        summary: "An answer",
        operation,
        response: with(&request, name, value),
        request,
        status: 200,
    };
    let day = with(&of, "date", json!("2021-11-23"));
    let name = json!(["utterances-2021-11-23-12.jsonl"]);
    vec![
        example("listFeeds", json!({}), "feeds", json!(["utterances"])),
        example(
            "listFeedVersions",
            json!({"feed": "utterances"}),
            "versions",
            json!(["version=1"]),
        ),
        example(
            "listFeedFormats",
            json!({"feed": "utterances", "version": "version=1"}),
            "formats",
            json!(["csv", "jsonl"]),
        ),
        example("listFeedDates", of, "dates", json!(["2021-11-23"])),
        example(
            "listFeedIntervals",
            day.clone(),
            "intervals",
            json!(["hr=12"]),
        ),
        example("listFeedFiles", day, "files", name),
    ]
}

fn start(guid: &str, extra: Value) -> Value {
    let mut body = json!({
        "namespace": "twilio", "guid": guid,
        "customerId": "TT9833237", "agentId": "RE223444211993",
    });
    if let (Value::Object(body), Value::Object(extra)) = (&mut body, extra) {
        body.extend(extra);
    }
    body
}

fn stream(id: usize) -> Value {
    json!({"streamId": IDS[id], "status": {"code": 1000, "description": "OK"}})
}

pub(crate) fn error(code: &str, message: &str) -> Value {
    json!({"error": {"requestId": IDS[0], "message": message, "code": code}})
}

const ALREADY: &str = "Transcription of this call is already started or already stopped";
const DRAINING: &str = "The media of this call is over; it is being wound up";
const NO_CALL: &str = "No call with specified guid found";
const PENDING: &str = "Another request for the same guid is pending";
