//! Events as server-sent events, with a place to come back to.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use call::name::CallName;
use tokio::sync::watch;

use super::Api;
use super::commands::call_of;
use super::errors::{ApiError, Code};
use super::native::parameter;
use super::seats::Seat;
use super::shapes::{EventShape, Note, note_json};
use crate::events::{Bus, EventId, Record, Tide};

/// Events of all calls
///
/// Server-sent events, from now on or from where a reader left off: the header `Last-Event-ID`,
/// which browsers send by themselves when they reconnect, or the parameter `after`. Events that are
/// not kept any more are told as an event `lost`. A silent stream carries a comment now and then.
#[utoipa::path(
    get,
    path = "/v1/events",
    operation_id = "allEvents",
    tag = "events",
    responses((
        status = 200, description = "Each `data:` is an `Event` or an `EventNote`", body = String,
        content_type = "text/event-stream",
    )),
)]
pub(crate) async fn all_events(
    State(api): State<Arc<Api>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    stream(&api, None, &query.unwrap_or_default(), &headers)
}

/// Events of one call
///
/// As the events of all calls. The call need not exist yet, and the stream outlives it: new media
/// may come under the same guid.
#[utoipa::path(
    get,
    path = "/v1/calls/{namespace}/{guid}/events",
    operation_id = "callEvents",
    tag = "events",
    responses((
        status = 200, description = "Each `data:` is an `Event` or an `EventNote`", body = String,
        content_type = "text/event-stream",
    )),
)]
pub(crate) async fn call_events(
    State(api): State<Arc<Api>>,
    path: Result<Path<(String, String)>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let call = call_of(path)?;
    stream(&api, Some(call), &query.unwrap_or_default(), &headers)
}

/// One reader.
struct Reader {
    bus: Arc<Bus>,
    place: u64,
    tide: watch::Receiver<Tide>,
    filter: Filter,
    heartbeat: Duration,
    seat: Seat,
    /// What goes out before anything is read.
    first: VecDeque<Bytes>,
    follow: bool,
}

/// What a reader wants.
struct Filter {
    call: Option<CallName>,
    partials: bool,
}

impl Filter {
    fn wants(&self, record: &Record) -> bool {
        self.call.as_ref().is_none_or(|call| record.is_of(call))
            && (self.partials || !record.event.is_partial())
    }
}

fn stream(
    api: &Api,
    call: Option<CallName>,
    query: &str,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let bus = Arc::clone(&api.state.bus);
    let filter = Filter {
        call,
        partials: flag(query, "partials", true)?,
    };
    let follow = flag(query, "follow", true)?;
    let tide = bus.watch();
    let mut first = VecDeque::from([Bytes::from_static(b"retry: 2000\n\n")]);
    let place = match resume(query, headers)? {
        Resume::At(id) => bus.after(id),
        Resume::Beginning => Some(0),
        Resume::Now => Some(bus.newest()),
        Resume::Nowhere => None,
    };
    if place.is_none() {
        let note = Note::Lost {
            events: None,
            reason: "restarted",
        };
        first.push_back(note_frame(&bus.id(0), "lost", &note));
    }
    let seat = api.seats.take().ok_or_else(|| {
        let error = ApiError::new(Code::TooMany, "Too many event streams are open");
        error.again_after(api.state.settings.subscriber_stall)
    })?;
    let heartbeat = api.state.settings.heartbeat;
    let place = place.unwrap_or(0);
    let metrics = Arc::clone(&api.state.metrics);
    let reader = Reader {
        bus,
        place,
        tide,
        filter,
        heartbeat,
        seat,
        first,
        follow,
    };
    let bytes = futures_util::stream::unfold(reader, move |mut reader| {
        let metrics = Arc::clone(&metrics);
        async move {
            let bytes = reader.next(|lost| metrics.events_lost(lost)).await?;
            Some((Ok::<_, Infallible>(bytes), reader))
        }
    });
    let content_type = [(CONTENT_TYPE, "text/event-stream")];
    Ok((content_type, Body::from_stream(bytes)).into_response())
}

impl Reader {
    /// The next piece of the stream; `None` is its end.
    async fn next(&mut self, lost: impl Fn(u64)) -> Option<Bytes> {
        if let Some(first) = self.first.pop_front() {
            return Some(first);
        }
        loop {
            // Seen before reading, so that what comes while reading is not slept over.
            let tide = *self.tide.borrow_and_update();
            if !self.seat.reads() {
                return self.cut();
            }
            let before = self.place;
            let batch = self
                .bus
                .read(&mut self.place, |record| self.filter.wants(record));
            let mut out = String::new();
            if batch.lost > 0 {
                lost(batch.lost);
                let (id, events) = (self.bus.id(before + batch.lost), Some(batch.lost));
                let note = Note::Lost {
                    events,
                    reason: "overwritten",
                };
                push(&mut out, &id, "lost", &note_json(&note));
            }
            for record in &batch.records {
                push(
                    &mut out,
                    &record.id,
                    record.event.kind(),
                    &EventShape::json(record),
                );
            }
            if !out.is_empty() {
                return Some(out.into());
            }
            if batch.drained {
                if tide.closed || !self.follow {
                    return None;
                }
                tokio::select! {
                    changed = self.tide.changed() => changed.ok()?,
                    () = tokio::time::sleep(self.heartbeat) => {
                        return Some(Bytes::from_static(b": heartbeat\n\n"));
                    }
                }
            }
        }
    }

    /// Says why the stream ends, and ends it.
    fn cut(&mut self) -> Option<Bytes> {
        if !self.follow {
            return None;
        }
        self.follow = false;
        Some(note_frame(&self.bus.id(self.place), "cut", &Note::Cut))
    }
}

/// Where a reader wants to begin.
enum Resume {
    At(EventId),
    Beginning,
    Now,
    /// After an event that no process of ours can have sent.
    Nowhere,
}

fn resume(query: &str, headers: &HeaderMap) -> Result<Resume, ApiError> {
    // The header is newer: a browser that reconnects sends it along with the URL it began with.
    if let Some(id) = headers.get("last-event-id").filter(|id| !id.is_empty()) {
        let id = id.to_str().ok().and_then(|id| id.parse().ok());
        return Ok(id.map_or(Resume::Nowhere, Resume::At));
    }
    match parameter(query, "after").as_deref() {
        None => Ok(Resume::Now),
        Some("0") => Ok(Resume::Beginning),
        Some(id) => id.parse().map(Resume::At).map_err(|()| {
            ApiError::new(
                Code::BadParameter,
                "after: must be the id of an event, or 0",
            )
        }),
    }
}

fn flag(query: &str, name: &'static str, default: bool) -> Result<bool, ApiError> {
    match parameter(query, name).as_deref() {
        None => Ok(default),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err(ApiError::new(
            Code::BadParameter,
            format!("{name}: must be true or false"),
        )),
    }
}

fn note_frame(id: &EventId, kind: &str, note: &Note) -> Bytes {
    let mut out = String::new();
    push(&mut out, id, kind, &note_json(note));
    out.into()
}

// JSON has no line breaks of its own, so one data line holds it.
fn push(out: &mut String, id: &EventId, kind: &str, json: &str) {
    out.push_str(&format!("id: {id}\nevent: {kind}\ndata: {json}\n\n"));
}
