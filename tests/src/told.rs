//! What the gateway tells: its events, and where a phrase should be heard.

use serde_json::Value;
use sim::caller::twilio::{Side, TwilioCall};
use sim::hearing::Hearing;

use crate::{World, eventually, phrase, service_config};

impl World {
    /// Every event of a call until now, in order.
    pub async fn told(&self, guid: &str) -> Vec<Value> {
        let path = format!(
            "/v1/calls/{}/{guid}/events?after=0&follow=false",
            self.namespace
        );
        let text = self.api.text(&path).await.unwrap();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| serde_json::from_str(data).unwrap())
            .collect()
    }

    /// Waits until the events of a call are as wanted.
    pub async fn until_told(&self, guid: &str, so: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let mut events = self.api.call_events(guid, None).await.unwrap();
        eventually("events as wanted", async {
            loop {
                let told = self.told(guid).await;
                if so(&told) {
                    return told;
                }
                events.next().await.unwrap().unwrap();
            }
        })
        .await
    }

    /// All series of one metric, added up.
    pub async fn metric_sum(&self, name: &str) -> f64 {
        let text = self.api.text("/metrics").await.unwrap();
        let values = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            (series.split('{').next() == Some(name)).then(|| value.parse::<f64>().unwrap())
        });
        values.sum()
    }
}

/// The events of one type and, unless it is empty, of one role.
pub fn of<'a>(told: &'a [Value], kind: &str, role: &str) -> Vec<&'a Value> {
    let is = |event: &&Value| {
        let by = event["role"]
            .as_str()
            .or_else(|| event["sender"]["role"].as_str());
        event["type"] == kind && (role.is_empty() || by == Some(role))
    };
    told.iter().filter(is).collect()
}

/// When the transcript of a phrase begins, on its stream's clock.
pub fn heard_at(told: &[Value], id: &str) -> Option<u64> {
    let text = &*phrase(id).text;
    let said = |event: &&&Value| event["alternatives"][0]["text"] == text;
    of(told, "transcript", "").iter().find(said)?["startMs"].as_u64()
}

/// When a phrase is heard that is said as a call's next sound, on the clock of a start that came
/// when `before` samples had been sent.
pub fn due_at(call: &TwilioCall, before: u64, id: &str) -> u64 {
    let side = if id.starts_with("agent") {
        Side::Outbound
    } else {
        Side::Inbound
    };
    (call.sent(side).samples - before) / 8 + onset(id)
}

/// Where a listener finds the beginning of a phrase, in milliseconds of the phrase itself.
pub fn onset(id: &str) -> u64 {
    let mut hearing = Hearing::new(service_config().lexicon.unwrap());
    let mut samples = phrase(id).samples.to_vec();
    samples.resize(samples.len() + 8_000, 0);
    hearing.hear(&samples)[0].start_ms
}
