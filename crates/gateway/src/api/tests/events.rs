use axum::body::BodyDataStream;
use call::ending::{Ending, Fault};
use call::private::Private;
use call::transcript::{Alternative, Utterance};
use futures_util::StreamExt;
use serde_json::json;

use super::*;
use crate::events::{Dtmf, Event};

/// An open event stream.
struct Open {
    stream: BodyDataStream,
    text: String,
}

#[derive(Debug, PartialEq)]
struct Told {
    id: String,
    kind: String,
    json: Value,
}

impl Open {
    async fn new(world: &World, path: &str, last: Option<&str>) -> Self {
        let mut request = keyed_request(Method::GET, path, Body::empty());
        if let Some(last) = last {
            request
                .headers_mut()
                .insert("last-event-id", last.parse().unwrap());
        }
        let response = world.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let mut open = Self {
            stream: response.into_body().into_data_stream(),
            text: String::new(),
        };
        assert_eq!(open.piece().await.unwrap(), "retry: 2000");
        open
    }

    /// The next piece between empty lines; `None` at the end.
    async fn piece(&mut self) -> Option<String> {
        while !self.text.contains("\n\n") {
            let bytes = self.stream.next().await?.unwrap();
            self.text.push_str(str::from_utf8(&bytes).unwrap());
        }
        let (piece, rest) = self.text.split_once("\n\n").unwrap();
        let (piece, rest) = (piece.to_owned(), rest.to_owned());
        self.text = rest;
        Some(piece)
    }

    async fn next(&mut self) -> Option<Told> {
        let piece = self.piece().await?;
        let mut lines = piece.lines();
        let mut line = |name| lines.next().unwrap().strip_prefix(name).unwrap().to_owned();
        let (id, kind) = (line("id: "), line("event: "));
        let json: Value = serde_json::from_str(&line("data: ")).unwrap();
        assert_eq!(json["type"], kind);
        Some(Told { id, kind, json })
    }

    async fn kinds(&mut self, count: usize) -> Vec<String> {
        let mut kinds = Vec::new();
        for _ in 0..count {
            kinds.push(self.next().await.unwrap().kind);
        }
        kinds
    }
}

pub(super) fn said(guid: &str, text: &str, is_final: bool) -> Event {
    Event::Transcript(Utterance {
        call: twilio(guid),
        stream: StreamId::new(IDS[1]),
        role: Role::Customer,
        sender: "c".to_owned().into(),
        alternatives: vec![Alternative {
            text: text.to_owned().into(),
            tokens: Vec::new(),
        }],
        start: Duration::from_millis(400),
        end: Duration::from_millis(3968),
        is_final,
    })
}

#[tokio::test]
async fn what_happens_is_told_as_it_happens() {
    let world = World::new();
    world
        .state
        .bus
        .publish(&twilio("before"), Event::CallStarted);
    let mut open = Open::new(&world, "/v1/events", None).await;
    world
        .state
        .bus
        .publish(&twilio("CA1"), said("CA1", "hello", true));
    let told = open.next().await.unwrap();
    assert_eq!(told.json["id"], told.id);
    assert_eq!(
        told.json["call"],
        json!({"namespace": "twilio", "guid": "CA1"})
    );
    assert_eq!(told.json["streamId"], IDS[1]);
    assert_eq!(
        told.json["sender"],
        json!({"role": "customer", "externalId": "c"})
    );
    assert_eq!(
        (&told.json["startMs"], &told.json["endMs"]),
        (&json!(400), &json!(3968))
    );
    assert_eq!(told.json["alternatives"], json!([{"text": "hello"}]));
    let ending = Ending::new(Fault::Nobody, "stopped");
    world
        .state
        .bus
        .publish(&twilio("CA1"), Event::CallEnded(ending));
    let told = open.next().await.unwrap().json;
    assert_eq!(
        (&told["fault"], &told["reason"]),
        (&json!("nobody"), &json!("stopped"))
    );
}

#[tokio::test]
async fn one_call_and_final_transcripts_alone_can_be_asked_for() {
    let world = World::new();
    let mut one = Open::new(&world, "/v1/calls/twilio/CA1/events?partials=false", None).await;
    let bus = &world.state.bus;
    bus.publish(&twilio("CA2"), said("CA2", "other", true));
    bus.publish(&twilio("CA1"), said("CA1", "hel", false));
    bus.publish(&twilio("CA1"), said("CA1", "hello", true));
    assert_eq!(
        one.next().await.unwrap().json["alternatives"][0]["text"],
        "hello"
    );
    bus.publish(&twilio("CA1"), Event::CallChanged(StateName::Paused));
    assert_eq!(one.next().await.unwrap().json["state"], "paused");
}

