//! Calls over IPv6: signalling, both lines, their reports.

use std::net::UdpSocket;
use std::time::Duration;

use rig::{World, eventually};
use sim::caller::siprec::Suite;

use crate::scenes::assert_heard;
use crate::support::{SIDES, over, until_metric};
use crate::words::{GOODBYES, GREETINGS, converse, recording_with};

const SIX: &str = "[siprec]\nlisten = [\"udp:[::1]:0\", \"tcp:[::1]:0\"]\n\
    rtcp_interval = \"1s\"\n\
    [[siprec.trunks]]\nname = \"six\"\nsources = [\"::1/128\"]\n";

/// False, and it is printed, where this machine has no IPv6.
fn has_ipv6() -> bool {
    let bound = UdpSocket::bind("[::1]:0");
    if let Err(error) = &bound {
        println!("skipped: ::1 cannot be bound: {error}");
    }
    bound.is_ok()
}

async fn heard_over(world: &World, transport: &str, srtp: Option<Suite>) {
    let target = world.target(transport);
    let mut call = world
        .record_with(|options| {
            options.target = target;
            options.srtp = srtp;
            options.reports = Some(Duration::from_millis(300));
        })
        .await;
    let guid = call.guid();
    let lines = call.answer().lines;
    assert!(lines.iter().all(|line| line.rtp().unwrap().is_ipv6()));
    world.start(&mut call).await;
    converse(world, &mut call, GREETINGS).await;
    call.hold().await.unwrap();
    call.resume().await.unwrap();
    call.move_ports().await.unwrap();
    converse(world, &mut call, GOODBYES).await;
    world.stop(&mut call).await;
    assert_heard(world, &guid, &[GREETINGS, GOODBYES]);
    assert_eq!(call.answer_faults(), [""; 0]);
    eventually("reports on both lines", async {
        while SIDES
            .iter()
            .any(|(side, _)| call.reports(*side).blocks == 0)
        {
            call.silence(Duration::from_millis(100)).await.unwrap();
        }
    })
    .await;
    over(world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_over_ipv6_is_transcribed_from_both_lines() {
    if !has_ipv6() {
        return;
    }
    let world = recording_with(SIX).await;
    let suite = Some(Suite::AesCm128HmacSha1_80);
    tokio::join!(
        heard_over(&world, "udp", None),
        heard_over(&world, "tcp", suite)
    );
    let reports = "antiphon_siprec_rtcp_received_total{kind=\"sender_report\"}";
    until_metric(&world, reports, |count| count > 0.0).await;
    world.end().await;
}
