//! `antiphon export`: reads its arguments, and shows how far it is.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::Context;
use gateway::config::Config;
use gateway::export::{self, Format, Order, Progress};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use store::sqlite::SqliteStore;

/// What `antiphon export` is told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The configuration file.
    #[arg(long, env = "ANTIPHON_CONFIG")]
    config: PathBuf,
    /// Kept at or after: a day in UTC (2026-01-31) or a time (2026-01-31T09:00:00Z).
    #[arg(long, value_parser = time)]
    from: Timestamp,
    /// Kept before; now, if that is not given.
    #[arg(long, value_parser = time)]
    to: Option<Timestamp>,
    /// csv, jsonl or parquet.
    #[arg(long)]
    format: Format,
    /// The file to write. It appears under this name when it is whole.
    #[arg(long)]
    out: PathBuf,
}

/// Writes the file.
pub(crate) fn export(wanted: &Arguments) -> anyhow::Result<()> {
    let config = Config::load(&wanted.config)?;
    let folder = config.file.parent().unwrap_or_else(|| Path::new(""));
    let kept = config.store.sqlite(folder);
    let store = SqliteStore::open_to_read(&kept)
        .with_context(|| format!("{} cannot be opened", kept.path.display()))?;
    let to = wanted.to.unwrap_or_else(Timestamp::now);
    let order = Order {
        from_unix_ms: millis(wanted.from),
        to_unix_ms: millis(to),
        format: wanted.format,
        out: wanted.out.clone(),
        page: config.api.store_page,
    };
    let bar = bar(&order);
    let done = export::export(&store, &order, |progress| show(&bar, &order, progress));
    bar.finish_and_clear();
    let Progress { utterances, .. } = done?;
    let out = wanted.out.display();
    eprintln!("{utterances} utterances are in {out}.");
    Ok(())
}

/// The span of time that is done, and how many utterances were in it. Hidden if nobody looks.
fn bar(order: &Order) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {percent:>3} %  {msg}  {eta}");
    let bar = ProgressBar::new(order.to_unix_ms.saturating_sub(order.from_unix_ms));
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn show(bar: &ProgressBar, order: &Order, progress: Progress) {
    bar.set_position(progress.at_unix_ms.saturating_sub(order.from_unix_ms));
    bar.set_message(format!("{} utterances", progress.utterances));
}

fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let date: Date = text.parse().map_err(|_| "expected a day or a time")?;
    let midnight = date
        .to_zoned(TimeZone::UTC)
        .map_err(|error| error.to_string())?;
    Ok(midnight.timestamp())
}

/// Milliseconds since 1970; earlier counts as 1970.
fn millis(time: Timestamp) -> u64 {
    u64::try_from(time.as_millisecond()).unwrap_or(0)
}
