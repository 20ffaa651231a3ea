//! The exchange between a real intake and a service that nobody can reach.

use std::sync::Mutex;

use call::ending::{Ending, Fault};
use call::feed::MediaClock;
use call::leg::LegConfig;
use call::name::{Guid, Namespace, Role, Side};
use call::private::Private;
use call::start::{Start, StreamOptions, Wish};
use call::switchboard::{Patience, StateName};
use futures_util::future::{BoxFuture, FutureExt};
use ingress::intake::{Feed, Intake, Introduction, Learned, Pressed, SuggestedRole};
use prometheus::Registry;
use tokio::task::{JoinHandle, JoinSet};
use upstream::autotranscribe::{AutoTranscribe, AutoTranscribeConfig};
use upstream::guard::{Guard, GuardConfig};
use upstream::routes::{Plan, Provider, Routes};
use upstream::service::{BadParameter, Dialect, Limits, LocateError, Located, Service};
use upstream::stream::StreamConfig;
use upstream::trust::Trust;
use upstream::wire::{Wire, WireConfig};

use super::*;
use crate::events::{Dtmf, Event};
use crate::listener::Switching;
use crate::switchboard_task::{CallSnapshot, Command, LegSnapshot, SwitchboardHandle};

mod owners;

/// A service whose address is never told: its streams stay as they are until a test says more. It
/// has one parameter, `tempo`.
struct Unreachable {
    name: &'static str,
    inner: AutoTranscribe,
    asked: Mutex<Vec<StreamSpec>>,
}

impl Unreachable {
    /// Under a name, with chunks of so many milliseconds.
    fn new(
        (name, chunk): (&'static str, u64),
        trust: &Trust,
        metrics: &Arc<upstream::metrics::Metrics>,
    ) -> Self {
        let base = url::Url::parse("http://localhost").unwrap();
        let config = AutoTranscribeConfig {
            chunk: Duration::from_millis(chunk),
            ..AutoTranscribeConfig::new(base, "id".to_owned(), Private::default())
        };
        let inner = AutoTranscribe::new(&config, trust, Arc::clone(metrics)).unwrap();
        let asked = Mutex::default();
        Self { name, inner, asked }
    }
}

impl Service for Unreachable {
    fn name(&self) -> &'static str {
        self.name
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn locate<'a>(&'a self, spec: &'a StreamSpec) -> BoxFuture<'a, Result<Located, LocateError>> {
        self.asked.lock().unwrap().push(spec.clone());
        Box::pin(std::future::pending())
    }

    fn dialect(&self, spec: &StreamSpec) -> Box<dyn Dialect> {
        self.inner.dialect(spec)
    }

