//! How many may read events at once, and who has to go when there are too many.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::metrics::labels::Limit;

/// All seats of one router.
#[derive(Debug)]
pub(crate) struct Seats {
    most: usize,
    stall: Duration,
    taken: Mutex<Vec<Arc<Mark>>>,
    metrics: Arc<Metrics>,
}

/// One reader's place. Dropping it frees it.
#[derive(Debug)]
pub(crate) struct Seat {
    mark: Arc<Mark>,
    seats: Arc<Seats>,
}

#[derive(Debug)]
struct Mark {
    read_last: Mutex<Instant>,
    cut: AtomicBool,
}

impl Seats {
    pub(crate) fn new(most: usize, stall: Duration, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            most,
            stall,
            taken: Mutex::default(),
            metrics,
        })
    }

    /// A seat, if need be that of a reader that has stopped reading: its connection hangs on a
    /// socket that takes nothing, so nobody but us can give its seat away.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Seat> {
        let now = Instant::now();
        let mut taken = self.taken();
        if taken.len() >= self.most {
            let stalled = taken
                .iter()
                .position(|mark| mark.is_stalled(now, self.stall));
            let Some(stalled) = stalled else {
                self.metrics.limited(Limit::Subscribers);
                return None;
            };
            taken
                .swap_remove(stalled)
                .cut
                .store(true, Ordering::Relaxed);
            self.metrics.subscriber_cut();
            self.metrics.unsubscribed();
        }
        let mark = Arc::new(Mark {
            read_last: Mutex::new(now),
            cut: AtomicBool::new(false),
        });
        taken.push(Arc::clone(&mark));
        self.metrics.subscribed();
        Some(Seat {
            mark,
            seats: Arc::clone(self),
        })
    }

    fn taken(&self) -> MutexGuard<'_, Vec<Arc<Mark>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// The reader reads. False if its seat was given away meanwhile.
    pub(crate) fn reads(&self) -> bool {
        *self
            .mark
            .read_last
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now();
        !self.mark.cut.load(Ordering::Relaxed)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        if let Some(place) = taken.iter().position(|mark| Arc::ptr_eq(mark, &self.mark)) {
            taken.swap_remove(place);
            self.seats.metrics.unsubscribed();
        }
    }
}

impl Mark {
    fn is_stalled(&self, now: Instant, stall: Duration) -> bool {
        let last = *self
            .read_last
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        now.duration_since(last) >= stall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stopped_reading_loses_its_seat_to_another() {
        let registry = prometheus::Registry::new();
        let metrics = Arc::new(Metrics::register(&registry).unwrap());
        let seats = Seats::new(2, Duration::from_secs(60), metrics);
        let (alive, stalled) = (seats.take().unwrap(), seats.take().unwrap());
        assert!(seats.take().is_none());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(alive.reads());
        let newcomer = seats.take().unwrap();
        assert!(!stalled.reads() && alive.reads() && newcomer.reads());
        assert!(seats.take().is_none());
        drop(stalled);
        assert!(
            seats.take().is_none(),
            "a seat that was given away is not freed twice"
        );
        drop(alive);
        assert!(seats.take().is_some());
    }
}
