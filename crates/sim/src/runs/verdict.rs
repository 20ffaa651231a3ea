//! How every run ends: a table, the complaints, one closing line, and whether all was well.

use std::path::Path;

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::report::Table;

/// What came out of a run.
pub(super) trait Verdict: Serialize {
    /// The figures for people.
    fn table(&self) -> Table;

    /// The figures in one line.
    fn closing(&self) -> String;

    /// Which figures are off, in words.
    fn faults(&self) -> Vec<String>;

    /// Single cases of what was off.
    fn complaints(&self) -> &[String] {
        &[]
    }
}

/// Tells it, and writes it to a file if one is wanted.
///
/// # Errors
/// When a figure is off.
pub(super) fn conclude(verdict: &impl Verdict, json: Option<&Path>) -> anyhow::Result<()> {
    print!("{}", verdict.table());
    for complaint in verdict.complaints() {
        println!("  {complaint}");
    }
    if let Some(path) = json {
        let text = serde_json::to_string_pretty(verdict)?;
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let faults = verdict.faults();
    let end = if faults.is_empty() { "ok" } else { "FAILED" };
    println!("{}: {end}", verdict.closing());
    ensure!(faults.is_empty(), "{}", faults.join("; "));
    Ok(())
}

/// Bytes as MiB.
pub(super) fn mib(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
}

/// A part of a whole in percent.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    format!("{:.2} %", part as f64 * 100.0 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Lost(u64);

    impl Verdict for Lost {
        fn table(&self) -> Table {
            Table::new(["figure"])
        }

        fn closing(&self) -> String {
            format!("run: {} lost", self.0)
        }

        fn faults(&self) -> Vec<String> {
            let fault = (self.0 > 0).then(|| self.closing());
            fault.into_iter().collect()
        }
    }

    #[test]
    fn a_run_fails_when_a_figure_is_off_and_its_figures_are_written_either_way() {
        let path = std::env::temp_dir().join(format!("antiphon-run-{}", std::process::id()));
        conclude(&Lost(0), None).unwrap();
        let error = conclude(&Lost(2), Some(&path)).unwrap_err();
        assert_eq!(error.to_string(), "run: 2 lost");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "2");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(
            (mib(3 << 20), percent(1, 4)),
            ("3 MiB".to_owned(), "25.00 %".to_owned())
        );
    }
}
