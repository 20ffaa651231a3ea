//! How the process is, and of what there is too much.

use std::time::Duration;

use ingress::admission::Limit;
use prometheus::{Gauge, Histogram, HistogramOpts, IntGauge, IntGaugeVec, Opts, Registry};

use crate::admission::Readings;

/// Seconds; a timer that fires on time is a millisecond late.
const LAG_BUCKETS: [f64; 10] = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// What the one who measures tells.
#[derive(Debug)]
pub struct AdmissionMetrics {
    backlog_bytes: IntGauge,
    calls: IntGauge,
    lag: Histogram,
    lag_p90: Gauge,
    legs: IntGauge,
    overloaded: IntGaugeVec,
    resident_bytes: IntGauge,
}

impl AdmissionMetrics {
    /// Makes them and registers them.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| super::kept(registry, IntGauge::new(name, help));
        let lag = HistogramOpts::new(
            "antiphon_runtime_lag_seconds",
            "How late timers of 100 ms fired.",
        );
        let overloaded = Opts::new(
            "antiphon_overloaded",
            "1 while there is too much of something for new calls, by of what.",
        );
        let metrics = Self {
            backlog_bytes: gauge(
                "antiphon_backlog_bytes",
                "Sound that waits to be sent to speech services, over all streams.",
            )?,
            calls: gauge(
                "antiphon_admission_calls",
                "Calls that were admitted: Twilio's sockets and SIPREC's sessions.",
            )?,
            lag: super::kept(
                registry,
                Histogram::with_opts(lag.buckets(LAG_BUCKETS.to_vec())),
            )?,
            lag_p90: super::kept(
                registry,
                Gauge::new(
                    "antiphon_runtime_lag_p90_seconds",
                    "How late the worst tenth of the timers of the last five seconds was.",
                ),
            )?,
            legs: gauge(
                "antiphon_admission_legs",
                "Legs that are there or expected of calls that were admitted.",
            )?,
            overloaded: super::kept(registry, IntGaugeVec::new(overloaded, &["reason"]))?,
            resident_bytes: gauge("antiphon_resident_bytes", "Resident memory of the process.")?,
        };
        for limit in Limit::ALL {
            metrics.overloaded(*limit, false);
        }
        Ok(metrics)
    }

    /// A timer was so late.
    pub(crate) fn lag(&self, late: Duration) {
        self.lag.observe(late.as_secs_f64());
    }

    /// How the process is.
    pub(crate) fn readings(&self, readings: &Readings, lag: Duration) {
        let whole = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.backlog_bytes.set(whole(readings.backlog_bytes));
        self.calls.set(whole(readings.calls as u64));
        self.legs.set(whole(readings.legs as u64));
        self.lag_p90.set(lag.as_secs_f64());
        if let Some(bytes) = readings.resident_bytes {
            self.resident_bytes.set(whole(bytes));
        }
    }

    /// There is too much of something, or not any more.
    pub(crate) fn overloaded(&self, limit: Limit, is_exceeded: bool) {
        self.overloaded
            .with_label_values(&[limit.as_str()])
            .set(i64::from(is_exceeded));
    }
}
