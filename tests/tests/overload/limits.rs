//! One call too many of whatever there can be too much of.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rig::shown::until_metric;
use rig::{World, eventually, tasks};
use sim::caller::siprec::RawDialog;

use crate::scenes::{
    SDP, Witnesses, ask, stream_refused, takes_everybody, takes_nobody, until_overloaded,
};

const CALLS: &str = "as many calls as it may have";

/// Waits until nobody is in.
async fn until_empty(world: &World) {
    until_metric(world, "antiphon_admission_calls", |calls| calls == 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_too_many_is_refused_on_both_platforms_until_one_is_over() {
    let world = World::recording_with("[overload]\ncalls_max = 2\n").await;
    let mut witnesses = Witnesses::of(&world).await;
    witnesses.beside(takes_nobody(&world, "calls", CALLS)).await;
    witnesses
        .beside(until_overloaded(&world, "calls", true))
        .await;
    witnesses.assert_unharmed(&world).await;
    until_empty(&world).await;
    takes_everybody(&world).await;
    until_overloaded(&world, "calls", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn legs_are_counted_where_calls_have_more_or_fewer_than_two() {
    let world = World::recording_with("[overload]\nlegs_max = 5\n").await;
    let mut witnesses = Witnesses::of(&world).await;
    let words = "as many legs as it may have";
    witnesses.beside(takes_nobody(&world, "legs", words)).await;
    let legs = until_metric(&world, "antiphon_admission_legs", |legs| legs == 4.0);
    witnesses.beside(legs).await;
    witnesses.assert_unharmed(&world).await;
    until_empty(&world).await;
    takes_everybody(&world).await;
}

/// Resident memory of this process, in which the gateway is.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<usize>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_that_runs_short_keeps_new_calls_out_and_harms_none() {
    const MIB: usize = 1 << 20;
    drop(rig::service_config());
    let memory_max = resident_bytes() + 256 * MIB;
    let more = format!("[overload]\nmemory_max = {memory_max}\n");
    let world = World::recording_with(&more).await;
    let mut witnesses = Witnesses::of(&world).await;
    let ballast = vec![1_u8; 384 * MIB];
    witnesses
        .beside(until_overloaded(&world, "memory", true))
        .await;
    let words = "as much memory as it may have";
    witnesses
        .beside(takes_nobody(&world, "memory", words))
        .await;
    assert!(world.metric("antiphon_resident_bytes").await > memory_max as f64);
    drop(std::hint::black_box(ballast));
    witnesses
        .beside(until_overloaded(&world, "memory", false))
        .await;
    witnesses.assert_unharmed(&world).await;
    takes_everybody(&world).await;
}

/// Keeps every worker of the runtime busy for so long, as a processor that others use up would.
async fn stall(duration: Duration) {
    let workers = tokio::runtime::Handle::current().metrics().num_workers();
    let busy = (0..2 * workers).map(|_| {
        tasks().spawn(async move {
            let began = Instant::now();
            while began.elapsed() < duration {
                std::hint::spin_loop();
            }
        })
    });
    join_all(busy.collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_processor_that_cannot_keep_up_keeps_new_calls_out_until_it_can() {
    let world = World::with("[overload]\nlag_max = \"300ms\"\n").await;
    let mut call = world.dial().await;
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    let late = world.options().await;
    stall(Duration::from_secs(2)).await;
    until_overloaded(&world, "lag", true).await;
    assert_eq!(stream_refused(late).await.status, 503);
    assert!(world.metric("antiphon_runtime_lag_p90_seconds").await >= 0.3);
    world.say(&mut call, "customer-goodbye").await;
    world.stop(&call).await;
    assert_eq!(
        world.heard(sim::speech::Role::Customer),
        ["customer-greeting", "customer-goodbye"]
    );
    until_overloaded(&world, "lag", false).await;
    world.dial().await.hang_up().await.unwrap();
    call.hang_up().await.unwrap();
    world.end().await;
}

/// How many would like to come where two may.
const CROWD: usize = 20;

/// An INVITE that is refused.
async fn invite(world: &World, transport: &str) {
    let mut to = world.recording_options();
    to.target = world.target(transport);
    let mut raw = RawDialog::open(&to).await.unwrap();
    let invite = raw.invite("application/sdp", SDP.as_bytes());
    let answer = ask(&mut raw, &invite).await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.header("Retry-After"), Some("5"));
    assert!(answer.header("Warning").unwrap().contains(CALLS));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_times_as_many_as_there_may_be_are_refused_and_those_inside_do_not_notice() {
    let world = World::recording_with("[overload]\ncalls_max = 2\n").await;
    let mut witnesses = Witnesses::of(&world).await;
    let stream = world.options().await;
    let crowd = async {
        let sessions = join_all((0..CROWD).map(|nth| {
            let transport = if nth.is_multiple_of(2) { "udp" } else { "tcp" };
            invite(&world, transport)
        }));
        let streams = join_all((0..CROWD).map(|_| stream_refused(stream.clone())));
        let (_, streams) = tokio::join!(sessions, streams);
        assert!(streams.iter().all(|refusal| refusal.status == 503));
    };
    witnesses.beside(eventually("refusals", crowd)).await;
    let refusals = "antiphon_admission_refusals_total{reason=\"calls\"}";
    assert_eq!(world.metric(refusals).await, 2.0 * CROWD as f64);
    assert_eq!(world.metric("antiphon_siprec_sessions").await, 1.0);
    assert_eq!(world.metric("antiphon_twilio_sockets").await, 1.0);
    assert_eq!(world.metric("antiphon_siprec_ports").await, 2.0);
    witnesses.assert_unharmed(&world).await;
    for nothing in [
        "antiphon_upstream_gap_seconds_total{reason=\"overflow\"}",
        "antiphon_upstream_gap_seconds_total{reason=\"lost\"}",
        "antiphon_siprec_packets_lost_total",
        "antiphon_siprec_kernel_drops_total",
    ] {
        assert_eq!(world.metric(nothing).await, 0.0, "{nothing}");
    }
    until_empty(&world).await;
    takes_everybody(&world).await;
}
