use super::*;

fn world() -> (Registry, Metrics) {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    (registry, metrics)
}

fn text(registry: &Registry) -> String {
    let families = registry.gather();
    let encoder = prometheus::TextEncoder::new();
    encoder.encode_to_string(&families).unwrap()
}

fn assert_shows(registry: &Registry, line: &str) {
    let text = text(registry);
    assert!(text.lines().any(|each| each == line), "{line} in\n{text}");
}

#[test]
fn every_metric_is_registered_once_and_every_label_has_its_series() {
    let (registry, metrics) = world();
    assert!(Metrics::register(&registry).is_err());
    let families = registry.gather();
    let series = |name: &str| {
        let mut families = families.iter();
        let family = families.find(|family| family.name() == name).unwrap();
        family.get_metric().len()
    };
    let services = NAMES.len();
    assert_eq!(
        series("antiphon_upstream_retries_total"),
        Retry::LABELS.len()
    );
    assert_eq!(
        series("antiphon_upstream_gap_seconds_total"),
        GapReason::ALL.len()
    );
    assert_eq!(series("antiphon_upstream_breaker_state"), services);
    assert_eq!(series("antiphon_upstream_received_lag_seconds"), services);
    let failed = series("antiphon_upstream_opens_failed_total");
    assert_eq!(failed, services * Retry::LABELS.len());
    assert_eq!(
        series("antiphon_upstream_opens_held_back_total"),
        services * 4
    );
    metrics.gap(GapReason::Outage, Duration::from_millis(1500));
    metrics.retried(Retry::After(Duration::ZERO));
    assert_shows(
        &registry,
        "antiphon_upstream_gap_seconds_total{reason=\"outage\"} 1.5",
    );
    assert_shows(
        &registry,
        "antiphon_upstream_retries_total{class=\"after\"} 1",
    );
}

#[test]
fn each_fact_of_a_service_moves_its_own_metric_and_only_that_services() {
    let (registry, metrics) = world();
    let vosk = metrics.of("vosk");
    vosk.end_ack_missed();
    vosk.failed_over();
    vosk.kept_alive();
    vosk.padded(Duration::from_millis(30));
    vosk.received(Duration::from_millis(300));
    vosk.repeated();
    vosk.replayed(Duration::from_millis(2500));
    vosk.rolled_over();
    for line in [
        "end_acks_missed_total{service=\"vosk\"} 1",
        "failovers_total{service=\"vosk\"} 1",
        "keep_alives_total{service=\"vosk\"} 1",
        "padded_seconds_total{service=\"vosk\"} 0.03",
        "received_lag_seconds_bucket{service=\"vosk\",le=\"0.25\"} 0",
        "received_lag_seconds_bucket{service=\"vosk\",le=\"0.5\"} 1",
        "repeated_finals_total{service=\"vosk\"} 1",
        "replayed_seconds_total{service=\"vosk\"} 2.5",
        "rollovers_total{service=\"vosk\"} 1",
        "rollovers_total{service=\"deepgram\"} 0",
    ] {
        assert_shows(&registry, &format!("antiphon_upstream_{line}"));
    }
}

#[test]
fn a_service_of_no_list_is_counted_nowhere() {
    let (registry, metrics) = world();
    let before = text(&registry);
    metrics.of("somebody's").rolled_over();
    assert_eq!(text(&registry), before);
}

#[test]
fn degraded_streams_come_and_go() {
    let (registry, metrics) = world();
    metrics.degraded(true);
    metrics.degraded(true);
    metrics.degraded(false);
    assert_shows(&registry, "antiphon_upstream_streams_degraded 1");
}

#[test]
fn no_label_begins_another() {
    // The library tells label sets apart by a hash of their values without separators.
    for labels in [&NAMES[..], &Retry::LABELS[..]] {
        for one in labels {
            let begun = labels.iter().filter(|other| other.starts_with(one)).count();
            assert_eq!(begun, 1, "{one}");
        }
        assert!(labels.is_sorted());
    }
}

#[test]
fn outcomes_are_indexed_in_their_order() {
    for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
        assert_eq!(outcome as usize, index);
    }
    for (index, unknown) in Unknown::ALL.into_iter().enumerate() {
        assert_eq!(unknown as usize, index);
    }
    for (index, lookup) in Lookup::ALL.into_iter().enumerate() {
        assert_eq!(lookup as usize, index);
    }
}
