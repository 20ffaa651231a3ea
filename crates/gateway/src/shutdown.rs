//! When to end: the first signal drains, the second forces.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What is to end, for whoever has to. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shutdown {
    /// No new calls; those that run may come to their end.
    pub drain: CancellationToken,
    /// At once. Never without `drain`.
    pub force: CancellationToken,
}

/// Ends what holds its [`Shutdown`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Trigger(Shutdown);

/// SIGHUP: read again what can be read again.
#[derive(Debug)]
pub struct Hangups(Signal);

impl Shutdown {
    /// One that only its trigger moves.
    pub fn manual() -> (Trigger, Self) {
        let shutdown = Self {
            drain: CancellationToken::new(),
            force: CancellationToken::new(),
        };
        (Trigger(shutdown.clone()), shutdown)
    }

    /// One that SIGTERM and SIGINT move. From here on these signals do not end the process.
    pub fn on_signals(tasks: &TaskTracker) -> io::Result<Self> {
        let (trigger, shutdown) = Self::manual();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tasks.spawn(async move {
            while !trigger.0.force.is_cancelled() {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                trigger.next(name);
            }
        });
        Ok(shutdown)
    }
}

impl Trigger {
    /// What a signal does: drains, or forces when that is under way.
    pub fn pull(&self) {
        self.next("request");
    }

    /// Drains.
    pub fn drain(&self) {
        self.0.drain.cancel();
    }

    /// Forces.
    pub fn force(&self) {
        self.0.drain.cancel();
        self.0.force.cancel();
    }

    fn next(&self, signal: &'static str) {
        if self.0.drain.is_cancelled() {
            tracing::warn!(signal, "Ending at once.");
            self.force();
        } else {
            tracing::info!(signal, "Draining; once more to end at once.");
            self.drain();
        }
    }
}

impl Hangups {
    /// From here on SIGHUP does not end the process.
    pub fn new() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Waits for the next one; safe to drop while waiting.
    pub async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pull_drains_and_the_second_forces() {
        let (trigger, shutdown) = Shutdown::manual();
        assert!(!shutdown.drain.is_cancelled());
        trigger.pull();
        assert!(shutdown.drain.is_cancelled() && !shutdown.force.is_cancelled());
        trigger.pull();
        assert!(shutdown.force.is_cancelled());
    }

    #[test]
    fn force_never_comes_without_drain() {
        let (trigger, shutdown) = Shutdown::manual();
        trigger.force();
        assert!(shutdown.drain.is_cancelled() && shutdown.force.is_cancelled());
    }
}
