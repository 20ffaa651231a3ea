//! The same load again and again, each time with something else broken beside the media, in one
//! table: no fault of the store or of a webhook may be heard.

use anyhow::ensure;

use super::beside::{StoreWish, WebhookWish};
use super::{Arguments, Figures, run};
use crate::report::{Table, count, ms};

/// What is compared: its name, the webhook, and the store. The first is what the others are
/// measured against; it comes again at the end, to see what the machine itself varies.
const RUNS: [(&str, WebhookWish, StoreWish); 6] = [
    ("no faults", WebhookWish::Ok, StoreWish::Ok),
    ("dead webhook", WebhookWish::Dead, StoreWish::Ok),
    ("full disk", WebhookWish::Ok, StoreWish::Full),
    ("locked database", WebhookWish::Ok, StoreWish::Locked),
    ("all of them", WebhookWish::Dead, StoreWish::Locked),
    ("no faults", WebhookWish::Ok, StoreWish::Ok),
];

/// A latency may be so many times that of the run without faults, and so much more.
const FACTOR: u64 = 2;
const SLACK_US: u64 = 20_000;

/// One of the runs.
type Compared = (&'static str, WebhookWish, StoreWish, Figures);

/// Runs all of them and prints the table.
///
/// # Errors
/// When one of them could not be run, lost anything, was slower, or met no fault.
pub(super) async fn compare(arguments: &Arguments) -> anyhow::Result<Vec<Figures>> {
    let mut compared = Vec::new();
    for (name, webhook, store) in RUNS {
        eprintln!("{name} …");
        let arguments = Arguments {
            webhook,
            store,
            ..arguments.clone()
        };
        compared.push((name, webhook, store, run::run(&arguments).await?));
    }
    print!("{}", table(&compared));
    let complaints = complaints(&compared);
    ensure!(complaints.is_empty(), "{}", complaints.join("; "));
    Ok(compared.into_iter().map(|(.., figures)| figures).collect())
}

fn table(compared: &[Compared]) -> Table {
    let mut table = Table::new([
        "run",
        "frames",
        "lost",
        "p50",
        "p99",
        "max",
        "CPU a leg",
        "events kept",
        "store errors",
        "delivered",
        "attempts",
    ]);
    for (name, _, _, figures) in compared {
        let (latency, aside) = (&figures.latency, figures.aside.unwrap_or_default());
        let cpu = figures.cost.map(|cost| cost.cpu_ms_per_leg_second);
        table.row([
            (*name).to_owned(),
            count(figures.sent.stamped),
            count(figures.heard.lost + figures.heard.kernel_drops),
            ms(latency.p50_us),
            ms(latency.p99_us),
            ms(latency.max_us),
            cpu.map_or_else(String::new, |cpu| format!("{cpu:.3} ms/s")),
            count(aside.kept),
            count(aside.store_errors),
            count(aside.delivered),
            count(aside.attempts),
        ]);
    }
    table
}

fn complaints(compared: &[Compared]) -> Vec<String> {
    let healthy = compared
        .iter()
        .filter(|(_, webhook, store, _)| (*webhook, *store) == (WebhookWish::Ok, StoreWish::Ok));
    let usual_us = healthy.map(|(.., figures)| figures.latency.p99_us).max();
    let bound_us = FACTOR * usual_us.unwrap_or_default() + SLACK_US;
    let mut complaints = Vec::new();
    for (name, webhook, store, figures) in compared {
        let aside = figures.aside.unwrap_or_default();
        let store_is_broken = matches!(store, StoreWish::Full | StoreWish::Locked);
        let slow = figures.latency.p99_us > bound_us;
        let slow = slow.then(|| format!("p99 is {}", ms(figures.latency.p99_us)));
        let odd = [
            (
                store_is_broken == (aside.store_errors == 0),
                "the store's errors are not as wanted",
            ),
            (
                (*webhook == WebhookWish::Dead) && aside.delivered > 0,
                "the dead webhook took something",
            ),
            (
                (*webhook, store_is_broken) == (WebhookWish::Ok, false) && aside.delivered == 0,
                "nothing was delivered",
            ),
            (aside.dropped > 0, "events were dropped"),
        ];
        let odd = odd.into_iter().filter(|(is_so, _)| *is_so);
        let odd = odd.map(|(_, what)| what.to_owned());
        let all = figures.faults().into_iter().chain(slow).chain(odd);
        complaints.extend(all.map(|what| format!("{name}: {what}")));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::beside::Aside;

    fn figures(p99_us: u64, aside: Aside) -> Figures {
        let mut figures = Figures {
            aside: Some(aside),
            ..Figures::default()
        };
        figures.sent.stamped = 1;
        figures.latency.p99_us = p99_us;
        figures
    }

    fn well() -> Aside {
        Aside {
            kept: 9,
            delivered: 9,
            ..Aside::default()
        }
    }

    #[test]
    fn a_fault_that_is_not_heard_and_did_happen_is_no_complaint() {
        let locked = Aside {
            store_errors: 3,
            ..Aside::default()
        };
        let compared = [
            ("a", WebhookWish::Ok, StoreWish::Ok, figures(1_000, well())),
            (
                "b",
                WebhookWish::Ok,
                StoreWish::Locked,
                figures(21_999, locked),
            ),
        ];
        assert_eq!(complaints(&compared), Vec::<String>::new());
    }

    #[test]
    fn slowness_loss_and_faults_that_did_not_happen_are_complaints() {
        let mut lossy = figures(90_000, well());
        lossy.heard.lost = 1;
        let compared = [
            ("a", WebhookWish::Ok, StoreWish::Ok, figures(1_000, well())),
            ("b", WebhookWish::Dead, StoreWish::Full, lossy),
        ];
        let complaints = complaints(&compared);
        assert_eq!(complaints.len(), 4, "{complaints:?}");
    }
}
