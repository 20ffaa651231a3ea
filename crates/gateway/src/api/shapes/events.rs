//! Events as the native API tells them.

use call::backlog::GapReason;
use call::ending::Ending;
use call::name::{LegId, Role, Side, StreamId};
use call::start::Report;
use call::transcript::{Alternative, Token, Utterance};
use serde::Serialize;
use utoipa::ToSchema;

use super::calls::{LegCounters, timestamp};
use super::{StreamStatus, StreamSummary, json};
use crate::clock::millis;
use crate::events::{Command, Dtmf, Event, Record};
use crate::switchboard_task::LegRole;

/// The data of one server-sent event.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventShape {
    /// Grows with every event; `Last-Event-ID` and `after` take it.
    id: String,
    /// When it happened.
    #[schema(format = DateTime)]
    at: String,
    call: CallRef,
    #[serde(flatten)]
    what: What,
}

/// Which call.
#[derive(Serialize, ToSchema)]
pub(crate) struct CallRef {
    namespace: &'static str,
    guid: String,
}

/// What happened.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "camelCase")]
#[schema(as = EventKind)]
pub(crate) enum What {
    /// What the service counted is not what it was sent.
    BytesMismatch {
        #[serde(flatten)]
        stream: StreamRef,
        #[serde(rename = "sentBytes")]
        sent_bytes: u64,
        #[serde(rename = "confirmedBytes")]
        confirmed_bytes: u64,
    },
    /// The state of the call changed.
    CallChanged { state: &'static str },
    /// The call is over.
    CallEnded {
        #[serde(flatten)]
        ending: EndingShape,
    },
    /// A call began.
    CallStarted,
    /// Somebody asked for something, and was answered.
    Command {
        /// `erase`, `pause`, `resume`, `start` or `stop`.
        verb: &'static str,
        /// The key's `asapp-api-id`.
        key: String,
        /// `ok`, `not_ok` (`isOk` was false), or the code of the error.
        outcome: &'static str,
        #[serde(rename = "requestId")]
        request: String,
    },
    /// A key was pressed on a leg that is transcribed.
    Dtmf {
        #[serde(flatten)]
        leg: LegRef,
        /// `agent`, `customer` or `mixed`.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        role: Option<&'static str>,
        /// `0` to `9`, `*`, `#`, `A` to `D`.
        key: String,
        /// How long, where the platform says so.
        #[serde(rename = "durationMs", skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        duration_ms: Option<u64>,
    },
    /// A stretch of the stream's clock in which the service does not hear what was said, or of
    /// which nobody knows whether it did (`unconfirmed`).
    Gap {
        #[serde(flatten)]
        stream: StreamRef,
        #[serde(rename = "fromMs")]
        from_ms: u64,
        #[serde(rename = "toMs")]
        to_ms: u64,
        reason: &'static str,
    },
    /// A leg is over.
    LegEnded {
        #[serde(flatten)]
        leg: LegRef,
        #[serde(flatten)]
        ending: EndingShape,
        counters: LegCounters,
    },
    /// A leg came.
    LegOpened {
        #[serde(flatten)]
        leg: LegRef,
    },
    /// A leg has a role, or another one than before.
    LegRole {
        #[serde(flatten)]
        leg: LegRef,
        role: &'static str,
        /// Why it is that role.
        reason: String,
        /// How sure that is: `high`, `medium` or `low`.
        confidence: &'static str,
    },
    /// A stream has been without a service for so long that it is tried but slowly from here on.
    StreamDegraded {
        #[serde(flatten)]
        stream: StreamRef,
        why: String,
    },
    /// A stream is over, well or not.
    StreamEnded {
        #[serde(flatten)]
        stream: StreamRef,
        status: StreamStatus,
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        summary: Option<StreamSummary>,
    },
    /// A stream lost its socket and tries again.
    StreamInterrupted {
        #[serde(flatten)]
        stream: StreamRef,
        attempt: u32,
        why: String,
    },
    /// A stream was opened.
    StreamOpened {
        #[serde(flatten)]
        stream: StreamRef,
    },
    /// A service accepted a stream; again after each interruption, and when the stream moves to
    /// another service.
    StreamReady {
        #[serde(flatten)]
        stream: StreamRef,
        /// `assemblyai`, `autotranscribe`, `deepgram` or `vosk`.
        service: &'static str,
    },
    /// Something was said.
    Transcript(TranscriptShape),
}

/// Which stream, and who speaks on it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StreamRef {
    stream_id: String,
    role: &'static str,
}

