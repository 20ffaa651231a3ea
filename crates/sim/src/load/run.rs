//! One load run from the first process to the last answer.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use indicatif::ProgressBar;
use rustls::ClientConfig;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::ear::{Counts, Ear};
use super::figures::{Cost, Heard, Micros, Sent};
use super::fleet::{Caller, Fleet, Log};
use super::meter::{Meter, Reading};
use super::provide::{self, Certificate};
use super::spawn::{Spawned, Wanted};
use super::{Arguments, Figures, Tls};
use crate::caller::tls;
use crate::caller::twilio::{Counters, Sids, Signature, Upgrade, Writer};
use crate::control::{Answer, Gateway, Start};
use crate::histogram::Histogram;
use crate::service::autotranscribe::{Arrival, AutoTranscribe, Config, Keep, Running, TlsFiles};

/// How long the gateway may take to become ready.
const READY: Duration = Duration::from_secs(20);
/// Silence that a fresh stream sends before its start-streaming.
const LEAD_IN: Duration = Duration::from_millis(200);
/// Time for the last measured frames to get through.
const TAIL: Duration = Duration::from_secs(1);
/// Commands under way at once when all calls stop.
const STOPS_MAX: usize = 50;
/// Callers that share one streaming URL; it lives for five minutes.
const CALLERS_A_URL: usize = 100;

/// Runs it.
pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<Figures> {
    provide::open_files(arguments.calls)?;
    let settle = Duration::from_millis(arguments.settle);
    let ears = Arc::new(Ears {
        clock: Instant::now(),
        streams: Mutex::default(),
    });
    let stage = Stage::set(arguments, &ears).await?;
    let fleet = Fleet::start(arguments.slots, arguments.calls, ears.clock)?;
    sleep(settle).await;
    let idle = stage.meter.map(Meter::read).transpose()?;
    let guids = stage.ramp(arguments, &fleet).await?;
    sleep(settle).await;
    let watched = stage
        .watch(&fleet, Duration::from_secs(arguments.seconds))
        .await?;
    sleep(TAIL).await;
    let stopped = stage.stop_all(&guids).await?;
    let stamped = fleet.stamped();
    let log = tokio::task::spawn_blocking(|| fleet.leave()).await??;
    stage.strike().await?;
    let legs = guids.len() as u64 * 2;
    let cost = idle
        .zip(watched.readings)
        .map(|(idle, readings)| Cost::of(legs, idle, readings, watched.loaded_bytes));
    let mut figures = ears.figures(&stamped, &log, &stopped);
    figures.calls = guids.len();
    figures.legs = legs;
    figures.seconds = watched.seconds;
    figures.cost = cost;
    Ok(figures)
}

/// Both ends and the gateway between them.
struct Stage {
    service: Running,
    spawned: Option<Spawned>,
    meter: Option<Meter>,
    gateway: Gateway,
    signature: Signature,
    tls: Arc<ClientConfig>,
    _certificate: Option<Certificate>,
}

/// What was seen of the gateway's process while it was measured.
struct Watched {
    seconds: f64,
    readings: Option<[Reading; 2]>,
    loaded_bytes: u64,
}

/// All ears, one a stream.
struct Ears {
    clock: Instant,
    streams: Mutex<Vec<Ear>>,
}

impl Stage {
    async fn set(arguments: &Arguments, ears: &Arc<Ears>) -> anyhow::Result<Self> {
        let certificate = match arguments.tls {
            Tls::Off => None,
            Tls::Both | Tls::Upstream => Some(Certificate::new()?),
        };
        let service = serve(arguments, certificate.as_ref(), ears).await?;
        let spawned = match &arguments.spawn {
            None => None,
            Some(program) => {
                let url = service.url();
                Some(Spawned::start(&wanted(
                    arguments,
                    program,
                    &url,
                    certificate.as_ref(),
                ))?)
            }
        };
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
        Ok(Self {
            service,
            spawned,
            meter: pid.map(Meter::new),
            gateway,
            signature: Signature::AuthToken(auth_token),
            tls: tls::client_config(ca.as_deref())?,
            _certificate: certificate,
        })
    }

