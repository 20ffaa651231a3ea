//! How one call went, and the table of all of them.

use crate::caller::batch::Commands;
use crate::caller::siprec::{CallError, Event, Side, SiprecCall};
use crate::histogram::Histogram;
use crate::report::{Table, count, ms};

/// One call after its end. Wide because it is a row of a table.
pub(super) struct Outcome {
    guid: String,
    answered_us: u64,
    packets: [u64; 2],
    lost: u64,
    lateness: Histogram,
    reported: u64,
    faults: Vec<String>,
    commands: Commands,
    ended: Result<Vec<Event>, CallError>,
}

impl Outcome {
    /// Hangs up.
    pub(super) async fn of(call: SiprecCall, commands: Commands) -> Self {
        let lost = |side| call.sent(side).lost.len() as u64;
        let reports = |side| call.reports(side).blocks;
        Self {
            guid: call.guid(),
            answered_us: call.answered_in().as_micros() as u64,
            packets: Side::BOTH.map(|side| call.sent(side).packets),
            lost: Side::BOTH.map(lost).iter().sum(),
            lateness: call.lateness().clone(),
            reported: Side::BOTH.map(reports).iter().sum(),
            faults: call.answer_faults(),
            commands,
            ended: call.hang_up().await.map(|call| call.events()),
        }
    }

    pub(super) fn is_good(&self) -> bool {
        self.commands.are_good() && self.ended.is_ok() && self.faults.is_empty()
    }

    fn end(&self) -> String {
        match &self.ended {
            Err(error) => error.to_string(),
            Ok(_) if !self.faults.is_empty() => self.faults.join("; "),
            Ok(events) => {
                let offers = |event: &&Event| matches!(event, Event::Reinvited(_));
                match events.iter().filter(offers).count() {
                    0 => "ok".to_owned(),
                    offers => format!("ok, {offers} re-INVITEs"),
                }
            }
        }
    }
}

pub(super) fn table(outcomes: &[Outcome]) -> Table {
    let mut table = Table::new([
        "call",
        "answered",
        "customer",
        "agent",
        "lost",
        "late p99",
        "reports",
        "start",
        "stop",
        "customer bytes",
        "agent bytes",
        "end",
    ]);
    for outcome in outcomes {
        table.row([
            outcome.guid.clone(),
            ms(outcome.answered_us),
            count(outcome.packets[0]),
            count(outcome.packets[1]),
            count(outcome.lost),
            ms(outcome.lateness.quantile_us(0.99)),
            count(outcome.reported),
            outcome.commands.start(),
            outcome.commands.stop(),
            outcome.commands.confirmed("customer"),
            outcome.commands.confirmed("agent"),
            outcome.end(),
        ]);
    }
    table
}
