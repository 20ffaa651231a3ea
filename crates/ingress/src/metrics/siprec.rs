//! What SIPREC tells Prometheus.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use siprec::message::BadMessage;
use siprec::server::Notice;

use crate::metrics::counters;
use crate::siprec::tally::{
    BadSip, ConnectionEnd, Fate, LineEnd, LineTally, Noticed, RtcpKind, SessionEnd,
};

/// Methods that have a series of their own; the last stands for all others.
const METHODS: [&str; 10] = [
    "ACK", "BYE", "CANCEL", "INFO", "INVITE", "OPTIONS", "PRACK", "REGISTER", "UPDATE", "other",
];

/// Classes of answers.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "6xx"];

/// Seconds of jitter: a good network has less than 5 ms, a bad one more than 60.
const JITTER_BUCKETS: [f64; 8] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.2];

/// Counters and gauges of sessions, connections and lines.
#[derive(Debug)]
pub struct SiprecMetrics {
    /// By method and class.
    answers: Vec<Vec<IntCounter>>,
    connections: IntGauge,
    /// In the order of [`FAMILIES`].
    families: Vec<Vec<IntCounter>>,
    jitter: Histogram,
    ports: IntGauge,
    sessions: IntGauge,
    /// In the order of [`SINGLES`].
    singles: Vec<IntCounter>,
}

/// Counters with one label.
#[derive(Clone, Copy)]
enum Family {
    BadMessages,
    Certificates,
    ConnectionsEnded,
    LinesEnded,
    Notices,
    Packets,
    Requests,
    RtcpReceived,
    SessionsEnded,
}

/// Name, help, label and its values.
type Named = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

const FAMILIES: [Named; 9] = [
    (
        "antiphon_siprec_bad_messages_total",
        "SIP messages that could not be read, by what was wrong.",
        "kind",
        BadSip::TEXTS,
    ),
    (
        "antiphon_siprec_certificate_reads_total",
        "Times certificate and key were read again, by result.",
        "result",
        &["good", "bad"],
    ),
    (
        "antiphon_siprec_connections_ended_total",
        "SIP connections ended or not made, by reason.",
        "reason",
        ConnectionEnd::TEXTS,
    ),
    (
        "antiphon_siprec_lines_ended_total",
        "Media lines ended, by reason.",
        "reason",
        LineEnd::TEXTS,
    ),
    (
        "antiphon_siprec_notices_total",
        "What was out of the ordinary about a request or a session, by kind.",
        "kind",
        Noticed::TEXTS,
    ),
    (
        "antiphon_siprec_rtp_packets_total",
        "RTP packets received, by what became of them.",
        "fate",
        Fate::TEXTS,
    ),
    (
        "antiphon_siprec_requests_total",
        "SIP requests received, by method.",
        "method",
        &METHODS,
    ),
    (
        "antiphon_siprec_rtcp_received_total",
        "RTCP packets received, by kind.",
        "kind",
        RtcpKind::TEXTS,
    ),
    (
        "antiphon_siprec_sessions_ended_total",
        "Recording sessions ended, by reason.",
        "reason",
        SessionEnd::TEXTS,
    ),
];

/// Counters without a label.
#[derive(Clone, Copy)]
enum Single {
    Concealed,
    Filled,
    KernelDrops,
    Keys,
    KeysUntold,
    Lost,
    PortsExhausted,
    Reordered,
    Restarts,
    RtcpSent,
    SourceChanges,
    Unsent,
}

const SINGLES: [(&str, &str); 12] = [
    (
        "antiphon_siprec_concealed_samples_total",
        "Lost samples at 8 kHz that were concealed; a part of those filled.",
    ),
    (
        "antiphon_siprec_filled_samples_total",
        "Lost samples at 8 kHz whose place was filled behind an open gate.",
    ),
    (
        "antiphon_siprec_kernel_drops_total",
        "Datagrams that the kernel dropped because an RTP socket's buffer was full.",
    ),
    (
        "antiphon_siprec_keys_pressed_total",
        "Keys pressed while the gate was open.",
    ),
    (
        "antiphon_siprec_keys_untold_total",
        "Of these, those not told: too many in a second, or the gate was shut in that moment.",
    ),
    (
        "antiphon_siprec_packets_lost_total",
        "RTP sequence numbers that never came.",
    ),
    (
        "antiphon_siprec_ports_exhausted_total",
        "Times there were too few free RTP ports for a session.",
    ),
    (
        "antiphon_siprec_packets_reordered_total",
        "RTP packets that came after their successors and were put in place.",
    ),
    (
        "antiphon_siprec_stream_restarts_total",
        "Times an RTP stream began anew: another source, or a jump of its clock.",
    ),
    ("antiphon_siprec_rtcp_sent_total", "Receiver reports sent."),
    (
        "antiphon_siprec_source_changes_total",
        "Times another address was taken as a line's source, the first included.",
    ),
    (
        "antiphon_siprec_messages_unsent_total",
        "SIP messages that could not be sent: the connection was gone or the socket full.",
    ),
];

