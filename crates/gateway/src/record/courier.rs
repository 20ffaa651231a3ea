//! Runs the delivery on what is kept: in memory first, then in the store, and anew whenever
//! another store is in force.

use std::sync::Arc;
use std::time::Duration;

use delivery::Delivery;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::keeping::Keeping;
use crate::metrics::store::StoreMetrics;

/// Delivers until told to stop, and as long after that as what is under way takes.
pub async fn carry(
    delivery: Arc<Delivery>,
    keeping: Arc<Keeping>,
    metrics: Arc<StoreMetrics>,
    stop: CancellationToken,
) {
    let mut changes = keeping.watch();
    while !stop.is_cancelled() {
        changes.mark_unchanged();
        let now = stop.child_token();
        let mut running = JoinSet::new();
        running.spawn(Arc::clone(&delivery).run(Arc::new(keeping.lease()), now.clone()));
        let ended = tokio::select! {
            ended = running.join_next() => ended,
            changed = changes.changed() => {
                // The keeper of all stores is held here, so that this is no end.
                drop(changed);
                now.cancel();
                running.join_next().await
            }
        };
        if let Some(Err(_)) = ended {
            metrics.panicked();
            tracing::error!("The delivery fell, and begins anew; a defect.");
            tokio::select! {
                () = tokio::time::sleep(AFTER_A_FALL) => {}
                () = stop.cancelled() => {}
            }
        }
    }
}

const AFTER_A_FALL: Duration = Duration::from_secs(1);
