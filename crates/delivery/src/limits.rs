//! What all endpoints together may take: memory, time, connections.

use std::time::Duration;

/// Bounds of the delivery. Each field is a line of the configuration, which is why there are so
/// many; `Default` has the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many parcels of an endpoint are in memory, without their bodies: 1000, and not fewer
    /// than 8. Without retries, twice as many as may wait.
    pub window_max: usize,
    /// How many bytes may wait for an endpoint; then the oldest are dead letters: 256 MiB.
    pub bytes_max: u64,
    /// What waits longer is a dead letter: 4 days.
    pub age_max: Duration,
    /// How many bytes of events go into one request of several: 256 KiB.
    pub batch_bytes_max: usize,
    /// How many bytes of an answer are read, and thrown away: 64 KiB.
    pub response_bytes_max: usize,
    /// How long the rest of an answer is waited for once its status is there: 1 s. What comes
    /// later costs the connection, not the delivery.
    pub response_wait: Duration,
    /// How long a connection may take to open: 5 s.
    pub connect_timeout: Duration,
    /// A connection that nobody needs is closed after: 90 s.
    pub idle_timeout: Duration,
    /// A longer `Retry-After` is shortened to: 1 h.
    pub retry_after_max: Duration,
    /// After so many failures in a row an endpoint rests, and one parcel at a time is tried: 5.
    pub rest_after: u32,
    /// The first of these tries comes after: 1 s. Each next waits twice as long.
    pub rest_min: Duration,
    /// But not longer than: 60 s.
    pub rest_max: Duration,
    /// A token is fetched anew when it lives no longer than: 30 s.
    pub token_skew: Duration,
    /// What became of parcels is written at the latest after: 50 ms.
    pub settle_wait: Duration,
    /// Or when there are so many: 200.
    pub settle_max: usize,
    /// An outbox that fails is asked again after: 100 ms. Each next time twice as long.
    pub outbox_retry_min: Duration,
    /// But not longer than: 10 s.
    pub outbox_retry_max: Duration,
    /// How often what waits is measured and what is too old taken out: 15 s.
    pub upkeep_interval: Duration,
    /// How long attempts that are under way may go on at the end of the process: 5 s.
    pub drain: Duration,
}

impl Limits {
    /// A smaller window would keep lanes waiting for each other.
    pub(crate) const WINDOW_MIN: usize = 8;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            window_max: 1000,
            bytes_max: 256 << 20,
            age_max: Duration::from_secs(4 * 24 * 60 * 60),
            batch_bytes_max: 256 << 10,
            response_bytes_max: 64 << 10,
            response_wait: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(90),
            retry_after_max: Duration::from_secs(60 * 60),
            rest_after: 5,
            rest_min: Duration::from_secs(1),
            rest_max: Duration::from_secs(60),
            token_skew: Duration::from_secs(30),
            settle_wait: Duration::from_millis(50),
            settle_max: 200,
            outbox_retry_min: Duration::from_millis(100),
            outbox_retry_max: Duration::from_secs(10),
            upkeep_interval: Duration::from_secs(15),
            drain: Duration::from_secs(5),
        }
    }
}
