//! A call with one service and one fault: what was said on it, and what must come of it.

use std::time::Duration;

use rig::served::{extended, name};
use rig::shown::counters;
use rig::told::{of, onset};
use rig::{World, phrase};
use serde_json::Value;
use sim::caller::twilio::{Options, Side, TwilioCall};
use sim::control::{Answer, Start};
use sim::service::faults::{Cut, Faults, RestFault};
use sim::service::record::Recorded;
use sim::service::{Protocol, Running, Settings};
use sim::speech::Role;

use crate::page;
use crate::proof::{
    assert_each_heard_once, assert_gaps_are_counted, assert_lost, course, heard, length_ms,
    nothing_said_is_logged,
};

/// Pauses between attempts that a story does not feel.
pub(crate) const QUICK: &str = "[upstream.retry]\nbackoff_min = \"10ms\"\n\
    backoff_base = \"20ms\"\nbackoff_max = \"200ms\"\n\
    [upstream.guard]\nprobe_after_min = \"100ms\"\nprobe_after_max = \"200ms\"\n";

/// More than ends an utterance, whatever the size of messages.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest message of a service as it is configured here, in samples.
const MESSAGE: u64 = 1_600;

/// What a caller sends at a time.
const FRAME: Duration = Duration::from_millis(20);

/// What is missing because nobody was sent it.
const UNSENT: [&str; 3] = ["discarded", "outage", "overflow"];

