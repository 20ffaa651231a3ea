//! Events over a WebSocket: the same JSON as server-sent events have, one a text message.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use call::name::CallName;
use tokio::time::{Instant, timeout};

use super::auth::Caller;
use super::commands::call_of;
use super::errors::{ApiError, Code};
use super::reader::{Filter, Next, Reader, Resume, Told};
use super::shapes::SubscribeMessage;
use super::sse::{bad, filter_of, flag, granted, resume, resume_after, seat};
use super::{Api, body, judge};
use crate::events::EventId;
use crate::metrics::Metrics;

/// The only subprotocol.
pub(crate) const PROTOCOL: &str = "antiphon.events.v1";

/// A last word to a reader that does not read is waited for so long.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Close codes, RFC 6455 section 7.4; from 4000 on they are ours.
const GOING_AWAY: u16 = 1001;
const NORMAL: u16 = 1000;
const POLICY: u16 = 1008;
const TOO_SLOW: u16 = 4008;
const UNSUPPORTED: u16 = 1003;

/// Events of all calls over a WebSocket
///
/// As the server-sent events: each text message is an `Event` or an `EventNote`, with its id in it.
/// A client may send `{"subscribe": {"after", "kinds", "calls", "partials"}}` at any time, from
/// where on and with what the stream then goes on; with `wait=true` nothing is told before the
/// first. A reader that does not keep up is cut with close code 4008, and the reason is the id to
/// come back with. A ping is sent on a silent stream now and then.
#[utoipa::path(
    get,
    path = "/v1/events/ws",
    operation_id = "allEventsWebSocket",
    tag = "events",
    responses((status = 101, description = "A WebSocket from here on")),
)]
pub(crate) async fn all_events(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let wanted = (None, &*query.unwrap_or_default());
    open(api, caller, wanted, &headers, upgrade)
}

/// Events of one call over a WebSocket
///
/// As the events of all calls.
#[utoipa::path(
    get,
    path = "/v1/calls/{namespace}/{guid}/events/ws",
    operation_id = "callEventsWebSocket",
    tag = "events",
    responses((status = 101, description = "A WebSocket from here on")),
)]
pub(crate) async fn call_events(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<(String, String)>, PathRejection>,
    (RawQuery(query), headers): (RawQuery, HeaderMap),
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let wanted = (Some(call_of(path)?), &*query.unwrap_or_default());
    open(api, caller, wanted, &headers, upgrade)
}

fn open(
    api: Arc<Api>,
    caller: Caller,
    (call, query): (Option<CallName>, &str),
    headers: &HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let filter = filter_of(&caller, call.clone(), query)?;
    let resume = resume(query, headers)?;
    let follow = flag(query, "follow", true)?;
    let waits = flag(query, "wait", false)?;
    let upgrade = upgrade.map_err(|_| {
        let message = "A WebSocket handshake was expected";
        ApiError::new(Code::BadRequest, message)
    })?;
    let seat = seat(&api)?;
    let metrics = Arc::clone(&api.state.metrics);
    let reader = Reader::new(Arc::clone(&api), filter, resume, follow, seat);
    let settings = &api.state.settings;
    let consumer = Consumer {
        sent: reader.place(),
        reader,
        caller,
        call,
        waits,
        alive: Instant::now(),
        metrics,
        stall: settings.subscriber_stall,
        depth_max: settings.json_depth_max,
    };
    let most = settings.body_bytes_max;
    let upgrade = upgrade.max_message_size(most).max_frame_size(most);
    let upgrade = upgrade.protocols([PROTOCOL]);
    Ok(upgrade.on_upgrade(move |socket| consumer.serve(socket)))
}

/// One reader at a socket.
struct Consumer {
    reader: Reader,
    caller: Caller,
    /// The call of the path: no other may be subscribed to.
    call: Option<CallName>,
    /// Nothing is told before it has said what it wants.
    waits: bool,
    /// The last event it was sent.
    sent: EventId,
    /// When it was last known to live.
    alive: Instant,
    metrics: Arc<Metrics>,
    stall: Duration,
    depth_max: usize,
}

/// What comes first.
enum Turn {
    Heard(Message),
    Gone,
    Read(Next),
    Silent,
}

/// Why the stream ends, as the other end is told.
#[derive(Debug, PartialEq, Eq)]
struct Goodbye(u16, String);

impl Consumer {
    async fn serve(mut self, mut socket: WebSocket) {
        let Goodbye(code, reason) = loop {
            let turn = tokio::select! {
                heard = socket.recv() => heard.and_then(Result::ok).map_or(Turn::Gone, Turn::Heard),
                next = self.reader.next(), if !self.waits => Turn::Read(next),
                () = tokio::time::sleep_until(self.alive + self.stall) => Turn::Silent,
            };
            let goodbye = match turn {
                Turn::Gone => return,
                Turn::Heard(message) => self.heard(&message).err(),
                Turn::Read(next) => self.tell(&mut socket, next).await.err(),
                Turn::Silent => Some(self.too_slow()),
            };
            if let Some(goodbye) = goodbye {
                break goodbye;
            }
        };
        let reason = Utf8Bytes::from(reason);
        let close = Message::Close(Some(CloseFrame { code, reason }));
        // Whoever does not read does not read this either.
        drop(timeout(LAST_WORD, socket.send(close)).await);
    }

