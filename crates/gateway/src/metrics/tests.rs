use super::*;
use crate::events::Event;

fn world() -> (Registry, Metrics) {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    Metrics::build(&registry, "1.2.3").unwrap();
    (registry, metrics)
}

fn value(registry: &Registry, line: &str) -> Option<String> {
    let text = prometheus::TextEncoder::new()
        .encode_to_string(&registry.gather())
        .unwrap();
    let value = |text: &str| text.strip_prefix(line).map(|rest| rest.trim().to_owned());
    text.lines().find_map(value)
}

#[test]
fn no_two_label_sets_share_a_series() {
    // The library tells label sets apart by a hash of their values without separators.
    let (registry, metrics) = world();
    let methods = [Method::GET, Method::POST, Method::PUT];
    for route in Route::ALL {
        for method in &methods {
            for status in [100, 200, 300, 400, 500] {
                metrics.request(route, method, StatusCode::from_u16(status).unwrap());
            }
        }
    }
    for command in CommandName::ALL {
        for outcome in ["ok", "not_ok", "400-201", "409-201"] {
            metrics.command(command, outcome, Duration::from_millis(20));
        }
    }
    for namespace in Namespace::ALL {
        for fault in Fault::ALL {
            for reason in ["stopped", "ended"] {
                metrics.call_ended(namespace, Ending::new(fault, reason));
            }
        }
    }
    let series = |name: &str| {
        let families = registry.gather();
        families
            .iter()
            .find(|family| family.name() == name)
            .unwrap()
            .get_metric()
            .len()
    };
    assert_eq!(
        series("antiphon_http_requests_total"),
        Route::ALL.len() * 3 * 5
    );
    assert_eq!(series("antiphon_commands_total"), 4 * 4);
    assert_eq!(series("antiphon_calls_ended_total"), 4 * 5 * 2);
    assert_eq!(series("antiphon_events_total"), Event::KINDS.len());
}

#[test]
fn a_call_is_counted_in_one_state_at_a_time() {
    let (registry, metrics) = world();
    metrics.call_changed(None, Some(StateName::Idle));
    metrics.call_changed(Some(StateName::Idle), Some(StateName::Starting));
    assert_eq!(
        value(&registry, "antiphon_calls{state=\"idle\"}").unwrap(),
        "0"
    );
    assert_eq!(
        value(&registry, "antiphon_calls{state=\"starting\"}").unwrap(),
        "1"
    );
    metrics.call_changed(Some(StateName::Starting), None);
    assert_eq!(
        value(&registry, "antiphon_calls{state=\"starting\"}").unwrap(),
        "0"
    );
    metrics.calls_overdue(2);
    assert_eq!(value(&registry, "antiphon_calls_overdue").unwrap(), "2");
}

#[test]
fn a_refused_command_does_not_count_as_a_latency() {
    let (registry, metrics) = world();
    metrics.command(CommandName::Start, "ok", Duration::from_millis(20));
    metrics.command(CommandName::Start, "400-203", Duration::from_secs(2));
    let count = "antiphon_command_duration_seconds_count{command=\"start\"}";
    assert_eq!(value(&registry, count).unwrap(), "1");
    let refused = "antiphon_commands_total{command=\"start\",outcome=\"400-203\"}";
    assert_eq!(value(&registry, refused).unwrap(), "1");
}

#[test]
fn every_metric_is_in_the_documentation_from_the_start() {
    let (registry, _metrics) = world();
    let doc = metrics_doc(&registry);
    let rows: Vec<_> = doc
        .lines()
        .filter(|line| line.starts_with("| `antiphon_"))
        .collect();
    assert_eq!(rows.len(), 19, "{doc}");
    let ended = "| `antiphon_calls_ended_total` | counter | `fault`, `namespace`, `reason` | Calls \
                 that ended, by platform, whose doing it was, and why. |";
    assert!(rows.contains(&ended), "{doc}");
    let build = "| `antiphon_build_info` | gauge | `version` | Always 1;";
    assert!(rows.iter().any(|row| row.starts_with(build)), "{doc}");
}
