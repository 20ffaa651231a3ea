//! What the demo shows while its calls run side by side: what is done, what is said, how loud it
//! is.

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
/// How wide the left column is.
const COLUMN_WIDTH: usize = 58;

/// Lines that stay and, on a terminal, bars that move. Each call has a screen of its own, which is
/// a column of the same terminal.
#[derive(Clone)]
pub(super) struct Screen {
    api: Gateway,
    column: Column,
    bars: Option<Bars>,
    tasks: TaskTracker,
    over: CancellationToken,
}

/// Where a call's lines stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Left,
    Right,
}

#[derive(Clone)]
struct Bars {
    all: Arc<Mutex<MultiProgress>>,
    time: ProgressBar,
    sides: [ProgressBar; 2],
}

impl Screen {
    /// Two columns; both calls are as long as that.
    pub(super) fn both(apis: [&Gateway; 2], duration_ms: u64) -> [Self; 2] {
        let terminal = std::io::stdout().is_terminal();
        let all = Arc::new(Mutex::new(MultiProgress::new()));
        let (tasks, over) = (TaskTracker::new(), CancellationToken::new());
        let [left, right] = apis;
        [(left, Column::Left), (right, Column::Right)].map(|(api, column)| Self {
            api: api.clone(),
            column,
            bars: terminal.then(|| Bars::new(&all, column, duration_ms)),
            tasks: tasks.clone(),
            over: over.clone(),
        })
    }

    /// The gateway, for this call's platform.
    pub(super) fn api(&self) -> &Gateway {
        &self.api
    }

    /// Where its lines stand.
    pub(super) fn column(&self) -> Column {
        self.column
    }

    /// One line that stays, over both columns.
    pub(super) fn say(&self, line: &str) {
        match &self.bars {
            // A terminal that is gone has nobody who misses the line.
            Some(bars) => drop(bars.all().println(line)),
            None => println!("{line}"),
        }
    }

    /// Lines that stay, in this call's column.
    pub(super) fn tell(&self, text: &str) {
        for line in in_column(text, self.column) {
            self.say(&line);
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
                self.tell(&line);
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
    fn new(shared: &Arc<Mutex<MultiProgress>>, column: Column, duration_ms: u64) -> Self {
        let all = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let style = |template: &str| {
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
        };
        let platform = column.platform();
        let line = |role: &str| {
            let bar = all.add(ProgressBar::new_spinner());
            bar.set_style(style("  {prefix:16} {msg}"));
            bar.set_prefix(format!("{platform} {role}"));
            bar
        };
        let sides = [line("customer"), line("agent")];
        let time = all.add(ProgressBar::new(duration_ms));
        time.set_style(style("  {prefix:16} {bar:40} {percent:>3} %  {elapsed}"));
        time.set_prefix(format!("{platform} call"));
        Self {
            all: Arc::clone(shared),
            time,
            sides,
        }
    }

    fn all(&self) -> std::sync::MutexGuard<'_, MultiProgress> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Column {
    /// Whose calls stand there.
    pub(super) fn platform(self) -> &'static str {
        match self {
            Self::Left => "Twilio",
            Self::Right => "SIPREC",
        }
    }
}

/// A text, broken where it must be, with the other column left free.
fn in_column(text: &str, column: Column) -> Vec<String> {
    let words = text.trim_start();
    let indent = " ".repeat(text.len() - words.len());
    let mut lines = vec![indent.clone()];
    for word in words.split(' ') {
        let last = lines.last_mut().expect("there is always a line");
        let begun = last.len() > indent.len();
        if begun && last.chars().count() + word.chars().count() + 2 > COLUMN_WIDTH {
            lines.push(format!("{indent}  {word}"));
            continue;
        }
        if begun {
            last.push(' ');
        }
        last.push_str(word);
    }
    let place = |line: String| match column {
        Column::Left => format!("{line:COLUMN_WIDTH$}│"),
        Column::Right => format!("{:COLUMN_WIDTH$}│ {line}", ""),
    };
    lines.into_iter().map(place).collect()
}

fn line_of(event: &Value) -> Option<String> {
    match event["type"].as_str()? {
        "gap" => {
            let role = event["role"].as_str()?;
            Some(format!(
                "  {role}: missing from {} to {} ms",
                event["fromMs"], event["toMs"]
            ))
        }
        "transcript" => {
            let role = event["sender"]["role"].as_str()?;
            let text = event["alternatives"][0]["text"].as_str()?;
            Some(format!("  {role}: “{text}”"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_broken_within_its_column() {
        let text = format!("  agent  {}", "word ".repeat(30));
        for line in in_column(text.trim_end(), Column::Left) {
            assert_eq!(line.chars().count(), COLUMN_WIDTH + 1, "{line}");
        }
        let right = in_column("said", Column::Right);
        assert_eq!(right, [format!("{:COLUMN_WIDTH$}│ said", "")]);
    }
}
