use clap::Parser;

use super::*;
use crate::bridge::Bridge;

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    arguments: Arguments,
}

/// A short run of three calls through a bridge that drops every caller's message of that number.
async fn figures(drops: Option<u64>) -> Figures {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let service = free.local_addr().unwrap();
    drop(free);
    let bridge = Bridge::start(&format!("http://{service}"), ("load", "load"), drops).await;
    let pid = std::process::id();
    let line = format!(
        "load --api {} --pid {pid} --service-listen {service} --calls 3 --seconds 2 --settle 100",
        bridge.base
    );
    let program = Program::try_parse_from(line.split(' ')).unwrap();
    run(&program.arguments).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_was_sent_is_received_and_confirmed() {
    let figures = figures(None).await;
    assert_eq!(figures.faults(), Vec::<String>::new());
    assert_eq!((figures.legs, figures.heard.streams), (6, 6));
    assert!(figures.sent.stamped >= 6 * 90, "{}", figures.sent.stamped);
    assert!(figures.heard.bytes >= figures.sent.stamped * 320);
    let messages = figures.sent.stamped / 5;
    assert!(
        figures.latency.count.abs_diff(messages) <= 12,
        "{:?}",
        figures.latency
    );
    assert!(figures.latency.p50_us < 100_000, "{:?}", figures.latency);
    assert!(figures.cost.unwrap().cpu_ms_per_leg_second > 0.0);
    let table = figures.table().to_string();
    assert!(
        table.contains("latency p99") && table.contains("memory a leg"),
        "{table}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_the_gateway_drops_is_missed() {
    let figures = figures(Some(150)).await;
    assert_eq!(figures.heard.lost, 3);
    assert_eq!(figures.faults(), ["3 frames were lost"]);
}