impl SiprecMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let families = FAMILIES.iter().map(|(name, help, label, values)| {
            counters(registry, Opts::new(*name, *help), label, values)
        });
        Ok(Self {
            answers: answers(registry)?,
            connections: gauge(
                registry,
                "antiphon_siprec_connections",
                "Open SIP connections.",
            )?,
            families: families.collect::<Result<_, prometheus::Error>>()?,
            jitter: jitter(registry)?,
            ports: gauge(
                registry,
                "antiphon_siprec_ports",
                "Leased pairs of RTP ports.",
            )?,
            sessions: gauge(
                registry,
                "antiphon_siprec_sessions",
                "Recording sessions that run.",
            )?,
            singles: singles(registry)?,
        })
    }

    /// What the server noticed.
    pub(crate) fn notice(&self, notice: &Notice) {
        match notice {
            Notice::Answered { method, status, .. } => {
                let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
                self.answers[method_index(method)][class].inc();
            }
            Notice::Request(method) => self.family(Family::Requests)[method_index(method)].inc(),
            _ => {}
        }
        if let Some(noticed) = Noticed::of(notice) {
            self.family(Family::Notices)[noticed as usize].inc();
        }
    }

    /// A message could not be read.
    pub(crate) fn bad_message(&self, why: &BadMessage) {
        self.family(Family::BadMessages)[BadSip::from(why) as usize].inc();
    }

    /// Certificate and key were read again.
    pub(crate) fn certificate_read(&self, good: bool) {
        self.family(Family::Certificates)[usize::from(!good)].inc();
    }

    /// A connection is there.
    pub(crate) fn connection_opened(&self) {
        self.connections.inc();
    }

    /// It is gone.
    pub(crate) fn connection_closed(&self) {
        self.connections.dec();
    }

    /// Why a connection is gone, or was never there.
    pub(crate) fn connection_ended(&self, end: ConnectionEnd) {
        self.family(Family::ConnectionsEnded)[end as usize].inc();
    }

    /// A message could not be sent.
    pub(crate) fn unsent(&self) {
        self.add(Single::Unsent, 1);
    }

    /// A session is there.
    pub(crate) fn session_opened(&self) {
        self.sessions.inc();
    }

    /// A session is over.
    pub(crate) fn session_ended(&self, end: SessionEnd) {
        self.sessions.dec();
        self.family(Family::SessionsEnded)[end as usize].inc();
    }

    /// A pair of ports is in use.
    pub(crate) fn port_leased(&self) {
        self.ports.inc();
    }

    /// A pair of ports is not in use any more.
    pub(crate) fn port_released(&self) {
        self.ports.dec();
    }

    /// There were too few ports.
    pub(crate) fn ports_exhausted(&self) {
        self.add(Single::PortsExhausted, 1);
    }

    /// The kernel dropped datagrams.
    pub(crate) fn kernel_drops(&self, count: u64) {
        self.add(Single::KernelDrops, count);
    }

    /// What a line has seen.
    pub(crate) fn line(&self, tally: &LineTally) {
        for (counter, count) in self.family(Family::Packets).iter().zip(tally.packets) {
            add(counter, count);
        }
        for (counter, count) in self
            .family(Family::RtcpReceived)
            .iter()
            .zip(tally.rtcp_received)
        {
            add(counter, count);
        }
        self.add(Single::Concealed, tally.concealed);
        self.add(Single::Filled, tally.filled);
        self.add(Single::Keys, tally.keys);
        self.add(Single::KeysUntold, tally.keys_untold);
        self.add(Single::Lost, tally.lost);
        self.add(Single::Reordered, tally.reordered);
        self.add(Single::Restarts, tally.restarts);
        self.add(Single::RtcpSent, tally.rtcp_sent);
        self.add(Single::SourceChanges, tally.source_changes);
    }

    /// A line's jitter at the time of a report.
    pub(crate) fn jitter(&self, jitter: Duration) {
        self.jitter.observe(jitter.as_secs_f64());
    }

    /// A line is over.
    pub(crate) fn line_ended(&self, end: LineEnd) {
        self.family(Family::LinesEnded)[end as usize].inc();
    }

    fn family(&self, family: Family) -> &[IntCounter] {
        &self.families[family as usize]
    }

    fn add(&self, single: Single, count: u64) {
        add(&self.singles[single as usize], count);
    }
}

#[cfg(test)]
impl SiprecMetrics {
    pub(crate) fn ports_in_use(&self) -> i64 {
        self.ports.get()
    }

