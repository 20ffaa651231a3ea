//! One load run from the first process to the last answer.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use indicatif::ProgressBar;
use rustls::ClientConfig;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::beside::{Aside, Beside};
use super::ears::Ears;
use super::figures::{Cost, Heard, Micros, Sent, Setup};
use super::fleet::{Fleet, Log};
use super::meter::{Meter, Reading};
use super::origin::{Origin, Session};
use super::provide::{self, Certificate};
use super::spawn::{Spawned, Wanted};
use super::{Arguments, Figures, Platform, Tls, drops};
use crate::caller::siprec::{Options, Target, UserAgent};
use crate::caller::tls;
use crate::caller::twilio::Signature;
use crate::control::{Answer, Gateway, Start};
use crate::histogram::Histogram;
use crate::service::autotranscribe::{AutoTranscribe, Config, Keep, Rules, Running, TlsFiles};

/// How long the gateway may take to become ready.
const READY: Duration = Duration::from_secs(20);
/// So long a party talks without a pause, after which a service is expected to write what it heard.
const UTTERANCE: Duration = Duration::from_millis(2500);
/// Silence that a fresh stream sends before its start-streaming.
const LEAD_IN: Duration = Duration::from_millis(200);
/// Time for the last measured frames to get through.
const TAIL: Duration = Duration::from_secs(1);
/// Commands under way at once when all calls stop.
const STOPS_MAX: usize = 50;

/// Runs it.
pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<Figures> {
    provide::open_files(arguments.calls, arguments.platform)?;
    let settle = Duration::from_millis(arguments.settle);
    let clock = Instant::now();
    let ears = Ears::new(clock);
    let mut stage = Stage::set(arguments, &ears).await?;
    let fleet = Fleet::start(arguments.slots, arguments.calls, clock)?;
    sleep(settle).await;
    let idle = stage.meter.map(Meter::read).transpose()?;
    let ramped = stage.ramp(arguments, &fleet).await?;
    sleep(settle).await;
    let watched = stage
        .watch(&fleet, Duration::from_secs(arguments.seconds))
        .await?;
    sleep(TAIL).await;
    let stopped = stage.stop_all(&ramped.guids).await?;
    let stamped = fleet.stamped();
    let log = tokio::task::spawn_blocking(|| fleet.leave()).await??;
    let (calls, setup) = (ramped.guids.len(), ramped.setup());
    let dropped = drops::at(&ramped.ports());
    ramped.hang_up().await?;
    let aside = match &stage.spawned {
        None => None,
        Some(_) => Some(Aside::read(&stage.gateway).await?),
    };
    stage.strike().await?;
    let legs = calls as u64 * 2;
    let cost = idle
        .zip(watched.readings)
        .map(|(idle, readings)| Cost::of(legs, idle, readings, watched.loaded_bytes));
    let mut figures = heard(&ears, &stamped, &log, &stopped);
    figures.calls = calls;
    figures.setup = setup;
    figures.heard.kernel_drops = dropped;
    figures.legs = legs;
    figures.seconds = watched.seconds;
    figures.cost = cost;
    figures.aside = aside;
    Ok(figures)
}

/// Both ends and the gateway between them.
struct Stage {
    service: Running,
    spawned: Option<Spawned>,
    meter: Option<Meter>,
    gateway: Gateway,
    origin: Origin,
    _beside: Beside,
    _certificate: Option<Certificate>,
}

/// All calls, and how long each took to be answered.
struct Ramped {
    guids: Vec<String>,
    sessions: Vec<Session>,
    /// From the first INVITE to the last 200.
    took: Duration,
}

/// What was seen of the gateway's process while it was measured.
struct Watched {
    seconds: f64,
    readings: Option<[Reading; 2]>,
    loaded_bytes: u64,
}

