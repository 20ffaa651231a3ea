//! The wiring, read top to bottom: bind everything, run everything, drain everything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use call::budget::Budget;
use call::ending::{Ending, Fault};
use call::name::Namespace;
use call::switchboard::Switchboard;
use delivery::{Delivery, Endpoint, EndpointError};
use ingress::admission::AdmissionControl;
use ingress::intake::Intake;
use ingress::siprec::Siprec;
use ingress::twilio::Twilio;
use prometheus::Registry;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use upstream::stream::Deps;
use upstream::trust::{Trust, TrustError};
use upstream::wire::Wire;
use url::Url;

use crate::admission::Watch;
use crate::api::auth::ApiKeys;
use crate::api::{self, ApiState, Build};
use crate::config::Config;
use crate::config::words::{Service, Words};
use crate::events::Bus;
use crate::exchange::{Exchange, World};
use crate::listener::Switching;
use crate::metrics::admission::AdmissionMetrics;
use crate::metrics::connections::ConnectionMetrics;
use crate::metrics::store::StoreMetrics;
use crate::metrics::{Metrics, metrics_doc};
use crate::server::{BindError, Server};
use crate::services::{self, ServiceError};
use crate::shutdown::{Hangups, Shutdown};
use crate::switchboard_task::SwitchboardHandle;
use crate::tls::{Certificates, TlsError};

mod kept;
mod reload;

use kept::Kept;
use reload::{Holders, keys_of, reload};

/// A gateway that listens and does not serve yet.
pub struct Gateway {
    config: Config,
    addresses: Addresses,
    server: Server,
    router: axum::Router,
    exchange: Exchange,
    switchboard: SwitchboardHandle,
    holders: Holders,
    bus: Arc<Bus>,
    kept: Kept,
    live: watch::Receiver<usize>,
    watch: Watch,
    /// The API's sign that no new calls are taken.
    draining: CancellationToken,
    streams: TaskTracker,
    hangups: Hangups,
}

/// Where a gateway listens.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// API, Twilio, health and metrics.
    pub http: SocketAddr,
    /// SIP, in the order of `siprec.listen`.
    pub siprec: Vec<SocketAddr>,
}

