//! What the demo shows while the call runs: what is done, what is said, how loud it is.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::control::Gateway;

/// How wide a level is drawn.
const LEVEL_WIDTH: usize = 24;

/// Lines that stay and, on a terminal, bars that move.
#[derive(Clone)]
pub(super) struct Screen {
    api: Gateway,
    bars: Option<Bars>,
    tasks: TaskTracker,
    over: CancellationToken,
}

#[derive(Clone)]
struct Bars {
    all: Arc<Mutex<MultiProgress>>,
    time: ProgressBar,
    sides: [ProgressBar; 2],
}

impl Screen {
    pub(super) fn new(api: &Gateway, duration_ms: u64) -> Self {
        let bars = std::io::stdout()
            .is_terminal()
            .then(|| Bars::new(duration_ms));
        let (tasks, over) = (TaskTracker::new(), CancellationToken::new());
        Self {
            api: api.clone(),
            bars,
            tasks,
            over,
        }
    }

    /// One line that stays.
    pub(super) fn say(&self, line: &str) {
        match &self.bars {
            // A terminal that is gone has nobody who misses the line.
            Some(bars) => drop(bars.all().println(line)),
            None => println!("{line}"),
        }
    }

    /// So much of the call is over.
    pub(super) fn played(&self, ms: u64) {
        if let Some(bars) = &self.bars {
            bars.time.inc(ms);
        }
    }

    /// Follows a call: its transcripts as lines, its levels as bars.
    pub(super) fn watch(&self, guid: &str) {
        let follow = Self::follow(self.clone(), guid.to_owned());
        self.tasks
            .spawn(self.over.clone().run_until_cancelled_owned(follow));
        let levels = Self::levels(self.clone(), guid.to_owned());
        self.tasks
            .spawn(self.over.clone().run_until_cancelled_owned(levels));
    }

    /// Waits for the last transcripts, and leaves the lines.
    pub(super) async fn finish(&self) {
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.over.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        if let Some(bars) = &self.bars {
            bars.time.finish_and_clear();
            bars.sides.iter().for_each(ProgressBar::finish_and_clear);
        }
    }

    async fn follow(self, guid: String) {
        let Ok(mut events) = self.api.call_events(&guid, None).await else {
            return;
        };
        while let Ok(Some(event)) = events.next().await {
            if let Some(line) = line_of(&event.json()) {
                self.say(&line);
            }
        }
    }

    async fn levels(self, guid: String) {
        let Some(bars) = &self.bars else { return };
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        loop {
            tick.tick().await;
            let Ok(call) = self.api.call(&guid).await else {
                continue;
            };
            for (bar, side) in bars.sides.iter().zip(["first", "second"]) {
                bar.set_message(level_of(&call.body, side));
            }
        }
    }
}

impl Bars {
    fn new(duration_ms: u64) -> Self {
        let all = MultiProgress::new();
        let style = |template: &str| {
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
        };
        let line = |prefix: &str| {
            let bar = all.add(ProgressBar::new_spinner());
            bar.set_style(style("  {prefix:9} {msg}"));
            bar.set_prefix(prefix.to_owned());
            bar
        };
        let sides = [line("customer"), line("agent")];
        let time = all.add(ProgressBar::new(duration_ms));
        time.set_style(style("  call      {bar:40} {percent:>3} %  {elapsed}"));
        Self {
            all: Arc::new(Mutex::new(all)),
            time,
            sides,
        }
    }

    fn all(&self) -> std::sync::MutexGuard<'_, MultiProgress> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn line_of(event: &Value) -> Option<String> {
    match event["type"].as_str()? {
        "gap" => {
            let role = event["role"].as_str()?;
            Some(format!(
                "  {role:>9}  missing: {} to {} ms",
                event["fromMs"], event["toMs"]
            ))
        }
        "transcript" => {
            let role = event["sender"]["role"].as_str()?;
            let text = event["alternatives"][0]["text"].as_str()?;
            Some(format!("  {role:>9}  “{text}”"))
        }
        _ => None,
    }
}

/// A leg's gate and, while it is open, how loud it is: 60 dB from silence to full scale.
fn level_of(call: &Value, side: &str) -> String {
    let mut legs = call["legs"].as_array().into_iter().flatten().rev();
    let Some(leg) = legs.find(|leg| leg["side"] == side) else {
        return "–".to_owned();
    };
    if leg["gate"] != "open" {
        return format!("gate {}", leg["gate"].as_str().unwrap_or("?"));
    }
    let peak = leg["counters"]["peak"].as_f64().unwrap_or(0.0).max(1.0);
    let share = 1.0 + 20.0 * (peak / 32768.0).log10() / 60.0;
    let lit = (share.clamp(0.0, 1.0) * LEVEL_WIDTH as f64) as usize;
    format!("{}{}", "▇".repeat(lit), "·".repeat(LEVEL_WIDTH - lit))
}