/// Which leg, and which side it is.
#[derive(Serialize, ToSchema)]
pub(crate) struct LegRef {
    leg: u64,
    side: &'static str,
}

/// Whose doing an ending was, and why.
#[derive(Serialize, ToSchema)]
#[schema(as = Ending)]
pub(crate) struct EndingShape {
    /// `client`, `gateway`, `nobody`, `unknown` or `upstream`.
    fault: &'static str,
    reason: &'static str,
}

/// What was said, by whom, when.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Transcript)]
pub(crate) struct TranscriptShape {
    stream_id: String,
    sender: Sender,
    /// Whether the service will not change it any more.
    is_final: bool,
    /// Beginning, on the stream's clock.
    start_ms: u64,
    /// End, on the stream's clock.
    end_ms: u64,
    /// One reading, or two with `redacted_and_unredacted`.
    alternatives: Vec<AlternativeShape>,
}

/// Who said it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sender {
    role: &'static str,
    /// `customerId` or `agentId` of the start.
    external_id: String,
}

/// One reading of an utterance.
#[derive(Serialize, ToSchema)]
#[schema(as = Alternative)]
pub(crate) struct AlternativeShape {
    text: String,
    /// Word by word, when the start asked for `detailedToken`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tokens: Vec<TokenShape>,
}

/// One word or mark.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Token)]
pub(crate) struct TokenShape {
    content: String,
    start_ms: u64,
    end_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    punctuation_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    punctuation_before: Option<String>,
}

/// What a reader is told about its own reading.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "camelCase")]
#[schema(as = EventNote)]
pub(crate) enum Note {
    /// The reader had stopped reading and another one wanted its place; the stream ends.
    Cut,
    /// Events that were asked for are not kept any more.
    Lost {
        /// How many, of any call; missing when they were those of another process.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        events: Option<u64>,
        /// `overwritten` or `restarted`.
        reason: &'static str,
    },
}

impl EventShape {
    pub(crate) fn json(record: &Record) -> String {
        let guid = record.call.guid.as_str().to_owned();
        let shape = Self {
            id: record.id.to_string(),
            at: timestamp(record.at_unix_ms),
            call: CallRef {
                namespace: record.call.namespace.as_str(),
                guid,
            },
            what: (&record.event).into(),
        };
        json(&shape)
    }
}

pub(crate) fn note_json(note: &Note) -> String {
    json(note)
}

impl From<&Event> for What {
    fn from(event: &Event) -> Self {
        let stream = StreamRef::new;
        match event {
            Event::BytesMismatch {
                stream: id,
                role,
                sent_bytes,
                confirmed_bytes,
            } => Self::mismatch(stream(id, *role), *sent_bytes, *confirmed_bytes),
            Event::CallChanged(state) => Self::CallChanged {
                state: state.as_str(),
            },
            Event::CallEnded(ending) => Self::CallEnded {
                ending: (*ending).into(),
            },
            Event::CallStarted => Self::CallStarted,
            Event::Command(command) => Self::command(command),
            Event::Dtmf(dtmf) => dtmf.into(),
            Event::Gap {
                stream: id,
                role,
                from_ms,
                to_ms,
                reason,
            } => Self::gap(stream(id, *role), (*from_ms, *to_ms), *reason),
            Event::LegEnded {
                leg,
                side,
                ending,
                stats,
            } => Self::LegEnded {
                leg: LegRef::new(*leg, *side),
                ending: (*ending).into(),
                counters: (*stats).into(),
            },
            Event::LegOpened { leg, side } => Self::came(LegRef::new(*leg, *side)),
            Event::LegRole { leg, side, role } => Self::role(LegRef::new(*leg, *side), role),
            Event::StreamDegraded {
                stream: id,
                role,
                why,
            } => Self::StreamDegraded {
                stream: stream(id, *role),
                why: why.clone(),
            },
            Event::StreamEnded(report) => Self::ended(report),
            Event::StreamInterrupted {
                stream: id,
                role,
                attempt,
                why,
            } => Self::StreamInterrupted {
                stream: stream(id, *role),
                attempt: *attempt,
                why: why.clone(),
            },
            Event::StreamOpened {
                stream: id, role, ..
            } => Self::StreamOpened {
                stream: stream(id, *role),
            },
            Event::StreamReady {
                stream: id,
                role,
                service,
            } => Self::StreamReady {
                stream: stream(id, *role),
                service,
            },
            Event::Transcript(utterance) => Self::Transcript(utterance.into()),
        }
    }
}

