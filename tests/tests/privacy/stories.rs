//! Stories in which there is much to tell and nothing may be told.

use std::time::Duration;

use rig::World;
use rig::told::of;
use serde_json::{Value, json};
use sim::caller::twilio::{Signature, TwilioCall};
use sim::control::Start;
use sim::service::autotranscribe::faults::{
    Cut, CutAfter, EndFault, Faults, RestFault, TokenFault,
};
use sim::service::autotranscribe::{Config, Rules};

use crate::nothing_private_is_logged;
use crate::page::{self, AGENT, CUSTOMER, DIGIT, WORD, lines};

const QUICK: &str = "[upstream.retry]\nbackoff_min = \"10ms\"\nbackoff_base = \"20ms\"\n";

async fn world(more: &str) -> World {
    page::open();
    World::with(&format!("{QUICK}{more}")).await
}

async fn dial(world: &World) -> TwilioCall {
    let parameters = vec![
        ("phone".to_owned(), CUSTOMER.to_owned()),
        (WORD.to_owned(), AGENT.to_owned()),
    ];
    let call = world
        .dial_with(|options| options.parameters = parameters)
        .await;
    world.until_state(call.call_sid(), "idle").await;
    call
}

/// A start with everything in it that is private.
fn start(guid: &str) -> Start {
    let more = json!({
        "autotranscribeParams": {
            "detailedToken": true, "redactionOutput": "unredacted",
            "vocabulary": [{"phrase": WORD, "soundsLike": [WORD]}],
        },
        WORD: CUSTOMER,
    });
    let (customer, agent) = (CUSTOMER.to_owned(), AGENT.to_owned());
    Start {
        customer,
        agent,
        more,
        ..Start::of(guid)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_two_parties_is_two_lines_that_name_neither() {
    let world = world("").await;
    let mut call = dial(&world).await;
    let guid = call.call_sid().to_owned();
    assert!(world.api.start(&start(&guid)).await.unwrap().is_ok());
    for id in [
        "agent-greeting",
        "customer-account",
        "customer-card",
        "agent-read-back",
    ] {
        world.say(&mut call, id).await;
    }
    call.dtmf(DIGIT).await.unwrap();
    call.mark(WORD).await.unwrap();
    assert!(world.api.pause(&guid).await.unwrap().is_ok());
    world.say(&mut call, "customer-code").await;
    assert!(world.api.resume(&guid).await.unwrap().is_ok());
    world.stop(&call).await;
    let told = world.told(&guid).await;
    assert!(
        of(&told, "transcript", "")
            .iter()
            .any(|event| event.to_string().contains("4111 1111"))
    );
    call.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    world.end().await;

    nothing_private_is_logged(&guid);
    let shown: Vec<Value> = lines()
        .iter()
        .filter(|line| line.contains(&guid))
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["level"] != "DEBUG")
        .collect();
    let messages: Vec<_> = shown.iter().map(|line| &line["message"]).collect();
    assert_eq!(messages, ["A call began.", "The call ended."], "{shown:#?}");
    assert!(shown.iter().all(|line| line["level"] == "INFO"));
}

/// A service that refused our credential is soon probed again.
const SOON: &str = "[upstream.guard]\nprobe_after_min = \"100ms\"\nprobe_after_max = \"100ms\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn services_that_refuse() {
    let world = world(&format!(
        "{SOON}[upstream.autotranscribe]\nurls_per_call = 0\nlocate_timeout = \"200ms\"\n"
    ))
    .await;
    let call = dial(&world).await;
    let guid = call.call_sid().to_owned();
    let rest = |status| {
        Some(RestFault {
            status,
            retry_after: None,
        })
    };
    let none = Faults::default;
    for faults in [
        Faults {
            rest: rest(401),
            ..none()
        },
        Faults {
            rest: rest(503),
            times: Some(2),
            ..none()
        },
        Faults {
            rest_delay: Duration::from_secs(1),
            times: Some(2),
            ..none()
        },
        Faults {
            token: TokenFault::Bad,
            ..none()
        },
        Faults {
            token: TokenFault::Expired,
            ..none()
        },
        Faults {
            accept_then_close: Some(1008),
            ..none()
        },
        Faults {
            refuse: Some(4050),
            ..none()
        },
        Faults {
            refuse: Some(5002),
            times: Some(2),
            ..none()
        },
        Faults {
            refuse: Some(1234),
            times: Some(2),
            ..none()
        },
    ] {
        world.service.set_faults(faults);
        if world.api.start(&start(&guid)).await.unwrap().is_ok() {
            world.try_stop(&guid).await;
        }
        world.until_state(&guid, "idle").await;
    }
    call.hang_up().await.unwrap();
    world.end().await;
    nothing_private_is_logged(&guid);
}

