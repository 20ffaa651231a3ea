//! Another service than the configured one because a start, a trunk or the TwiML wishes so.

use rig::recording::{SIPREC, recording_config};
use rig::served::{extended, name, section};
use rig::told::of;
use rig::{World, phrase};
use serde_json::{Value, json};
use sim::caller::siprec::Side;
use sim::service::record::Recorded;
use sim::service::{Protocol, Running, Settings};

use crate::story::Story;

/// Where streams go if nobody wishes for anything else.
fn configured(wished: Protocol) -> Protocol {
    match wished {
        Protocol::AutoTranscribe => Protocol::Vosk,
        _ => Protocol::AutoTranscribe,
    }
}

async fn started(protocol: Protocol) -> Running {
    protocol.start(Settings::default()).await.unwrap()
}

/// A call in a world with both services.
async fn with_both(wished: Protocol, more: &str) -> (Story, Running) {
    let (first, second) = (started(configured(wished)).await, started(wished).await);
    let more = extended(&section(wished, &second.url()), more);
    (Story::at(configured(wished), first, &more).await, second)
}

/// Parameters of the service's own, if it has any, and how they are asked for.
fn parameters(wished: Protocol) -> &'static [(&'static str, &'static str)] {
    match wished {
        Protocol::AssemblyAi => &[("max_turn_silence", "900")],
        Protocol::Deepgram => &[("smart_format", "true")],
        Protocol::AutoTranscribe | Protocol::Vosk => &[],
    }
}

/// All was heard by the service that was wished for, and as was wished.
fn assert_fulfilled(wished: Protocol, service: &Running, phrases: usize) {
    service.with_streams(|streams| {
        assert_eq!(streams.len(), 2);
        assert_eq!(streams.iter().flat_map(Recorded::heard).count(), phrases);
        for stream in streams {
            for (name, value) in parameters(wished) {
                assert_eq!(stream.parameter(name), Some(*value));
            }
            assert!(stream.unknown_parameters.is_empty());
        }
    });
}

fn assert_ready_at(told: &[Value], wished: Protocol) {
    let ready = of(told, "streamReady", "");
    assert_eq!(ready.len(), 2);
    assert!(
        ready.iter().all(|event| event["service"] == name(wished)),
        "{ready:?}"
    );
}

for_each_service! {
    a_start_that_names_it;
    a_start_that_names_it_where_the_twiml_names_another;
    a_trunk_that_names_it;
    twiml_that_names_it;
}

async fn a_start_that_names_it(wished: Protocol) {
    let (mut story, second) = with_both(wished, "").await;
    let parameters: serde_json::Map<String, Value> = parameters(wished)
        .iter()
        .map(|(name, value)| ((*name).to_owned(), serde_json::from_str(value).unwrap()))
        .collect();
    let wish = json!({"service": name(wished), "parameters": parameters});
    let answer = story.start_with(json!({ "antiphon": wish })).await;
    assert!(answer.is_ok(), "{}", answer.complaint());
    story.before().await;
    story.after().await;
    assert_fulfilled(wished, &second, 4);
    assert!(story.world.service.streams().is_empty());
    let told = story.end(1000).await;
    assert_ready_at(&told, wished);
}

async fn twiml_that_names_it(wished: Protocol) {
    let (mut story, second) = with_both(wished, "").await;
    story.speak_with(&wish_of(wished)).await;
    story.start().await;
    story.before().await;
    story.after().await;
    assert_fulfilled(wished, &second, 4);
    let told = story.end(1000).await;
    assert_ready_at(&told, wished);
}

async fn a_start_that_names_it_where_the_twiml_names_another(wished: Protocol) {
    let (mut story, second) = with_both(wished, "").await;
    let other = (
        "antiphon.service".to_owned(),
        name(configured(wished)).to_owned(),
    );
    story.speak_with(&[other]).await;
    let wish = json!({"service": name(wished)});
    let answer = story.start_with(json!({ "antiphon": wish })).await;
    assert!(answer.is_ok(), "{}", answer.complaint());
    story.before().await;
    assert_eq!(second.streams().len(), 2);
    let told = story.end(1000).await;
    assert_ready_at(&told, wished);
}

/// `<Parameter>`s of the stream.
fn wish_of(wished: Protocol) -> Vec<(String, String)> {
    let service = ("service", name(wished));
    let all = [service]
        .into_iter()
        .chain(parameters(wished).iter().copied());
    all.map(|(name, value)| (format!("antiphon.{name}"), value.to_owned()))
        .collect()
}

async fn a_trunk_that_names_it(wished: Protocol) {
    let (first, second) = (started(configured(wished)).await, started(wished).await);
    let parameters: String = parameters(wished)
        .iter()
        .map(|(name, value)| format!("{name} = {value}\n"))
        .collect();
    let trunk = format!(
        "[[siprec.trunks]]\nname = \"wishing\"\nsources = [\"127.0.0.0/8\"]\nservice = \"{}\"\n\
         [siprec.trunks.parameters]\n{parameters}",
        name(wished)
    );
    let more = extended(&section(wished, &second.url()), &recording_config(&trunk));
    let mut world = World::serving(configured(wished), first, &more).await;
    world.ask_about(SIPREC);
    let mut call = world.record().await;
    world.start(&mut call).await;
    world.say(&mut call, "customer-greeting").await;
    assert!(call.sent(Side::Customer).samples >= phrase("customer-greeting").samples.len() as u64);
    let guid = call.guid();
    world.stop(&mut call).await;
    assert_fulfilled(wished, &second, 1);
    let told = world.told(&guid).await;
    assert_ready_at(&told, wished);
    assert_eq!(of(&told, "transcript", "customer").len(), 1);
    call.hang_up().await.unwrap();
    world.end().await;
}
