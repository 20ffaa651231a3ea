//! The JSON of the public API. Nothing else is `Serialize`, and nothing here decides anything.

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::millis;

mod calls;
mod conversations;
mod events;
mod exporter;
mod kinds;
mod messages;
mod requests;
mod subscribe;
mod tokens;
mod utterances;
mod webhooks;

pub(crate) use calls::{CallList, CallShape, counters_json};
pub(crate) use conversations::{ConversationList, ConversationShape};
pub(crate) use events::{EventShape, Note, note_json};
pub(crate) use exporter::{
    Dates, DatesRequest, Feeds, FeedsRequest, FileRequest, FileUrl, Files, FilesRequest, Formats,
    FormatsRequest, Intervals, IntervalsRequest, Versions, VersionsRequest,
};
pub(crate) use messages::{MessageList, MessagesRequest};
pub(crate) use requests::{
    AmazonConnectParams, AntiphonParams, AutotranscribeParams, FragmentSelector, MediaLineOrder,
    Object, Platform, RoleName, StartRequest, StopRequest, VocabularyEntry,
};
pub(crate) use subscribe::SubscribeMessage;
pub(crate) use tokens::{CallReference, Claims, TokenRequest, TokenResponse, TokenScope};
pub(crate) use utterances::UtteranceRow;
pub(crate) use webhooks::{DeadLetterCount, DeadLetterList, WebhookList, WebhookShape};

/// Every answer that is not 2xx.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorResponse {
    error: ErrorBody,
}

/// Error details.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorBody {
    /// Unique id of the failing request, also in the header `x-request-id` and in the log.
    #[schema(format = "uuid")]
    request_id: String,
    /// What was wrong, in words.
    message: String,
    /// HTTP status and a number that tells more.
    #[schema(pattern = "^[0-9]{3}-[0-9]{2,3}$")]
    code: &'static str,
}

/// Where to send a Twilio media stream.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StreamingUrl {
    /// The WebSocket URL for Twilio's `<Stream>`. It holds a token: do not log it.
    #[schema(format = "uri")]
    pub(crate) streaming_url: String,
}

/// What a start has come to.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StartResponse {
    /// Whether every leg is being transcribed.
    pub(crate) is_ok: bool,
    /// What was not ok.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) error_message: Option<String>,
    pub(crate) autotranscribe_response: StartedStreams,
}

/// One stream for each party that takes part.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct StartedStreams {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) customer: Option<StartedStream>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) agent: Option<StartedStream>,
}

/// One party's stream.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StartedStream {
    /// New with every start.
    #[schema(format = "uuid")]
    pub(crate) stream_id: String,
    pub(crate) status: StreamStatus,
}

/// What a stop has come to.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StopResponse {
    /// Whether every stream came to its end. The gates are shut either way.
    pub(crate) is_ok: bool,
    /// What was not ok.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) error_message: Option<String>,
    pub(crate) autotranscribe_response: StoppedStreams,
}

/// One stream for each party that took part; none when the start still waited for media.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct StoppedStreams {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) customer: Option<StoppedStream>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) agent: Option<StoppedStream>,
}

/// One party's stream, and what the service counted.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoppedStream {
    /// As the start answered it.
    #[schema(format = "uuid")]
    pub(crate) stream_id: String,
    pub(crate) status: StreamStatus,
    /// Missing when the service has not said it in time: unknown is not zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) summary: Option<StreamSummary>,
}

/// The service's application status; 5000 when it gave none.
#[derive(Serialize, ToSchema)]
pub(crate) struct StreamStatus {
    /// 1000 is OK.
    #[schema(minimum = 0, maximum = 65535)]
    pub(crate) code: u16,
    /// In words.
    pub(crate) description: String,
}

/// What the service counted for one stream.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StreamSummary {
    /// Bytes of 16-bit linear sound at 8 kHz that the service received.
    pub(crate) total_audio_bytes: u64,
    /// How much sound it processed.
    pub(crate) audio_duration_ms: u64,
    /// How long the stream lasted, rounded up.
    pub(crate) streaming_seconds: u64,
    /// How many transcripts it sent.
    pub(crate) transcripts: u32,
}

/// What a pause or a resume has come to.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CommandResponse {
    /// Whether it was carried out.
    pub(crate) is_ok: bool,
    /// What was not ok.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) error_message: Option<String>,
}

/// Answer of the authenticated health check.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HealthCheck {
    /// Always `SUCCESS`.
    #[schema(pattern = "^SUCCESS$")]
    pub(crate) health_check: &'static str,
}

/// Answer of the probe for life.
#[derive(Serialize, ToSchema)]
pub(crate) struct Probe {
    /// Always `live`.
    #[schema(pattern = "^live$")]
    pub(crate) status: &'static str,
}

/// Answer of the probe for readiness.
#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// Always `ready`.
    #[schema(pattern = "^ready$")]
    pub(crate) status: &'static str,
    /// `open`, `opening`, or `off` if none is wanted; else what is wrong with it: `corrupt`,
    /// `failing`, `full`, `key` (it was written with another), `locked`, `too_new`.
    pub(crate) store: &'static str,
}

/// Which build this is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Version {
    /// Always `antiphon`.
    #[schema(pattern = "^antiphon$")]
    pub(crate) name: &'static str,
    /// The release.
    pub(crate) version: &'static str,
    /// The source it was built from, if the build knew it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) commit: Option<&'static str>,
}

impl ErrorResponse {
    pub(crate) fn new(request_id: String, message: String, code: &'static str) -> Self {
        Self {
            error: ErrorBody {
                request_id,
                message,
                code,
            },
        }
    }
}

impl From<&call::start::Status> for StreamStatus {
    fn from(status: &call::start::Status) -> Self {
        Self {
            code: status.code,
            description: status.description.clone(),
        }
    }
}

impl From<&call::start::Summary> for StreamSummary {
    fn from(summary: &call::start::Summary) -> Self {
        Self {
            total_audio_bytes: summary.audio_bytes,
            audio_duration_ms: millis(summary.audio),
            streaming_seconds: summary.streaming.as_secs()
                + u64::from(summary.streaming.subsec_nanos() > 0),
            transcripts: summary.transcripts,
        }
    }
}

pub(crate) fn json(shape: &impl Serialize) -> String {
    serde_json::to_string(shape).expect("these shapes have only string keys and finite numbers")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn streaming_seconds_are_rounded_up() {
        let summary = |streaming| {
            let (audio_bytes, audio, transcripts) = (0, Duration::ZERO, 0);
            let summary = call::start::Summary {
                audio_bytes,
                audio,
                streaming,
                transcripts,
            };
            StreamSummary::from(&summary).streaming_seconds
        };
        assert_eq!(summary(Duration::from_millis(83_420)), 84);
        assert_eq!(summary(Duration::from_secs(84)), 84);
        assert_eq!(summary(Duration::ZERO), 0);
    }
}
