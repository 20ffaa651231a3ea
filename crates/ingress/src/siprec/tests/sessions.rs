use std::time::Duration;

use tokio::net::TcpListener;

use call::name::{Role, Side};
use siprec::trunk::{BeforeStart, Credentials, Trunk};

use super::peer::{Call, Peer, header};
use super::world::{World, config, open, say, sound, trunk, waiting};
use crate::intake::Arrival;
use crate::siprec::config::SiprecConfig;
use crate::siprec::tally::Fate;

const UCID: &str = "0019001038F725B3";
const UCID_DECIMAL: &str = "00025000160955721139";

/// Both lines were woken by then.
const SETTLED: Duration = Duration::from_millis(50);

/// The whole life of a session: two legs, each byte of sound at its own, and the end.
async fn lives(mut world: World, mut peer: Peer) {
    let mut call = Call::new("one", UCID, 2);
    let ports = peer.invite(&mut call).await;
    assert_eq!(ports.len(), 2);
    let (first, second) = (world.leg().await, world.leg().await);
    assert_eq!(first.introduction.side, Side::First);
    assert_eq!(second.introduction.side, Side::Second);
    for leg in [&first, &second] {
        assert_eq!(leg.introduction.call.guid.as_str(), UCID_DECIMAL);
        let mut names = leg.introduction.names.iter();
        assert!(names.any(|name| name.as_str() == "one"), "the Call-ID too");
    }
    let role = first.introduction.role.clone().unwrap();
    assert_eq!((role.role, role.confidence), (Role::Customer, "high"));
    assert!(first.control.clock().is_same(second.control.clock()));
    assert_eq!(world.siprec.sessions(), 1);
    let (mut one, mut other) = (open(&first), open(&second));
    // Each line puts aside what came before.
    tokio::time::sleep(SETTLED).await;
    // 0x80 and 0x00 are the greatest and the least sample of mu-law.
    let speaking = async { tokio::join!(say(ports[0], 0x80, 10), say(ports[1], 0x00, 10)) };
    let hearing = async { tokio::join!(sound(&mut one, 1600), sound(&mut other, 1600)) };
    let (_, (loud, low)) = tokio::join!(speaking, hearing);
    assert!(
        loud.iter().all(|sample| *sample == 32_124),
        "sound of another line"
    );
    assert!(
        low.iter().all(|sample| *sample == -32_124),
        "sound of another line"
    );
    peer.bye(&mut call).await;
    assert_eq!(world.ending().await, "stopped");
    assert_eq!(world.ending().await, "stopped");
    assert_eq!(world.siprec.sessions(), 0);
    world.siprec.close_all().await;
    assert_eq!(world.metrics.siprec().packets_total(Fate::Passed), 20);
    assert_eq!(world.metrics.siprec().ports_in_use(), 0);
}

#[tokio::test]
async fn a_session_lives_over_udp() {
    let world = World::udp(42_000);
    let peer = Peer::udp(world.address()).await;
    lives(world, peer).await;
}

#[tokio::test]
async fn a_session_lives_over_tcp() {
    let world = World::new(config(&["tcp:127.0.0.1:0"], 42_020));
    let peer = Peer::tcp(world.address()).await;
    lives(world, peer).await;
}

#[tokio::test]
async fn a_session_lives_over_ipv6() {
    let mut settings = config(&["udp:[::1]:0"], 42_040);
    settings.trunks[0].sources = vec!["::1/128".parse().unwrap()];
    let world = World::new(settings);
    let address = world.address();
    assert!(address.is_ipv6() && address.port() != 0);
    world.siprec.close_all().await;
}

#[tokio::test]
async fn what_comes_before_a_start_is_withheld() {
    let mut world = World::udp(42_060);
    let mut peer = Peer::udp(world.address()).await;
    let mut call = Call::new("one", UCID, 1);
    let ports = peer.invite(&mut call).await;
    let leg = world.leg().await;
    say(ports[0], 0x00, 5).await;
    // The last of them may still be unread.
    let mut source = open(&leg);
    peer.bye(&mut call).await;
    world.ending().await;
    assert!(source.is_ended());
    assert!(waiting(&mut source).iter().all(|sample| *sample == 0));
    world.siprec.close_all().await;
    assert_eq!(world.metrics.siprec().packets_total(Fate::Withheld), 5);
}

#[tokio::test]
async fn a_trunk_that_answers_inactive_asks_for_sound_when_a_gate_opens() {
    let settings = config(&["udp:127.0.0.1:0"], 42_080);
    let mut world = World::new(SiprecConfig {
        trunks: vec![Trunk {
            answer: BeforeStart::Inactive,
            ..trunk()
        }],
        ..settings
    });
    let mut peer = Peer::udp(world.address()).await;
    let mut call = Call::new("one", UCID, 1);
    peer.invite(&mut call).await;
    let leg = world.leg().await;
    let wanted = leg.introduction.wanted.as_ref().unwrap();
    wanted.send(true).unwrap();
    let asked = peer.hear().await;
    assert!(
        asked.starts_with("INVITE ") && asked.contains("a=recvonly"),
        "{asked}"
    );
    let sdp = call.sdp("127.0.0.1").replace("src 1 1", "src 1 2");
    peer.accept(&asked, &sdp).await;
    assert!(peer.hear().await.starts_with("ACK "));
    loop {
        match world.arrival().await {
            Arrival::Granted(id) => break assert_eq!(id, leg.id),
            Arrival::Learned(_) => {}
            other => panic!("not granted but {other:?}"),
        }
    }
    world.siprec.close_all().await;
}

