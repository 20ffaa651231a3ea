//! Limits, and whatever the network brings: the call beside it does not notice.

use std::net::UdpSocket;

use rig::World;
use sim::caller::siprec::{RawDialog, SiprecCall};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::scenes::{SDP, ask, assert_heard, refusal, trunk, until_legs};
use crate::support::{over, until_metric};
use crate::words::{GOODBYES, GREETINGS, converse, recording, recording_with};

const BAD: &str = "antiphon_siprec_bad_messages_total";

/// A call beside the trouble.
struct Witness(SiprecCall);

impl Witness {
    async fn of(world: &World) -> Self {
        let mut call = world.record().await;
        world.start(&mut call).await;
        converse(world, &mut call, GREETINGS).await;
        Self(call)
    }

    /// Lets the call go on meanwhile.
    async fn beside<T>(&mut self, trouble: impl Future<Output = T>) -> T {
        self.0.silence_while(trouble).await.unwrap()
    }

    async fn assert_unharmed(self, world: &World) {
        let Self(mut call) = self;
        let guid = call.guid();
        converse(world, &mut call, GOODBYES).await;
        world.stop(&mut call).await;
        assert_heard(world, &guid, &[GREETINGS, GOODBYES]);
        over(world, call).await;
    }
}

/// Bytes that are no SIP, and such as begin well.
fn garbage() -> Vec<Vec<u8>> {
    let mixed = |seed: u32| {
        let bytes = (0..1_200_u32).map(|at| (at.wrapping_mul(seed).rotate_left(at) >> 7) as u8);
        bytes.collect::<Vec<u8>>()
    };
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        mixed(2_654_435_761),
        mixed(40_503),
        vec![0; 200],
        vec![b'\n'; 300],
        text("INVITE"),
        text("INVITE sip:srs@127.0.0.1 SIP/3.0\r\n\r\n"),
        text("INVITE sip:srs@127.0.0.1 SIP/2.0\r\n\r\n"),
        text("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\n\r\n"),
        text("INVITE sip:a SIP/2.0\r\nVia: ,,,\r\nCSeq: x y\r\nContent-Length: -1\r\n\r\n"),
        text("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        text(&format!(
            "OPTIONS sip:a SIP/2.0\r\n{}\r\n",
            "X: y\r\n".repeat(2_000)
        )),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_by_datagrams_harms_no_call() {
    let world = recording().await;
    let mut witness = Witness::of(&world).await;
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = world.sip_address("udp");
    for bytes in garbage() {
        socket.send_to(&bytes, target).unwrap();
    }
    // As long as a datagram can be.
    for byte in [0, b'a', b'\n', b'('] {
        socket.send_to(&vec![byte; 65_507], target).unwrap();
    }
    let series = format!("{BAD}{{kind=\"start_line\"}}");
    witness
        .beside(until_metric(&world, &series, |count| count >= 3.0))
        .await;
    witness.assert_unharmed(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_by_streams_harms_no_call() {
    let world = recording().await;
    let mut witness = Witness::of(&world).await;
    let target = world.sip_address("tcp");
    let trouble = async {
        for mut bytes in garbage() {
            let mut stream = TcpStream::connect(target).await.unwrap();
            bytes.extend(b"\r\n\r\n");
            // The gateway may have closed it already.
            drop(stream.write_all(&bytes).await);
        }
        // A head without an end.
        let mut stream = TcpStream::connect(target).await.unwrap();
        drop(stream.write_all(&vec![b'a'; 1 << 20]).await);
        let mut said = Vec::new();
        drop(stream.read_to_end(&mut said).await);
        let ended = "antiphon_siprec_connections_ended_total{reason=\"protocol\"}";
        until_metric(&world, ended, |count| count >= 1.0).await;
        assert!(world.metric_sum(BAD).await >= 3.0);
    };
    witness.beside(trouble).await;
    witness.assert_unharmed(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_silent_connections_harm_no_call() {
    let world = recording().await;
    let mut witness = Witness::of(&world).await;
    let target = world.sip_address("tcp");
    let trouble = async {
        let mut silent = Vec::new();
        for _ in 0..50 {
            silent.push(TcpStream::connect(target).await.unwrap());
        }
        let mut slow = TcpStream::connect(target).await.unwrap();
        slow.set_nodelay(true).unwrap();
        let mut raw = RawDialog::open(&world.recording_options()).await.unwrap();
        let options = raw.request("OPTIONS", None).to_bytes();
        let (head, rest) = options.split_at(options.len() / 2);
        for byte in head {
            slow.write_all(&[*byte]).await.unwrap();
        }
        let gauge = "antiphon_siprec_connections";
        until_metric(&world, gauge, |count| count >= 52.0).await;
        // It is answered in the end.
        slow.write_all(rest).await.unwrap();
        let mut said = [0; 11];
        slow.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"SIP/2.0 200");
        drop(silent);
    };
    witness.beside(trouble).await;
    witness.assert_unharmed(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_is_closed() {
    let world = recording_with("[siprec]\nconnections_max = 2\n").await;
    let mut witness = Witness::of(&world).await;
    let target = world.sip_address("tcp");
    let trouble = async {
        let kept = TcpStream::connect(target).await.unwrap();
        until_metric(&world, "antiphon_siprec_connections", |count| count == 2.0).await;
        let mut refused = TcpStream::connect(target).await.unwrap();
        let mut said = Vec::new();
        // It may be closed by a reset.
        drop(refused.read_to_end(&mut said).await);
        assert_eq!(said, b"");
        let ended = "antiphon_siprec_connections_ended_total{reason=\"refused\"}";
        until_metric(&world, ended, |count| count == 1.0).await;
        drop(kept);
    };
    witness.beside(trouble).await;
    witness.assert_unharmed(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_says_nothing_is_closed() {
    let world = recording_with("[siprec]\nconnection_idle_timeout = \"1s\"\n").await;
    let mut idle = TcpStream::connect(world.sip_address("tcp")).await.unwrap();
    let mut said = Vec::new();
    idle.read_to_end(&mut said).await.unwrap();
    let ended = "antiphon_siprec_connections_ended_total{reason=\"idle\"}";
    until_metric(&world, ended, |count| count == 1.0).await;
}

/// A session is refused, and told when to come again.
async fn is_full(world: &World, words: &str) {
    let refused = refusal(world.try_record(|_| {}).await);
    assert_eq!((refused.status, refused.retry_after), (503, Some(5)));
    let warning = refused.warning.unwrap();
    assert!(warning.contains(words), "{warning}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_too_many_is_told_to_come_again() {
    for (more, words) in [
        (
            "[siprec]\nsessions_max = 1\n".to_owned(),
            "the server has as many sessions",
        ),
        (trunk("sessions_max = 1"), "the trunk has as many sessions"),
    ] {
        let world = recording_with(&more).await;
        let call = world.record().await;
        is_full(&world, words).await;
        over(&world, call).await;
        let next = world.record().await;
        over(&world, next).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_ports_a_session_is_told_to_come_again_and_others_are_heard_on() {
    // Its own corner of those that the kernel gives to nobody.
    let pairs = "[siprec]\nrtp_ports = \"11990-11995\"\nrtp_port_quarantine = \"0s\"\n";
    let world = recording_with(pairs).await;
    let witness = Witness::of(&world).await;
    assert_eq!(world.metric("antiphon_siprec_ports").await, 2.0);
    is_full(&world, "no port").await;
    assert_eq!(
        world.metric("antiphon_siprec_ports_exhausted_total").await,
        1.0
    );
    assert_eq!(world.metric("antiphon_siprec_ports").await, 2.0);
    witness.assert_unharmed(&world).await;
    until_metric(&world, "antiphon_siprec_ports", |count| count == 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_invites_too_often_is_told_to_come_again() {
    let world = recording_with("[siprec]\ninvites_per_second_max = 1\n").await;
    let mut statuses = Vec::new();
    for _ in 0..10 {
        let mut raw = RawDialog::open(&world.recording_options()).await.unwrap();
        let invite = raw.invite("application/sdp", SDP.as_bytes());
        let answer = ask(&mut raw, &invite).await;
        statuses.push(answer.status());
        if answer.status() == 503 {
            assert!(answer.header("Retry-After").is_some());
        }
    }
    assert_eq!(statuses[0], 200);
    let refused = statuses.iter().filter(|status| **status == 503).count();
    assert!(refused > 0, "{statuses:?}");
    let limited = "antiphon_siprec_notices_total{kind=\"rate_limited\"}";
    assert_eq!(world.metric(limited).await, refused as f64);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_port_of_a_call_is_given_back() {
    let world = recording_with("[siprec]\nrtp_port_quarantine = \"0s\"\n").await;
    for _ in 0..3 {
        let call = world.record().await;
        until_legs(&world, &call.guid(), 2).await;
        assert_eq!(world.metric("antiphon_siprec_ports").await, 2.0);
        over(&world, call).await;
        until_metric(&world, "antiphon_siprec_ports", |count| count == 0.0).await;
    }
}
