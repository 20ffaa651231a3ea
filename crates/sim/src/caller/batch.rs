//! Calls of one command, placed one after the other at a rate, with a progress bar and a verdict.

use std::time::Duration;

use anyhow::{Context, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::control::Answer;
use crate::report::{Table, count};

/// How the calls went.
pub(super) struct Placed<O> {
    /// Of those that came to their end, in the order in which they were placed.
    outcomes: Vec<O>,
    errors: Vec<anyhow::Error>,
}

/// What the gateway answered to one call's commands.
pub(super) struct Commands {
    pub(super) started: Option<Answer>,
    pub(super) stopped: Option<Answer>,
}

/// Places `calls` calls, `rate` (more than 0) a second, and waits for all of them.
///
/// # Errors
/// When a call panicked.
pub(super) async fn place<O, F>(
    calls: usize,
    rate: f64,
    mut call: impl FnMut(usize) -> F,
) -> anyhow::Result<Placed<O>>
where
    O: Send + 'static,
    F: Future<Output = anyhow::Result<O>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    let mut pace = interval(Duration::from_secs_f64(1.0 / rate));
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for index in 0..calls {
        pace.tick().await;
        let placed = call(index);
        tasks.spawn(async move { (index, placed.await.context(format!("call {index}"))) });
    }
    let (mut outcomes, mut errors) = (Vec::new(), Vec::new());
    while let Some(joined) = tasks.join_next().await {
        match joined? {
            (index, Ok(outcome)) => outcomes.push((index, outcome)),
            (_, Err(error)) => errors.push(error),
        }
    }
    outcomes.sort_by_key(|(index, _)| *index);
    let outcomes = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
    Ok(Placed { outcomes, errors })
}

impl<O> Placed<O> {
    /// Prints the table and what went wrong.
    ///
    /// # Errors
    /// When a call could not be placed or did not go well.
    pub(super) fn judge(
        self,
        table: impl Fn(&[O]) -> Table,
        is_good: impl Fn(&O) -> bool,
    ) -> anyhow::Result<()> {
        print!("{}", table(&self.outcomes));
        for error in &self.errors {
            eprintln!("{error:#}");
        }
        let calls = self.outcomes.len() + self.errors.len();
        let bad = calls
            - self
                .outcomes
                .iter()
                .filter(|outcome| is_good(outcome))
                .count();
        ensure!(bad == 0, "{bad} of {calls} calls went wrong");
        Ok(())
    }
}

impl Commands {
    /// Whether all that were sent were obeyed.
    pub(super) fn are_good(&self) -> bool {
        let mut answers = self.started.iter().chain(&self.stopped);
        answers.all(Answer::is_ok)
    }

    /// For the table: what became of the start.
    pub(super) fn start(&self) -> String {
        told(self.started.as_ref())
    }

    /// For the table: what became of the stop.
    pub(super) fn stop(&self) -> String {
        told(self.stopped.as_ref())
    }

    /// For the table: the bytes that the service confirmed of one role.
    pub(super) fn confirmed(&self, role: &str) -> String {
        let stopped = self.stopped.as_ref();
        let bytes = stopped.and_then(|answer| answer.confirmed_bytes(role));
        bytes.map_or_else(|| "–".to_owned(), count)
    }
}

/// A bar that goes to `length`, drawn after indicatif's template.
pub(super) fn progress(length: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}

fn told(answer: Option<&Answer>) -> String {
    match answer {
        None => "–".to_owned(),
        Some(answer) if answer.is_ok() => "ok".to_owned(),
        Some(answer) => answer.complaint(),
    }
}
