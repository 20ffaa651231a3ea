use ingress::admission::AdmissionLimits;
use prometheus::{Registry, TextEncoder};

use super::*;

const MIB: u64 = 1 << 20;

fn bounds() -> Bounds {
    Bounds {
        admission: AdmissionLimits {
            calls_max: 100,
            legs_max: 220,
        },
        backlog_bytes_max: 100 * MIB,
        lag_max: Duration::from_millis(200),
        memory_bytes_max: 1_000 * MIB,
    }
}

/// A judge that is asked once a second.
struct Court {
    judge: Judge,
    now: std::time::Instant,
}

impl Court {
    fn new(bounds: Bounds) -> Self {
        Self {
            judge: Judge::new(bounds),
            now: std::time::Instant::now(),
        }
    }

    /// What changes: `+` is too much now, `-` not any more.
    fn judge(&mut self, change: impl FnOnce(&mut Readings)) -> Vec<String> {
        let mut readings = Readings::default();
        change(&mut readings);
        self.now += Duration::from_secs(1);
        let changes = self.judge.judge(self.now, &readings).into_iter();
        let told = |change: Change| match change.lasted {
            None => format!("+{}", change.limit.as_str()),
            Some(lasted) => format!("-{} {}", change.limit.as_str(), lasted.as_secs()),
        };
        changes.map(told).collect()
    }
}

#[test]
fn each_bound_is_entered_once_and_left_lower() {
    type Set = fn(&mut Readings, u64);
    let backlogs: Set = |readings, mib| readings.backlog_bytes = mib * MIB;
    let memory: Set = |readings, mib| readings.resident_bytes = Some(mib * MIB);
    let calls: Set = |readings, calls| readings.calls = calls as usize;
    let legs: Set = |readings, legs| readings.legs = legs as usize;
    for (name, set, below, enter, leave) in [
        ("backlogs", backlogs, 74, 75, 49),
        ("memory", memory, 999, 1_000, 899),
        ("calls", calls, 99, 100, 89),
        ("legs", legs, 218, 219, 197),
    ] {
        let mut court = Court::new(bounds());
        let nothing: [&str; 0] = [];
        assert_eq!(
            court.judge(|readings| set(readings, below)),
            nothing,
            "{name}"
        );
        assert_eq!(
            court.judge(|readings| set(readings, enter)),
            [format!("+{name}")]
        );
        assert_eq!(court.judge(|readings| set(readings, enter * 2)), nothing);
        assert_eq!(court.judge(|readings| set(readings, below)), nothing);
        assert_eq!(court.judge(|readings| set(readings, leave + 1)), nothing);
        assert_eq!(
            court.judge(|readings| set(readings, leave)),
            [format!("-{name} 4")]
        );
        assert_eq!(court.judge(|readings| set(readings, 0)), nothing);
    }
}

#[test]
fn lag_is_entered_when_timers_are_late_and_left_at_half() {
    let mut court = Court::new(bounds());
    let late = |court: &mut Court, ms: u64, times: usize| {
        (0..times).for_each(|_| court.judge.late(Duration::from_millis(ms)));
        court.judge(|_| ())
    };
    assert!(late(&mut court, 90, 50).is_empty());
    // A timer 250 ms late has kept two others waiting.
    assert_eq!(late(&mut court, 250, 6), ["+lag"]);
    assert!(late(&mut court, 150, 50).is_empty());
    assert_eq!(late(&mut court, 99, 50), ["-lag 2"]);
}

#[test]
fn where_there_is_no_bound_there_is_never_too_much() {
    let mut court = Court::new(Bounds::default());
    court.judge.late(Duration::from_secs(3_600));
    let changes = court.judge(|readings| {
        *readings = Readings {
            backlog_bytes: u64::MAX,
            calls: usize::MAX,
            legs: usize::MAX,
            resident_bytes: Some(u64::MAX),
        };
    });
    assert!(changes.is_empty(), "{changes:?}");
}

#[test]
fn one_call_is_a_bound_too() {
    let mut court = Court::new(Bounds {
        admission: AdmissionLimits {
            calls_max: 1,
            legs_max: 1,
        },
        ..Bounds::default()
    });
    let both = |readings: &mut Readings| (readings.calls, readings.legs) = (1, 1);
    assert_eq!(court.judge(both), ["+calls", "+legs"]);
    assert_eq!(court.judge(|_| ()), ["-calls 1", "-legs 1"]);
}

/// A watch over a budget, and what it tells.
struct World {
    watch: Watch,
    control: AdmissionControl,
    registry: Registry,
}

impl World {
    fn new(bounds: Bounds) -> Self {
        let registry = Registry::new();
        let control = AdmissionControl::new(bounds.admission);
        let backlogs = Budget::unlimited();
        let metrics = AdmissionMetrics::register(&registry).unwrap();
        Self {
            watch: Watch::new(bounds, control.clone(), backlogs, metrics),
            control,
            registry,
        }
    }

    fn metric(&self, series: &str) -> f64 {
        let text = TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.unwrap().parse().unwrap()
    }
}

#[test]
fn what_is_measured_shuts_the_door_and_what_is_counted_only_shows() {
    let mut world = World::new(bounds());
    let _calls: Vec<_> = (0..100).map(|_| world.control.admit().unwrap()).collect();
    world.watch.look(Duration::from_secs(2));
    assert_eq!(world.control.exceeded(), Some(Limit::Lag));
    assert_eq!(world.metric("antiphon_overloaded{reason=\"lag\"}"), 1.0);
    assert_eq!(world.metric("antiphon_overloaded{reason=\"calls\"}"), 1.0);
    for _ in 0..50 {
        world.watch.look(Duration::ZERO);
    }
    assert_eq!(world.control.exceeded(), Some(Limit::Calls));
    assert_eq!(world.metric("antiphon_overloaded{reason=\"lag\"}"), 0.0);
    assert_eq!(world.metric("antiphon_admission_calls"), 100.0);
    assert_eq!(world.metric("antiphon_runtime_lag_seconds_count"), 51.0);
}

#[tokio::test(start_paused = true)]
async fn memory_is_looked_at_again_and_again() {
    let world = World::new(Bounds {
        memory_bytes_max: 1,
        ..Bounds::default()
    });
    let control = world.control.clone();
    let looking = world.watch.run();
    let seen = async {
        while control.exceeded().is_none() {
            tokio::time::sleep(lag::PERIOD).await;
        }
    };
    tokio::select! {
        () = looking => unreachable!("it measures for ever"),
        () = seen => assert_eq!(control.exceeded(), Some(Limit::Memory)),
    }
}