#[tokio::test]
async fn a_reader_goes_on_where_it_left_off() {
    let world = World::new();
    let bus = &world.state.bus;
    let mut open = Open::new(&world, "/v1/events", None).await;
    bus.publish(&twilio("1"), Event::CallStarted);
    let seen = open.next().await.unwrap().id;
    drop(open);
    bus.publish(&twilio("2"), Event::CallStarted);
    bus.publish(&twilio("3"), Event::CallStarted);
    let mut again = Open::new(&world, "/v1/events?after=0", Some(&seen)).await;
    assert_eq!(again.next().await.unwrap().json["call"]["guid"], "2");
    let mut by_query = Open::new(&world, &format!("/v1/events?after={seen}"), None).await;
    assert_eq!(by_query.next().await.unwrap().json["call"]["guid"], "2");
    let mut all = Open::new(&world, "/v1/events?after=0", None).await;
    assert_eq!(all.next().await.unwrap().json["call"]["guid"], "1");
}

#[tokio::test]
async fn what_is_lost_is_said_to_be_lost() {
    let world = World::new();
    let bus = &world.state.bus;
    let mut slow = Open::new(&world, "/v1/events", None).await;
    for guid in 1..=11 {
        bus.publish(&twilio(&guid.to_string()), Event::CallStarted);
    }
    let lost = slow.next().await.unwrap();
    assert_eq!(
        lost.json,
        json!({"type": "lost", "events": 3, "reason": "overwritten"})
    );
    assert_eq!(slow.next().await.unwrap().json["call"]["guid"], "4");
    assert_eq!(world.metric("antiphon_events_lost_total"), "3");
    let mut again = Open::new(&world, "/v1/events", Some(&lost.id)).await;
    assert_eq!(again.next().await.unwrap().json["call"]["guid"], "4");
}

