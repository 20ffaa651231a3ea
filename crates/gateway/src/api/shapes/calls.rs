//! Calls, legs and streams as the native API shows them.

use call::leg::{Gate, LegStats};
use serde::Serialize;
use utoipa::ToSchema;

use super::{StreamStatus, StreamSummary};
use crate::switchboard_task::{CallSnapshot, LegSnapshot, StreamSnapshot};

/// Calls in the order of their names.
#[derive(Serialize, ToSchema)]
pub(crate) struct CallList {
    pub(crate) calls: Vec<CallShape>,
    /// There are more; ask again with `after` set to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) next: Option<String>,
}

/// A call at one moment.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Call)]
pub(crate) struct CallShape {
    #[schema(pattern = "^(amazonconnect|genesysaudiohook|siprec|twilio)$")]
    pub(crate) namespace: &'static str,
    pub(crate) guid: String,
    /// `idle`: media flows, gates are shut. `awaited`: a start waits for media. `starting`: gates
    /// are open, the service has not answered. `streaming`. `paused`. `stopping`: gates are shut,
    /// the last transcripts are awaited. `draining`: the media is over.
    #[schema(pattern = "^(awaited|draining|idle|paused|starting|stopping|streaming)$")]
    pub(crate) state: &'static str,
    /// When its media, or a start that waits for it, came.
    #[schema(format = DateTime)]
    pub(crate) began_at: String,
    /// Other guids by which commands and paths find it, in normal form.
    pub(crate) names: Vec<String>,
    /// What else the platform calls it.
    pub(crate) identifiers: Vec<Identifier>,
    /// Live legs.
    pub(crate) legs: Vec<LegShape>,
    /// Streams of the running start, and older ones that are not done.
    pub(crate) streams: Vec<StreamShape>,
}

/// Another name of a call or a leg.
#[derive(Serialize, ToSchema)]
pub(crate) struct Identifier {
    /// Whose name it is: `streamSid`, `accountSid`, `label`, `Cisco-Guid`.
    pub(crate) name: &'static str,
    pub(crate) value: String,
}

/// One party's sound.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Leg)]
pub(crate) struct LegShape {
    pub(crate) id: u64,
    /// As the platform counts; Twilio's inbound track and SIPREC's top m-line are `first`.
    #[schema(pattern = "^(first|second)$")]
    pub(crate) side: &'static str,
    /// Who speaks, once a start has said so; before it if the platform does. `mixed`: both parties.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^(agent|customer|mixed)$")]
    pub(crate) role: Option<&'static str>,
    /// Why it is that role.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) role_reason: Option<String>,
    /// How sure that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^(high|low|medium)$")]
    pub(crate) role_confidence: Option<&'static str>,
    /// What the platform calls this leg.
    pub(crate) identifiers: Vec<Identifier>,
    /// Whether sound passes (`open`), becomes silence (`paused`) or nothing (`shut`).
    #[schema(pattern = "^(open|paused|shut)$")]
    pub(crate) gate: &'static str,
    pub(crate) counters: LegCounters,
}

/// What a leg has seen, in samples at 8 kHz unless the name says otherwise.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LegCounters {
    /// Frames that came in.
    pub(crate) frames: u64,
    /// Frames that were put back into order.
    pub(crate) reordered_frames: u64,
    /// Sound that came in.
    pub(crate) received: u64,
    /// Sound that went on to a stream.
    pub(crate) passed: u64,
    /// Put where the platform lost sound: silence, or what conceals the loss.
    pub(crate) filled: u64,
    /// How much of `filled` is not silence: it conceals the loss.
    pub(crate) concealed: u64,
    /// Silence put where the platform had nothing to send.
    pub(crate) quiet: u64,
    /// Jumped over without any sound.
    pub(crate) skipped: u64,
    /// Silence put in place of sound during a pause.
    pub(crate) paused: u64,
    /// What came while the gate was shut.
    pub(crate) gated: u64,
    /// Dropped because it came after its place was taken.
    pub(crate) late: u64,
    /// Peak of the newest frame that passed, 0 to 32768.
    #[schema(maximum = 32768)]
    pub(crate) peak: u16,
}

