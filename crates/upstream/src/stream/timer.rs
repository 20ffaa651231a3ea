//! One timer a socket, for all its deadlines.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that is moved only when it fires or must fire earlier: a deadline that keeps moving
/// away, as most do, costs nothing.
#[derive(Debug)]
pub(crate) struct Timer(Pin<Box<Sleep>>);

impl Timer {
    pub(crate) fn new(first: Instant) -> Self {
        Self(Box::pin(sleep_until(first)))
    }

    /// Whether the deadline has come; if not, the task is woken when it does.
    pub(crate) fn is_due(
        &mut self,
        context: &mut Context<'_>,
        now: Instant,
        deadline: Instant,
    ) -> bool {
        if deadline <= now {
            return true;
        }
        if deadline < self.0.deadline() {
            self.0.as_mut().reset(deadline);
        }
        while self.0.as_mut().poll(context).is_ready() {
            if self.0.deadline() >= deadline {
                return true;
            }
            self.0.as_mut().reset(deadline);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moved_away_comes_when_it_comes() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut timer = Timer::new(start + second);
        let mut polls = 0;
        poll_fn(|context| {
            polls += 1;
            // The deadline was moved before the first look; the timer still fires once for nothing.
            match timer.is_due(context, Instant::now(), start + 5 * second) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
        assert_eq!(start.elapsed().as_secs(), 5);
        assert_eq!(polls, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_deadline_comes_earlier() {
        let start = Instant::now();
        let mut timer = Timer::new(start + Duration::from_secs(60));
        poll_fn(|context| {
            match timer.is_due(context, Instant::now(), start + Duration::from_secs(2)) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
        assert_eq!(start.elapsed().as_secs(), 2);
    }
}
