//! What a process costs, out of `/proc`.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Context;

/// Linux counts CPU time for user space in hundredths of a second on every architecture we run on.
const TICK: Duration = Duration::from_millis(10);

/// The process under test.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    pid: u32,
}

/// One look at it.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// When.
    pub at: Instant,
    /// CPU time so far, user and system, all threads.
    pub cpu: Duration,
    /// Memory in RAM, in bytes.
    pub resident: u64,
}

impl Meter {
    /// A meter for the process with this id.
    pub fn new(pid: u32) -> Self {
        Self { pid }
    }

    /// Looks.
    ///
    /// # Errors
    /// When there is no such process, or it may not be looked at.
    pub fn read(self) -> anyhow::Result<Reading> {
        let pid = self.pid;
        let file = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
        };
        let ticks = ticks(&file("stat")?).context("/proc/PID/stat is not what proc(5) says")?;
        // The roll-up is exact; `status` lags by some pages a thread but is always readable.
        let resident = file("smaps_rollup")
            .ok()
            .and_then(|text| kibibytes(&text, "Rss:"))
            .or_else(|| kibibytes(&file("status").ok()?, "VmRSS:"))
            .context("no memory figure")?;
        Ok(Reading {
            at: Instant::now(),
            cpu: TICK * ticks,
            resident: resident * 1024,
        })
    }
}

/// `utime` and `stime`; the name before them may itself contain blanks and brackets.
fn ticks(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut number = || fields.next()?.parse::<u32>().ok();
    Some(number()? + number()?)
}

fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_process_does_not_confuse_its_figures() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 30 0 0 20 0 3 0 9 1 2";
        assert_eq!(ticks(stat), Some(280));
        assert_eq!(ticks("nonsense"), None);
        assert_eq!(
            kibibytes("VmPeak: 9 kB\nVmRSS:\t  1234 kB\n", "VmRSS:"),
            Some(1234)
        );
    }

    #[test]
    fn this_process_costs_something() {
        let meter = Meter::new(std::process::id());
        let before = meter.read().unwrap();
        let mut sum = 0_u64;
        while before.at.elapsed() < Duration::from_millis(100) {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
        let after = meter.read().unwrap();
        assert!(after.cpu > before.cpu, "{sum}");
        assert!(after.resident > 100_000);
    }
}
