//! The store, as handlers ask it: on threads that may wait, so many at once, and not for ever.

use std::sync::Arc;
use std::time::Duration;

use store::{Store, StoreError};
use tokio::sync::Semaphore;

use super::commands::unavailable;
use super::errors::{ApiError, Code};
use super::{Api, ApiSettings};

/// How many questions the store is asked at once.
pub(crate) struct Questions {
    places: Arc<Semaphore>,
    patience: Duration,
}

impl Questions {
    pub(crate) fn new(settings: &ApiSettings) -> Self {
        Self {
            places: Arc::new(Semaphore::new(settings.store_questions_max.max(1))),
            patience: settings.store_timeout,
        }
    }
}

/// What the store answers. 503-01 if there is none, if it fails, or if it takes too long; the
/// question is then still answered, but to nobody, and holds its place until it is.
pub(crate) async fn ask<T: Send + 'static>(
    api: &Api,
    question: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, ApiError> {
    let patience = api.questions.patience;
    let answer = tokio::time::timeout(patience, ask_patiently(api, question)).await;
    answer.unwrap_or_else(|_| Err(unavailable(api, "The store takes too long")))
}

/// As [`ask`], for what must not be left alone half way.
pub(crate) async fn ask_patiently<T: Send + 'static>(
    api: &Api,
    question: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, ApiError> {
    let store = api.state.keeping.store();
    let store = store.ok_or_else(|| unavailable(api, "There is no store"))?;
    blocking(api, move || question(&*store)).await
}

/// Has something that may block done elsewhere.
pub(crate) async fn blocking<T: Send + 'static>(
    api: &Api,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, ApiError> {
    let places = Arc::clone(&api.questions.places);
    let place = places.acquire_owned().await;
    let place = place.map_err(|_| ApiError::from(Code::Internal))?;
    let work = move || {
        let answer = work();
        drop(place);
        answer
    };
    let answer = tokio::task::spawn_blocking(work).await;
    answer
        .map_err(|_| ApiError::from(Code::Internal))?
        .map_err(|error| {
            tracing::warn!(%error, "The store could not answer.");
            unavailable(api, "The store cannot answer now")
        })
}
