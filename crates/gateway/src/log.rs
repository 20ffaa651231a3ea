//! The log: which lines, and how they look. Never what they say.

use std::io::{self, IsTerminal};

use thiserror::Error;
use tracing::Subscriber;
use tracing::subscriber::SetGlobalDefaultError;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::settings::Log;
use crate::config::words::{LogFormat, Words};

/// The targets of our own crates; `log.level` is theirs, libraries log warnings.
const OURS: [&str; 5] = ["antiphon", "call", "gateway", "ingress", "upstream"];

/// Why there is no log.
#[derive(Debug, Error)]
pub enum LogError {
    /// The filter cannot be read; a configuration that was checked has none such.
    #[error("log.filter: {0}")]
    Filter(#[from] ParseError),
    /// Somebody has started one before.
    #[error(transparent)]
    Started(#[from] SetGlobalDefaultError),
}

/// Begins to log to stderr; in colours if that is a terminal and `NO_COLOR` is not set.
pub fn start(log: &Log) -> Result<(), LogError> {
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let subscriber = subscriber(log, io::stderr, colours)?;
    Ok(tracing::subscriber::set_global_default(subscriber)?)
}

/// What [`start`] begins, towards another writer.
pub fn subscriber<W>(
    log: &Log,
    writer: W,
    colours: bool,
) -> Result<Box<dyn Subscriber + Send + Sync>, ParseError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(log)?)
        .with_writer(writer);
    Ok(match log.format {
        LogFormat::Json => Box::new(lines.json().flatten_event(true).finish()),
        LogFormat::Text => Box::new(lines.with_ansi(colours).finish()),
    })
}

/// Which lines are logged.
pub(crate) fn filter(log: &Log) -> Result<EnvFilter, ParseError> {
    let level = log.level.word();
    let ours = OURS.map(|target| format!("{target}={level}")).join(",");
    let more = log.filter.as_deref().unwrap_or_default();
    EnvFilter::builder().parse(format!("warn,{ours},{more}").trim_end_matches(','))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::config::words::LogLevel;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(log: &Log, talk: impl FnOnce()) -> String {
        let page = Page::default();
        let writer = page.clone();
        let subscriber = subscriber(log, move || writer.clone(), false).unwrap();
        tracing::subscriber::with_default(subscriber, talk);
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn log(format: LogFormat, level: LogLevel, filter: Option<&str>) -> Log {
        Log {
            format,
            level,
            filter: filter.map(str::to_owned),
        }
    }

    #[test]
    fn libraries_log_warnings_only() {
        let text = logged(&log(LogFormat::Text, LogLevel::Debug, None), || {
            tracing::debug!(target: "ingress::twilio", "Ours.");
            tracing::info!(target: "hyper::proto", "Theirs.");
            tracing::warn!(target: "hyper::proto", "A warning.");
        });
        assert!(
            text.contains("Ours.") && text.contains("A warning."),
            "{text}"
        );
        assert!(!text.contains("Theirs."), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn a_filter_adds_to_the_level() {
        let text = logged(
            &log(LogFormat::Text, LogLevel::Warn, Some("hyper=info")),
            || {
                tracing::info!(target: "hyper::proto", "Theirs.");
                tracing::info!(target: "gateway", "Ours.");
            },
        );
        assert!(
            text.contains("Theirs.") && !text.contains("Ours."),
            "{text}"
        );
        assert!(filter(&log(LogFormat::Text, LogLevel::Warn, Some("hyper=loud"))).is_err());
    }

    #[test]
    fn json_is_one_object_a_line() {
        let text = logged(&log(LogFormat::Json, LogLevel::Info, None), || {
            tracing::info!(target: "gateway", calls = 2, "Draining.");
            tracing::info!(target: "gateway", "Gone.");
        });
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["message"], "Draining.");
        assert_eq!(lines[0]["calls"], 2);
        assert_eq!(lines[1]["level"], "INFO");
    }
}