impl From<&Dtmf> for What {
    fn from(dtmf: &Dtmf) -> Self {
        Self::Dtmf {
            leg: LegRef::new(dtmf.leg, dtmf.side),
            role: dtmf.role.map(Role::as_str),
            key: dtmf.key.reveal().to_string(),
            duration_ms: dtmf.duration.map(millis),
        }
    }
}

impl What {
    fn command(command: &Command) -> Self {
        Self::Command {
            verb: command.verb,
            key: command.key.as_ref().to_owned(),
            outcome: command.outcome,
            request: command.request.clone(),
        }
    }

    fn came(leg: LegRef) -> Self {
        Self::LegOpened { leg }
    }

    fn role(leg: LegRef, role: &LegRole) -> Self {
        Self::LegRole {
            leg,
            role: role.role.as_str(),
            reason: role.reason.clone(),
            confidence: role.confidence,
        }
    }

    fn mismatch(stream: StreamRef, sent_bytes: u64, confirmed_bytes: u64) -> Self {
        Self::BytesMismatch {
            stream,
            sent_bytes,
            confirmed_bytes,
        }
    }

    fn gap(stream: StreamRef, (from_ms, to_ms): (u64, u64), reason: GapReason) -> Self {
        Self::Gap {
            stream,
            from_ms,
            to_ms,
            reason: reason.as_str(),
        }
    }

    fn ended(report: &Report) -> Self {
        Self::StreamEnded {
            stream: StreamRef::new(&report.id, report.role),
            status: (&report.status).into(),
            summary: report.summary.as_ref().map(StreamSummary::from),
        }
    }
}

impl StreamRef {
    fn new(stream: &StreamId, role: Role) -> Self {
        Self {
            stream_id: stream.as_str().to_owned(),
            role: role.as_str(),
        }
    }
}

impl LegRef {
    fn new(leg: LegId, side: Side) -> Self {
        Self {
            leg: leg.0,
            side: side.as_str(),
        }
    }
}

impl From<Ending> for EndingShape {
    fn from(ending: Ending) -> Self {
        Self {
            fault: ending.fault.as_str(),
            reason: ending.reason,
        }
    }
}

impl From<&Utterance> for TranscriptShape {
    fn from(utterance: &Utterance) -> Self {
        let external_id = utterance.sender.reveal().clone();
        Self {
            stream_id: utterance.stream.as_str().to_owned(),
            sender: Sender {
                role: utterance.role.as_str(),
                external_id,
            },
            is_final: utterance.is_final,
            start_ms: millis(utterance.start),
            end_ms: millis(utterance.end),
            alternatives: utterance
                .alternatives
                .iter()
                .map(AlternativeShape::from)
                .collect(),
        }
    }
}

impl From<&Alternative> for AlternativeShape {
    fn from(alternative: &Alternative) -> Self {
        let tokens = alternative.tokens.iter().map(TokenShape::from).collect();
        Self {
            text: alternative.text.reveal().clone(),
            tokens,
        }
    }
}

impl From<&Token> for TokenShape {
    fn from(token: &Token) -> Self {
        Self {
            content: token.content.reveal().clone(),
            start_ms: millis(token.start),
            end_ms: millis(token.end),
            punctuation_after: token.punctuation_after.clone(),
            punctuation_before: token.punctuation_before.clone(),
        }
    }
}
