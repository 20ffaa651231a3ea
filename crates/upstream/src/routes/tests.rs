use std::sync::Mutex;

use call::name::{Guid, Namespace, StreamId};
use call::start::StreamOptions;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending};
use prometheus::{Registry, TextEncoder};
use tokio::time::{Instant, advance};

use super::*;
use crate::service::{Dialect, LocateError, Located, NAMES, Retry};

/// A service that is only asked for its name and such.
#[derive(Default)]
struct Named {
    name: &'static str,
    chunk_ms: u64,
    /// Its preparation never ends.
    is_dead: bool,
    prepared: Mutex<u32>,
    forgotten: Mutex<u32>,
}

struct World {
    routes: Routes,
    services: Vec<Arc<Named>>,
    registry: Registry,
}

impl Service for Named {
    fn name(&self) -> &'static str {
        self.name
    }

    fn limits(&self) -> Limits {
        Limits {
            chunk: Duration::from_millis(self.chunk_ms),
            chunk_min: Duration::ZERO,
            chunk_max: Duration::from_secs(1),
            pace_percent: 100,
            burst: Duration::ZERO,
            idle: Duration::ZERO,
            session_max: Duration::ZERO,
            accepts_at_open: false,
            counts_bytes: true,
        }
    }

    fn prepare<'a>(&'a self, _: &'a CallName) -> BoxFuture<'a, ()> {
        Box::pin(async {
            if self.is_dead {
                pending::<()>().await;
            }
            *self.prepared.lock().unwrap() += 1;
        })
    }

    fn forget(&self, _: &CallName) {
        *self.forgotten.lock().unwrap() += 1;
    }

    fn locate<'a>(&'a self, _: &'a StreamSpec) -> BoxFuture<'a, Result<Located, LocateError>> {
        unreachable!("no stream is opened here")
    }

    fn dialect(&self, _: &StreamSpec) -> Box<dyn Dialect> {
        unreachable!("no stream is opened here")
    }

    fn check(&self, wish: &Wish) -> Result<(), BadParameter> {
        let all = &mut wish.parameters.iter();
        all.find(|(name, _)| &**name != self.name)
            .map_or(Ok(()), |(name, _)| {
                Err(BadParameter {
                    name: name.to_string(),
                    what: format!("is no parameter of {}", self.name),
                })
            })
    }
}

fn world(plan: Plan, config: GuardConfig) -> World {
    let services = [("assemblyai", 50), ("deepgram", 60), ("vosk", 70)];
    let services: Vec<_> = services
        .into_iter()
        .map(|(name, chunk_ms)| {
            Arc::new(Named {
                name,
                chunk_ms,
                is_dead: name == "deepgram",
                ..Named::default()
            })
        })
        .collect();
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    let providers = services.iter().map(|service| {
        let service = Arc::clone(service) as Arc<dyn Service>;
        Arc::new(Provider::new(service, config, &metrics))
    });
    World {
        routes: Routes::new(providers.collect(), plan),
        services,
        registry,
    }
}

/// Streams of the agent go to Deepgram and then to Vosk, all others to AssemblyAI and then to Vosk.
fn plan() -> Plan {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Plan {
        agent: names(&["deepgram", "vosk"]),
        any: names(&["assemblyai", "vosk"]),
        ..Plan::default()
    }
}

fn call() -> CallName {
    CallName {
        namespace: Namespace::Twilio,
        guid: Guid::parse("a-call").unwrap(),
    }
}

fn wish(service: Option<&str>, parameters: &[&str]) -> Wish {
    let parameters = parameters.iter();
    Wish {
        service: service.map(Arc::from),
        parameters: parameters
            .map(|&name| (name.into(), "1".to_owned().into()))
            .collect(),
    }
}

fn spec(role: Role, wish: Wish) -> StreamSpec {
    StreamSpec {
        id: StreamId::new("1"),
        call: call(),
        external: "a-call".into(),
        role,
        sender: String::new().into(),
        options: Arc::new(StreamOptions::default()),
        wish,
    }
}

impl World {
    fn new() -> Self {
        world(plan(), GuardConfig::default())
    }

    fn names(&self, role: Role, wish: &Wish) -> Vec<&'static str> {
        let route = self.routes.of(role, wish);
        route.iter().map(|provider| provider.name()).collect()
    }

    fn provider(&self, name: &str) -> &Provider {
        self.routes.named(name).unwrap()
    }

    async fn fail(&self, name: &str, class: Retry) {
        let guard = &self.provider(name).guard;
        guard.admit(Purpose::First).await.unwrap().failed(class);
    }

    /// Where the stream of a customer goes now.
    async fn admit(&self, wish: Wish) -> Result<Admission, Blocked> {
        let spec = spec(Role::Customer, wish);
        self.routes.admit(&spec, Purpose::First, &[]).await
    }

    fn failovers(&self, name: &str) -> String {
        let families = self.registry.gather();
        let text = TextEncoder::new().encode_to_string(&families).unwrap();
        let name = format!("antiphon_upstream_failovers_total{{service=\"{name}\"}} ");
        let mut lines = text.lines();
        lines
            .find_map(|line| line.strip_prefix(&name))
            .unwrap()
            .to_owned()
    }
}