#[tokio::test]
async fn a_peer_that_will_not_send_sound_is_told_to_the_leg() {
    let settings = config(&["udp:127.0.0.1:0"], 42_100);
    let mut world = World::new(SiprecConfig {
        trunks: vec![Trunk {
            answer: BeforeStart::Inactive,
            ..trunk()
        }],
        ..settings
    });
    let mut peer = Peer::udp(world.address()).await;
    let mut call = Call::new("one", UCID, 1);
    peer.invite(&mut call).await;
    let leg = world.leg().await;
    leg.introduction
        .wanted
        .as_ref()
        .unwrap()
        .send(true)
        .unwrap();
    let asked = peer.hear().await;
    peer.refuse(&asked, "488 Not Acceptable Here", "").await;
    let why = world.refusal().await;
    assert!(why.contains("488"), "{why}");
    world.siprec.close_all().await;
}

#[tokio::test]
async fn credentials_that_are_read_again_answer_the_next_challenge_of_a_running_session() {
    let asking = Trunk {
        answer: BeforeStart::Inactive,
        ..trunk()
    };
    let mut world = World::new(SiprecConfig {
        trunks: vec![asking.clone()],
        ..config(&["udp:127.0.0.1:0"], 42_360)
    });
    let mut peer = Peer::udp(world.address()).await;
    let mut call = Call::new("one", UCID, 1);
    peer.invite(&mut call).await;
    let leg = world.leg().await;
    let wanted = leg.introduction.wanted.as_ref().unwrap();
    let challenge = "WWW-Authenticate: Digest realm=\"sbc\", nonce=\"n\"";
    wanted.send(true).unwrap();
    let asked = peer.hear().await;
    peer.refuse(&asked, "401 Unauthorized", challenge).await;
    assert!(peer.hear().await.starts_with("ACK "));
    assert!(
        world.refusal().await.contains("401"),
        "nobody knows a password"
    );
    wanted.send(false).unwrap();
    for user in ["first", "second"] {
        let credentials = Credentials {
            user: user.to_owned(),
            password: "secret".to_owned(),
        };
        world.siprec.reload(&[Trunk {
            credentials: Some(credentials),
            ..asking.clone()
        }]);
        wanted.send(true).unwrap();
        let asked = peer.hear().await;
        assert!(!asked.contains("Authorization"), "{asked}");
        peer.refuse(&asked, "401 Unauthorized", challenge).await;
        assert!(peer.hear().await.starts_with("ACK "));
        let again = peer.hear().await;
        let answer = header(&again, "Authorization");
        assert!(answer.contains(&format!("username=\"{user}\"")), "{answer}");
        peer.refuse(&again, "488 Not Acceptable Here", "").await;
        assert!(peer.hear().await.starts_with("ACK "));
        assert!(world.refusal().await.contains("488"));
        wanted.send(false).unwrap();
    }
    assert_eq!(world.siprec.sessions(), 1);
    world.siprec.close_all().await;
}

#[tokio::test]
async fn two_sessions_of_one_call_are_its_two_sides() {
    let mut world = World::udp(42_120);
    let mut peer = Peer::udp(world.address()).await;
    let mut near = Call::new("near", UCID, 1);
    let mut far = Call::new("far", UCID, 1);
    peer.invite(&mut near).await;
    let first = world.leg().await;
    peer.invite(&mut far).await;
    let second = world.leg().await;
    assert_eq!(first.introduction.call, second.introduction.call);
    assert_eq!(first.introduction.side, Side::First);
    assert_eq!(second.introduction.side, Side::Second);
    assert!(first.control.clock().is_same(second.control.clock()));
    peer.bye(&mut near).await;
    world.ending().await;
    let mut again = Call::new("again", UCID, 1);
    peer.invite(&mut again).await;
    assert_eq!(world.leg().await.introduction.side, Side::First);
    world.siprec.close_all().await;
}

#[tokio::test]
async fn closing_says_bye_to_every_session_and_ends_its_legs() {
    let mut world = World::udp(42_140);
    let mut peer = Peer::udp(world.address()).await;
    let mut call = Call::new("one", UCID, 1);
    peer.invite(&mut call).await;
    world.leg().await;
    let siprec = world.siprec.clone();
    let closing = async move { siprec.close_all().await };
    let answering = async {
        let bye = peer.hear().await;
        assert!(bye.starts_with("BYE "), "{bye}");
        peer.accept(&bye, "").await;
        world.ending().await
    };
    let ((), ending) = tokio::join!(closing, answering);
    assert_eq!(ending, "shutdown");
}