#[tokio::test]
async fn an_id_of_an_earlier_process_is_said_to_be_lost() {
    let world = World::new();
    world.state.bus.publish(&twilio("1"), Event::CallStarted);
    for last in ["1-5", "nonsense"] {
        let mut open = Open::new(&world, "/v1/events", Some(last)).await;
        let lost = open.next().await.unwrap();
        assert_eq!(lost.json, json!({"type": "lost", "reason": "restarted"}));
        assert_eq!(open.next().await.unwrap().json["call"]["guid"], "1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_shows_that_it_lives() {
    let world = World::new();
    let mut open = Open::new(&world, "/v1/events", None).await;
    assert_eq!(open.piece().await.unwrap(), ": heartbeat");
    world.state.bus.publish(&twilio("1"), Event::CallStarted);
    assert_eq!(open.kinds(1).await, ["callStarted"]);
}

#[tokio::test]
async fn a_closed_bus_lets_its_readers_go_after_the_last_event() {
    let world = World::new();
    let mut open = Open::new(&world, "/v1/events", None).await;
    world.state.bus.publish(&twilio("1"), Event::CallStarted);
    world.state.bus.close();
    assert_eq!(open.kinds(1).await, ["callStarted"]);
    assert_eq!(open.next().await, None);
}

#[tokio::test]
async fn a_reader_need_not_follow() {
    let world = World::new();
    world.state.bus.publish(&twilio("1"), Event::CallStarted);
    let mut open = Open::new(&world, "/v1/events?after=0&follow=false", None).await;
    assert_eq!(open.kinds(1).await, ["callStarted"]);
    assert_eq!(open.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn readers_are_limited_and_a_stalled_one_gives_way() {
    let world = World::with(|state| state.settings.subscribers_max = 1);
    let mut first = Open::new(&world, "/v1/events", None).await;
    let refused = world.get("/v1/events").await;
    assert_eq!(
        (refused.code().as_str(), refused.header("retry-after")),
        ("429-01", "60")
    );
    assert_eq!(world.metric("antiphon_event_subscribers"), "1");
    tokio::time::advance(Duration::from_secs(61)).await;
    let second = Open::new(&world, "/v1/events", None).await;
    assert_eq!(first.kinds(1).await, ["cut"]);
    assert_eq!(first.next().await, None);
    assert_eq!(world.metric("antiphon_event_subscribers_cut_total"), "1");
    drop((first, second));
    assert_eq!(world.metric("antiphon_event_subscribers"), "0");
}

#[tokio::test]
async fn some_kinds_can_be_asked_for() {
    let world = World::new();
    let bus = &world.state.bus;
    let mut open = Open::new(&world, "/v1/events?kinds=callStarted,callEnded", None).await;
    bus.publish(&twilio("1"), Event::CallChanged(StateName::Paused));
    bus.publish(&twilio("1"), Event::CallStarted);
    assert_eq!(open.kinds(1).await, ["callStarted"]);
    let nonsense = world.get("/v1/events?kinds=callStarted,x").await;
    assert_eq!(nonsense.code(), "400-201");
}

#[tokio::test]
async fn a_tenant_is_told_of_its_own_calls() {
    let world = World::with(|state| {
        state.keys = ApiKeys::new(&[ApiKey {
            tenant: Some("north".into()),
            ..key("key", "secret")
        }]);
    });
    let bus = &world.state.bus;
    let mut open = Open::new(&world, "/v1/events", None).await;
    for (guid, tenant) in [("1", Some("south")), ("2", None), ("3", Some("north"))] {
        bus.publish(&twilio(guid), Event::CallStarted);
        bus.belongs_to(&twilio(guid), tenant.map(Into::into));
        bus.publish(&twilio(guid), Event::CallChanged(StateName::Starting));
    }
    let told = open.next().await.unwrap();
    assert_eq!(
        (&told.json["call"]["guid"], &*told.kind),
        (&json!("3"), "callChanged")
    );
}

#[tokio::test]
async fn a_query_that_makes_no_sense_is_refused() {
    let world = World::new();
    for query in ["after=x", "after=1-", "partials=yes", "follow=1"] {
        assert_eq!(
            world.get(&format!("/v1/events?{query}")).await.code(),
            "400-201",
            "{query}"
        );
    }
    assert_eq!(
        world.get("/v1/calls/skype/1/events").await.code(),
        "400-201"
    );
}

fn key_of(leg: LegId, side: Side, role: Role) -> Event {
    Event::Dtmf(Dtmf {
        leg,
        side,
        role: Some(role),
        key: Private::new('#'),
        duration: Some(Duration::from_millis(80)),
    })
}

fn pause_refused() -> Event {
    Event::Command(crate::events::Command {
        verb: "pause",
        key: "key".into(),
        from: "192.0.2.7".to_owned().into(),
        outcome: "409-201",
        request: IDS[0].to_owned(),
    })
}

fn one_of_each_kind() -> [Event; 16] {
    let (stream, role, leg, side) = (StreamId::new(IDS[1]), Role::Agent, LegId(7), Side::Second);
    let ending = Ending::new(Fault::Client, "socket_lost");
    let ended = report(&stream, role, Status::ok(), Some(summary()));
    let opened = stream.clone();
    [
        Event::CallStarted,
        Event::LegOpened { leg, side },
        Event::CallChanged(StateName::Starting),
        Event::StreamOpened {
            stream: opened.clone(),
            role,
            external: "CA1".into(),
        },
        Event::StreamReady {
            stream: opened.clone(),
            role,
            service: "deepgram",
        },
        Event::Gap {
            stream: opened.clone(),
            role,
            from_ms: 20,
            to_ms: 40,
            reason: call::backlog::GapReason::Lost,
        },
        Event::StreamInterrupted {
            stream: opened.clone(),
            role,
            attempt: 1,
            why: "reset".into(),
        },
        Event::StreamDegraded {
            stream: opened,
            role,
            why: "the service fails".into(),
        },
        said("CA1", "hello", true),
        Event::BytesMismatch {
            stream,
            role,
            sent_bytes: 2,
            confirmed_bytes: 1,
        },
        Event::StreamEnded(ended),
        Event::LegEnded {
            leg,
            side,
            ending,
            stats: LegStats::default(),
        },
        key_of(leg, side, role),
        Event::CallEnded(ending),
        Event::LegRole {
            leg,
            side,
            role: LegRole {
                role,
                reason: "trackMap of the start".to_owned(),
                confidence: "high",
            },
        },
        pause_refused(),
    ]
}

#[tokio::test]
async fn every_kind_of_event_can_be_told() {
    let world = World::with(|state| state.bus = Bus::new(100));
    let mut open = Open::new(&world, "/v1/events", None).await;
    for event in one_of_each_kind() {
        world.state.bus.publish(&twilio("CA1"), event);
    }
    let doc: Value = serde_json::from_str(&openapi_json()).unwrap();
    let asyncapi: Value = serde_json::from_str(&asyncapi_json()).unwrap();
    let schema = json!({"$ref": "#/components/schemas/Event"});
    let mut told = Vec::new();
    for _ in 0..16 {
        let json = open.next().await.unwrap().json;
        schema::check(&doc, &schema, &json).unwrap_or_else(|wrong| panic!("{wrong}: {json}"));
        schema::check(&asyncapi, &schema, &json).unwrap_or_else(|wrong| panic!("{wrong}: {json}"));
        told.push(json);
    }
    assert_eq!(told[5]["fromMs"], 20);
    assert_eq!(told[5]["reason"], "lost");
    assert_eq!(told[4]["service"], "deepgram");
    assert_eq!(told[7]["why"], "the service fails");
    assert_eq!(told[10]["summary"]["streamingSeconds"], 84);
    assert_eq!(told[11]["leg"], 7);
    assert_eq!(
        (&told[12]["key"], &told[12]["durationMs"]),
        (&json!("#"), &json!(80))
    );
    let mut kinds: Vec<_> = told
        .iter()
        .filter_map(|told| told["type"].as_str())
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, Event::KINDS);
}
