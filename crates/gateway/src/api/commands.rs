//! Commands: start, stop, pause, resume, and the URL for Twilio.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::{Extension, Json};
use call::name::{CallName, Namespace, Role};
use call::start::Report;
use call::switchboard::{Outcome, Refusal};

use super::auth::Caller;
use super::errors::{ApiError, Code};
use super::named::Named;
use super::observe::RequestId;
use super::shapes::{
    CommandResponse, StartRequest, StartResponse, StartedStream, StartedStreams, StopRequest,
    StopResponse, StoppedStream, StoppedStreams, StreamingUrl,
};
use super::{Api, body, judge};
use crate::clock::millis;
use crate::metrics::labels::CommandName;
use crate::switchboard_task::{By, Command, Refused};

/// Get Twilio media stream url
///
/// Returns the WebSocket URL that Twilio's media stream should be sent to. The URL holds a token
/// that may be used for any number of calls within its lifetime (5 minutes, unless configured
/// otherwise). Answers at the same path with a slash at the end as well.
#[utoipa::path(
    get,
    path = "/mg-autotranscribe/v1/twilio-media-stream-url",
    operation_id = "getTwilioMediaStreams",
    tag = "control",
    responses((status = 200, description = "The URL", body = StreamingUrl)),
)]
pub(crate) async fn twilio_media_stream_url(
    State(api): State<Arc<Api>>,
) -> Result<Json<StreamingUrl>, ApiError> {
    if api.state.draining.is_cancelled() {
        return Err(unavailable(&api, "The gateway is shutting down"));
    }
    Ok(Json(StreamingUrl {
        streaming_url: (api.state.streaming_url)(),
    }))
}

/// Start streaming
///
/// Starts or resumes the transcription of a call. What is said before the start, and between a stop
/// and the next start, is never transcribed. A start for a guid without media waits for it for a
/// short time (`control.start_grace`).
///
/// The request is answered when the service has accepted or refused each party's stream. With
/// `isOk: false` at least one was refused; its status says why. Each start makes new streams, whose
/// clocks begin at 0.
///
/// `400-201` is a wrong parameter, `400-202` one inside `autotranscribeParams`, `400-203` no such
/// call; the message begins with the place in the body. Answers at the same path with a slash at
/// the end as well.
#[utoipa::path(
    post,
    path = "/mg-autotranscribe/v1/start-streaming",
    operation_id = "startStreaming",
    tag = "control",
    request_body = StartRequest,
    responses((status = 200, description = "The request was processed", body = StartResponse)),
)]
pub(crate) async fn start_streaming(
    State(api): State<Arc<Api>>,
    Extension(id): Extension<RequestId>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<StartResponse>, ApiError> {
    let log = Log::new(&api, caller.by(&id), CommandName::Start);
    let read = async {
        let start = read_start(&api, request).await?;
        let call = start.first.call.clone();
        Ok((call, Command::Start(Box::new(start))))
    };
    obey(&api, log, read).await
}

/// Stop streaming
///
/// Pauses or ends the transcription of a call. When this is answered, with 200 or anything else, no
/// sound that came after the gates were shut is decoded, kept or sent. The answer waits for the
/// last transcripts of what was said before and carries what the service counted; with
/// `isOk: false` the service has not said it in time.
///
/// Answers at the same path with a slash at the end as well.
#[utoipa::path(
    post,
    path = "/mg-autotranscribe/v1/stop-streaming",
    operation_id = "stopStreaming",
    tag = "control",
    request_body = StopRequest,
    responses((status = 200, description = "The request was processed", body = StopResponse)),
)]
pub(crate) async fn stop_streaming(
    State(api): State<Arc<Api>>,
    Extension(id): Extension<RequestId>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<StopResponse>, ApiError> {
    let log = Log::new(&api, caller.by(&id), CommandName::Stop);
    let read = async { Ok((read_stop(&api, request).await?, Command::Stop)) };
    obey(&api, log, read).await
}

/// Pause a call
///
/// Extension. From the answer on the services hear silence instead of the call; the streams stay
/// open, so that a resume takes effect at once and times go on.
#[utoipa::path(
    post,
    path = "/v1/calls/{namespace}/{guid}/pause",
    operation_id = "pauseCall",
    tag = "calls",
    responses((status = 200, description = "The request was processed", body = CommandResponse)),
)]
pub(crate) async fn pause_call(
    State(api): State<Arc<Api>>,
    Extension(id): Extension<RequestId>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<CommandResponse>, ApiError> {
    let log = Log::new(&api, caller.by(&id), CommandName::Pause);
    obey(&api, log, async { Ok((call_of(path)?, Command::Pause)) }).await
}

/// Resume a call
///
/// Extension. Ends a pause.
#[utoipa::path(
    post,
    path = "/v1/calls/{namespace}/{guid}/resume",
    operation_id = "resumeCall",
    tag = "calls",
    responses((status = 200, description = "The request was processed", body = CommandResponse)),
)]
pub(crate) async fn resume_call(
    State(api): State<Arc<Api>>,
    Extension(id): Extension<RequestId>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<CommandResponse>, ApiError> {
    let log = Log::new(&api, caller.by(&id), CommandName::Resume);
    obey(&api, log, async { Ok((call_of(path)?, Command::Resume)) }).await
}

/// One line in the log and one count for each command, whatever became of it.
struct Log<'a> {
    api: &'a Api,
    by: By,
    command: CommandName,
    began: Instant,
    call: Option<CallName>,
}

impl<'a> Log<'a> {
    fn new(api: &'a Api, by: By, command: CommandName) -> Self {
        Self {
            api,
            by,
            command,
            began: Instant::now(),
            call: None,
        }
    }