fn place(admission: &Admission) -> (&'static str, bool) {
    (admission.provider.name(), admission.is_fallback)
}

#[test]
fn each_role_has_its_route_and_a_wish_goes_first() {
    let world = World::new();
    let none = Wish::default();
    assert_eq!(world.names(Role::Agent, &none), ["deepgram", "vosk"]);
    assert_eq!(world.names(Role::Customer, &none), ["assemblyai", "vosk"]);
    let vosk = wish(Some("vosk"), &[]);
    assert_eq!(world.names(Role::Customer, &vosk), ["vosk", "assemblyai"]);
    let deepgram = wish(Some("deepgram"), &[]);
    let route = world.names(Role::Customer, &deepgram);
    assert_eq!(route, ["deepgram", "assemblyai", "vosk"]);
}

#[test]
fn a_wished_service_is_the_only_one_if_so_configured() {
    let plan = Plan {
        wished_falls_back: false,
        ..plan()
    };
    let world = world(plan, GuardConfig::default());
    let deepgram = wish(Some("deepgram"), &[]);
    assert_eq!(world.names(Role::Customer, &deepgram), ["deepgram"]);
    assert_eq!(
        world.names(Role::Customer, &Wish::default()),
        ["assemblyai", "vosk"]
    );
    let nobody = wish(Some("nobody"), &[]);
    assert_eq!(world.names(Role::Customer, &nobody), ["assemblyai", "vosk"]);
}

#[test]
fn sound_is_cut_as_the_best_service_wants_it() {
    let routes = World::new().routes;
    let chunk = |role, wish: &Wish| routes.limits(role, wish).chunk.as_millis();
    assert_eq!(chunk(Role::Agent, &Wish::default()), 60);
    assert_eq!(chunk(Role::Customer, &Wish::default()), 50);
    assert_eq!(chunk(Role::Customer, &wish(Some("vosk"), &[])), 70);
}