/// Why a gateway cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A webhook cannot be used as configured.
    #[error(transparent)]
    Webhook(#[from] EndpointError),
    /// Two metrics have one name: a defect.
    #[error("a metric cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The switchboard's task ended before it was told to: a defect.
    #[error("the exchange ended by itself; nothing can be started or stopped any more")]
    Exchange,
    /// The thread that keeps what happens cannot be begun.
    #[error("the recorder cannot be started: {0}")]
    Recorder(std::io::Error),
    /// The task of SIPREC's signalling ended before it was told to: a defect.
    #[error("the SIPREC signalling ended by itself; no session can be told anything any more")]
    Signalling,
    /// A speech service cannot be used as configured.
    #[error("upstream.{}: {error}", service.word())]
    Service {
        /// Which.
        service: Service,
        /// Why.
        error: ServiceError,
    },
    /// The SIPREC recording server cannot be had as configured.
    #[error(transparent)]
    Siprec(#[from] ingress::siprec::BindError),
    /// The operating system gives no signals.
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
    /// Certificate or key cannot be used.
    #[error("http.tls: {0}")]
    Tls(#[from] TlsError),
    /// The authorities to trust cannot be read.
    #[error("upstream.ca_file: {0}")]
    Trust(#[from] TrustError),
}

/// So long a gateway that is forced to end still writes what is on its tongue: BYE, finishStream,
/// close. It waits for no answer.
const LAST_WORDS: Duration = Duration::from_millis(100);

impl Addresses {
    fn of(server: &Server, siprec: Option<&Siprec>) -> Self {
        Self {
            http: server.address(),
            siprec: siprec.map_or_else(Vec::new, |siprec| siprec.addresses().to_vec()),
        }
    }
}

impl Gateway {
    /// Puts the parts together and binds the ports. Nothing is served before [`Gateway::run`].
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        let registry = Registry::new();
        let metrics = Arc::new(Metrics::register(&registry)?);
        Metrics::build(&registry, env!("CARGO_PKG_VERSION"))?;
        let bus = Bus::counted(config.limits.events_ring_max, Arc::clone(&metrics));
        let admission = AdmissionControl::new(config.overload.admission());
        let (intake, arrivals) = Intake::counted(config.twilio.leg(), admission.clone());
        let media = Arc::new(ingress::metrics::Metrics::register(&registry)?);
        let twilio = Twilio::new(config.twilio(), intake.clone(), Arc::clone(&media));
        let (listener, reports) = Switching::new(Arc::clone(&bus));
        let upstream = Arc::new(deps(&config, &registry, listener)?);
        let (switchboard, requests) = SwitchboardHandle::new(config.limits.commands_max);
        let (live_sender, live) = watch::channel(0);
        let (draining, streams) = (CancellationToken::new(), TaskTracker::new());
        let world = world(&config, &bus, Arc::clone(&upstream), &metrics, &streams);
        let watch = watch(&config, &registry, &admission, &world.backlogs)?;
        let exchange = Exchange {
            requests,
            arrivals,
            reports,
            live: live_sender,
            world,
        };
        let kept = Kept::new(&config, &registry, &bus)?;
        let keys = ApiKeys::new(&keys_of(&config.api_keys));
        let minting = Arc::clone(&twilio);
        let checking = Arc::clone(&upstream);
        let state = ApiState {
            switchboard: switchboard.clone(),
            bus: Arc::clone(&bus),
            keeping: Arc::clone(&kept.keeping),
            delivery: Arc::clone(&kept.delivery),
            keys: keys.clone(),
            streaming_url: Arc::new(move || minting.streaming_url(SystemTime::now())),
            wishes: Arc::new(move |role, wish| checking.routes.check(role, wish)),
            registry: registry.clone(),
            metrics: Arc::clone(&metrics),
            settings: config.api(),
            draining: draining.clone(),
            admission,
            build: Build::default(),
            ids: Arc::new(uuid::Uuid::new_v4),
        };
        let router = api::router(state).merge(twilio.routes());
        let server = listen(&config, ConnectionMetrics::register(&registry)?).await?;
        let siprec = recorder(&config, intake, media)?;
        Ok(Self {
            config,
            addresses: Addresses::of(&server, siprec.as_deref()),
            holders: Holders {
                keys,
                twilio,
                siprec,
                delivery: Arc::clone(&kept.delivery),
                upstream,
                metrics,
            },
            server,
            router,
            exchange,
            switchboard,
            bus,
            kept,
            live,
            watch,
            draining,
            streams,
            hangups: Hangups::new().map_err(StartError::Signals)?,
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Serves until `shutdown` says drain, then lets running calls live on until they end,
    /// `shutdown.drain_timeout` is over, or it says force.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), StartError> {
        let Self {
            config,
            server,
            router,
            exchange,
            switchboard,
            holders,
            kept,
            hangups,
            watch,
            ..
        } = self;
        let (twilio, siprec) = (Arc::clone(&holders.twilio), holders.siprec.clone());
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let kept = kept.start()?;
        let exchange = tasks.spawn(exchange.run(Switchboard::new(config.patience())));
        tasks.spawn(server.run(router, stop.clone()));
        tasks.spawn(stop.clone().run_until_cancelled_owned(watch.run()));
        let signalling = siprec.clone().map(|siprec| tasks.spawn(siprec.run()));
        let reloading = reload(config.clone(), hangups, holders);
        tasks.spawn(stop.clone().run_until_cancelled_owned(reloading));
        if let Err(fallen) = watch_over(exchange, signalling, &shutdown).await {
            kept.end(&shutdown.force).await;
            return Err(fallen);
        }
        self.draining.cancel();
        switchboard.drain();
        twilio.refuse_new();
        if let Some(siprec) = &siprec {
            siprec.refuse_new();
        }
        drain(&config, self.live, &shutdown).await;
        let goodbye = async {
            tokio::join!(twilio.close_all(), end(siprec.as_deref()));
            self.streams.close();
            self.streams.wait().await;
        };
        let patience = config.upstream.drain_timeout + config.shutdown.goodbye_timeout;
        tokio::select! {
            // First, so that also who is forced has begun to say goodbye.
            biased;
            ended = tokio::time::timeout(patience, goodbye) => {
                if ended.is_err() {
                    tracing::warn!("Streams did not end in time and are cut off.");
                }
            }
            () = shutdown.force.cancelled() => tracing::warn!("Forced; streams are cut off."),
        }
        self.bus.close();
        stop.cancel();
        drop(switchboard);
        close(&tasks, config.shutdown.goodbye_timeout, &shutdown).await;
        kept.end(&shutdown.force).await;
        tracing::info!("Ended.");
        Ok(())
    }
}

/// Waits for the drain. Without its switchboard, or without its signalling, a gateway can neither
/// start nor stop: guessing on is worse, so their end ends the process.
async fn watch_over(
    exchange: JoinHandle<()>,
    signalling: Option<JoinHandle<()>>,
    shutdown: &Shutdown,
) -> Result<(), StartError> {
    let signalling = async {
        match signalling {
            Some(signalling) => signalling.await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = shutdown.drain.cancelled() => Ok(()),
        ended = exchange => {
            tracing::error!(panicked = ended.is_err(), "The exchange ended; ending the process.");
            Err(StartError::Exchange)
        }
        ended = signalling => {
            let panicked = ended.is_err();
            tracing::error!(panicked, "The SIPREC signalling ended; ending the process.");
            Err(StartError::Signalling)
        }
    }
}

/// `docs/metrics.md`: every metric of every crate, as a gateway registers them.
pub fn metrics_manual() -> Result<String, prometheus::Error> {
    let registry = Registry::new();
    // Reasons are not listed anywhere, so this family has no series before the first ending.
    let ending = Ending::new(Fault::Nobody, "stopped");
    Metrics::register(&registry)?.call_ended(Namespace::Twilio, ending);
    Metrics::build(&registry, env!("CARGO_PKG_VERSION"))?;
    ConnectionMetrics::register(&registry)?;
    AdmissionMetrics::register(&registry)?;
    ingress::metrics::Metrics::register(&registry)?;
    upstream::metrics::Metrics::register(&registry)?;
    StoreMetrics::register(&registry)?;
    let deliveries = Arc::new(delivery::metrics::Metrics::register(&registry)?);
    let url = Url::parse("https://crm.example.com").expect("a literal that is a URL");
    // Its series have the names of endpoints, so there is none without one.
    let crm = Endpoint::new("crm", url);
    drop(Delivery::new(
        vec![crm],
        delivery::Limits::default(),
        deliveries,
    ));
    Ok(metrics_doc(&registry))
}

fn deps(config: &Config, registry: &Registry, listener: Switching) -> Result<Deps, StartError> {
    let metrics = Arc::new(upstream::metrics::Metrics::register(registry)?);
    let trust = Trust::new(config.upstream.ca_file.as_deref())?;
    let routes = services::routes(&config.upstream, &trust, &metrics);
    Ok(Deps {
        routes: routes.map_err(|(service, error)| StartError::Service { service, error })?,
        wire: Arc::new(Wire::new(config.upstream.wire(), trust)),
        listener: Arc::new(listener),
        config: config.upstream.stream(),
        metrics,
    })
}

/// What sees to it that new calls do not harm those that run.
fn watch(
    config: &Config,
    registry: &Registry,
    admission: &AdmissionControl,
    backlogs: &Budget,
) -> Result<Watch, prometheus::Error> {
    let metrics = AdmissionMetrics::register(registry)?;
    let bounds = config.overload.bounds();
    Ok(Watch::new(
        bounds,
        admission.clone(),
        backlogs.clone(),
        metrics,
    ))
}

fn world(
    config: &Config,
    bus: &Arc<Bus>,
    upstream: Arc<Deps>,
    metrics: &Arc<Metrics>,
    streams: &TaskTracker,
) -> World {
    World {
        bus: Arc::clone(bus),
        upstream,
        backlog_max: config.upstream.backlog_max,
        backlogs: config.overload.backlogs(),
        discard_backlog: config.pci.discard_backlog,
        remember: config.control.remember,
        overdue_after: config.upstream.drain_timeout + Duration::from_secs(60),
        metrics: Arc::clone(metrics),
        tasks: streams.clone(),
    }
}

/// SIPREC's recording server, if there is to be one.
fn recorder(
    config: &Config,
    intake: Intake,
    media: Arc<ingress::metrics::Metrics>,
) -> Result<Option<Arc<Siprec>>, ingress::siprec::BindError> {
    let siprec = config.siprec();
    let siprec = siprec.map(|siprec| Siprec::bind(siprec, intake, media));
    siprec.transpose()
}

async fn listen(config: &Config, metrics: ConnectionMetrics) -> Result<Server, StartError> {
    let tls = &config.http.tls;
    let certificates = match tls.files() {
        Some((cert, key)) => Some(Certificates::load(cert, key, tls.check_interval)?),
        None => None,
    };
    let notice = Arc::new(move |noticed| metrics.notice(noticed));
    Ok(Server::bind(config.server(), certificates, notice).await?)
}

/// Waits for the last call, for the end of patience, or for force.
async fn drain(config: &Config, mut live: watch::Receiver<usize>, shutdown: &Shutdown) {
    let running = *live.borrow();
    tracing::info!(calls = running, "No new calls; waiting for those that run.");
    let calls = live.clone();
    tokio::select! {
        _ = live.wait_for(|calls| *calls == 0) => {}
        () = shutdown.force.cancelled() => {}
        () = tokio::time::sleep(config.shutdown.drain_timeout) => {
            tracing::warn!(calls = *calls.borrow(), "Calls still run; they are ended.");
        }
    }
}

/// Waits for tasks that have been told to end.
async fn close(tasks: &TaskTracker, patience: Duration, shutdown: &Shutdown) {
    tasks.close();
    let forced = async {
        shutdown.force.cancelled().await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        () = forced => {}
        _ = tokio::time::timeout(patience, tasks.wait()) => {}
    }
}

/// Ends every recording session.
async fn end(siprec: Option<&Siprec>) {
    if let Some(siprec) = siprec {
        siprec.close_all().await;
    }
}

#[cfg(test)]
mod tests;
