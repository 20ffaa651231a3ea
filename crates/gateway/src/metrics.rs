//! The program's own metrics: HTTP, commands, calls, events. Labels come from closed sets only.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use call::ending::{Ending, Fault};
use call::name::Namespace;
use call::switchboard::StateName;
use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

pub mod admission;
pub mod connections;
pub mod labels;
pub mod store;

use labels::{CommandName, Limit, Route};

/// All of them, one method a fact. Many fields, because each is a metric of its own.
#[derive(Debug)]
pub struct Metrics {
    auth_failures: IntCounter,
    call_names_left_out: IntCounter,
    call_names_shared: IntCounter,
    calls: IntGaugeVec,
    calls_ended: IntCounterVec,
    calls_overdue: IntGauge,
    command_seconds: HistogramVec,
    commands: IntCounterVec,
    events: IntCounterVec,
    events_lost: IntCounter,
    limited: IntCounterVec,
    panics: IntCounter,
    reloads: IntCounterVec,
    requests: IntCounterVec,
    subscribers: IntGauge,
    subscribers_cut: IntCounter,
    unknown_fields: IntCounter,
    wishes_left_out: IntCounter,
}

impl Metrics {
    /// Makes them and registers them.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| kept(registry, IntCounter::new(name, help));
        let counters = |name: &str, help: &str, labels: &[&str]| {
            kept(registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let gauge = |name: &str, help: &str| kept(registry, IntGauge::new(name, help));
        let metrics = Self {
            auth_failures: counter(
                "antiphon_auth_failures_total",
                "Requests whose keys were missing or wrong.",
            )?,
            call_names_left_out: counter(
                "antiphon_call_names_left_out_total",
                "Names of calls that were not kept, because the call had too many.",
            )?,
            call_names_shared: counter(
                "antiphon_call_names_shared_total",
                "Names that another live call had already; they now mean the newer call.",
            )?,
            calls: kept(registry, IntGaugeVec::new(states(), &["state"]))?,
            calls_ended: counters(
                "antiphon_calls_ended_total",
                "Calls that ended, by platform, whose doing it was, and why.",
                &["namespace", "fault", "reason"],
            )?,
            calls_overdue: gauge(
                "antiphon_calls_overdue",
                "Calls that should have ended and have not. Anything but 0 is a defect.",
            )?,
            command_seconds: kept(
                registry,
                HistogramVec::new(command_durations(), &["command"]),
            )?,
            commands: counters(
                "antiphon_commands_total",
                "Commands by outcome: ok, not_ok (isOk is false), or the code of the error.",
                &["command", "outcome"],
            )?,
            events: counters("antiphon_events_total", "Events published.", &["type"])?,
            events_lost: counter(
                "antiphon_events_lost_total",
                "Events that a reader asked for when they were no longer kept.",
            )?,
            limited: counters(
                "antiphon_http_requests_limited_total",
                "Requests turned away by a limit.",
                &["limit"],
            )?,
            panics: counter(
                "antiphon_http_panics_total",
                "Requests whose handling failed by a defect of ours. Anything but 0 is one.",
            )?,
            reloads: counters(RELOADS, RELOADS_HELP, &["outcome"])?,
            requests: counters(
                "antiphon_http_requests_total",
                "Requests by route, method and class of status.",
                &["route", "method", "status"],
            )?,
            subscribers: gauge("antiphon_event_subscribers", "Open event streams.")?,
            subscribers_cut: counter(
                "antiphon_event_subscribers_cut_total",
                "Event streams cut because their reader had stopped reading.",
            )?,
            unknown_fields: counter(
                "antiphon_http_unknown_fields_total",
                "Members of request bodies that this version does not know; they are ignored.",
            )?,
            wishes_left_out: counter(WISHES_LEFT_OUT, WISHES_LEFT_OUT_HELP)?,
        };
        metrics.show_from_the_start();
        Ok(metrics)
    }

    /// A gauge that is always 1 and whose labels say which build this is.
    pub fn build(registry: &Registry, version: &str) -> Result<(), prometheus::Error> {
        let opts = Opts::new(
            "antiphon_build_info",
            "Always 1; the label says which version runs.",
        );
        let gauge = kept(
            registry,
            IntGauge::with_opts(opts.const_label("version", version)),
        )?;
        gauge.set(1);
        Ok(())
    }

    /// A call came (`None` before), changed its state, or went (`None` after).
    pub fn call_changed(&self, before: Option<StateName>, after: Option<StateName>) {
        if let Some(before) = before {
            self.calls.with_label_values(&[before.as_str()]).dec();
        }
        if let Some(after) = after {
            self.calls.with_label_values(&[after.as_str()]).inc();
        }
    }

    /// A call had more names than are kept.
    pub fn call_names_left_out(&self, names: usize) {
        self.call_names_left_out.inc_by(names as u64);
    }

    /// A call goes by names of another live call.
    pub fn call_names_shared(&self, names: usize) {
        self.call_names_shared.inc_by(names as u64);
    }

    /// A call ended.
    pub fn call_ended(&self, namespace: Namespace, ending: Ending) {
        let labels = [namespace.as_str(), ending.fault.as_str(), ending.reason];
        self.calls_ended.with_label_values(&labels).inc();
    }

    /// How many calls have failed to end.
    pub fn calls_overdue(&self, calls: usize) {
        self.calls_overdue
            .set(i64::try_from(calls).unwrap_or(i64::MAX));
    }

    /// A command was answered.
    pub(crate) fn command(&self, command: CommandName, outcome: &'static str, took: Duration) {
        self.commands
            .with_label_values(&[command.as_str(), outcome])
            .inc();
        if matches!(outcome, "ok" | "not_ok") {
            self.command_histogram(command).observe(took.as_secs_f64());
        }
    }

    pub(crate) fn auth_failed(&self) {
        self.auth_failures.inc();
    }

    pub(crate) fn event_published(&self, kind: &'static str) {
        self.events.with_label_values(&[kind]).inc();
    }

    pub(crate) fn events_lost(&self, events: u64) {
        self.events_lost.inc_by(events);
    }

    pub(crate) fn limited(&self, limit: Limit) {
        self.limited.with_label_values(&[limit.as_str()]).inc();
    }

    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    /// Keys, tokens and secrets were read again; or not, and all stay as they were.
    pub(crate) fn reloaded(&self, is_taken: bool) {
        let outcome = OUTCOMES[usize::from(is_taken)];
        self.reloads.with_label_values(&[outcome]).inc();
    }

    pub(crate) fn request(&self, route: Route, method: &Method, status: StatusCode) {
        let labels = [route.as_str(), method_label(method), class(status)];
        self.requests.with_label_values(&labels).inc();
    }

    pub(crate) fn subscribed(&self) {
        self.subscribers.inc();
    }

    pub(crate) fn unsubscribed(&self) {
        self.subscribers.dec();
    }

    pub(crate) fn subscriber_cut(&self) {
        self.subscribers_cut.inc();
    }

    pub(crate) fn unknown_fields(&self, fields: usize) {
        self.unknown_fields.inc_by(fields as u64);
    }

    /// Something that a leg wished for was left out.
    pub(crate) fn wish_left_out(&self) {
        self.wishes_left_out.inc();
    }

    fn command_histogram(&self, command: CommandName) -> Histogram {
        self.command_seconds.with_label_values(&[command.as_str()])
    }

    // A series that appears with its first event has no rate at that event, and a metric without a
    // series is missing in the documentation.
    fn show_from_the_start(&self) {
        for state in StateName::ALL {
            self.calls.with_label_values(&[state.as_str()]);
        }
        for command in CommandName::ALL {
            self.command_histogram(command);
            self.commands.with_label_values(&[command.as_str(), "ok"]);
        }
        for kind in crate::events::Event::KINDS {
            self.events.with_label_values(&[kind]);
        }
        for limit in [Limit::Address, Limit::Key, Limit::Subscribers] {
            self.limited.with_label_values(&[limit.as_str()]);
        }
        for outcome in OUTCOMES {
            self.reloads.with_label_values(&[outcome]);
        }
        let (nobody, twilio) = (Fault::Nobody.as_str(), Namespace::Twilio.as_str());
        self.calls_ended
            .with_label_values(&[twilio, nobody, "stopped"]);
        for route in [Route::Start, Route::Stop] {
            self.requests
                .with_label_values(&[route.as_str(), "POST", "2xx"]);
        }
    }
}

const RELOADS: &str = "antiphon_reloads_total";
const RELOADS_HELP: &str = "SIGHUPs, by whether the configuration could be used.";
const OUTCOMES: [&str; 2] = ["refused", "taken"];

const WISHES_LEFT_OUT: &str = "antiphon_wishes_left_out_total";
const WISHES_LEFT_OUT_HELP: &str =
    "Services and parameters that legs wished for and that cannot be had so.";

/// Seconds; a start that waits for media and a service takes some of them.
const COMMAND_BUCKETS: [f64; 12] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// Every metric of a registry as a Markdown table: what `docs/metrics.md` holds. A metric with
/// labels appears once it has a series.
pub fn metrics_doc(registry: &Registry) -> String {
    let mut doc = String::from(METRICS_DOC_HEAD);
    for family in registry.gather() {
        let kind = format!("{:?}", family.get_field_type()).to_lowercase();
        let labels = family.get_metric().first().map_or_else(Vec::new, |metric| {
            metric
                .get_label()
                .iter()
                .map(|label| format!("`{}`", label.name()))
                .collect()
        });
        let row = [
            format!("`{}`", family.name()),
            kind,
            labels.join(", "),
            family.help().into(),
        ];
        doc.push_str(&format!("| {} |\n", row.join(" | ").replace("|  |", "| |")));
    }
    doc
}

const METRICS_DOC_HEAD: &str = "\
# Metrics

Served at `/metrics` in Prometheus' text format. This page is written by the code and compared by a
test; `UPDATE_DOCS=1 make test` writes it anew.

| name | type | labels | meaning |
|---|---|---|---|
";

fn states() -> Opts {
    let help = "Calls that the switchboard knows, by state.";
    Opts::new("antiphon_calls", help)
}

fn command_durations() -> HistogramOpts {
    let help = "Time from a command to its answer with status 200; of a start: to startResponse.";
    let opts = HistogramOpts::new("antiphon_command_duration_seconds", help);
    opts.buckets(COMMAND_BUCKETS.to_vec())
}

fn kept<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: Result<C, prometheus::Error>,
) -> Result<C, prometheus::Error> {
    let collector = collector?;
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        _ => "other",
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests;