    fn check(&self, wish: &Wish) -> Result<(), BadParameter> {
        let mut parameters = wish.parameters.iter();
        let bad = parameters.find(|(name, _)| **name != *"tempo");
        bad.map_or(Ok(()), |(name, _)| {
            Err(BadParameter {
                name: name.to_string(),
                what: "is no parameter of it".to_owned(),
            })
        })
    }
}

struct Scene {
    intake: Intake,
    switchboard: SwitchboardHandle,
    reports: mpsc::UnboundedSender<StreamReport>,
    service: Arc<Unreachable>,
    other: Arc<Unreachable>,
    registry: Registry,
    bus: Arc<Bus>,
    clock: MediaClock,
    _exchange: JoinSet<()>,
}

type Answered = JoinHandle<Result<Outcome, Refused>>;

impl Scene {
    fn new() -> Self {
        let registry = Registry::new();
        let metrics = Arc::new(Metrics::register(&registry).unwrap());
        let bus = Bus::new(64);
        let upstream = Arc::new(upstream::metrics::Metrics::register(&registry).unwrap());
        let trust = Trust::new(None).unwrap();
        let service = |name, chunk| Arc::new(Unreachable::new((name, chunk), &trust, &upstream));
        let (service, other) = (service("unreachable", 100), service("other", 20));
        let (listener, _) = Switching::new(Arc::clone(&bus));
        let guard = || Guard::new(GuardConfig::default());
        let provider = |service: &Arc<Unreachable>| {
            Arc::new(Provider::guarded(Arc::clone(service) as _, guard()))
        };
        let plan = Plan {
            any: vec!["unreachable".to_owned()],
            ..Plan::default()
        };
        let routes = Routes::new(vec![provider(&service), provider(&other)], plan);
        let deps = Deps {
            routes,
            wire: Arc::new(Wire::new(WireConfig::default(), trust)),
            listener: Arc::new(listener),
            config: StreamConfig::default(),
            metrics: upstream,
        };
        let world = World {
            bus: Arc::clone(&bus),
            upstream: Arc::new(deps),
            backlog_max: Duration::from_secs(1),
            backlogs: Budget::unlimited(),
            discard_backlog: false,
            remember: Duration::ZERO,
            overdue_after: Duration::from_secs(60),
            metrics,
            tasks: TaskTracker::new(),
        };
        let (intake, arrivals) = Intake::new(LegConfig::default());
        let (switchboard, requests) = SwitchboardHandle::new(16);
        #[expect(clippy::disallowed_methods, reason = "a test tells a few reports")]
        let (told, reports) = mpsc::unbounded_channel();
        let (live, _) = watch::channel(0);
        let exchange = Exchange {
            requests,
            arrivals,
            reports,
            live,
            world,
        };
        let patience = Patience {
            start_grace: Duration::from_secs(60),
            start_timeout: Duration::from_secs(60),
            stop_timeout: Duration::from_secs(60),
            gate_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(60),
            awaited_max: 10,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(exchange.run(Switchboard::new(patience)));
        Self {
            intake,
            switchboard,
            reports: told,
            service,
            other,
            registry,
            bus,
            clock: MediaClock::default(),
            _exchange: tasks,
        }
    }

    fn leg(&self, guid: &str, side: Side, more: impl FnOnce(&mut Introduction)) -> Feed {
        let mut introduction = Introduction::new(siprec(guid), side, Vec::new());
        more(&mut introduction);
        self.intake.open(Instant::now(), &self.clock, introduction)
    }

    /// Gives a command that is answered later.
    fn give(&self, guid: &str, command: Command) -> Answered {
        let (switchboard, call) = (self.switchboard.clone(), siprec(guid));
        #[expect(clippy::disallowed_methods, reason = "a test waits for its answer")]
        tokio::spawn(async move { switchboard.command(call, command, By::default()).await })
    }

    async fn call(&self, guid: &str) -> Option<CallSnapshot> {
        self.switchboard.call(siprec(guid)).await.unwrap()
    }

    /// The call, once it has come into a state.
    async fn call_in(&self, guid: &str, state: StateName) -> CallSnapshot {
        loop {
            match self.call(guid).await {
                Some(call) if call.state == state => return call,
                _ => tokio::task::yield_now().await,
            }
        }
    }

    /// The service accepts every stream that it was asked for.
    fn accept(&self, call: &CallSnapshot) {
        for stream in &call.streams {
            let ready = StreamReport::Ready(stream.id.clone(), "unreachable");
            self.reports.send(ready).unwrap();
        }
    }

    fn counts(&self, line: &str) -> bool {
        let text = prometheus::TextEncoder::new();
        let text = text.encode_to_string(&self.registry.gather()).unwrap();
        text.lines().any(|other| other == line)
    }
}

fn siprec(guid: &str) -> CallName {
    CallName {
        namespace: Namespace::Siprec,
        guid: Guid::parse(guid).unwrap(),
    }
}

fn names(guids: &[&str]) -> Vec<Guid> {
    let guid = |text: &&str| Guid::parse(text).unwrap();
    guids.iter().map(guid).collect()
}

fn start_as(guid: &str, is_ordered: bool) -> Command {
    let options = Arc::new(StreamOptions::default());
    let spec = |role: Role| StreamSpec {
        id: StreamId::new(role.as_str()),
        call: siprec(guid),
        external: format!("{guid} as written").into(),
        role,
        sender: Private::default(),
        options: Arc::clone(&options),
        wish: Wish::default(),
    };
    let (first, second) = (spec(Role::Customer), spec(Role::Agent));
    Command::Start(Box::new(Start {
        first,
        second,
        is_ordered,
    }))
}

fn start(guid: &str) -> Command {
    start_as(guid, false)
}

fn says(role: Role) -> Option<SuggestedRole> {
    Some(SuggestedRole {
        role,
        reason: "callingParty of the sender of label 1".to_owned(),
        confidence: "high",
    })
}

fn told(leg: &LegSnapshot) -> (Side, Role, &str, &str) {
    let role = leg.role.as_ref().unwrap();
    (leg.side, role.role, &role.reason, role.confidence)
}

#[tokio::test]
async fn a_call_is_found_by_each_of_its_names_until_it_is_over() {
    let scene = Scene::new();
    let feed = scene.leg("1", Side::First, |leg| leg.names = names(&["2", "3"]));
    let call = scene.call_in("3", StateName::Idle).await;
    assert_eq!((&call.name, call.names), (&siprec("1"), names(&["2", "3"])));
    let stopped = scene
        .switchboard
        .command(siprec("2"), Command::Stop, By::default())
        .await;
    assert_eq!(stopped, Err(Refused::ByState(Refusal::Already)));
    feed.end(Ending::new(Fault::Nobody, "bye"));
    while scene.call("1").await.is_some() {
        tokio::task::yield_now().await;
    }
    assert!(scene.call("2").await.is_none());
    let stopped = scene
        .switchboard
        .command(siprec("2"), Command::Stop, By::default())
        .await;
    assert_eq!(stopped, Err(Refused::ByState(Refusal::NoCall)));
}

#[tokio::test]
async fn a_start_under_another_name_is_told_on_as_it_was_written() {
    let scene = Scene::new();
    let _feed = scene.leg("1", Side::First, |leg| leg.names = names(&["2"]));
    scene.call_in("1", StateName::Idle).await;
    let answered = scene.give("2", start("2"));
    let call = scene.call_in("1", StateName::Starting).await;
    scene.accept(&call);
    assert_eq!(answered.await.unwrap().unwrap().error, None);
    let asked = scene.service.asked.lock().unwrap()[0].clone();
    assert_eq!(asked.call, siprec("1"));
    assert_eq!(&*asked.external, "2 as written");
    let call = scene.call("1").await.unwrap();
    assert_eq!(call.streams[0].service, Some("unreachable"));
}

#[tokio::test]
async fn a_start_that_waits_under_a_name_is_carried_out_on_the_call_that_opens_with_it() {
    let scene = Scene::new();
    let answered = scene.give("2", start("2"));
    scene.call_in("2", StateName::Awaited).await;
    let _feed = scene.leg("1", Side::First, |leg| leg.names = names(&["2"]));
    let call = scene.call_in("1", StateName::Starting).await;
    assert_eq!(call.legs[0].gate, call::leg::Gate::Open);
    assert_eq!(scene.switchboard.calls().await.unwrap().len(), 1);
    scene.accept(&call);
    assert_eq!(answered.await.unwrap().unwrap().error, None);
    assert!(scene.counts("antiphon_calls{state=\"awaited\"} 0"));
}

#[tokio::test]
async fn a_start_that_waits_under_a_name_is_carried_out_when_the_call_learns_of_it() {
    let scene = Scene::new();
    let feed = scene.leg("1", Side::First, |_| ());
    scene.call_in("1", StateName::Idle).await;
    let answered = scene.give("2", start("2"));
    scene.call_in("2", StateName::Awaited).await;
    feed.teller().learned(Learned {
        id: feed.id(),
        identifiers: vec![("UCID", "2".to_owned())],
        names: names(&["1", "2"]),
        role: says(Role::Agent),
    });
    let call = scene.call_in("1", StateName::Starting).await;
    assert_eq!(call.identifiers, [("UCID", "2".to_owned())]);
    assert_eq!(call.legs[0].identifiers, call.identifiers);
    assert_eq!(call.streams[0].role, Role::Agent, "as it was learned");
    scene.accept(&call);
    assert_eq!(answered.await.unwrap().unwrap().error, None);
}

#[tokio::test]
async fn a_key_is_told_with_its_role_unless_the_gate_was_shut_before_anybody_heard_of_it() {
    let scene = Scene::new();
    let mut feed = scene.leg("1", Side::Second, |leg| leg.role = says(Role::Agent));
    scene.call_in("1", StateName::Idle).await;
    let answered = scene.give("1", start("1"));
    let call = scene.call_in("1", StateName::Starting).await;
    scene.accept(&call);
    answered.await.unwrap().unwrap();
    let mut press = |key| {
        let duration = Some(Duration::from_millis(80));
        let key = Private::new(key);
        assert!(feed.press(Instant::now(), Pressed { key, duration }));
    };
    press('5');
    scene.call_in("1", StateName::Streaming).await;
    // The stop is given first, so the exchange hears of it first.
    let stop = scene
        .switchboard
        .command(siprec("1"), Command::Stop, By::default());
    let mut stop = std::pin::pin!(stop);
    assert!(stop.as_mut().now_or_never().is_none());
    press('6');
    scene.call_in("1", StateName::Stopping).await;
    let events = scene
        .bus
        .read(&mut 0, |record| record.event.kind() == "dtmf");
    let [record] = &events.records[..] else {
        panic!("{:?}", events.records)
    };
    let Event::Dtmf(dtmf) = &record.event else {
        panic!("{record:?}")
    };
    let (role, duration) = (Some(Role::Agent), Some(Duration::from_millis(80)));
    let expected = Dtmf {
        leg: feed.id(),
        side: Side::Second,
        role,
        key: Private::new('5'),
        duration,
    };
    assert_eq!(*dtmf, expected);
}

#[tokio::test]
async fn a_second_session_that_is_named_as_the_call_is_also_called_belongs_to_it() {
    let scene = Scene::new();
    let _near = scene.leg("1", Side::First, |leg| leg.names = names(&["2"]));
    let _far = scene.leg("2", Side::Second, |leg| leg.names = names(&["3"]));
    let call = loop {
        match scene.call("3").await {
            Some(call) => break call,
            None => tokio::task::yield_now().await,
        }
    };
    assert_eq!((call.name, call.legs.len()), (siprec("1"), 2));
    assert!(scene.counts("antiphon_call_names_shared_total 0"));
}

#[tokio::test]
async fn a_name_that_two_calls_claim_means_the_newer_one() {
    let scene = Scene::new();
    let _old = scene.leg("1", Side::First, |leg| leg.names = names(&["x"]));
    let new = scene.leg("2", Side::First, |leg| leg.names = names(&["x"]));
    scene.call_in("2", StateName::Idle).await;
    assert_eq!(scene.call("x").await.unwrap().name, siprec("2"));
    assert!(scene.counts("antiphon_call_names_shared_total 1"));
    drop(new);
    while scene.call("2").await.is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!(scene.call("x").await.unwrap().name, siprec("1"));
}

#[tokio::test]
async fn the_platform_is_told_when_sound_is_wanted() {
    let scene = Scene::new();
    let (wanted, mut is_wanted) = watch::channel(false);
    let feed = scene.leg("1", Side::First, |leg| leg.wanted = Some(wanted));
    scene.call_in("1", StateName::Idle).await;
    assert!(!*is_wanted.borrow_and_update());
    let started = scene.give("1", start("1"));
    let call = scene.call_in("1", StateName::Starting).await;
    assert!(*is_wanted.borrow_and_update());
    scene.accept(&call);
    feed.teller().granted();
    started.await.unwrap().unwrap();
    let paused = scene
        .switchboard
        .command(siprec("1"), Command::Pause, By::default())
        .await;
    paused.unwrap();
    let resumed = scene
        .switchboard
        .command(siprec("1"), Command::Resume, By::default())
        .await;
    resumed.unwrap();
    assert!(
        !is_wanted.has_changed().unwrap(),
        "a pause needs its sound for the length"
    );
    let stopped = scene.give("1", Command::Stop);
    let call = scene.call_in("1", StateName::Stopping).await;
    assert!(!*is_wanted.borrow_and_update());
    for stream in call.streams {
        let report = Report {
            id: stream.id,
            role: stream.role,
            status: call::start::Status::ok(),
            summary: None,
        };
        scene.reports.send(StreamReport::Finished(report)).unwrap();
    }
    assert_eq!(stopped.await.unwrap().unwrap().error, None);
    drop(feed);
    assert!(is_wanted.changed().await.is_err(), "the leg is over");
}

#[tokio::test]
async fn a_start_whose_sound_the_platform_refuses_is_answered_at_once_with_why() {
    let scene = Scene::new();
    let (wanted, is_wanted) = watch::channel(false);
    let feed = scene.leg("1", Side::First, |leg| leg.wanted = Some(wanted));
    scene.call_in("1", StateName::Idle).await;
    feed.teller().refused("nobody asked".to_owned());
    let started = scene.give("1", start("1"));
    let call = scene.call_in("1", StateName::Starting).await;
    scene.accept(&call);
    let why = "the SRC refused to resume the media with 488";
    feed.teller().refused(why.to_owned());
    let outcome = started.await.unwrap().unwrap();
    assert_eq!(outcome.error, Some(format!("customer: {why}")));
    assert_eq!(outcome.reports[0].status.code, 5000);
    assert!(!*is_wanted.borrow());
    scene.call_in("1", StateName::Idle).await;
}

#[tokio::test]
async fn a_start_is_answered_when_the_platform_sends_what_it_was_asked_for() {
    let scene = Scene::new();
    let (wanted, _) = watch::channel(false);
    let asked = scene.leg("1", Side::First, |leg| leg.wanted = Some(wanted));
    let _not_asked = scene.leg("1", Side::Second, |_| ());
    while scene.call("1").await.is_none_or(|call| call.legs.len() < 2) {
        tokio::task::yield_now().await;
    }
    let mut started = scene.give("1", start("1"));
    let call = scene.call_in("1", StateName::Starting).await;
    scene.accept(&call);
    let early = tokio::time::timeout(Duration::from_millis(20), &mut started).await;
    assert!(early.is_err(), "answered before the platform had");
    asked.teller().granted();
    assert_eq!(started.await.unwrap().unwrap().error, None);
}

#[tokio::test]
async fn a_leg_has_the_role_that_the_platform_suggests_and_the_api_says_why() {
    let scene = Scene::new();
    let _first = scene.leg("1", Side::First, |leg| leg.role = says(Role::Agent));
    let _second = scene.leg("1", Side::Second, |_| ());
    scene.call_in("1", StateName::Idle).await;
    let call = loop {
        match scene.call("1").await.unwrap() {
            call if call.legs.len() == 2 => break call,
            _ => tokio::task::yield_now().await,
        }
    };
    let why = "callingParty of the sender of label 1";
    let expected = (Side::First, Role::Agent, why, "high");
    assert_eq!(told(&call.legs[0]), expected);
    assert_eq!(call.legs[1].role, None);
    let _started = scene.give("1", start("1"));
    let call = scene.call_in("1", StateName::Starting).await;
    assert_eq!(told(&call.legs[0]), expected);
    let rest = "the other leg has the other role";
    assert_eq!(
        told(&call.legs[1]),
        (Side::Second, Role::Customer, rest, "medium")
    );
}

#[tokio::test]
async fn an_order_that_the_start_gives_goes_before_what_the_platform_suggests() {
    let scene = Scene::new();
    let _leg = scene.leg("1", Side::First, |leg| leg.role = says(Role::Agent));
    scene.call_in("1", StateName::Idle).await;
    let _started = scene.give("1", start_as("1", true));
    let call = scene.call_in("1", StateName::Starting).await;
    let why = "mediaLineOrder of the start";
    assert_eq!(
        told(&call.legs[0]),
        (Side::First, Role::Customer, why, "high")
    );
}

#[tokio::test]
async fn a_line_with_both_parties_is_shown_as_mixed() {
    let scene = Scene::new();
    let _leg = scene.leg("1", Side::First, |leg| leg.role = says(Role::Mixed));
    scene.call_in("1", StateName::Idle).await;
    let started = scene.give("1", start_as("1", true));
    let call = scene.call_in("1", StateName::Starting).await;
    assert_eq!(call.legs[0].role.as_ref().unwrap().role, Role::Mixed);
    scene.accept(&call);
    let outcome = started.await.unwrap().unwrap();
    assert_eq!(outcome.reports[0].role, Role::Mixed);
}

fn wish(service: Option<&str>, parameters: &[&str]) -> Wish {
    let named = |name: &&str| (Arc::from(*name), Private::new("7".to_owned()));
    Wish {
        service: service.map(Arc::from),
        parameters: parameters.iter().map(named).collect(),
    }
}

/// The wish of the customer's stream as its service is asked for it, and which service that is.
async fn asked_with(start: Wish, leg: Wish) -> (&'static str, Wish, Scene) {
    let scene = Scene::new();
    let feed = scene.leg("1", Side::First, |introduction| introduction.wish = leg);
    scene.call_in("1", StateName::Idle).await;
    let Command::Start(mut asked) = start_as("1", true) else {
        unreachable!("it is a start")
    };
    asked.first.wish = start;
    let _started = scene.give("1", Command::Start(asked));
    scene.call_in("1", StateName::Starting).await;
    let (name, spec) = loop {
        let of = |service: &Arc<Unreachable>| service.asked.lock().unwrap().first().cloned();
        if let Some(spec) = of(&scene.service) {
            break ("unreachable", spec);
        }
        if let Some(spec) = of(&scene.other) {
            break ("other", spec);
        }
        tokio::task::yield_now().await;
    };
    drop(feed);
    (name, spec.wish, scene)
}

#[tokio::test]
async fn what_a_start_wishes_for_goes_before_what_its_legs_do() {
    let none = || wish(None, &[]);
    let cases = [
        (none(), none(), "unreachable", none()),
        (
            wish(Some("other"), &[]),
            none(),
            "other",
            wish(Some("other"), &[]),
        ),
        (
            none(),
            wish(Some("other"), &["tempo"]),
            "other",
            wish(Some("other"), &["tempo"]),
        ),
        (
            wish(Some("unreachable"), &[]),
            wish(Some("other"), &["tempo"]),
            "unreachable",
            wish(Some("unreachable"), &[]),
        ),
    ];
    for (start, leg, service, expected) in cases {
        let (name, wish, scene) = asked_with(start, leg).await;
        assert_eq!((name, wish), (service, expected));
        assert!(scene.counts("antiphon_wishes_left_out_total 0"));
    }
}

#[tokio::test]
async fn what_a_leg_wishes_for_and_cannot_have_is_left_out_and_counted() {
    let (name, left, scene) = asked_with(
        wish(None, &[]),
        wish(Some("other"), &["rubato", "tempo", "swing"]),
    )
    .await;
    assert_eq!((name, left), ("other", wish(Some("other"), &["tempo"])));
    assert!(scene.counts("antiphon_wishes_left_out_total 2"));
    let (name, left, scene) =
        asked_with(wish(None, &["tempo"]), wish(Some("nobody"), &["tempo"])).await;
    let addressed = wish(Some("unreachable"), &["tempo"]);
    assert_eq!((name, left), ("unreachable", addressed));
    assert!(scene.counts("antiphon_wishes_left_out_total 1"));
}

#[tokio::test]
async fn the_legs_of_a_call_may_go_to_services_that_want_their_sound_cut_otherwise() {
    let scene = Scene::new();
    let _near = scene.leg("1", Side::First, |leg| leg.wish = wish(Some("other"), &[]));
    let _far = scene.leg("1", Side::Second, |_| ());
    while scene.call("1").await.is_none_or(|call| call.legs.len() < 2) {
        tokio::task::yield_now().await;
    }
    let started = scene.give("1", start("1"));
    let call = scene.call_in("1", StateName::Starting).await;
    assert_eq!(call.streams.len(), 2);
    scene.accept(&call);
    assert_eq!(started.await.unwrap().unwrap().error, None);
    let role = |service: &Arc<Unreachable>| service.asked.lock().unwrap()[0].role;
    assert_eq!(role(&scene.other), Role::Customer);
    assert_eq!(role(&scene.service), Role::Agent);
}
