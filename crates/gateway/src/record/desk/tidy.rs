//! What goes by itself: what is past its time, and what waits for nobody.

use std::time::Instant;

use store::{Store, StoreError};

use super::Desk;
use crate::clock::unix_ms;

impl Desk {
    /// Forgets what is past its time, a step at a time, and looks how big the files are.
    pub(super) fn look_after(&mut self) {
        let now = Instant::now();
        if !self.care.is_time_to_tidy(now) {
            return;
        }
        let now_unix_ms = unix_ms();
        self.projection.forget(now_unix_ms);
        let Some(shelf) = &self.parts.shelf else {
            return;
        };
        self.parts.metrics.file_bytes(shelf.bytes());
        let Some(store) = self.parts.keeping.store() else {
            return;
        };
        let config = &self.parts.config;
        match store.expire(&config.expiry(now_unix_ms), config.expire_step) {
            Ok(expired) => {
                self.parts.metrics.expired(&expired);
                if expired.more {
                    self.care.tidy_on(now);
                }
                if self.backlog.is_empty() {
                    self.succeeded();
                }
            }
            Err(error) => return self.failed(&error),
        }
        if let Err(error) = self.retire(&*store, now) {
            self.failed(&error);
        }
    }

    /// What waits for webhooks that are no longer configured is given up, a step at a time.
    fn retire(&mut self, store: &dyn Store, now: Instant) -> Result<(), StoreError> {
        let states = self.parts.delivery.states().into_iter();
        let names: Vec<String> = states.map(|state| state.name).collect();
        let step = self.parts.config.expire_step;
        let events = store.retire(&names, step)?;
        if events > 0 {
            self.parts.metrics.retired(events);
            tracing::warn!(
                events,
                "Events wait for webhooks that are no longer configured: dead letters."
            );
        }
        if events >= step as u64 {
            self.care.tidy_on(now);
        }
        Ok(())
    }
}