    async fn tell(&mut self, socket: &mut WebSocket, next: Next) -> Result<(), Goodbye> {
        match next {
            // Who gave its place away has counted it.
            Next::Cut(_) => Err(self.goodbye(TOO_SLOW)),
            Next::End if self.reader.follows() => Err(self.goodbye(GOING_AWAY)),
            Next::End => Err(self.goodbye(NORMAL)),
            Next::Events(told) => {
                for Told { id, json, .. } in told {
                    self.send(socket, Message::Text(json.into())).await?;
                    self.sent = id;
                    self.alive = Instant::now();
                }
                Ok(())
            }
            // Whether it is still there, its pong will tell.
            Next::Silence => self.send(socket, Message::Ping(Bytes::new())).await,
        }
    }

    async fn send(&self, socket: &mut WebSocket, message: Message) -> Result<(), Goodbye> {
        match timeout(self.stall, socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(self.goodbye(GOING_AWAY)),
            Err(_) => Err(self.too_slow()),
        }
    }

    fn heard(&mut self, message: &Message) -> Result<(), Goodbye> {
        self.alive = Instant::now();
        match message {
            Message::Text(text) => self.subscribe(text).map_err(|error| {
                // A reason has 123 bytes at most.
                let reason = error.message.chars().filter(char::is_ascii).take(120);
                Goodbye(POLICY, reason.collect())
            }),
            Message::Binary(_) => Err(Goodbye(UNSUPPORTED, "only text is understood".to_owned())),
            Message::Close(_) => Err(Goodbye(NORMAL, String::new())),
            Message::Ping(_) | Message::Pong(_) => Ok(()),
        }
    }

    fn subscribe(&mut self, text: &str) -> Result<(), ApiError> {
        let (wanted, resume) = understand(text.as_bytes(), self.depth_max)?;
        let is_elsewhere = |call: &CallName| wanted.calls.iter().any(|wanted| wanted != call);
        if self.call.as_ref().is_some_and(is_elsewhere) {
            let message = "calls: this stream is of one call";
            return Err(ApiError::new(Code::Forbidden, message));
        }
        let calls = match &self.call {
            Some(call) => vec![call.clone()],
            None => wanted.calls.clone(),
        };
        let filter = Filter {
            calls,
            tenant: self.caller.tenant.clone(),
            ..wanted
        };
        self.reader.turn_to(granted(&self.caller, filter)?, resume);
        self.waits = false;
        Ok(())
    }

    fn too_slow(&self) -> Goodbye {
        self.metrics.subscriber_cut();
        self.goodbye(TOO_SLOW)
    }

    /// With the id to come back with.
    fn goodbye(&self, code: u16) -> Goodbye {
        Goodbye(code, self.sent.to_string())
    }
}

/// What a client wants to be told, and from where on if it says so.
pub(super) fn understand(
    message: &[u8],
    depth_max: usize,
) -> Result<(Filter, Option<Resume>), ApiError> {
    let read = body::understand::<SubscribeMessage>(message, depth_max)?;
    let wanted = read.body.subscribe;
    let names = wanted.kinds.iter().flatten().map(String::as_str);
    let mut filter = Filter {
        kinds: Filter::kinds(names).map_err(bad)?,
        partials: wanted.partials.unwrap_or(true),
        ..Filter::default()
    };
    for call in wanted.calls.iter().flatten() {
        let named = judge::name(call.namespace, &call.guid)?;
        filter.add_call(named.call).map_err(bad)?;
    }
    let resume = wanted.after.as_deref().map(resume_after);
    Ok((filter, resume.transpose()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::events::Event;

    fn read(text: &str) -> Result<(Filter, Option<Resume>), ApiError> {
        understand(text.as_bytes(), 16)
    }

    #[test]
    fn a_client_says_what_it_wants_and_from_where() {
        let (filter, resume) = read(
            r#"{"subscribe": {"after": "a-7", "kinds": ["gap", "transcript"], "partials": false,
               "calls": [{"namespace": "twilio", "guid": "CA1"}]}}"#,
        )
        .unwrap();
        assert_eq!(filter.kinds, ["gap", "transcript"]);
        assert_eq!(filter.calls[0].to_string(), "twilio/CA1");
        assert!(!filter.partials);
        assert_eq!(resume, Some(Resume::At("a-7".parse().unwrap())));
        let (all, resume) = read(r#"{"subscribe": {}}"#).unwrap();
        assert!(all.kinds.is_empty() && all.calls.is_empty() && all.partials);
        assert_eq!(resume, None);
    }

    #[test]
    fn a_message_that_makes_no_sense_is_refused() {
        let many = r#"{"namespace": "twilio", "guid": "CA1"},"#.repeat(17);
        let many = format!(
            r#"{{"subscribe": {{"calls": [{}]}}}}"#,
            many.trim_end_matches(',')
        );
        for text in [
            "",
            "{}",
            "[]",
            r#"{"subscribe": []}"#,
            r#"{"subscribe": {"after": "x"}}"#,
            r#"{"subscribe": {"kinds": ["nonsense"]}}"#,
            r#"{"subscribe": {"calls": [{"namespace": "skype", "guid": "1"}]}}"#,
            &many,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_message_is_understood_or_refused(text in "[ -~]{0,100}") {
            if let Ok((filter, _)) = read(&text) {
                prop_assert!(filter.kinds.iter().all(|kind| Event::KINDS.contains(kind)));
            }
        }
    }
}