#[test]
fn a_wish_is_checked_by_the_service_it_would_go_to() {
    let routes = World::new().routes;
    let check = |wish: &Wish| routes.check(Role::Customer, wish).map_err(|bad| bad.name);
    assert_eq!(check(&Wish::default()), Ok(()));
    assert_eq!(check(&wish(None, &["assemblyai"])), Ok(()));
    assert_eq!(check(&wish(None, &["vosk"])), Err("vosk".to_owned()));
    assert_eq!(check(&wish(Some("vosk"), &["vosk"])), Ok(()));
    let odd = wish(Some("vosk"), &["assemblyai"]);
    assert_eq!(check(&odd), Err("assemblyai".to_owned()));
    let nobody = wish(Some("nobody"), &[]);
    assert_eq!(check(&nobody), Err("service".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_failing_service_is_passed_over_until_it_is_well_again() {
    let world = World::new();
    let admitted = world.admit(Wish::default()).await.unwrap();
    assert_eq!(place(&admitted), ("assemblyai", false));
    admitted.permit.failed(Retry::Credential);
    for _ in 0..3 {
        let admitted = world
            .admit(Wish::default())
            .now_or_never()
            .unwrap()
            .unwrap();
        assert_eq!(place(&admitted), ("vosk", true));
        admitted.permit.accepted();
    }
    assert_eq!(
        (world.failovers("vosk"), world.failovers("assemblyai")),
        ("3".into(), "0".into())
    );
    advance(Duration::from_secs(60)).await;
    for _ in 0..2 {
        let admitted = world.admit(Wish::default()).await.unwrap();
        assert_eq!(place(&admitted), ("assemblyai", false));
        admitted.permit.accepted();
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_waits_a_little_for_its_best_service_and_then_turns_to_another() {
    let config = GuardConfig {
        opens_burst: 1,
        opens_per_minute: 60,
        ..GuardConfig::default()
    };
    let world = world(plan(), config);
    let start = Instant::now();
    let admissions = (0..4).map(|_| world.admit(Wish::default()));
    let admitted: Vec<_> = join_all(admissions)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let places: Vec<_> = admitted.iter().map(place).collect();
    let (best, other) = (("assemblyai", false), ("vosk", true));
    assert_eq!(places, [best, best, best, other]);
    assert_eq!(start.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn when_no_service_gives_leave_soon_the_soonest_is_waited_for() {
    let world = World::new();
    world
        .fail("assemblyai", Retry::After(Duration::from_secs(25)))
        .await;
    world
        .fail("vosk", Retry::After(Duration::from_secs(15)))
        .await;
    let start = Instant::now();
    let admitted = world.admit(Wish::default()).await.unwrap();
    assert_eq!(place(&admitted), ("vosk", true));
    assert_eq!(start.elapsed().as_secs(), 15);
}

#[tokio::test(start_paused = true)]
async fn a_probe_under_way_is_not_waited_for_when_another_service_gives_leave_in_time() {
    let world = World::new();
    world.fail("assemblyai", Retry::Credential).await;
    advance(Duration::from_secs(60)).await;
    let guard = &world.provider("assemblyai").guard;
    let probe = guard.admit(Purpose::First).await.unwrap();
    world
        .fail("vosk", Retry::After(Duration::from_secs(20)))
        .await;
    let start = Instant::now();
    let admitted = world.admit(Wish::default()).await.unwrap();
    assert_eq!(place(&admitted), ("vosk", true));
    assert_eq!(start.elapsed().as_secs(), 20);
    probe.accepted();
}

#[tokio::test(start_paused = true)]
async fn when_every_service_fails_the_soonest_probe_is_told_at_once() {
    let world = World::new();
    world.fail("assemblyai", Retry::Credential).await;
    world.fail("vosk", Retry::Credential).await;
    let after = async |name| {
        let guard = &world.provider(name).guard;
        guard.admit(Purpose::First).await.unwrap_err().after
    };
    let soonest = after("assemblyai").await.min(after("vosk").await);
    let blocked = world.admit(Wish::default()).now_or_never().unwrap();
    let blocked = blocked.map(|_| ()).unwrap_err();
    assert_eq!((blocked.cause, blocked.after), (Cause::Breaker, soonest));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_comes_before_any_leave_is_what_is_told() {
    let world = World::new();
    world.fail("assemblyai", Retry::Credential).await;
    world
        .fail("vosk", Retry::After(Duration::from_secs(300)))
        .await;
    let blocked = world.admit(Wish::default()).now_or_never().unwrap();
    let blocked = blocked.map(|_| ()).unwrap_err();
    assert_eq!(blocked.cause, Cause::Breaker);
    assert!(blocked.after <= Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_stays_is_admitted_at_its_own_service_or_not_at_all() {
    let world = World::new();
    let spec = spec(Role::Customer, Wish::default());
    let admit = async |others: &[&'static str]| {
        let admitted = world.routes.admit(&spec, Purpose::Retry, others).await;
        admitted.map(|admitted| place(&admitted))
    };
    assert_eq!(admit(&["assemblyai"]).await, Ok(("vosk", true)));
    assert_eq!(admit(&["vosk"]).await, Ok(("assemblyai", false)));
    world.fail("assemblyai", Retry::Credential).await;
    assert_eq!(admit(&["vosk"]).await.unwrap_err().cause, Cause::Breaker);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_will_never_accept_the_stream_is_not_asked() {
    let world = World::new();
    let spec = spec(Role::Agent, Wish::default());
    let admit = |avoid: &'static [&'static str]| world.routes.admit(&spec, Purpose::First, avoid);
    assert_eq!(place(&admit(&["deepgram"]).await.unwrap()), ("vosk", true));
    let blocked = admit(&["deepgram", "vosk"]).await.map(|_| ()).unwrap_err();
    assert_eq!(blocked.cause, Cause::Nowhere);
}

#[tokio::test(start_paused = true)]
async fn parameters_are_seen_only_by_the_service_they_were_meant_for() {
    let world = World::new();
    let seen = async |wish: &Wish, name| {
        let spec = spec(Role::Customer, wish.clone());
        let others: Vec<_> = NAMES.into_iter().filter(|other| *other != name).collect();
        let admitted = world.routes.admit(&spec, Purpose::First, &others).await;
        admitted
            .map(|admitted| admitted.spec.wish.parameters.len())
            .unwrap()
    };
    let none_wished = wish(None, &["a", "b"]);
    assert_eq!(seen(&none_wished, "assemblyai").await, 2);
    assert_eq!(seen(&none_wished, "vosk").await, 0);
    let wished = wish(Some("vosk"), &["a", "b"]);
    assert_eq!(seen(&wished, "assemblyai").await, 0);
    assert_eq!(seen(&wished, "vosk").await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_dead_service_keeps_no_other_from_being_prepared() {
    let world = World::new();
    let call = call();
    // Deepgram's never ends.
    assert!(world.routes.prepare(&call).now_or_never().is_none());
    let prepared = |index: usize| *world.services[index].prepared.lock().unwrap();
    assert_eq!((prepared(0), prepared(1), prepared(2)), (1, 0, 0));
    world.routes.forget(&call);
    let forgotten = |service: &Arc<Named>| *service.forgotten.lock().unwrap() == 1;
    assert!(world.services.iter().all(forgotten));
}

#[tokio::test(start_paused = true)]
async fn another_credential_is_used_from_the_next_socket_on_and_that_at_once() {
    let world = World::new();
    world.fail("assemblyai", Retry::Credential).await;
    let admission = world.admit(Wish::default()).await.unwrap();
    assert_eq!(place(&admission), ("vosk", true));
    let renewed = Named {
        name: "assemblyai",
        chunk_ms: 20,
        ..Named::default()
    };
    world.routes.renew(vec![Arc::new(renewed)]);
    let admission = world.admit(Wish::default()).await.unwrap();
    assert_eq!(place(&admission), ("assemblyai", false));
    let chunks = ["assemblyai", "deepgram", "vosk"]
        .map(|name| world.provider(name).service().limits().chunk.as_millis());
    assert_eq!(chunks, [20, 60, 70]);
}
