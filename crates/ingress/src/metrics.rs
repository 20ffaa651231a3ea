//! What this crate tells Prometheus. Labels come from enums only.

pub mod siprec;

use prometheus::{Counter, CounterVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use call::audio::SAMPLE_RATE;

use crate::admission::Limit;
use crate::metrics::siprec::SiprecMetrics;
use crate::twilio::tally::{
    Admission, Bad, EventName, GATE_NAMES, GapCause, Ignored, LegEnd, SocketEnd, Tally, Unsupported,
};

/// The counters of all adapters.
#[derive(Debug)]
pub struct Metrics {
    turned_away: Vec<IntCounter>,
    sockets: IntGauge,
    upgrades: Vec<IntCounter>,
    sockets_ended: Vec<IntCounter>,
    gap_seconds: Vec<Counter>,
    /// In the order of [`FAMILIES`].
    families: Vec<Vec<IntCounter>>,
    /// In the order of [`SINGLES`].
    singles: Vec<IntCounter>,
    siprec: SiprecMetrics,
}

/// Counters of one fact, one for each value of a label.
struct Family {
    name: &'static str,
    help: &'static str,
    label: &'static str,
    values: &'static [&'static str],
    counts: fn(&Tally) -> &[u64],
}

/// A counter without a label.
struct Single {
    name: &'static str,
    help: &'static str,
    count: fn(&Tally) -> u64,
}

const FAMILIES: &[Family] = &[
    Family {
        name: "antiphon_twilio_messages_total",
        help: "Messages read, by event.",
        label: "event",
        values: EventName::TEXTS,
        counts: |tally| &tally.messages,
    },
    Family {
        name: "antiphon_twilio_bad_messages_total",
        help: "Messages skipped, by kind.",
        label: "kind",
        values: Bad::TEXTS,
        counts: |tally| &tally.bad,
    },
    Family {
        name: "antiphon_twilio_frames_total",
        help: "Frames of live legs, by the gate they met.",
        label: "gate",
        values: &GATE_NAMES,
        counts: |tally| &tally.frames,
    },
    Family {
        name: "antiphon_twilio_ignored_frames_total",
        help: "Frames that belonged to no live leg, by reason.",
        label: "reason",
        values: Ignored::TEXTS,
        counts: |tally| &tally.ignored,
    },
    Family {
        name: "antiphon_twilio_unsupported_formats_total",
        help: "Sockets with a sound format we cannot take, by what of it.",
        label: "part",
        values: Unsupported::TEXTS,
        counts: |tally| &tally.unsupported,
    },
    Family {
        name: "antiphon_twilio_legs_ended_total",
        help: "Legs ended, by reason.",
        label: "reason",
        values: LegEnd::TEXTS,
        counts: |tally| &tally.legs_ended,
    },
];

const SINGLES: &[Single] = &[
    Single {
        name: "antiphon_twilio_legs_opened_total",
        help: "Legs opened.",
        count: |tally| tally.legs_opened,
    },
    Single {
        name: "antiphon_twilio_sequence_missing_total",
        help: "Sequence numbers that never came.",
        count: |tally| tally.sequence_missing,
    },
    Single {
        name: "antiphon_twilio_sequence_backward_total",
        help: "Sequence numbers that came again or too late.",
        count: |tally| tally.sequence_backward,
    },
    Single {
        name: "antiphon_twilio_clock_restarts_total",
        help: "Times a stream's clock began anew.",
        count: |tally| tally.clock_restarts,
    },
    Single {
        name: "antiphon_twilio_untimed_frames_total",
        help: "Frames without a timestamp.",
        count: |tally| tally.untimed,
    },
    Single {
        name: "antiphon_twilio_unlisted_tracks_total",
        help: "Legs opened by their sound: not listed in start, or back after a media timeout.",
        count: |tally| tally.unlisted_tracks,
    },
    Single {
        name: "antiphon_twilio_starts_repeated_total",
        help: "Repeated start messages ignored.",
        count: |tally| tally.starts_repeated,
    },
    Single {
        name: "antiphon_twilio_keys_pressed_total",
        help: "Keys pressed while the gate was open.",
        count: |tally| tally.keys,
    },
    Single {
        name: "antiphon_twilio_keys_untold_total",
        help: "Of these, those not told: too many in a second.",
        count: |tally| tally.keys_untold,
    },
    Single {
        name: "antiphon_twilio_parameters_ignored_total",
        help: "Parameters named antiphon.… that are empty, too long, too many, or there twice.",
        count: |tally| tally.parameters_ignored,
    },
];

