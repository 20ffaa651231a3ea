//! Waiting for a change that somebody else makes.

use tokio::sync::Notify;

/// Looks after each change until it is so.
pub(crate) async fn wait_until(changed: &Notify, mut so: impl FnMut() -> bool) {
    loop {
        let mut next = std::pin::pin!(changed.notified());
        // Before looking: a change between the look and the wait must not be missed.
        next.as_mut().enable();
        if so() {
            return;
        }
        next.await;
    }
}