/// One upstream stream.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Stream)]
pub(crate) struct StreamShape {
    pub(crate) stream_id: String,
    #[schema(pattern = "^(agent|customer|mixed)$")]
    pub(crate) role: &'static str,
    /// The leg it hears, while that lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) leg: Option<u64>,
    /// The service that accepted it last, once one has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) service: Option<&'static str>,
    /// How it stands: `opening`, `ready`, `degraded` (no service has had it for long, and it is
    /// tried but slowly), `finishing`, `finished`, `failed`.
    pub(crate) state: &'static str,
    /// Bytes of 16-bit linear sound sent to the service.
    pub(crate) sent_bytes: u64,
    /// Transcripts heard.
    pub(crate) transcripts: u64,
    /// Samples that wait to be sent.
    pub(crate) waiting_samples: u64,
    /// How it ended, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) status: Option<StreamStatus>,
    /// What the service counted, if it has said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) summary: Option<StreamSummary>,
}

impl From<CallSnapshot> for CallShape {
    fn from(call: CallSnapshot) -> Self {
        let names = call.names.iter();
        Self {
            namespace: call.name.namespace.as_str(),
            guid: call.name.guid.as_str().to_owned(),
            state: call.state.as_str(),
            began_at: timestamp(call.began_unix_ms),
            names: names.map(|name| name.as_str().to_owned()).collect(),
            identifiers: identifiers(call.identifiers),
            legs: call.legs.into_iter().map(LegShape::from).collect(),
            streams: call.streams.into_iter().map(StreamShape::from).collect(),
        }
    }
}

impl From<LegSnapshot> for LegShape {
    fn from(leg: LegSnapshot) -> Self {
        let role = leg.role.as_ref();
        Self {
            id: leg.id.0,
            side: leg.side.as_str(),
            role: role.map(|given| given.role.as_str()),
            role_reason: role.map(|given| given.reason.clone()),
            role_confidence: role.map(|given| given.confidence),
            identifiers: identifiers(leg.identifiers),
            gate: match leg.gate {
                Gate::Open => "open",
                Gate::Paused => "paused",
                Gate::Shut => "shut",
            },
            counters: leg.stats.into(),
        }
    }
}

/// What a leg has seen, as JSON.
pub(crate) fn counters_json(stats: LegStats) -> String {
    let counters = LegCounters::from(stats);
    serde_json::to_string(&counters).expect("this shape has only string keys and whole numbers")
}

impl From<LegStats> for LegCounters {
    fn from(stats: LegStats) -> Self {
        let LegStats {
            frames,
            received,
            passed,
            filled,
            concealed,
            quiet,
            skipped,
            paused,
            ..
        } = stats;
        let LegStats {
            gated,
            late,
            reordered: reordered_frames,
            peak,
            ..
        } = stats;
        Self {
            frames,
            reordered_frames,
            received,
            passed,
            filled,
            concealed,
            quiet,
            skipped,
            paused,
            gated,
            late,
            peak,
        }
    }
}

impl From<StreamSnapshot> for StreamShape {
    fn from(stream: StreamSnapshot) -> Self {
        let report = stream.report.as_ref();
        Self {
            stream_id: stream.id.as_str().to_owned(),
            role: stream.role.as_str(),
            leg: stream.leg.map(|leg| leg.0),
            service: stream.service,
            state: stream.state,
            sent_bytes: stream.sent_bytes,
            transcripts: stream.transcripts,
            waiting_samples: stream.waiting,
            status: report.map(|report| (&report.status).into()),
            summary: report
                .and_then(|report| report.summary.as_ref())
                .map(StreamSummary::from),
        }
    }
}

fn identifiers(pairs: Vec<(&'static str, String)>) -> Vec<Identifier> {
    let identifier = |(name, value)| Identifier { name, value };
    pairs.into_iter().map(identifier).collect()
}

/// RFC 3339 in UTC, with milliseconds.
pub(super) fn timestamp(unix_ms: u64) -> String {
    let millis = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    let timestamp = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    format!("{timestamp:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds_and_no_time_is_too_late() {
        assert_eq!(timestamp(1_700_000_000_120), "2023-11-14T22:13:20.120Z");
        assert_eq!(timestamp(0), "1970-01-01T00:00:00.000Z");
        assert!(timestamp(u64::MAX).starts_with("9999-"));
    }
}