    fn write(self, outcome: &Result<Outcome, ApiError>) {
        let (command, took) = (self.command.as_str(), self.began.elapsed());
        let id = self.by.request;
        let call = self.call.map(|call| call.to_string()).unwrap_or_default();
        let label = match outcome {
            Ok(Outcome { error: None, .. }) => "ok",
            Ok(Outcome { error: Some(_), .. }) => "not_ok",
            Err(error) => error.code.as_str(),
        };
        self.api.state.metrics.command(self.command, label, took);
        let ms = millis(took);
        match outcome {
            Ok(_) => tracing::debug!(
                request_id = %id, call, command, outcome = label, ms, "A command was carried out."
            ),
            Err(_) => tracing::info!(
                request_id = %id, call, command, outcome = label, ms, "A command was refused."
            ),
        }
    }
}

/// Reads a command, has it carried out and tells of it, whatever became of it.
async fn obey<T: From<Outcome>>(
    api: &Api,
    mut log: Log<'_>,
    read: impl Future<Output = Result<(CallName, Command), ApiError>>,
) -> Result<Json<T>, ApiError> {
    let carried_out = async {
        let (call, command) = read.await?;
        log.call = Some(call.clone());
        carry_out(api, call, command, log.by.clone()).await
    };
    let outcome = carried_out.await;
    log.write(&outcome);
    outcome.map(|outcome| Json(outcome.into()))
}

async fn read_start(api: &Api, request: Request) -> Result<call::start::Start, ApiError> {
    let settings = &api.state.settings;
    let bytes = body::read(request, settings).await?;
    let read = body::understand::<StartRequest>(&bytes, settings.json_depth_max)?;
    api.state.metrics.unknown_fields(read.unknown_fields);
    let start = judge::start(read.body, &settings.vocabulary, || {
        (api.state.ids)().to_string()
    })?;
    judge::fulfillable(&start, &*api.state.wishes)?;
    Ok(start)
}

async fn read_stop(api: &Api, request: Request) -> Result<CallName, ApiError> {
    let settings = &api.state.settings;
    let bytes = body::read(request, settings).await?;
    let read = body::understand::<StopRequest>(&bytes, settings.json_depth_max)?;
    api.state.metrics.unknown_fields(read.unknown_fields);
    judge::stop(&read.body)
}

/// The call that a path names.
pub(crate) fn call_of(
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<CallName, ApiError> {
    let Path((namespace, guid)) = path.map_err(|_| {
        ApiError::new(
            Code::BadParameter,
            "The path has percent-encoding that is not UTF-8",
        )
    })?;
    let namespace = Namespace::parse(&namespace).ok_or_else(|| {
        let known = "must be siprec, twilio, amazonconnect or genesysaudiohook";
        ApiError::new(Code::BadParameter, format!("namespace: {known}"))
    })?;
    Named::new(namespace, &guid)
        .map(|named| named.call)
        .map_err(|bad| ApiError::new(Code::BadParameter, format!("guid: {bad}")))
}

async fn carry_out(
    api: &Api,
    call: CallName,
    command: Command,
    by: By,
) -> Result<Outcome, ApiError> {
    if !api.state.settings.namespaces.contains(&call.namespace) {
        return Err(Code::NoCall.into());
    }
    let refused = match api.state.switchboard.command(call, command, by).await {
        Ok(outcome) => return Ok(outcome),
        Err(refused) => refused,
    };
    Err(match refused {
        Refused::ByState(Refusal::Already) => Code::Already.into(),
        Refused::ByState(Refusal::Draining) => Code::Draining.into(),
        Refused::ByState(Refusal::NoCall) => Code::NoCall.into(),
        Refused::ByState(Refusal::Pending) => Code::Pending.into(),
        Refused::Draining => unavailable(api, "The gateway is shutting down"),
        Refused::Unavailable => busy(api),
    })
}

/// The switchboard cannot be asked now.
pub(crate) fn busy(api: &Api) -> ApiError {
    unavailable(api, "The gateway has too much to do")
}

pub(crate) fn unavailable(api: &Api, message: &'static str) -> ApiError {
    ApiError::new(Code::Unavailable, message).again_after(api.state.settings.retry_after)
}

impl From<Outcome> for StartResponse {
    fn from(outcome: Outcome) -> Self {
        let mut streams = StartedStreams::default();
        for Report {
            id, role, status, ..
        } in &outcome.reports
        {
            let stream = StartedStream {
                stream_id: id.as_str().to_owned(),
                status: status.into(),
            };
            // The contract has no word for a mixed line; the customer's place is the one that is
            // free then.
            match role.party() {
                Role::Agent => streams.agent = Some(stream),
                Role::Customer | Role::Mixed => streams.customer = Some(stream),
            }
        }
        let (is_ok, error_message) = (outcome.error.is_none(), outcome.error);
        Self {
            is_ok,
            error_message,
            autotranscribe_response: streams,
        }
    }
}

impl From<Outcome> for StopResponse {
    fn from(outcome: Outcome) -> Self {
        let mut streams = StoppedStreams::default();
        for Report {
            id,
            role,
            status,
            summary,
        } in &outcome.reports
        {
            let stream = StoppedStream {
                stream_id: id.as_str().to_owned(),
                status: status.into(),
                summary: summary.as_ref().map(Into::into),
            };
            match role.party() {
                Role::Agent => streams.agent = Some(stream),
                Role::Customer | Role::Mixed => streams.customer = Some(stream),
            }
        }
        let (is_ok, error_message) = (outcome.error.is_none(), outcome.error);
        Self {
            is_ok,
            error_message,
            autotranscribe_response: streams,
        }
    }
}

impl From<Outcome> for CommandResponse {
    fn from(Outcome { error, .. }: Outcome) -> Self {
        Self {
            is_ok: error.is_none(),
            error_message: error,
        }
    }
}