#[tokio::test]
async fn a_peer_that_does_not_answer_delays_the_end_by_close_timeout_only() {
    let mut world = World::udp(42_160);
    let mut peer = Peer::udp(world.address()).await;
    peer.invite(&mut Call::new("one", UCID, 1)).await;
    world.leg().await;
    let closing = world.siprec.close_all();
    let closed = tokio::time::timeout(Duration::from_secs(6), closing).await;
    assert!(closed.is_ok());
    assert_eq!(world.ending().await, "shutdown");
}

#[tokio::test]
async fn without_ports_a_session_is_refused_and_counted() {
    let mut settings = config(&["udp:127.0.0.1:0"], 42_180);
    settings.rtp_ports = "42180-42181".parse().unwrap();
    let world = World::new(settings);
    let mut peer = Peer::udp(world.address()).await;
    let invite = Call::new("one", UCID, 2).invite(&peer);
    peer.send(&invite).await;
    let answer = peer.hear().await;
    assert!(answer.starts_with("SIP/2.0 50"), "{answer}");
    assert_eq!(world.metrics.siprec().ports_in_use(), 0);
    world.siprec.close_all().await;
}

#[tokio::test]
async fn a_server_that_drains_sends_new_sessions_elsewhere() {
    let world = World::udp(42_200);
    let mut peer = Peer::udp(world.address()).await;
    world.siprec.refuse_new();
    let call = Call::new("one", UCID, 1);
    let options = call.request(&peer, "OPTIONS", "");
    peer.send(&options).await;
    let answer = peer.hear().await;
    assert!(answer.starts_with("SIP/2.0 503"), "{answer}");
    world.siprec.close_all().await;
}

#[tokio::test]
async fn a_session_that_nothing_comes_on_is_ended_only_where_that_is_wished() {
    let mut settings = config(&["udp:127.0.0.1:0"], 42_220);
    settings.media_timeout = Duration::from_millis(300);
    let mut world = World::new(settings);
    let mut peer = Peer::udp(world.address()).await;
    peer.invite(&mut Call::new("one", UCID, 1)).await;
    world.leg().await;
    let bye = peer.hear().await;
    assert!(bye.starts_with("BYE "), "{bye}");
    peer.accept(&bye, "").await;
    world.ending().await;
    world.siprec.close_all().await;
}

#[tokio::test]
async fn a_retired_leg_leaves_its_session_alone() {
    let mut world = World::udp(42_240);
    let mut peer = Peer::udp(world.address()).await;
    let mut call = Call::new("one", UCID, 1);
    let ports = peer.invite(&mut call).await;
    let leg = world.leg().await;
    leg.retire.cancel();
    assert_eq!(world.ending().await, "retired");
    assert_eq!(world.siprec.sessions(), 1);
    say(ports[0], 0x00, 3).await;
    peer.bye(&mut call).await;
    world.siprec.close_all().await;
    assert_eq!(world.metrics.siprec().packets_total(Fate::Retired), 3);
}

#[tokio::test]
async fn nonsense_is_survived() {
    let mut world = World::udp(42_260);
    let mut peer = Peer::udp(world.address()).await;
    for text in [
        "",
        "\r\n\r\n",
        "hello",
        "INVITE",
        "INVITE sip:a SIP/2.0\r\n\r\n",
        "\0\0\0",
    ] {
        peer.send(text).await;
    }
    let mut call = Call::new("one", UCID, 1);
    let invite = call.invite(&peer);
    peer.send(&invite).await;
    let answer = loop {
        let heard = peer.hear().await;
        if heard.contains("Call-ID: one") {
            break heard;
        }
    };
    assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
    call.tag = None;
    world.leg().await;
    world.siprec.close_all().await;
}

#[tokio::test]
async fn where_the_connection_is_gone_a_new_one_leads_to_the_peers_contact() {
    let mut world = World::new(config(&["tcp:127.0.0.1:0"], 42_280));
    let contact = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut peer = Peer::tcp(world.address()).await;
    let mut call = Call::new("one", UCID, 1);
    let elsewhere = contact.local_addr().unwrap();
    let here = peer.local.to_string();
    let invite = call.invite(&peer);
    let (before, rest) = invite.split_once("Contact:").unwrap();
    let moved = rest.replacen(&here, &elsewhere.to_string(), 1);
    peer.send(&format!("{before}Contact:{moved}")).await;
    let answer = peer.hear().await;
    assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
    call.answered(&answer);
    let ack = call.request(&peer, "ACK", "");
    peer.send(&ack).await;
    world.leg().await;
    drop(peer);
    let siprec = world.siprec.clone();
    let closing = async move { siprec.close_all().await };
    let answering = async {
        let (stream, _) = contact.accept().await.unwrap();
        let mut peer = Peer::over("TCP", elsewhere, stream);
        let bye = peer.hear().await;
        assert!(bye.starts_with("BYE "), "{bye}");
        peer.accept(&bye, "").await;
    };
    tokio::join!(closing, answering);
    assert_eq!(world.ending().await, "shutdown");
}
