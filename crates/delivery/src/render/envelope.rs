//! `type`, `timestamp`, `data`: the body that Standard Webhooks 1.0.0 advises.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Fact, written};

#[derive(Serialize)]
struct Envelope {
    r#type: &'static str,
    timestamp: String,
    data: Map<String, Value>,
}

pub(super) fn body(fact: &Fact<'_>) -> Vec<u8> {
    written(&Envelope {
        r#type: fact.dotted(),
        timestamp: fact.timestamp(),
        data: fact.data(),
    })
}
