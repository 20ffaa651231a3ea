//! SBCs that are gone without a word, and connections that are.

use std::net::SocketAddr;

use rig::{eventually, tasks};
use sim::caller::siprec::{Edit, Message, RawDialog, Side, SiprecCall};
use sim::speech::Role;
use tokio::io::{AsyncBufReadExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::scenes::{PATIENCE, SDP, ask, assert_heard, heard_so_many, until_legs};
use crate::support::{heard, until_metric};
use crate::words::{GREETINGS, converse, recording_with, say, word};

fn ended(reason: &str) -> String {
    format!("antiphon_siprec_sessions_ended_total{{reason=\"{reason}\"}}")
}

/// A cable to the gateway that can be cut.
struct Cable {
    near: SocketAddr,
    cut: CancellationToken,
}

impl Cable {
    async fn to(far: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = listener.local_addr().unwrap();
        let cut = CancellationToken::new();
        let at_cut = cut.clone();
        tasks().spawn(async move {
            let (mut one, _) = listener.accept().await.unwrap();
            let mut other = TcpStream::connect(far).await.unwrap();
            let copying = copy_bidirectional(&mut one, &mut other);
            drop(at_cut.run_until_cancelled_owned(copying).await);
        });
        Self { near, cut }
    }
}

/// Says a phrase although the client has lost its signalling.
async fn say_deaf(call: &mut SiprecCall, id: &str) {
    let silence = vec![0; 3_200];
    for samples in [&word(id).samples[..], &silence] {
        for frame in samples.chunks(160) {
            // It is sent, and then it is told that the connection is gone.
            assert!(call.say(Side::Customer, frame).await.is_err());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_outlives_its_connection_and_the_bye_goes_over_a_new_one() {
    let mut world = recording_with("[shutdown]\ndrain_timeout = \"50ms\"\n").await;
    let cable = Cable::to(world.sip_address("tcp")).await;
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let contact = format!(
        "<sip:src@{};transport=tcp>;+sip.src",
        door.local_addr().unwrap()
    );
    let reachable = Edit::new(move |message: &mut Message| {
        message.set("Contact", &contact);
    });
    let near = format!("tcp:{}", cable.near);
    let mut call = world
        .record_with(|options| {
            options.target = near.parse().unwrap();
            options.edit = Some(reachable);
        })
        .await;
    let guid = call.guid();
    world.start(&mut call).await;
    converse(&world, &mut call, GREETINGS).await;
    cable.cut.cancel();
    assert!(call.ended(PATIENCE).await);
    until_metric(&world, "antiphon_siprec_connections", |count| count == 0.0).await;
    assert_eq!(world.call(&guid).await["state"], "streaming");
    say_deaf(&mut call, "customer-aside").await;
    heard_so_many(&world, &guid, Role::Customer, 2).await;
    assert_eq!(
        heard(&world, &guid, Role::Customer),
        ["customer-hello", "customer-aside"]
    );
    world.shutdown.drain();
    let (stream, _) = eventually("a connection", door.accept()).await.unwrap();
    let mut line = String::new();
    eventually("a BYE", BufReader::new(stream).read_line(&mut line))
        .await
        .unwrap();
    assert!(line.starts_with("BYE sip:src@"), "{line}");
    world.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bye_that_reaches_nobody_ends_the_call_all_the_same() {
    let mut world = recording_with("[shutdown]\ndrain_timeout = \"50ms\"\n").await;
    let mut call = world.record().await;
    let guid = call.guid();
    world.start(&mut call).await;
    converse(&world, &mut call, GREETINGS).await;
    // Signalling and media are gone, as with a crashed host.
    drop(call);
    until_metric(&world, "antiphon_siprec_connections", |count| count == 0.0).await;
    assert_eq!(world.call(&guid).await["state"], "streaming");
    world.shutdown.drain();
    world.ended().await;
    assert_heard(&world, &guid, &[GREETINGS]);
    assert!(
        world
            .service
            .streams()
            .iter()
            .all(|stream| stream.final_code == Some(1000))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_media_is_ended_where_that_is_set() {
    let world = recording_with("[siprec]\nmedia_timeout = \"1s\"\n").await;
    let mut call = world.record().await;
    let guid = call.guid();
    world.start(&mut call).await;
    converse(&world, &mut call, GREETINGS).await;
    assert!(call.ended(PATIENCE).await, "no BYE came");
    world.until_state(&guid, "gone").await;
    until_metric(&world, &ended("ours"), |count| count == 1.0).await;
    assert_heard(&world, &guid, &[GREETINGS]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_silent_or_held_ends_nothing() {
    let world = recording_with("[siprec]\nmedia_timeout = \"500ms\"\n").await;
    let mut call = world.record().await;
    let guid = call.guid();
    world.start(&mut call).await;
    call.set_sides(&[Side::Customer]);
    say(&world, &mut call, "customer-hello").await;
    call.hold().await.unwrap();
    call.silence(std::time::Duration::from_millis(1_500))
        .await
        .unwrap();
    call.resume().await.unwrap();
    say(&world, &mut call, "customer-bye").await;
    world.stop(&mut call).await;
    assert_eq!(
        heard(&world, &guid, Role::Customer),
        ["customer-hello", "customer-bye"]
    );
    call.hang_up().await.unwrap();
    until_metric(&world, &ended("bye"), |count| count == 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_answer_is_never_acknowledged_is_ended() {
    let world = recording_with("[siprec]\nt1 = \"50ms\"\n").await;
    for transport in ["udp", "tcp"] {
        let mut options = world.recording_options();
        options.target = world.target(transport);
        let mut raw = RawDialog::open(&options).await.unwrap();
        let invite = raw.invite("application/sdp", SDP.as_bytes());
        assert_eq!(ask(&mut raw, &invite).await.status(), 200);
        let guid = raw.call_id.clone();
        until_legs(&world, &guid, 2).await;
        let mut repeated = 0;
        loop {
            let heard = raw.receive(PATIENCE).await.unwrap();
            match heard.method() {
                "BYE" => break,
                _ => repeated += 1,
            }
        }
        assert!(repeated > 2, "the 200 came {repeated} times more");
        world.until_state(&guid, "gone").await;
    }
    until_metric(&world, &ended("no_ack"), |count| count == 2.0).await;
}
