//! Callers who send stamps: placed and started one after the other, and stopped all at once.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::caller::{Caller, Spoken};
use super::stage::Stage;
use crate::control::Answer;

/// Silence that a fresh stream sends before its start.
const LEAD_IN: Duration = Duration::from_millis(300);

/// Stops under way at once.
const STOPS_MAX: usize = 50;

/// Places so many calls, `rate` a second, and starts each; in the order in which they were placed.
///
/// # Errors
/// When a call or a start is refused.
pub(super) async fn muster(
    stage: &mut Stage,
    calls: usize,
    rate: f64,
) -> anyhow::Result<Vec<Caller>> {
    let mut pace = interval(Duration::from_secs_f64(1.0 / rate.max(0.1)));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut starts = JoinSet::new();
    let mut callers = Vec::with_capacity(calls);
    for call in 0..calls {
        pace.tick().await;
        let plot = stage.plot().await?;
        // One after the other, so that a caller's legs are known by its place.
        let caller = plot.dial(Spoken::Stamps).await;
        let caller = caller.with_context(|| format!("call {call}"))?;
        let (gateway, guid) = (caller.gateway.clone(), caller.guid.clone());
        callers.push(caller);
        starts.spawn(async move {
            sleep(LEAD_IN).await;
            gateway.start(&crate::control::Start::of(&guid)).await
        });
    }
    while let Some(started) = starts.join_next().await {
        let answer = started??;
        let complaint = answer.complaint();
        ensure!(answer.is_ok(), "a start was refused: {complaint}");
    }
    Ok(callers)
}

/// Stops all of them.
///
/// # Errors
/// When there is no answer; a refusal is one.
pub(super) async fn stop_all(callers: &[Caller]) -> anyhow::Result<Vec<Answer>> {
    let room = Arc::new(Semaphore::new(STOPS_MAX));
    let mut stops = JoinSet::new();
    for caller in callers {
        let (gateway, guid) = (caller.gateway.clone(), caller.guid.clone());
        let room = Arc::clone(&room);
        stops.spawn(async move {
            let _permit = room.acquire().await?;
            gateway.stop(&guid).await
        });
    }
    let mut answers = Vec::with_capacity(callers.len());
    while let Some(stopped) = stops.join_next().await {
        answers.push(stopped??);
    }
    Ok(answers)
}
