use prometheus::Registry;

use super::*;

const QUARANTINE: Duration = Duration::from_secs(5);

fn loopback() -> IpAddr {
    Ipv4Addr::LOCALHOST.into()
}

/// Pairs that are free on this machine now; each test has a stretch of its own.
fn ports(first: u16, pairs: u16, start: usize) -> (Arc<Ports>, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::register(&Registry::new()).unwrap());
    let range = PortRange::new(first, first + 2 * pairs - 1).unwrap();
    let ports = Ports::new(range, start, (QUARANTINE, 65_536), Arc::clone(&metrics));
    (ports, metrics)
}

fn numbers(leases: &[Lease]) -> Vec<u16> {
    leases.iter().map(Lease::port).collect()
}

#[tokio::test]
async fn pairs_are_leased_from_the_start_on_and_around() {
    let (ports, metrics) = ports(41_000, 3, 1);
    let leases = ports.lease(Instant::now(), loopback(), 3).unwrap();
    assert_eq!(numbers(&leases), [41_002, 41_004, 41_000]);
    let lease = &leases[0];
    assert_eq!(lease.rtp().local_addr().unwrap().port(), 41_002);
    assert_eq!(lease.rtcp().local_addr().unwrap().port(), 41_003);
    assert_eq!(metrics.siprec().ports_in_use(), 3);
    drop(leases);
    assert_eq!(metrics.siprec().ports_in_use(), 0);
}

#[tokio::test]
async fn a_released_pair_rests_before_it_is_leased_again() {
    let (ports, _metrics) = ports(41_020, 1, 0);
    let now = Instant::now();
    drop(ports.lease(now, loopback(), 1).unwrap());
    assert!(ports.lease(now, loopback(), 1).is_none(), "still open");
    ports.settle(now, &[]);
    assert!(ports.lease(now, loopback(), 1).is_none(), "resting");
    let rested = now + QUARANTINE;
    assert_eq!(
        numbers(&ports.lease(rested, loopback(), 1).unwrap()),
        [41_020]
    );
}

#[tokio::test]
async fn with_too_few_pairs_none_is_leased() {
    let (ports, metrics) = ports(41_040, 2, 0);
    let now = Instant::now();
    assert!(ports.lease(now, loopback(), 3).is_none());
    assert_eq!(metrics.siprec().ports_in_use(), 0);
    ports.settle(now, &[]);
    assert_eq!(
        ports.lease(now + QUARANTINE, loopback(), 2).unwrap().len(),
        2
    );
}

#[tokio::test]
async fn a_pair_that_somebody_else_has_is_skipped() {
    let (ports, _metrics) = ports(41_060, 3, 0);
    let _theirs = UdpSocket::bind("127.0.0.1:41061").unwrap();
    let leases = ports.lease(Instant::now(), loopback(), 2).unwrap();
    assert_eq!(numbers(&leases), [41_062, 41_064]);
}

#[tokio::test]
async fn an_address_of_a_translator_means_any_of_ours() {
    let (ports, _metrics) = ports(41_080, 1, 0);
    let elsewhere = "203.0.113.9".parse().unwrap();
    let leases = ports.lease(Instant::now(), elsewhere, 1).unwrap();
    let bound = leases[0].rtp().local_addr().unwrap();
    assert_eq!(bound, "0.0.0.0:41080".parse().unwrap());
}

#[tokio::test]
async fn what_the_kernel_drops_is_counted_once() {
    let (ports, metrics) = ports(41_100, 1, 0);
    let now = Instant::now();
    let leases = ports.lease(now, loopback(), 1).unwrap();
    let address = leases[0].rtp().local_addr().unwrap();
    let elsewhere = "127.0.0.1:9".parse().unwrap();
    ports.settle(now, &[(address, 3), (elsewhere, 100)]);
    ports.settle(now, &[(address, 5), (elsewhere, 200)]);
    drop(leases);
    ports.settle(now, &[(address, 6)]);
    ports.settle(now, &[(address, 9)]);
    assert_eq!(metrics.siprec().kernel_drops_total(), 6);
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn datagrams_that_find_no_room_are_dropped_by_the_kernel_and_seen() {
    let metrics = Arc::new(Metrics::register(&Registry::new()).unwrap());
    let range = PortRange::new(41_120, 41_121).unwrap();
    let ports = Ports::new(range, 0, (QUARANTINE, 1), Arc::clone(&metrics));
    let leases = ports.lease(Instant::now(), loopback(), 1).unwrap();
    let target = leases[0].rtp().local_addr().unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..1000 {
        sender.send_to(&[0; 172], target).unwrap();
    }
    ports.settle(Instant::now(), &drops::read().await);
    assert!(metrics.siprec().kernel_drops_total() > 100);
}
