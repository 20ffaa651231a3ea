//! T17, small: many calls at once, each sample of each of them.

use std::time::Duration;

use futures_util::future::join_all;
use rig::{World, phrase, service_config};
use sim::caller::twilio::Side;
use sim::service::autotranscribe::Config;
use sim::speech::Role;

use crate::support::{digest, streams, until_metric};

/// Other words in each call, so that none can pass for another.
const CUSTOMER: [&str; 4] = [
    "customer-greeting",
    "customer-account",
    "customer-pay",
    "customer-receipt",
];
const AGENT: [&str; 5] = [
    "agent-greeting",
    "agent-sorry",
    "agent-balance",
    "agent-paid",
    "agent-goodbye",
];

const CALLS: usize = 20;

/// One call from its first frame to its last; sees that each leg was heard byte for byte.
async fn converse(world: &World, nth: usize) {
    let mut call = world
        .dial_with(|options| options.first_timestamp_ms = nth as u64 * 7)
        .await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    for turn in nth..nth + 3 {
        let customer = phrase(CUSTOMER[turn % CUSTOMER.len()]);
        let agent = phrase(AGENT[turn % AGENT.len()]);
        call.converse(&customer.samples, &agent.samples)
            .await
            .unwrap();
        call.silence(Duration::from_millis(nth as u64 * 20))
            .await
            .unwrap();
    }
    let said = Side::BOTH.map(|side| digest(&call.sent(side).tape));
    let samples = call.sent(Side::Inbound).samples;
    call.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    for (role, said) in [Role::Customer, Role::Agent].into_iter().zip(said) {
        let streams = streams(world, &guid, role);
        assert_eq!(streams.len(), 1);
        assert_eq!(streams[0].audio_bytes, samples * 2);
        assert_eq!(streams[0].final_code, Some(1000));
        let closed = |all: &[sim::service::autotranscribe::record::Recorded]| {
            let its = all
                .iter()
                .find(|stream| stream.stream_id == streams[0].stream_id);
            its.is_some_and(|stream| stream.is_closed())
        };
        world.until_heard(closed).await;
        let heard = self::streams(world, &guid, role)[0].sha256.clone();
        assert_eq!(heard, Some(said), "call {nth}, {role}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_byte_of_each_leg_of_many_calls_is_heard() {
    let service = Config {
        lexicon: None,
        ..service_config()
    };
    let world = World::with_service(service, "").await;
    join_all((0..CALLS).map(|nth| converse(&world, nth))).await;
    for nothing in [
        "antiphon_twilio_sequence_missing_total",
        "antiphon_twilio_gap_seconds_total{cause=\"lost\"}",
        "antiphon_twilio_gap_seconds_total{cause=\"unsent\"}",
        "antiphon_upstream_gap_seconds_total{reason=\"overflow\"}",
        "antiphon_upstream_byte_mismatches_total",
        "antiphon_upstream_streams_open",
        "antiphon_calls_overdue",
        "antiphon_calls{state=\"draining\"}",
        "antiphon_calls{state=\"streaming\"}",
    ] {
        assert_eq!(world.metric(nothing).await, 0.0, "{nothing}");
    }
    assert_eq!(
        world.metric("antiphon_twilio_legs_opened_total").await,
        2.0 * CALLS as f64
    );
    until_metric(&world, "antiphon_twilio_sockets", |sockets| sockets == 0.0).await;
    world.end().await;
}
