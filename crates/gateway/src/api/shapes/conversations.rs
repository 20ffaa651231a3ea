//! Conversations as the store keeps them.

use call::private::Private;
use serde::Serialize;
use serde_json::value::RawValue;
use store::entry;
use store::query::{Commanded, Conversation, Gap, Leg, Line, Page, Pause, Stream};
use utoipa::ToSchema;

use super::StreamSummary;
use super::calls::{LegCounters, timestamp};

/// Conversations, the newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConversationList {
    conversations: Vec<LineShape>,
    /// There are more; ask again with `after` set to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<String>,
}

/// A conversation in a list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ConversationLine)]
pub(crate) struct LineShape {
    /// The gateway's own id of it.
    id: String,
    #[schema(pattern = "^(amazonconnect|genesysaudiohook|siprec|twilio)$")]
    namespace: &'static str,
    guid: String,
    /// When it began.
    #[schema(format = DateTime)]
    began_at: String,
    /// When it ended, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    ended_at: Option<String>,
    /// How many final transcripts there are.
    utterances: u64,
    /// How long the service did not hear, pauses not counted.
    lost_ms: u64,
}

/// A conversation with all that is known of it but what was said.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Conversation)]
pub(crate) struct ConversationShape {
    #[serde(flatten)]
    line: LineShape,
    /// Other guids of the call.
    names: Vec<String>,
    /// How it ended, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    ending: Option<KeptEnding>,
    legs: Vec<KeptLeg>,
    streams: Vec<KeptStream>,
    /// What the service did not hear, or may not have heard.
    gaps: Vec<KeptGap>,
    /// When nothing was to be heard.
    pauses: Vec<KeptPause>,
    /// The audit trail: who asked for what.
    commands: Vec<KeptCommand>,
}

/// Whose doing an ending was, and why.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeptEnding {
    fault: String,
    reason: String,
}

/// One party's sound.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeptLeg {
    /// Its number in the process that had it.
    leg: u64,
    #[schema(pattern = "^(first|second)$")]
    side: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^(agent|customer|mixed)$")]
    role: Option<&'static str>,
    /// Why it is that role.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    role_reason: Option<String>,
    /// How sure that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^(high|low|medium)$")]
    role_confidence: Option<String>,
    #[schema(format = DateTime)]
    opened_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    ended_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    ending: Option<KeptEnding>,
    /// What it had seen when it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<LegCounters>)]
    counters: Option<Box<RawValue>>,
}

/// One upstream stream.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeptStream {
    stream_id: String,
    #[schema(pattern = "^(agent|customer|mixed)$")]
    role: &'static str,
    /// The service that accepted it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    service: Option<String>,
    #[schema(format = DateTime)]
    opened_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    ended_at: Option<String>,
    /// How it ended, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    status: Option<KeptStatus>,
    /// What the service counted, if it has said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    summary: Option<StreamSummary>,
}

/// The service's application status.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeptStatus {
    /// 1000 is OK.
    #[schema(minimum = 0, maximum = 65535)]
    code: u16,
    description: String,
}

/// A stretch of a stream's clock.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeptGap {
    stream_id: String,
    #[schema(pattern = "^(agent|customer|mixed)$")]
    role: &'static str,
    from_ms: u64,
    to_ms: u64,
    reason: String,
}

/// A stretch of time.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeptPause {
    #[schema(format = DateTime)]
    from: String,
    /// Missing: it lasts, or lasted to the call's end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    to: Option<String>,
}

/// A command, who gave it, from where, and what became of it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeptCommand {
    #[schema(format = DateTime)]
    at: String,
    /// `start`, `stop`, `pause`, `resume`, `erase`.
    verb: String,
    /// The API key's public half.
    key: String,
    /// The address it came from.
    from: String,
    /// `ok`, `not_ok`, or the code of the refusal.
    outcome: String,
    /// The request's id.
    request_id: String,
}

impl From<Page> for ConversationList {
    fn from(page: Page) -> Self {
        let conversations = page.conversations.into_iter().map(LineShape::from);
        Self {
            conversations: conversations.collect(),
            next: page.next,
        }
    }
}

impl From<Line> for LineShape {
    fn from(line: Line) -> Self {
        Self {
            id: line.id,
            namespace: line.call.namespace.as_str(),
            guid: line.call.guid.as_str().to_owned(),
            began_at: timestamp(line.began_unix_ms),
            ended_at: line.ended_unix_ms.map(timestamp),
            utterances: line.utterances,
            lost_ms: line.lost_ms,
        }
    }
}

impl From<Conversation> for ConversationShape {
    fn from(kept: Conversation) -> Self {
        let names = kept.names.into_iter();
        Self {
            line: kept.line.into(),
            names: names.map(|name| name.guid.as_str().to_owned()).collect(),
            ending: kept.ending.map(KeptEnding::from),
            legs: kept.legs.into_iter().map(KeptLeg::from).collect(),
            streams: kept.streams.into_iter().map(KeptStream::from).collect(),
            gaps: kept.gaps.into_iter().map(KeptGap::from).collect(),
            pauses: kept.pauses.into_iter().map(KeptPause::from).collect(),
            commands: kept.commands.into_iter().map(KeptCommand::from).collect(),
        }
    }
}

impl From<(String, String)> for KeptEnding {
    fn from((fault, reason): (String, String)) -> Self {
        Self { fault, reason }
    }
}

impl From<Leg> for KeptLeg {
    fn from(leg: Leg) -> Self {
        Self {
            leg: leg.leg,
            side: leg.side,
            role: leg.role.map(call::name::Role::as_str),
            role_reason: leg.role_reason,
            role_confidence: leg.role_confidence,
            opened_at: timestamp(leg.opened_unix_ms),
            ended_at: leg.ended_unix_ms.map(timestamp),
            ending: leg.ending.map(KeptEnding::from),
            counters: leg
                .counters
                .and_then(|json| RawValue::from_string(json).ok()),
        }
    }
}

impl From<Stream> for KeptStream {
    fn from(stream: Stream) -> Self {
        let status = |(code, description)| KeptStatus { code, description };
        Self {
            stream_id: stream.id,
            role: stream.role.as_str(),
            service: stream.service,
            opened_at: timestamp(stream.opened_unix_ms),
            ended_at: stream.ended_unix_ms.map(timestamp),
            status: stream.status.map(status),
            summary: stream.summary.map(StreamSummary::from),
        }
    }
}

impl From<entry::StreamSummary> for StreamSummary {
    fn from(summary: entry::StreamSummary) -> Self {
        Self {
            total_audio_bytes: summary.audio_bytes,
            audio_duration_ms: summary.audio_ms,
            streaming_seconds: summary.streaming_ms.div_ceil(1_000),
            transcripts: summary.transcripts,
        }
    }
}

impl From<Gap> for KeptGap {
    fn from(gap: Gap) -> Self {
        Self {
            stream_id: gap.stream,
            role: gap.role.as_str(),
            from_ms: gap.from_ms,
            to_ms: gap.to_ms,
            reason: gap.reason,
        }
    }
}

impl From<Pause> for KeptPause {
    fn from(pause: Pause) -> Self {
        Self {
            from: timestamp(pause.from_unix_ms),
            to: pause.to_unix_ms.map(timestamp),
        }
    }
}

impl From<Commanded> for KeptCommand {
    fn from(command: Commanded) -> Self {
        Self {
            at: timestamp(command.at_unix_ms),
            verb: command.verb,
            key: command.key,
            from: Private::into_revealed(command.from),
            outcome: command.outcome,
            request_id: command.request,
        }
    }
}