#[tokio::test(flavor = "multi_thread")]
async fn services_that_break() {
    let more = "[upstream]\nping_interval = \"1s\"\npong_timeout = \"200ms\"\n\
        drain_timeout = \"200ms\"\n";
    let world = world(more).await;
    let mut call = dial(&world).await;
    let guid = call.call_sid().to_owned();
    let cut = |cut| {
        Some(CutAfter {
            audio: Duration::from_millis(500),
            cut,
        })
    };
    let none = Faults::default;
    for faults in [
        Faults {
            cut: cut(Cut::Drop),
            times: Some(2),
            ..none()
        },
        Faults {
            cut: cut(Cut::Reset),
            times: Some(2),
            ..none()
        },
        Faults {
            cut: cut(Cut::Close(1011)),
            times: Some(2),
            ..none()
        },
        Faults {
            cut: cut(Cut::Final(5000)),
            times: Some(2),
            ..none()
        },
        Faults {
            cut: cut(Cut::BlackHole),
            times: Some(2),
            ..none()
        },
        Faults {
            bytes_off: 7,
            ..none()
        },
        Faults {
            end: EndFault::CloseOnly,
            ..none()
        },
        Faults {
            end: EndFault::Silence,
            ..none()
        },
        Faults {
            final_twice: true,
            unknown_message: true,
            ..none()
        },
        Faults {
            huge_message: true,
            times: Some(2),
            ..none()
        },
    ] {
        let breaks = faults.cut.is_some();
        world.service.set_faults(faults);
        let interruptions = of(&world.told(&guid).await, "streamInterrupted", "").len();
        assert!(world.api.start(&start(&guid)).await.unwrap().is_ok());
        world.say(&mut call, "customer-greeting").await;
        let both = |told: &[Value]| of(told, "streamInterrupted", "").len() >= interruptions + 2;
        world.until_told(&guid, |told| !breaks || both(told)).await;
        world.say(&mut call, "customer-account").await;
        world.try_stop(&guid).await;
        world.until_state(&guid, "idle").await;
    }
    call.hang_up().await.unwrap();
    world.end().await;
    nothing_private_is_logged(&guid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_does_not_take_the_vocabulary() {
    page::open();
    for vocabulary_refusal_ends in [false, true] {
        let rules = Rules {
            vocabulary_phrases_max: 0,
            vocabulary_refusal_ends,
            ..Rules::default()
        };
        let service = Config {
            rules,
            ..rig::service_config()
        };
        let world = World::with_service(service, QUICK).await;
        let call = dial(&world).await;
        let guid = call.call_sid().to_owned();
        world.api.start(&start(&guid)).await.unwrap();
        call.hang_up().await.unwrap();
        world.end().await;
        nothing_private_is_logged(&guid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_no_good() {
    let world = world("[limits]\nauth_failures_burst = 3\n").await;
    let call = dial(&world).await;
    let guid = call.call_sid().to_owned();
    let path = "/mg-autotranscribe/v1/start-streaming";
    let mut body = rig::command(&guid);
    body["customerId"] = json!({"phone": CUSTOMER});
    let mut params = rig::command(&guid);
    params["autotranscribeParams"] = json!({"language": WORD, "redactionOutput": WORD});
    let mut tracks = rig::command(&guid);
    tracks["twilioParams"] = json!({"trackMap": {"inbound": CUSTOMER}});
    for body in [
        body.to_string(),
        params.to_string(),
        tracks.to_string(),
        format!("{{\"customerId\": \"{CUSTOMER}\", \"agentId\": {AGENT}"),
        format!("{{\"{WORD}\": 1, \"{WORD}\": 2}}"),
        CUSTOMER.repeat(20_000),
    ] {
        let answer = world.api.post_bytes(path, body.into_bytes()).await.unwrap();
        assert!((400..500).contains(&answer.status));
    }
    assert_eq!(
        world
            .api
            .get(&format!("/{WORD}/{CUSTOMER}"))
            .await
            .unwrap()
            .status,
        404
    );
    assert_eq!(
        world
            .api
            .get(&format!("/v1/events?after={WORD}"))
            .await
            .unwrap()
            .status,
        400
    );
    let wrong = world.api.with_key(rig::API_ID, "wrong-secret");
    for _ in 0..5 {
        let status = wrong.get("/v1/calls").await.unwrap().status;
        assert!([401, 429].contains(&status));
    }
    call.hang_up().await.unwrap();
    world.end().await;
    nothing_private_is_logged(&guid);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_are_no_good() {
    let world = world("[twilio]\nbad_messages_max = 5\n").await;
    let good = world.options().await;
    let mut forged = good.clone();
    forged.url.push_str("eyJ");
    let mut unsigned = good.clone();
    unsigned.signature = Signature::None;
    let mut wrongly = good.clone();
    wrongly.signature = Signature::AuthToken("another-token".to_owned());
    for options in [forged, unsigned, wrongly] {
        assert!(TwilioCall::dial(options).await.is_err());
    }
    let mut call = dial(&world).await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    call.dtmf(DIGIT).await.unwrap();
    let payload = format!("{{\"event\": \"media\", \"media\": {{\"payload\": \"{WORD}!\"}}}}");
    for bad in [
        WORD.to_owned(),
        format!("{{\"event\": \"{WORD}\"}}"),
        format!("{{\"{CUSTOMER}"),
        payload,
    ] {
        call.send_text(bad).await.unwrap();
    }
    call.send_binary(WORD.into()).await.unwrap();
    for _ in 0..10 {
        drop(call.send_text(format!("{{\"{CUSTOMER}")).await);
    }
    assert_eq!(
        call.closed(Duration::from_secs(20)).await.unwrap().code,
        Some(1007)
    );
    drop(call);
    world.until_state(&guid, "gone").await;
    world.end().await;
    nothing_private_is_logged(&guid);
}
