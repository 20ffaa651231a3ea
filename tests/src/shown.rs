//! What came of a call: what the service received of it, what the API and `/metrics` show.

use std::time::Duration;

use serde_json::Value;
use sim::service::autotranscribe::record::Recorded;
use sim::speech::Role;

use crate::{World, eventually};

/// The service's streams of one party of a call, in order.
pub fn streams(world: &World, guid: &str, role: Role) -> Vec<Recorded> {
    let is_its = |stream: &&Recorded| {
        stream.external_id.as_deref() == Some(guid) && stream.role() == Some(role)
    };
    world
        .service
        .with_streams(|streams| streams.iter().filter(is_its).cloned().collect())
}

/// All that the service received of one party of a call.
pub fn sound(world: &World, guid: &str, role: Role) -> Vec<i16> {
    let streams = streams(world, guid, role).into_iter();
    streams.flat_map(|stream| stream.samples).collect()
}

/// The phrases that the service heard of one party of a call.
pub fn heard(world: &World, guid: &str, role: Role) -> Vec<String> {
    let streams = streams(world, guid, role);
    let phrases = streams.iter().flat_map(Recorded::heard);
    phrases.map(str::to_owned).collect()
}

/// One side's leg as the native API shows it; null if there is none.
pub fn leg<'a>(call: &'a Value, side: &str) -> &'a Value {
    let legs = call["legs"].as_array().into_iter().flatten();
    legs.into_iter()
        .find(|leg| leg["side"] == side)
        .unwrap_or(&Value::Null)
}

/// One side's counters.
pub fn counters<'a>(call: &'a Value, side: &str) -> &'a Value {
    &leg(call, side)["counters"]
}

/// Waits until a number of `/metrics` is as wanted, and gives it. Nothing tells of it, so it is
/// looked at, also while the gateway is too full to tell.
pub async fn until_metric(world: &World, series: &str, so: impl Fn(f64) -> bool) -> f64 {
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    eventually(series, async {
        loop {
            looks.tick().await;
            match world.try_metric(series).await {
                Ok(value) if so(value) => return value,
                _ => {}
            }
        }
    })
    .await
}