impl Metrics {
    /// Makes them all and registers them, so that each series is there from the beginning.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let sockets = IntGauge::new("antiphon_twilio_sockets", "Open Media Streams sockets.")?;
        registry.register(Box::new(sockets.clone()))?;
        let turned_away = Opts::new(
            "antiphon_admission_refusals_total",
            "Calls turned away because there was too much of something, by of what.",
        );
        let upgrades = Opts::new(
            "antiphon_twilio_upgrades_total",
            "Requests to open a socket, by result.",
        );
        let ended = Opts::new(
            "antiphon_twilio_sockets_ended_total",
            "Sockets ended, by reason.",
        );
        let families = FAMILIES.iter().map(|family| {
            let opts = Opts::new(family.name, family.help);
            counters(registry, opts, family.label, family.values)
        });
        let singles = SINGLES.iter().map(|single| {
            let counter = IntCounter::new(single.name, single.help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        });
        Ok(Self {
            turned_away: counters(registry, turned_away, "reason", Limit::TEXTS)?,
            sockets,
            upgrades: counters(registry, upgrades, "result", Admission::TEXTS)?,
            sockets_ended: counters(registry, ended, "reason", SocketEnd::TEXTS)?,
            gap_seconds: gaps(registry)?,
            families: families.collect::<Result<_, prometheus::Error>>()?,
            singles: singles.collect::<Result<_, prometheus::Error>>()?,
            siprec: SiprecMetrics::register(registry)?,
        })
    }

    /// Those of SIPREC.
    pub fn siprec(&self) -> &SiprecMetrics {
        &self.siprec
    }

    /// A call was turned away.
    pub fn turned_away(&self, limit: Limit) {
        self.turned_away[limit as usize].inc();
    }

    /// A request to open a socket was answered.
    pub fn admission(&self, admission: Admission) {
        self.upgrades[admission as usize].inc();
    }

    /// A socket was opened.
    pub fn socket_opened(&self) {
        self.sockets.inc();
    }

    /// A socket is gone.
    pub fn socket_ended(&self, end: SocketEnd) {
        self.sockets.dec();
        self.sockets_ended[end as usize].inc();
    }

    /// What a socket has seen.
    pub fn record(&self, tally: &Tally) {
        for (family, counters) in FAMILIES.iter().zip(&self.families) {
            for (counter, &count) in counters.iter().zip((family.counts)(tally)) {
                add(counter, count);
            }
        }
        for (single, counter) in SINGLES.iter().zip(&self.singles) {
            add(counter, (single.count)(tally));
        }
        for (counter, &samples) in self.gap_seconds.iter().zip(&tally.gap_samples) {
            if samples > 0 {
                counter.inc_by(samples as f64 / f64::from(SAMPLE_RATE));
            }
        }
    }
}

// Most of a tally is zero, and looking is cheaper than adding nothing atomically.
fn add(counter: &IntCounter, count: u64) {
    if count > 0 {
        counter.inc_by(count);
    }
}

fn counters(
    registry: &Registry,
    opts: Opts,
    label: &str,
    values: &[&str],
) -> Result<Vec<IntCounter>, prometheus::Error> {
    let family = IntCounterVec::new(opts, &[label])?;
    registry.register(Box::new(family.clone()))?;
    values
        .iter()
        .map(|value| family.get_metric_with_label_values(&[value]))
        .collect()
}

fn gaps(registry: &Registry) -> Result<Vec<Counter>, prometheus::Error> {
    let help = "Sound missing by timestamp, by whether messages are missing with it.";
    let family = CounterVec::new(
        Opts::new("antiphon_twilio_gap_seconds_total", help),
        &["cause"],
    )?;
    registry.register(Box::new(family.clone()))?;
    let values = GapCause::TEXTS.iter();
    values
        .map(|value| family.get_metric_with_label_values(&[value]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One series a label value, and each fact moves its own.
    #[test]
    fn every_count_of_a_tally_moves_a_series_of_its_own() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let mut next = 0;
        let mut count = || {
            next += 1;
            next
        };
        let tally = Tally {
            messages: std::array::from_fn(|_| count()),
            bad: std::array::from_fn(|_| count()),
            frames: std::array::from_fn(|_| count()),
            ignored: std::array::from_fn(|_| count()),
            gap_samples: std::array::from_fn(|_| count() * 8000),
            unsupported: std::array::from_fn(|_| count()),
            legs_opened: count(),
            legs_ended: std::array::from_fn(|_| count()),
            sequence_missing: count(),
            sequence_backward: count(),
            clock_restarts: count(),
            untimed: count(),
            unlisted_tracks: count(),
            starts_repeated: count(),
            keys: count(),
            keys_untold: count(),
            parameters_ignored: count(),
        };
        metrics.record(&tally);
        let mut values: Vec<u64> = registry
            .gather()
            .iter()
            .flat_map(|family| family.get_metric())
            .map(|metric| metric.get_counter().get_value() as u64)
            .filter(|value| *value > 0)
            .collect();
        values.sort_unstable();
        assert_eq!(values, (1..=next).collect::<Vec<_>>());
    }

    #[test]
    fn sockets_are_counted_in_and_out() {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        metrics.admission(Admission::Accepted);
        metrics.socket_opened();
        assert_eq!(metrics.sockets.get(), 1);
        metrics.socket_ended(SocketEnd::Peer);
        assert_eq!(metrics.sockets.get(), 0);
        assert_eq!(metrics.sockets_ended[SocketEnd::Peer as usize].get(), 1);
        assert_eq!(metrics.upgrades[Admission::Accepted as usize].get(), 1);
    }
}