impl Stage {
    async fn set(arguments: &Arguments, ears: &Arc<Ears>) -> anyhow::Result<Self> {
        let certificate = match arguments.tls {
            Tls::Off => None,
            Tls::Both | Tls::Upstream => Some(Certificate::new()?),
        };
        let service = serve(arguments, certificate.as_ref(), ears).await?;
        let mut beside = Beside::start(arguments.webhook, arguments.store).await?;
        let url = service.url();
        let spawned = spawned(arguments, &beside.toml(), &url, certificate.as_ref())?;
        let ca: Option<PathBuf> = match &spawned {
            None => arguments.ca.clone(),
            Some(_) => certificate
                .as_ref()
                .map(|certificate| certificate.cert.clone()),
        };
        let (gateway, auth_token, pid) = match (&spawned, &arguments.api) {
            (Some(spawned), _) => {
                let (id, secret) = &spawned.facts.api_key;
                let gateway = Gateway::new(&spawned.facts.base, id, secret, ca.as_deref())?;
                (
                    gateway,
                    spawned.facts.auth_token.clone(),
                    Some(spawned.pid()),
                )
            }
            (None, Some(base)) => {
                let Arguments {
                    api_id,
                    api_secret,
                    auth_token,
                    pid,
                    ..
                } = arguments;
                let gateway = Gateway::new(base, api_id, api_secret, ca.as_deref())?;
                (gateway, auth_token.clone(), *pid)
            }
            (None, None) => anyhow::bail!("which gateway? give --spawn or --api"),
        };
        gateway.ready(READY).await?;
        if let Some(spawned) = &spawned {
            beside.strike(spawned, &gateway).await?;
        }
        let tls = tls::client_config(ca.as_deref())?;
        let origin = match arguments.platform {
            Platform::Siprec => {
                let spawned = spawned.as_ref().map(|spawned| spawned.facts.siprec.clone());
                session_border_controller(arguments, spawned, tls).await?
            }
            Platform::Twilio => Origin::Twilio {
                gateway: gateway.clone(),
                signature: Signature::AuthToken(auth_token),
                tls,
                url: String::new(),
            },
        };
        Ok(Self {
            service,
            spawned,
            meter: pid.map(Meter::new),
            gateway: gateway.on(origin.namespace()),
            origin,
            _beside: beside,
            _certificate: certificate,
        })
    }

    /// Places all calls and starts their transcription.
    async fn ramp(&mut self, arguments: &Arguments, fleet: &Fleet) -> anyhow::Result<Ramped> {
        ensure!(arguments.rate > 0.0, "--rate must be more than 0");
        let progress = ProgressBar::new(arguments.calls as u64).with_message("calls");
        let mut pace = interval(Duration::from_secs_f64(1.0 / arguments.rate));
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut starts = JoinSet::new();
        let begun = Instant::now();
        for index in 0..arguments.calls {
            let plan = self.origin.plan(index).await?;
            let (gateway, door) = (self.gateway.clone(), fleet.door());
            let progress = progress.clone();
            pace.tick().await;
            starts.spawn(async move {
                let placed = plan.dial().await.with_context(|| format!("call {index}"))?;
                let at = Instant::now();
                door.join(placed.line)?;
                sleep(LEAD_IN).await;
                let started = gateway.start(&Start::of(&placed.guid)).await?;
                progress.inc(1);
                anyhow::Ok((placed.guid, placed.session, at, started))
            });
        }
        let (mut guids, mut sessions, mut took) = (Vec::new(), Vec::new(), Duration::ZERO);
        while let Some(started) = starts.join_next().await {
            let (guid, session, at, answer) = started??;
            let complaint = answer.complaint();
            ensure!(answer.is_ok(), "a start was refused: {complaint}");
            took = took.max(at - begun);
            guids.push(guid);
            sessions.extend(session);
        }
        progress.finish_and_clear();
        Ok(Ramped {
            guids,
            sessions,
            took,
        })
    }

    /// Measures.
    async fn watch(&self, fleet: &Fleet, length: Duration) -> anyhow::Result<Watched> {
        let progress = ProgressBar::new(length.as_secs()).with_message("seconds");
        fleet.stamp(true).await;
        let begun = Instant::now();
        let read = || self.meter.map(Meter::read).transpose();
        let first = read()?;
        let mut last = first;
        let mut loaded_bytes = 0;
        let mut second = interval(Duration::from_secs(1));
        second.tick().await;
        while begun.elapsed() < length {
            second.tick().await;
            last = read()?;
            loaded_bytes = loaded_bytes.max(last.map_or(0, |reading| reading.resident));
            progress.inc(1);
        }
        let seconds = begun.elapsed().as_secs_f64();
        fleet.stamp(false).await;
        progress.finish_and_clear();
        Ok(Watched {
            seconds,
            readings: first.zip(last).map(<[_; 2]>::from),
            loaded_bytes,
        })
    }

