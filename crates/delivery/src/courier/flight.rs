//! One attempt: the bodies are read of the outbox, put together and carried.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use call::private::Private;
use store::StoreError;
use store::outbox::{Carried, Outbox};
use tokio::task::JoinSet;

use super::expected;
use crate::client::{Carrier, Letter};
use crate::endpoint::Format;
use crate::lanes::{Attempt, Class, Outcome};
use crate::render::batch;

/// What came of an attempt.
#[derive(Debug)]
pub(super) struct Landing {
    pub(super) ticket: u64,
    /// Parcels that are no longer in the outbox.
    pub(super) vanished: Vec<u64>,
    /// `None`: they all were not.
    pub(super) outcome: Option<Outcome>,
}

pub(super) async fn fly(
    outbox: Arc<dyn Outbox>,
    carrier: Arc<dyn Carrier>,
    format: Format,
    attempt: Attempt,
) -> Landing {
    let ticket = attempt.ticket;
    let (vanished, outcome) = match bodies(outbox, attempt.numbers.clone()).await {
        Err(error) => {
            let why = format!("the outbox cannot be read: {error}");
            (Vec::new(), Some(Outcome::new(Class::Unsent, why)))
        }
        Ok(found) => {
            let numbers = attempt.numbers.iter().zip(&found);
            let gone = numbers.filter(|(_, carried)| carried.is_none());
            let vanished = gone.map(|(number, _)| *number).collect();
            let carried: Vec<Carried> = found.into_iter().flatten().collect();
            let outcome = match letter(carried, format, attempt.late) {
                Some(letter) => Some(carrier.carry(letter).await),
                None => None,
            };
            (vanished, outcome)
        }
    };
    Landing {
        ticket,
        vanished,
        outcome,
    }
}

async fn bodies(
    outbox: Arc<dyn Outbox>,
    numbers: Vec<u64>,
) -> Result<Vec<Option<Carried>>, StoreError> {
    // A set, so that dropping this does not wait for it unseen.
    let mut reading = JoinSet::new();
    reading.spawn_blocking(move || {
        let parcels = numbers.iter().map(|number| outbox.parcel(*number));
        parcels.collect()
    });
    let read = reading.join_next().await;
    expected(read.expect("a set with one task"))
}

fn letter(carried: Vec<Carried>, format: Format, late: bool) -> Option<Letter> {
    if format != Format::CloudEventsBatch {
        let only = carried.into_iter().next()?;
        return Some(Letter {
            id: only.id,
            content_type: only.content_type,
            body: sent(only.body),
            late,
        });
    }
    let content_type = carried.first()?.content_type.clone();
    let ids: Vec<&str> = carried.iter().map(|each| each.id.as_str()).collect();
    let id = batch_id(&ids);
    let bodies: Vec<Private<Vec<u8>>> = carried.into_iter().map(|each| each.body).collect();
    Some(Letter {
        id,
        content_type,
        body: sent(batch(&bodies)),
        late,
    })
}

/// Sent more than once if a token is refused, and copied never.
fn sent(body: Private<Vec<u8>>) -> Private<Bytes> {
    Bytes::from(body.into_revealed()).into()
}

/// The same for the same events; one event lends its own.
fn batch_id(ids: &[&str]) -> String {
    if let [only] = ids {
        return (*only).to_owned();
    }
    let all = digest(&SHA256, ids.join(" ").as_bytes());
    format!("msg_{}", URL_SAFE_NO_PAD.encode(&all.as_ref()[..18]))
}