    /// Places all calls and starts their transcription; gives their guids.
    async fn ramp(&self, arguments: &Arguments, fleet: &Fleet) -> anyhow::Result<Vec<String>> {
        ensure!(arguments.rate > 0.0, "--rate must be more than 0");
        let progress = ProgressBar::new(arguments.calls as u64).with_message("calls");
        let mut pace = interval(Duration::from_secs_f64(1.0 / arguments.rate));
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut starts = JoinSet::new();
        let (mut url, mut guids) = (String::new(), Vec::new());
        for index in 0..arguments.calls {
            if index % CALLERS_A_URL == 0 {
                url = self.gateway.twilio_url().await?;
            }
            pace.tick().await;
            let guid = self
                .dial(&url, fleet)
                .await
                .with_context(|| format!("call {index}"))?;
            guids.push(guid.clone());
            let gateway = self.gateway.clone();
            starts.spawn(async move {
                sleep(LEAD_IN).await;
                gateway.start(&Start::of(&guid)).await
            });
            progress.inc(1);
        }
        while let Some(started) = starts.join_next().await {
            let answer = started??;
            ensure!(
                answer.is_ok(),
                "a start was refused: {}",
                answer.complaint()
            );
        }
        progress.finish_and_clear();
        Ok(guids)
    }

    async fn dial(&self, url: &str, fleet: &Fleet) -> anyhow::Result<String> {
        let sids = Sids::random();
        let upgrade = Upgrade {
            url,
            via: None,
            keep_query: false,
            signature: &self.signature,
            headers: &[],
            tls: &self.tls,
        };
        let (transport, rest) = upgrade.dial().await?;
        let guid = sids.call.clone();
        let writer = Writer::new(sids, Counters::Strings);
        fleet.join(Caller {
            transport: transport.into_unhurried()?,
            rest,
            writer,
        })?;
        Ok(guid)
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

impl Ears {
    fn hear(&self, arrival: &Arrival<'_>) {
        let now_us = arrival.at.duration_since(self.clock).as_micros() as u64;
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if streams.len() <= arrival.stream {
            streams.resize_with(arrival.stream + 1, Ear::default);
        }
        streams[arrival.stream].hear(arrival.sound, now_us);
    }

    fn figures(&self, stamped: &[u32], log: &Log, stopped: &[Answer]) -> Figures {
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut counts, mut latency) = (Counts::default(), Histogram::default());
        let mut heard = vec![0; stamped.len()];
        for ear in streams.iter() {
            counts += ear.counts();
            latency.merge(ear.latency());
            if let Some(frames) = ear.leg().and_then(|leg| heard.get_mut(usize::from(leg))) {
                *frames += ear.counts().frames;
            }
        }
        let lost = stamped.iter().zip(&heard);
        let lost = lost
            .map(|(&sent, &heard)| u64::from(sent).saturating_sub(heard))
            .sum();
        let confirmed = stopped.iter().flat_map(|answer| {
            ["agent", "customer"].map(|role| answer.confirmed_bytes(role).unwrap_or(0))
        });
        let refused = stopped.iter().filter(|answer| !answer.is_ok());
        Figures {
            sent: Sent::of(log),
            heard: Heard::of(streams.len() as u64, counts, confirmed.sum(), lost),
            latency: Micros::of(&latency),
            refused: refused
                .map(|answer| format!("a stop failed: {}", answer.complaint()))
                .collect(),
            ..Figures::default()
        }
    }
}

async fn serve(
    arguments: &Arguments,
    certificate: Option<&Certificate>,
    ears: &Arc<Ears>,
) -> anyhow::Result<Running> {
    let ears = Arc::clone(ears);
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
        keep: Keep {
            samples_max: 0,
            arrivals_max: 0,
            ..Keep::default()
        },
        observer: Some(Arc::new(move |arrival| ears.hear(&arrival))),
        ..Config::default()
    })
    .await
}

fn wanted<'a>(
    arguments: &'a Arguments,
    program: &'a Path,
    service: &'a str,
    certificate: Option<&'a Certificate>,
) -> Wanted<'a> {
    let both = certificate.filter(|_| arguments.tls == Tls::Both);
    Wanted {
        program,
        cpu: arguments.gateway_cpu,
        service,
        chunk: &arguments.chunk,
        ca: certificate.map(|certificate| certificate.cert.as_path()),
        tls: both.map(|certificate| (certificate.cert.as_path(), certificate.key.as_path())),
    }
}

#[cfg(test)]
mod tests;