    async fn stop_all(&self, guids: &[String]) -> anyhow::Result<Vec<Answer>> {
        let room = Arc::new(Semaphore::new(STOPS_MAX));
        let mut stops = JoinSet::new();
        for guid in guids {
            let (gateway, room, guid) = (self.gateway.clone(), Arc::clone(&room), guid.clone());
            stops.spawn(async move {
                let _permit = room.acquire().await?;
                gateway.stop(&guid).await
            });
        }
        let mut answers = Vec::with_capacity(guids.len());
        while let Some(stopped) = stops.join_next().await {
            answers.push(stopped??);
        }
        Ok(answers)
    }

    /// Ends the gateway first, so that it is not left without a service.
    async fn strike(self) -> anyhow::Result<()> {
        if let Some(spawned) = self.spawned {
            spawned.end().await?;
        }
        self.service.stop().await;
        Ok(())
    }
}

impl Ramped {
    /// Of calls that are set up by asking: how fast that went.
    fn setup(&self) -> Option<Setup> {
        let mut answers = Histogram::default();
        for session in &self.sessions {
            answers.record(session.answered_in);
        }
        let answered = (answers.count() > 0).then(|| Micros::of(&answers));
        answered.map(|answered| Setup {
            calls_per_second: self.sessions.len() as f64 / self.took.as_secs_f64(),
            answered,
        })
    }

    /// Where the gateway listens for packets.
    fn ports(&self) -> HashSet<u16> {
        let peers = self.sessions.iter().flat_map(|session| session.peers);
        peers.map(|peer| peer.port()).collect()
    }

    async fn hang_up(self) -> anyhow::Result<()> {
        for session in self.sessions {
            session.call.hang_up().await?;
        }
        Ok(())
    }
}

fn heard(ears: &Ears, stamped: &[u32], log: &Log, stopped: &[Answer]) -> Figures {
    let sum = ears.sum(stamped.len());
    let confirmed = stopped.iter().flat_map(|answer| {
        ["agent", "customer"].map(|role| answer.confirmed_bytes(role).unwrap_or(0))
    });
    let refused = stopped.iter().filter(|answer| !answer.is_ok());
    Figures {
        sent: Sent::of(log),
        heard: Heard::of(sum.streams, sum.counts, confirmed.sum(), sum.lost(stamped)),
        latency: Micros::of(&sum.latency),
        refused: refused
            .map(|answer| format!("a stop failed: {}", answer.complaint()))
            .collect(),
        ..Figures::default()
    }
}

async fn session_border_controller(
    arguments: &Arguments,
    spawned: Option<Target>,
    tls: Arc<ClientConfig>,
) -> anyhow::Result<Origin> {
    let target = spawned.or_else(|| arguments.to.clone());
    let mut options = Options::new(target.context("which target? give --to")?, tls);
    options.srtp = arguments.srtp;
    options.tape = false;
    Ok(Origin::Siprec {
        agent: UserAgent::connect(&options).await?,
        options: Box::new(options),
        like: arguments.like,
    })
}

async fn serve(
    arguments: &Arguments,
    certificate: Option<&Certificate>,
    ears: &Arc<Ears>,
) -> anyhow::Result<Running> {
    let tls = certificate.map(|certificate| TlsFiles {
        cert: certificate.cert.clone(),
        key: certificate.key.clone(),
    });
    AutoTranscribe::start(Config {
        listen: arguments.service_listen,
        tls,
        api_id: "load".to_owned(),
        api_secret: "load".to_owned(),
        lexicon: None,
        keep: Keep::no_sound(),
        observer: Some(ears.observer()),
        rules: Rules {
            remark_every: UTTERANCE,
            ..Rules::default()
        },
        ..Config::default()
    })
    .await
}

/// The gateway, if there is to be one of our own; `more` is configuration.
fn spawned(
    arguments: &Arguments,
    more: &str,
    service: &str,
    certificate: Option<&Certificate>,
) -> anyhow::Result<Option<Spawned>> {
    let Some(program) = &arguments.spawn else {
        return Ok(None);
    };
    let both = certificate.filter(|_| arguments.tls == Tls::Both);
    let wanted = Wanted {
        program,
        cpu: arguments.gateway_cpu,
        service,
        chunk: &arguments.chunk,
        platform: arguments.platform,
        ca: certificate.map(|certificate| certificate.cert.as_path()),
        tls: both.map(|certificate| (certificate.cert.as_path(), certificate.key.as_path())),
        more,
    };
    Spawned::start(&wanted).map(Some)
}

#[cfg(test)]
mod tests;
