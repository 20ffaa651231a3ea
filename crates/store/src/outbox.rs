//! What waits to be delivered, and what could not be.

use std::sync::Arc;

use call::private::Private;

use crate::StoreError;

/// Something to be delivered to one endpoint, as the bytes that will be sent each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// The endpoint's name.
    pub endpoint: Arc<str>,
    /// Parcels of one lane are delivered in their order: the call, in words.
    pub lane: Arc<str>,
    /// Stays the same over all attempts: `webhook-id`.
    pub id: String,
    /// The kind of event: `transcript`, `gap`.
    pub kind: &'static str,
    /// Of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: Private<Vec<u8>>,
    /// When it was made, unix time in milliseconds.
    pub at_unix_ms: u64,
}

/// A parcel that waits, without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its place in the outbox; later parcels have greater ones.
    pub number: u64,
    /// Its lane.
    pub lane: Arc<str>,
    /// Its id.
    pub id: String,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// How many of these said that the event itself is wrong.
    pub refusals: u32,
    /// Not to be tried before, unix time in milliseconds.
    pub not_before_unix_ms: u64,
    /// When it was made, unix time in milliseconds.
    pub at_unix_ms: u64,
    /// Of its body.
    pub bytes: u32,
}

/// What became of a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It was taken.
    Delivered {
        /// Its place.
        number: u64,
    },
    /// It will be tried again.
    Later {
        /// Its place.
        number: u64,
        /// How often it was tried in vain.
        attempts: u32,
        /// How many of these said that the event itself is wrong.
        refusals: u32,
        /// Not to be tried before, unix time in milliseconds.
        not_before_unix_ms: u64,
    },
    /// It will not be tried again by itself.
    Dead {
        /// Its place.
        number: u64,
        /// How often it was tried in vain.
        attempts: u32,
        /// When it was given up, unix time in milliseconds.
        at_unix_ms: u64,
        /// Why, in words without anything private: `status 410`, `timeout`.
        why: String,
    },
    /// It is thrown away: the endpoint is to get no second attempt.
    Dropped {
        /// Its place.
        number: u64,
    },
}

/// A parcel that could not be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its place.
    pub number: u64,
    /// The endpoint's name.
    pub endpoint: String,
    /// Its lane.
    pub lane: String,
    /// Its id.
    pub id: String,
    /// The kind of event.
    pub kind: String,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// When it was made, unix time in milliseconds.
    pub made_unix_ms: u64,
    /// When it was given up, unix time in milliseconds.
    pub dead_unix_ms: u64,
    /// Why.
    pub why: String,
}

/// Which dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetters {
    /// Of this endpoint only.
    pub endpoint: Option<String>,
    /// Only these places; empty: all.
    pub numbers: Vec<u64>,
    /// Behind this place.
    pub after: u64,
    /// At most so many.
    pub most: usize,
}

/// What waits for one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Parcels that wait.
    pub waiting: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// When the oldest was made, unix time in milliseconds.
    pub oldest_unix_ms: Option<u64>,
    /// Dead letters.
    pub dead: u64,
}

/// Where parcels wait. All calls block.
pub trait Outbox: Send + Sync + 'static {
    /// Parcels of an endpoint behind the place `after`, in their order, at most `most`.
    fn waiting(&self, endpoint: &str, after: u64, most: usize) -> Result<Vec<Waiting>, StoreError>;

    /// A parcel with its body; `None` if it is gone.
    fn parcel(&self, number: u64) -> Result<Option<Carried>, StoreError>;

    /// Keeps what became of parcels, in one transaction. Numbers that are gone are passed over.
    fn settle(&self, settled: &[Settled]) -> Result<(), StoreError>;

    /// How much waits for an endpoint.
    fn depth(&self, endpoint: &str) -> Result<Depth, StoreError>;

    /// Makes dead letters of the oldest parcels of an endpoint until at most `bytes_max` bytes wait
    /// and none is older than `made_before_unix_ms`. How many.
    fn trim(
        &self,
        endpoint: &str,
        bytes_max: u64,
        made_before_unix_ms: u64,
    ) -> Result<u64, StoreError>;

    /// Parcels that could not be delivered, the oldest first.
    fn dead_letters(&self, which: &DeadLetters) -> Result<Vec<DeadLetter>, StoreError>;

    /// Has dead letters wait once more, behind what waits, with no attempts counted. How many.
    fn replay(&self, which: &DeadLetters) -> Result<u64, StoreError>;

    /// Throws dead letters away. How many.
    fn bury(&self, which: &DeadLetters) -> Result<u64, StoreError>;
}

/// A parcel as it is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Its id.
    pub id: String,
    /// The kind of event.
    pub kind: String,
    /// Of the body.
    pub content_type: String,
    /// The body.
    pub body: Private<Vec<u8>>,
}
