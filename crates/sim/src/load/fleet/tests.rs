use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::caller::transport::Transport;
use crate::caller::twilio::{Counters, Sids, Writer};
use crate::caller::ulaw;
use crate::load::ear::Ear;

#[test]
fn slots_divide_the_period_without_drift() {
    assert_eq!(due(0, 20), Duration::ZERO);
    assert_eq!(due(1, 20), Duration::from_millis(1));
    assert_eq!(due(20, 20), PERIOD);
    assert_eq!(due(7 * 3_600 * 50, 7), Duration::from_secs(3_600));
}

/// Listens to one caller until it is gone: an ear for each track, and the events in between.
async fn listen(tcp: TcpStream) -> ([Ear; 2], Vec<String>) {
    let mut socket = accept_async(tcp).await.unwrap();
    let (mut ears, mut events) = (<[Ear; 2]>::default(), Vec::new());
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else {
            continue;
        };
        let message: Value = serde_json::from_str(&text).unwrap();
        let event = message["event"].as_str().unwrap().to_owned();
        if event != "media" {
            events.push(event);
            continue;
        }
        let payload = STANDARD
            .decode(message["media"]["payload"].as_str().unwrap())
            .unwrap();
        let sound: Vec<i16> = payload.into_iter().map(ulaw::decode).collect();
        ears[usize::from(message["media"]["track"] == "outbound")].hear(&sound, 0);
    }
    (ears, events)
}

async fn join(
    fleet: &Fleet,
    listener: &TcpListener,
    gateway: &mut JoinSet<([Ear; 2], Vec<String>)>,
) {
    let address = listener.local_addr().unwrap();
    let url = format!("ws://{address}/media");
    let tls = crate::caller::tls::client_config(None).unwrap();
    let signature = crate::caller::twilio::Signature::None;
    let upgrade = crate::caller::twilio::Upgrade {
        url: &url,
        via: None,
        keep_query: false,
        signature: &signature,
        headers: &[],
        tls: &tls,
    };
    let accepting = async {
        let (tcp, _) = listener.accept().await.unwrap();
        gateway.spawn(listen(tcp));
    };
    let (dialled, ()): (Result<(Transport, Vec<u8>), _>, ()) =
        tokio::join!(upgrade.dial(), accepting);
    let (transport, rest) = dialled.unwrap();
    let writer = Writer::new(Sids::random(), Counters::Strings);
    let line = twilio::TwilioLine::open(transport.into_unhurried().unwrap(), rest, writer);
    fleet.door().join(Box::new(line)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_leg_of_a_fleet_sends_its_stamps_once_and_in_order() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fleet = Fleet::start(20, 3, Instant::now()).unwrap();
    let mut gateway = JoinSet::new();
    for _ in 0..3 {
        join(&fleet, &listener, &mut gateway).await;
    }
    fleet.stamp(true).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    fleet.stamp(false).await;
    let stamped = fleet.stamped();
    let log = tokio::task::spawn_blocking(|| fleet.leave())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((stamped.len(), log.broken), (6, 0));
    assert_eq!(
        log.stamped,
        stamped.iter().map(|&frames| u64::from(frames)).sum::<u64>()
    );
    assert_eq!(log.lateness.count(), log.stamped);
    let mut legs = Vec::new();
    while let Some(heard) = gateway.join_next().await {
        let (ears, events) = heard.unwrap();
        assert_eq!(events, ["connected", "start", "stop"]);
        for ear in ears {
            let (leg, counts) = (ear.leg().unwrap(), ear.counts());
            assert_eq!(counts.frames, u64::from(stamped[usize::from(leg)]));
            assert_eq!(
                (counts.damaged, counts.foreign, counts.misplaced),
                (0, 0, 0)
            );
            assert!(counts.frames >= 10, "{}", counts.frames);
            legs.push(leg);
        }
    }
    legs.sort_unstable();
    assert_eq!(legs, [0, 1, 2, 3, 4, 5]);
}
