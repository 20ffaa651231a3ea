//! A gateway that dies without a word and is started again: nothing of its former life is left.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::time::Duration;

use rig::apart::Apart;
use rig::recording::{SIPREC, recording_config};
use rig::shown::{heard, streams, until_metric};
use rig::{World, phrase};
use sim::caller::siprec::{CallError, Side, SiprecCall};
use sim::caller::twilio::{Closed, TwilioCall};
use sim::service::autotranscribe::record::Recorded;
use sim::speech::Role;

use crate::GATEWAY;
use crate::scenes::{PATIENCE, options};

/// A gateway that can be found again where it was, with two pairs of RTP ports.
async fn gateway(folder: &Path) -> Apart {
    let http = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let more = format!(
        "[http]\nlisten = \"{}\"\n[control]\nstart_grace = \"0s\"\n\
         [siprec]\nlisten = [\"udp:{}\", \"tcp:{}\"]\n\
         rtp_ports = \"9980-9983\"\nsessions_max = 1\n",
        http.local_addr().unwrap(),
        udp.local_addr().unwrap(),
        tcp.local_addr().unwrap(),
    );
    drop((http, tcp, udp));
    let more = recording_config(&more);
    Apart::new(rig::service_config(), &more, GATEWAY, folder).await
}

/// Waits until the service has heard what was said first.
async fn until_heard(world: &World) {
    let so = |streams: &[Recorded]| streams.iter().any(|stream| !stream.transcripts.is_empty());
    world.until_heard(so).await;
}

/// The process has written nothing but what the rig makes of its log.
fn assert_nothing_is_left(folder: &Path) {
    let files = std::fs::read_dir(folder).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    assert_eq!(names, ["antiphon.log", "antiphon.toml"]);
}

/// Goes on sending what nobody asked for any more, until `done`.
async fn haunt(call: &mut SiprecCall, done: impl Future<Output = ()>) {
    let card = &phrase("customer-card").samples;
    let mut frames = card.chunks(160).cycle();
    let mut done = std::pin::pin!(done);
    loop {
        let frame = frames.next().unwrap();
        // The kernel may tell that nobody listened a moment ago.
        tokio::select! {
            biased;
            () = &mut done => return,
            sent = call.say(Side::Customer, frame) => drop(sent),
        }
    }
}

fn status(refused: Result<impl std::fmt::Debug, CallError>) -> u16 {
    match refused {
        Err(CallError::Refused(refused)) => refused.status,
        other => panic!("it was not refused: {other:?}"),
    }
}

async fn conversation(world: &World) -> String {
    let mut call = world.record().await;
    let guid = call.guid();
    call.silence(Duration::from_millis(300)).await.unwrap();
    world.until_state(&guid, "idle").await;
    world.start(&mut call).await;
    world.say(&mut call, "customer-greeting").await;
    world.say(&mut call, "agent-greeting").await;
    world.stop(&mut call).await;
    call.hang_up().await.unwrap();
    guid
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sbc_is_told_that_its_dialogs_are_gone_and_may_begin_anew_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = gateway(folder.path()).await;
    gateway.world.ask_about(SIPREC);
    let target = gateway.world.target("udp");
    let mut old = gateway
        .world
        .record_with(|options| options.target = target)
        .await;
    let before = old.guid();
    gateway.world.until_state(&before, "idle").await;
    gateway.world.start(&mut old).await;
    gateway.world.say(&mut old, "customer-greeting").await;
    until_heard(&gateway.world).await;
    gateway.kill().await;
    gateway.start_again().await;
    let world = &gateway.world;
    assert_nothing_is_left(folder.path());

    // The SBC's health check says that there is nothing; so does every request of the old dialog.
    let answer = options(world).await;
    assert_eq!(
        (answer.status(), answer.header("X-Antiphon-Calls")),
        (200, Some("0"))
    );
    assert_eq!(world.metric("antiphon_siprec_ports").await, 0.0);
    assert_eq!(world.try_start(&before).await.code(), Some("400-203"));
    assert_eq!(status(old.ping().await), 481);
    assert_eq!(status(old.refresh().await), 481);

    // The old sound still comes, to the very ports that the new session has; it is not heard.
    let mut guid = String::new();
    haunt(&mut old, async { guid = conversation(world).await }).await;
    assert_eq!(heard(world, &guid, Role::Customer), ["customer-greeting"]);
    assert_eq!(heard(world, &guid, Role::Agent), ["agent-greeting"]);
    let foreign = "antiphon_siprec_rtp_packets_total{fate=\"foreign_address\"}";
    assert!(world.metric(foreign).await > 0.0);
    assert_eq!(status(old.hang_up().await), 481);
    until_metric(world, "antiphon_siprec_ports", |ports| ports == 0.0).await;
    until_metric(world, "antiphon_admission_legs", |legs| legs == 0.0).await;
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_breaks_off_and_a_new_one_is_taken_with_the_url_of_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = gateway(folder.path()).await;
    let mut old = gateway.world.dial().await;
    let guid = old.call_sid().to_owned();
    gateway.world.until_state(&guid, "idle").await;
    gateway.world.start(&old).await;
    gateway.world.say(&mut old, "customer-greeting").await;
    let mut again = gateway.world.options().await;
    again.sids.call.clone_from(&guid);
    until_heard(&gateway.world).await;
    gateway.kill().await;
    let closed = old.closed(PATIENCE).await;
    assert_eq!(closed.and_then(|closed: Closed| closed.code), None);
    gateway.start_again().await;
    let world = &gateway.world;
    assert_nothing_is_left(folder.path());

    // Until there is media nobody knows the call.
    assert_eq!(world.try_start(&guid).await.code(), Some("400-203"));
    let mut new = TwilioCall::dial(again).await.unwrap();
    world.until_state(&guid, "idle").await;
    world.start(&new).await;
    world.say(&mut new, "customer-goodbye").await;
    world.stop(&new).await;
    new.hang_up().await.unwrap();
    world.until_state(&guid, "gone").await;
    assert_eq!(
        heard(world, &guid, Role::Customer),
        ["customer-greeting", "customer-goodbye"]
    );
    let streams = streams(world, &guid, Role::Customer);
    let codes: Vec<_> = streams.iter().map(|stream| stream.final_code).collect();
    assert_eq!(codes, [None, Some(1000)]);
    gateway.end().await;
}