/// A call under way, and what was said on it.
pub(crate) struct Story {
    pub(crate) protocol: Protocol,
    pub(crate) world: World,
    pub(crate) call: TwilioCall,
    pub(crate) guid: String,
    /// What is to be heard once, and when on the stream's clock.
    said: Vec<(&'static str, u64)>,
    /// What nobody will hear, and from when to when it was said.
    lost: Vec<(&'static str, u64, u64)>,
    /// Samples that are too few for a message.
    pub(crate) rest_max: u64,
}

impl Story {
    /// A call that is transcribed.
    pub(crate) async fn of(protocol: Protocol) -> Self {
        Self::with(protocol, Settings::default(), "").await
    }

    /// The same with more of everything.
    pub(crate) async fn with(protocol: Protocol, settings: Settings, more: &str) -> Self {
        let story = Self::dialled(protocol, settings, more).await;
        story.world.start(&story.call).await;
        story
    }

    /// A call that nobody has started yet.
    pub(crate) async fn dialled(protocol: Protocol, settings: Settings, more: &str) -> Self {
        let service = protocol.start(settings).await.unwrap();
        Self::at(protocol, service, more).await
    }

    /// The same with a service that runs already.
    pub(crate) async fn at(protocol: Protocol, service: Running, more: &str) -> Self {
        page::open();
        let world = World::serving(protocol, service, &extended(QUICK, more)).await;
        let call = world.dial().await;
        let guid = call.call_sid().to_owned();
        world.until_state(&guid, "idle").await;
        Self {
            protocol,
            world,
            call,
            guid,
            said: Vec::new(),
            lost: Vec::new(),
            rest_max: MESSAGE,
        }
    }

    /// Starts it and expects it to run.
    pub(crate) async fn start(&self) {
        self.world.start(&self.call).await;
    }

    /// Another call in place of this one, so many times as fast as speech.
    pub(crate) async fn speak_at(&mut self, speed: f64) {
        self.redial(|options| options.speed = speed).await;
    }

    /// Another call in place of this one, with these `<Parameter>`s.
    pub(crate) async fn speak_with(&mut self, parameters: &[(String, String)]) {
        self.redial(|options| options.parameters = parameters.to_vec())
            .await;
    }

    async fn redial(&mut self, change: impl FnOnce(&mut Options)) {
        let call = self.world.dial_with(change).await;
        let before = std::mem::replace(&mut self.call, call);
        before.hang_up().await.unwrap();
        self.guid = self.call.call_sid().to_owned();
        self.world.until_state(&self.guid, "idle").await;
    }

    /// Starts it with further members.
    pub(crate) async fn start_with(&self, more: Value) -> Answer {
        let start = Start {
            more,
            ..Start::of(&self.guid)
        };
        self.world.api.start(&start).await.unwrap()
    }

    /// A phrase of each party, heard before anything goes wrong.
    pub(crate) async fn before(&mut self) {
        self.say("customer-greeting").await;
        self.say("agent-greeting").await;
        self.until_heard().await;
    }

    /// A phrase of each party, heard after everything went wrong.
    pub(crate) async fn after(&mut self) {
        self.say("customer-goodbye").await;
        self.say("agent-goodbye").await;
        self.until_heard().await;
    }

    /// Says a phrase, which is to be heard once.
    pub(crate) async fn say(&mut self, id: &'static str) {
        self.say_half(id).await;
        self.say_rest(id).await;
    }

    /// Says the first half of a phrase, which is to be heard once.
    pub(crate) async fn say_half(&mut self, id: &'static str) {
        let (side, samples) = voice(id);
        self.said.push((id, self.now_ms(side) + onset(id)));
        self.call
            .say(side, &samples[..half(samples)])
            .await
            .unwrap();
        self.world.arrived(&self.call).await;
    }

    /// Says the second half, with the pause that ends an utterance.
    pub(crate) async fn say_rest(&mut self, id: &'static str) {
        let (side, samples) = voice(id);
        self.call
            .say(side, &samples[half(samples)..])
            .await
            .unwrap();
        self.pause().await;
    }

    /// Says a phrase that nobody shall hear.
    pub(crate) async fn say_in_private(&mut self, id: &'static str) {
        let (side, samples) = voice(id);
        self.call.say(side, samples).await.unwrap();
        self.pause().await;
    }

    /// What of the last phrase was said until now is lost: it is to be told as a gap.
    pub(crate) fn lose(&mut self) {
        let (id, from_ms) = self.said.pop().unwrap();
        let (side, samples) = voice(id);
        let end_ms = from_ms - onset(id) + samples.len() as u64 / 8;
        let to_ms = self.now_ms(side).min(end_ms);
        self.lost.push((id, from_ms, to_ms));
    }

    /// Nobody speaks for a while, and all has arrived.
    pub(crate) async fn pause(&mut self) {
        self.call.silence(PAUSE).await.unwrap();
        self.world.arrived(&self.call).await;
    }

    /// Waits until all that was said is told.
    pub(crate) async fn until_heard(&self) {
        let said = self.said.clone();
        let times = |id: &str| said.iter().filter(|(other, _)| *other == id).count();
        let all = |told: &[Value]| {
            said.iter()
                .all(|(id, _)| heard(told, id).len() >= times(id))
        };
        self.until(&format!("{said:?} to be heard"), all).await;
    }

    /// Waits until the call's events are as wanted; what they are instead is told.
    pub(crate) async fn until(&self, what: &str, so: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let mut events = self.world.api.call_events(&self.guid, None).await.unwrap();
        let wanted = async {
            loop {
                let told = self.world.told(&self.guid).await;
                if so(&told) {
                    return told;
                }
                events.next().await.unwrap().unwrap();
            }
        };
        match tokio::time::timeout(Duration::from_secs(20), wanted).await {
            Ok(told) => told,
            Err(_) => {
                let told = self.world.told(&self.guid).await;
                let heard = |event: &&Value| {
                    let text = &event["alternatives"][0]["text"];
                    format!("{text} at {} to {} ms", event["startMs"], event["endMs"])
                };
                let heard: Vec<_> = of(&told, "transcript", "").iter().map(heard).collect();
                panic!(
                    "{} waited for {what}: customer {:?}, agent {:?}, heard {heard:#?}, call {}",
                    name(self.protocol),
                    course(&told, "customer"),
                    course(&told, "agent"),
                    self.world.call(&self.guid).await
                );
            }
        }
    }

    /// Waits until this role has had so many events of one kind.
    pub(crate) async fn until_count(&self, kind: &str, role: &str, count: usize) {
        let so = |told: &[Value]| of(told, kind, role).len() >= count;
        self.until(&format!("{count} {kind} of {role:?}"), so).await;
    }

    /// Breaks the socket that carries a role's sound, once it has been sent all.
    pub(crate) async fn cut(&self, role: Role, cut: Cut) {
        self.drained(role).await;
        let place = self.socket(role);
        assert!(
            self.world.service.inflict(place, cut),
            "no socket of {role}"
        );
    }

    /// The newest socket of a role.
    pub(crate) fn socket(&self, role: Role) -> usize {
        let its = |stream: &Recorded| stream.role() == Some(role) && !stream.is_closed();
        let streams = |streams: &[Recorded]| streams.iter().rposition(its);
        self.world.service.with_streams(streams).unwrap()
    }

    /// Both parties' sockets are gone, and no other is had.
    pub(crate) async fn cut_off(&self, status: u16) {
        for role in [Role::Customer, Role::Agent] {
            self.drained(role).await;
        }
        self.world.service.set_faults(refusing(status));
        assert_eq!(self.world.service.inflict_all(Cut::Drop), 2);
        self.until_count("streamInterrupted", "customer", 1).await;
        self.until_count("streamInterrupted", "agent", 1).await;
    }

    /// The service is well again, and both parties are heard again.
    pub(crate) async fn restore(&self) {
        let told = self.world.told(&self.guid).await;
        let [customer, agent] =
            ["customer", "agent"].map(|role| of(&told, "streamReady", role).len());
        self.world.service.set_faults(Faults::default());
        self.until_count("streamReady", "customer", customer + 1)
            .await;
        self.until_count("streamReady", "agent", agent + 1).await;
    }

    /// Waits until nothing waits to be sent but what is too short for a message.
    async fn drained(&self, role: Role) {
        let is_so =
            |call: &Value| stream(call, role)["waitingSamples"].as_u64() < Some(self.rest_max);
        self.world.until_call(&self.guid, is_so).await;
        let its = |stream: &&Recorded| stream.role() == Some(role);
        // What is sent is not yet received.
        let sent = self.clock(side(role));
        let most = |streams: &[Recorded]| {
            let received = streams
                .iter()
                .filter(its)
                .map(|stream| stream.audio_samples);
            received.sum::<u64>() + 2 * self.rest_max >= sent
        };
        self.world.until_heard(most).await;
    }

    /// One role's stream as the native API shows it.
    pub(crate) async fn shown(&self, role: Role) -> Value {
        stream(&self.world.call(&self.guid).await, role).clone()
    }

    /// Waits until a role's stream is shown so: an event is told a moment before.
    pub(crate) async fn until_shown(&self, role: Role, so: impl Fn(&Value) -> bool) {
        let shown = async { while !so(&self.shown(role).await) {} };
        rig::eventually(&format!("the {role:?}'s stream to be shown so"), shown).await;
    }

    /// One number out of `/metrics`.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        self.world
            .metric(&format!("antiphon_upstream_{series}"))
            .await
    }

    /// One number of this service.
    pub(crate) async fn counted(&self, series: &str) -> f64 {
        let service = name(self.protocol);
        self.metric(&format!("{series}{{service=\"{service}\"}}"))
            .await
    }

    /// Every sample is accounted for, on both sides.
    pub(crate) async fn books_balance(&mut self) {
        let mut open = vec![Role::Customer, Role::Agent];
        let mut last = String::new();
        // Nothing tells of what is merely written.
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        for look in 0..600 {
            // Frame by frame, until nothing is too short for a message.
            if look % 5 == 0 {
                self.call.silence(FRAME).await.unwrap();
                self.world.arrived(&self.call).await;
            }
            looks.tick().await;
            let call = self.world.call(&self.guid).await;
            let told = self.world.told(&self.guid).await;
            open.retain(|role| {
                let imbalance = self.imbalance(&call, &told, *role);
                last = imbalance.clone().unwrap_or_default();
                imbalance.is_some()
            });
            if open.is_empty() {
                return;
            }
        }
        panic!("{}: {last}", name(self.protocol));
    }

    fn imbalance(&self, call: &Value, told: &[Value], role: Role) -> Option<String> {
        let leg = match role {
            Role::Agent => "second",
            Role::Customer => "first",
        };
        let sum = |keys: &[&str]| {
            let counters = keys.iter().map(|key| counters(call, leg)[key].as_u64());
            counters.map(Option::unwrap).sum::<u64>()
        };
        let appended = sum(&["passed", "filled", "quiet", "paused"]);
        let clock = appended + sum(&["skipped", "gated"]);
        let said = self.clock(side(role));
        let stream = stream(call, role);
        let sent = stream["sentBytes"].as_u64().unwrap() / 2;
        let gaps = of(told, "gap", role.as_str()).into_iter();
        let unsent = gaps.filter(|gap| UNSENT.contains(&gap["reason"].as_str().unwrap()));
        let unsent: u64 = unsent.map(|gap| length_ms(gap) * 8).sum();
        let is_so = clock == said && sent + unsent == appended && stream["waitingSamples"] == 0;
        (!is_so).then(|| {
            format!(
                "{role}: sent {sent} + unsent {unsent} of {appended}, clock {clock} of {said}, \
                 {} wait",
                stream["waitingSamples"]
            )
        })
    }

    /// Stops the call, whose streams end with this code each, and looks at all that was told.
    pub(crate) async fn end(mut self, code: u16) -> Vec<Value> {
        self.books_balance().await;
        self.end_as_it_is(code).await
    }

    /// The same where nobody knows how much was sent.
    pub(crate) async fn end_as_it_is(self, code: u16) -> Vec<Value> {
        let stopped = self.world.try_stop(&self.guid).await;
        assert_eq!(stopped.status, 200);
        for role in ["customer", "agent"] {
            let status = &stopped.stream(role)["status"];
            assert_eq!(status["code"], code, "{role}: {status}");
        }
        self.until_count("streamEnded", "customer", 1).await;
        self.until_count("streamEnded", "agent", 1).await;
        self.hang_up().await
    }

    /// Ends the call and looks at all that was told.
    pub(crate) async fn hang_up(self) -> Vec<Value> {
        let Self {
            protocol,
            world,
            call,
            guid,
            said,
            lost,
            ..
        } = self;
        call.hang_up().await.unwrap();
        world.until_state(&guid, "gone").await;
        let told = world.told(&guid).await;
        assert_each_heard_once(&told, &said, &lost, protocol);
        for (id, from_ms, to_ms) in lost {
            assert_lost(&told, id, (from_ms, to_ms));
        }
        assert_gaps_are_counted(&world, &told).await;
        nothing_said_is_logged(&guid);
        world.end().await;
        told
    }

    /// How much has been said of a side since the start, in milliseconds.
    fn now_ms(&self, side: Side) -> u64 {
        self.clock(side) / 8
    }

    fn clock(&self, side: Side) -> u64 {
        self.call.sent(side).samples
    }
}

/// Refuses all sockets from now on.
pub(crate) fn refusing(status: u16) -> Faults {
    Faults {
        upgrade: Some(RestFault {
            status,
            retry_after: None,
        }),
        ..Faults::default()
    }
}

/// One role's newest stream as the native API shows it.
fn stream(call: &Value, role: Role) -> &Value {
    let streams = call["streams"].as_array().into_iter().flatten();
    let mut its = streams.filter(|stream| stream["role"] == role.as_str());
    its.next_back().unwrap_or(&Value::Null)
}

fn voice(id: &str) -> (Side, &'static [i16]) {
    let phrase = phrase(id);
    (side(phrase.role), &phrase.samples)
}

fn side(role: Role) -> Side {
    match role {
        Role::Agent => Side::Outbound,
        Role::Customer => Side::Inbound,
    }
}

/// Frames are whole.
fn half(samples: &[i16]) -> usize {
    samples.len() / 2 / 160 * 160
}