    pub(crate) fn kernel_drops_total(&self) -> u64 {
        self.singles[Single::KernelDrops as usize].get()
    }

    pub(crate) fn packets_total(&self, fate: Fate) -> u64 {
        self.family(Family::Packets)[fate as usize].get()
    }

    pub(crate) fn connections_ended_total(&self, end: ConnectionEnd) -> u64 {
        self.family(Family::ConnectionsEnded)[end as usize].get()
    }
}

fn add(counter: &IntCounter, count: u64) {
    if count > 0 {
        counter.inc_by(count);
    }
}

fn method_index(method: &str) -> usize {
    let known = METHODS.iter().position(|known| *known == method);
    known.unwrap_or(METHODS.len() - 1)
}

fn answers(registry: &Registry) -> Result<Vec<Vec<IntCounter>>, prometheus::Error> {
    let opts = Opts::new(
        "antiphon_siprec_answers_total",
        "SIP answers sent, by method of the request and class of the status.",
    );
    let family = IntCounterVec::new(opts, &["method", "class"])?;
    registry.register(Box::new(family.clone()))?;
    let series = |method: &&str| {
        let classes = CLASSES.iter();
        classes
            .map(|class| family.get_metric_with_label_values(&[method, class]))
            .collect()
    };
    METHODS.iter().map(series).collect()
}

fn singles(registry: &Registry) -> Result<Vec<IntCounter>, prometheus::Error> {
    let make = |(name, help): &(&str, &str)| {
        let counter = IntCounter::new(*name, *help)?;
        registry.register(Box::new(counter.clone()))?;
        Ok(counter)
    };
    SINGLES.iter().map(make).collect()
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    let gauge = IntGauge::new(name, help)?;
    registry.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}

fn jitter(registry: &Registry) -> Result<Histogram, prometheus::Error> {
    let help = "Interarrival jitter of RTP at each receiver report.";
    let opts = HistogramOpts::new("antiphon_siprec_jitter_seconds", help);
    let histogram = Histogram::with_opts(opts.buckets(JITTER_BUCKETS.to_vec()))?;
    registry.register(Box::new(histogram.clone()))?;
    Ok(histogram)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(registry: &Registry, name: &str, labels: &[&str]) -> u64 {
        let families = registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let metrics = family.unwrap().get_metric();
        let same = |metric: &&prometheus::proto::Metric| {
            let known = metric.get_label().iter().map(|label| label.value());
            labels
                .iter()
                .all(|label| known.clone().any(|it| it == *label))
        };
        let metric = metrics.iter().find(same).unwrap();
        metric.get_counter().get_value() as u64
    }

    #[test]
    fn every_count_of_a_tally_moves_a_series_of_its_own() {
        let registry = Registry::new();
        let metrics = SiprecMetrics::register(&registry).unwrap();
        let mut next = 0;
        let mut count = || {
            next += 1;
            next
        };
        metrics.line(&LineTally {
            packets: std::array::from_fn(|_| count()),
            concealed: count(),
            filled: count(),
            lost: count(),
            reordered: count(),
            restarts: count(),
            source_changes: count(),
            keys: count(),
            keys_untold: count(),
            rtcp_received: std::array::from_fn(|_| count()),
            rtcp_sent: count(),
        });
        let families = registry.gather();
        let all = families.iter().flat_map(|family| family.get_metric());
        let mut values: Vec<u64> = all
            .map(|metric| metric.get_counter().get_value() as u64)
            .filter(|value| *value > 0)
            .collect();
        values.sort_unstable();
        assert_eq!(values, (1..=next).collect::<Vec<_>>());
    }

    #[test]
    fn answers_are_counted_by_method_and_class_and_unknown_methods_together() {
        let registry = Registry::new();
        let metrics = SiprecMetrics::register(&registry).unwrap();
        for (method, status) in [("INVITE", 488), ("INVITE", 403), ("FOO", 200), ("BYE", 999)] {
            metrics.notice(&Notice::Answered {
                method,
                status,
                why: None,
            });
        }
        metrics.notice(&Notice::Request("OPTIONS"));
        metrics.notice(&Notice::UnknownSource);
        let answers = "antiphon_siprec_answers_total";
        assert_eq!(value(&registry, answers, &["INVITE", "4xx"]), 2);
        assert_eq!(value(&registry, answers, &["other", "2xx"]), 1);
        assert_eq!(value(&registry, answers, &["BYE", "6xx"]), 1);
        let requests = "antiphon_siprec_requests_total";
        assert_eq!(value(&registry, requests, &["OPTIONS"]), 1);
        let notices = "antiphon_siprec_notices_total";
        assert_eq!(value(&registry, notices, &["unknown_source"]), 1);
    }
}
