//! A gateway that is told to end while many calls run: nothing that was received is lost, and
//! nobody is left without a goodbye.

use std::sync::Arc;

use futures_util::future::join_all;
use rig::apart::Apart;
use rig::recording::{SIPREC, recording_config};
use rig::shown::{heard, streams, until_metric};
use rig::{World, eventually, tasks};
use sim::caller::siprec::{Event, Message, RawDialog};
use sim::caller::twilio::TwilioCall;
use sim::speech::Role;
use tokio::sync::Barrier;
use tokio_util::sync::CancellationToken;

use crate::GATEWAY;
use crate::scenes::{PATIENCE, SDP, ask};

/// Calls of each platform; half of them end by themselves while the gateway drains.
const CALLS: usize = 20;
const DRAIN: &str = "[shutdown]\ndrain_timeout = \"3s\"\n\
    [limits]\nevent_subscribers_max = 200\n";

/// What calls wait for: that all of them have been heard, and that the gateway was told to end.
#[derive(Clone)]
struct Cue {
    spoken: Arc<Barrier>,
    told: CancellationToken,
}

impl Cue {
    /// For so many calls, and for the one who tells the gateway.
    fn new(calls: usize) -> Self {
        Self {
            spoken: Arc::new(Barrier::new(calls + 1)),
            told: CancellationToken::new(),
        }
    }

    async fn wait(&self) {
        self.spoken.wait().await;
        self.told.cancelled().await;
    }

    /// Tells the gateway to end once everybody has spoken.
    async fn give(&self, gateway: &Apart) {
        eventually("all to have spoken", self.spoken.wait()).await;
        gateway.terminate();
        let world = &gateway.world;
        let drained =
            async { while world.api.get("/health/ready").await.unwrap().status == 200 {} };
        eventually("readiness to go", drained).await;
        self.told.cancel();
    }
}

/// Every leg of these calls was heard to its end, and every stream has ended as it should.
fn assert_ended_well(world: &World, guids: &[String]) {
    for guid in guids {
        assert_eq!(heard(world, guid, Role::Customer), ["customer-greeting"]);
        for role in [Role::Customer, Role::Agent] {
            let streams = streams(world, guid, role);
            assert_eq!(streams.len(), 1, "{guid}");
            assert!(streams[0].finished_at.is_some(), "no finishStream came");
            assert_eq!(streams[0].final_code, Some(1000));
        }
    }
}

async fn forked(world: &World, nth: usize, cue: Cue) -> String {
    let mut call: TwilioCall = world.dial().await;
    let guid = call.call_sid().to_owned();
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;
    cue.wait().await;
    if nth.is_multiple_of(2) {
        call.hang_up().await.unwrap();
    } else {
        let closed = call.closed(PATIENCE).await.expect("a close frame");
        assert_eq!((closed.code, &*closed.reason), (Some(1001), "shutdown"));
        assert_eq!(call.messages_heard(), 0);
    }
    guid
}

#[tokio::test(flavor = "multi_thread")]
async fn at_sigterm_many_forked_calls_come_to_their_end_or_are_closed() {
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Apart::new(rig::service_config(), DRAIN, GATEWAY, folder.path()).await;
    let cue = Cue::new(CALLS);
    let world = &gateway.world;
    let calls = join_all((0..CALLS).map(|nth| forked(world, nth, cue.clone())));
    let (guids, ()) = tokio::join!(calls, cue.give(&gateway));
    gateway.ended().await;
    assert_ended_well(&gateway.world, &guids);
}

async fn recorded(world: &World, nth: usize, cue: Cue) -> String {
    let mut call = world.record().await;
    let guid = call.guid();
    world.start(&mut call).await;
    world.say(&mut call, "customer-greeting").await;
    call.silence_while(cue.wait()).await.unwrap();
    if nth.is_multiple_of(2) {
        call.hang_up().await.unwrap();
    } else {
        assert!(call.ended(PATIENCE).await, "no BYE came");
        assert_eq!(call.events(), [Event::Bye]);
    }
    guid
}

#[tokio::test(flavor = "multi_thread")]
async fn at_sigterm_many_recorded_calls_come_to_their_end_or_are_told_bye() {
    let folder = tempfile::tempdir().unwrap();
    let more = recording_config(DRAIN);
    let mut gateway = Apart::new(rig::service_config(), &more, GATEWAY, folder.path()).await;
    gateway.world.ask_about(SIPREC);
    let cue = Cue::new(CALLS);
    let world = &gateway.world;
    let calls = join_all((0..CALLS).map(|nth| recorded(world, nth, cue.clone())));
    let (guids, ()) = tokio::join!(calls, cue.give(&gateway));
    gateway.ended().await;
    assert_ended_well(&gateway.world, &guids);
}

/// A session without sound, over UDP.
async fn session(world: &World) -> RawDialog {
    let mut options = world.recording_options();
    options.target = world.target("udp");
    let mut raw = RawDialog::open(&options).await.unwrap();
    let invite = raw.invite("application/sdp", SDP.as_bytes());
    let taken = ask(&mut raw, &invite).await;
    assert_eq!(taken.status(), 200);
    let ack = raw.ack(&invite, &taken);
    raw.send(&ack).await.unwrap();
    until_metric(world, "antiphon_siprec_sessions", |count| count == 1.0).await;
    raw
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bye_that_the_network_loses_is_repeated_before_the_gateway_ends() {
    let more = "[siprec]\nt1 = \"50ms\"\n[shutdown]\ndrain_timeout = \"0s\"\n";
    let mut world = World::recording_with(more).await;
    let mut raw = session(&world).await;
    world.shutdown.drain();
    let lost = raw.receive(PATIENCE).await.unwrap();
    assert_eq!(lost.method(), "BYE");
    let bye = raw.receive(PATIENCE).await.expect("the BYE again");
    assert_eq!((bye.method(), bye.branch()), ("BYE", lost.branch()));
    let answer = Message::response(200, "OK", &bye);
    raw.send(&answer).await.unwrap();
    world.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_forced_to_end_says_bye_and_waits_for_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let more = recording_config("[siprec]\nclose_timeout = \"1m\"\n");
    let mut gateway = Apart::new(rig::service_config(), &more, GATEWAY, folder.path()).await;
    gateway.world.ask_about(SIPREC);
    let mut raw = session(&gateway.world).await;
    gateway.terminate();
    let world = &gateway.world;
    let drained = async { while world.api.get("/health/ready").await.unwrap().status == 200 {} };
    eventually("readiness to go", drained).await;
    gateway.terminate();
    let bye = raw.receive(PATIENCE).await.expect("a BYE");
    assert_eq!(bye.method(), "BYE");
    gateway.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_waits_for_media_does_not_hold_up_the_end() {
    let mut world = World::with("[control]\nstart_grace = \"300ms\"\n").await;
    let api = world.api.clone();
    let waiting = tasks().spawn(async move {
        let start = sim::control::Start::of("CA0000");
        api.start(&start).await.unwrap()
    });
    world.until_state("CA0000", "awaited").await;
    world.shutdown.drain();
    assert_eq!(waiting.await.unwrap().code(), Some("400-203"));
    world.ended().await;
}
