//! `antiphon-sim chaos`: many calls that talk all the time, to a service that breaks at random with
//! a seed; some are stopped, started and paused meanwhile. Every word that was said must be heard
//! or told as lost, and none may be heard that was said in a pause.

mod audit;
mod figures;
mod weather;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use self::figures::{Figures, Memory};
use self::weather::Weather;
use super::caller::Spoken;
use super::phrasebook::Phrasebook;
use super::service::{self, Which};
use super::speaker::Speaker;
use super::stage::{self, Stage};
use super::takes::{Diary, Talk};
use super::verdict::conclude;
use super::witness::{Seen, Witness};
use super::{Platforms, Switches};
use crate::load::drops;
use crate::load::stamp::{self, Stamp};
use crate::service::chaos::{Chaos, Dice};
use crate::service::{Arrival, Keep, Settings};
use crate::speech::Script;

/// Silence that a fresh stream sends before its first start.
const LEAD_IN: Duration = Duration::from_millis(300);

/// How long calls may take to be reported as over.
const OVER: Duration = Duration::from_secs(90);

/// How long the gateway may take over its end, and of that how long calls may live on.
const END: Duration = Duration::from_secs(30);
const DRAIN: &str = "10s";

/// How often the run says how far it is.
const NEWS: Duration = Duration::from_secs(30);

/// What `chaos` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    switches: Switches,
    /// Calls at once, two legs each.
    #[arg(long, default_value_t = 100)]
    calls: usize,
    /// How long they talk.
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// The same seed is the same bad luck.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Whose calls they are.
    #[arg(long, value_enum, default_value_t = Platforms::Both)]
    platform: Platforms,
    /// What the service speaks.
    #[arg(long, value_enum, default_value_t = Which::Autotranscribe)]
    service: Which,
    /// Sound that a session takes until it is struck, on average, in seconds.
    #[arg(long, default_value_t = 60)]
    life: u64,
    /// Nothing goes wrong: for a look at the run itself.
    #[arg(long)]
    calm: bool,
    /// A service that fails is left alone for as long as by default, not for a second or three.
    #[arg(long)]
    long_probes: bool,
    /// New calls a second.
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
}

/// What all calls of the run share.
struct Cast {
    book: Arc<Phrasebook>,
    witness: Witness,
    until: Instant,
    seed: u64,
}

/// Runs it and tells how it went.
///
/// # Errors
/// When it could not be run, or a figure is off.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let figures = play(&arguments).await?;
    conclude(&figures, arguments.switches.json.as_deref())
}

async fn play(arguments: &Arguments) -> anyhow::Result<Figures> {
    let stamps = Arc::new(AtomicU64::new(0));
    let settings = settings(&stamps);
    let (running, mut toml) = service::open(arguments.service, settings.clone(), None).await?;
    toml.text("shutdown", "drain_timeout", DRAIN);
    if !arguments.long_probes {
        // A year's outages in minutes: the service is left alone for as much shorter.
        toml.text("upstream.guard", "probe_after_min", "1s").text(
            "upstream.guard",
            "probe_after_max",
            "3s",
        );
    }
    let program = &arguments.switches.spawn;
    // Nobody looks at when stamps were sent.
    let (platform, clock) = (arguments.platform, std::time::Instant::now());
    let mut stage = Stage::set(program, &toml, platform, arguments.calls, clock).await?;
    let length = Duration::from_secs_f64(arguments.minutes * 60.0);
    let cast = Arc::new(Cast {
        book: Arc::new(Phrasebook::new(Script::standard())),
        witness: Witness::of(&stage.gateway, arguments.switches.events.as_deref()).await?,
        until: Instant::now() + length + ramp_time(arguments),
        seed: arguments.seed,
    });
    let talks = place(&mut stage, arguments, &cast).await?;
    let ports = stage::ports(talks.iter().map(|talk| &talk.caller));
    let mut memory = Memory::new(stage.meter())?;
    let protocol = arguments.service.protocol();
    let weather = Weather::new(running, settings, protocol, chaos(arguments));
    let (calm, over) = (CancellationToken::new(), CancellationToken::new());
    let mut sky = JoinSet::new();
    sky.spawn(weather.blow(calm.clone(), over.clone()));
    let diaries = watch(talks, &cast, &mut memory).await?;
    calm.cancel();
    let streams: Vec<_> = diaries.iter().flat_map(Diary::streams).collect();
    let in_time = cast
        .witness
        .ended(arguments.calls as u64, &streams, OVER)
        .await;
    memory.look()?;
    let dropped = drops::at(&ports);
    let log = Stage::leave(stage.fleet).await?;
    stage.spawned.terminate()?;
    stage.spawned.ended(END).await?;
    over.cancel();
    let audit = sky.join_next().await.context("no weather")??;
    if let (Some(path), Ok(audit)) = (&arguments.switches.events, &audit) {
        audit.append_to(path)?;
    }
    let mut figures = cast
        .witness
        .with(|seen| Figures::of(&diaries, seen, &cast.book));
    figures.called(arguments, in_time);
    figures.sent(&log, dropped);
    figures.audited(audit?, stamps.load(Ordering::Relaxed));
    figures.memory = memory;
    Ok(figures)
}

/// Places all calls and starts them, while all is well.
async fn place(
    stage: &mut Stage,
    arguments: &Arguments,
    cast: &Arc<Cast>,
) -> anyhow::Result<Vec<Talk>> {
    let mut pace = interval(Duration::from_secs_f64(1.0 / arguments.rate.max(0.1)));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut placing = JoinSet::new();
    for call in 0..arguments.calls {
        pace.tick().await;
        let plot = stage.plot().await?;
        let (speaker, until) = (Speaker::new(&cast.book, call, cast.seed), cast.until);
        placing.spawn(async move {
            let name = format!("call {call}");
            let spoken = Spoken::Phrases(speaker.clone());
            let caller = plot.dial(spoken).await.with_context(|| name.clone())?;
            sleep(LEAD_IN).await;
            let mut talk = Talk::new(name, caller, speaker);
            let started = talk.start(until).await?;
            anyhow::ensure!(started, "{}: no start in time", talk.name);
            anyhow::Ok((call, talk))
        });
    }
    let mut talks = Vec::with_capacity(arguments.calls);
    while let Some(placed) = placing.join_next().await {
        talks.push(placed??);
    }
    talks.sort_by_key(|(call, _)| *call);
    Ok(talks.into_iter().map(|(_, talk)| talk).collect())
}

/// Lets all calls talk to their ends.
async fn watch(
    talks: Vec<Talk>,
    cast: &Arc<Cast>,
    memory: &mut Memory,
) -> anyhow::Result<Vec<Diary>> {
    let mut calls = JoinSet::new();
    for (call, talk) in talks.into_iter().enumerate() {
        let name = talk.name.clone();
        let cast = Arc::clone(cast);
        calls.spawn(async move { perform(talk, call as u64, &cast).await.context(name) });
    }
    let (begun, mut news) = (Instant::now(), Instant::now() + NEWS);
    let half = begun + cast.until.saturating_duration_since(begun) / 2;
    let mut second = interval(Duration::from_secs(1));
    let mut diaries = Vec::with_capacity(calls.len());
    loop {
        tokio::select! {
            over = calls.join_next() => match over {
                Some(diary) => diaries.push(diary??),
                None => return Ok(diaries),
            },
            _ = second.tick() => {
                memory.look()?;
                if Instant::now() <= half {
                    memory.halve();
                }
                if Instant::now() >= news {
                    news += NEWS;
                    tell(begun.elapsed(), cast, memory);
                }
            }
        }
    }
}

/// One call: it talks, and every second one is now and then paused or stopped for a while. It ends
/// by a stop or with a start still running.
async fn perform(mut talk: Talk, call: u64, cast: &Cast) -> anyhow::Result<Diary> {
    let mut dice = Dice(cast.seed);
    dice.0 = dice.next() ^ !call;
    let has_ended = |stream: &str| {
        let ended = |seen: &Seen| {
            seen.streams
                .get(stream)
                .is_some_and(|told| told.ended.is_some())
        };
        cast.witness.with(ended)
    };
    while Instant::now() < cast.until {
        let next = Instant::now() + Duration::from_secs(10 + dice.below(20));
        let died = talk.go_on(next.min(cast.until), has_ended).await;
        let long = Duration::from_millis(2_000 + dice.below(4_000));
        if Instant::now() + long >= cast.until {
            break;
        }
        let pause = dice.percent(60);
        if died {
            talk.end_take().await;
            talk.counts.streams_given_up += 1;
        } else if call.is_multiple_of(2) {
            continue;
        } else if pause {
            talk.pause(long).await?;
            continue;
        } else {
            talk.stop().await?;
            talk.tell_secrets(long).await;
        }
        if !talk.start(cast.until).await? {
            return talk.hang_up().await;
        }
    }
    if dice.percent(50) {
        talk.stop().await?;
    }
    talk.hang_up().await
}

fn tell(elapsed: Duration, cast: &Cast, memory: &Memory) {
    let (finals, interrupted) = cast.witness.with(|seen| {
        let finals = seen.streams.values().map(|told| told.finals.len());
        (finals.sum::<usize>(), seen.interrupted)
    });
    let seconds = elapsed.as_secs();
    let memory = memory.last();
    eprintln!("{seconds} s: {finals} phrases heard, {interrupted} interruptions, {memory}");
}

/// The time that placing the calls takes.
fn ramp_time(arguments: &Arguments) -> Duration {
    Duration::from_secs_f64(arguments.calls as f64 / arguments.rate.max(0.1))
}

fn chaos(arguments: &Arguments) -> Option<Chaos> {
    let chaos = Chaos {
        mean: Duration::from_secs(arguments.life.max(1)),
        ..Chaos::new(arguments.seed)
    };
    (!arguments.calm).then_some(chaos)
}

/// A service that keeps no sound, and notices every stamp: those are sent in pauses only.
fn settings(stamps: &Arc<AtomicU64>) -> Settings {
    let stamps = Arc::clone(stamps);
    let listen = move |arrival: Arrival<'_>| {
        let found = stamps_in(arrival.sound);
        if found > 0 {
            stamps.fetch_add(found, Ordering::Relaxed);
        }
    };
    Settings {
        keep: Keep {
            samples_max: 0,
            arrivals_max: 0,
            ..Keep::default()
        },
        observer: Some(Arc::new(listen)),
        ..Settings::default()
    }
}

fn stamps_in(mut sound: &[i16]) -> u64 {
    let mut found = 0;
    while let Some(at) = stamp::find(sound) {
        sound = &sound[at..];
        found += u64::from(Stamp::read(sound).is_some());
        sound = &sound[1..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::ulaw;

    #[test]
    fn a_single_frame_of_a_pause_is_noticed_in_whatever_lies_around_it() {
        let stamp = Stamp {
            leg: 7,
            sequence: 9,
            sent_us: 0,
        };
        let frame = stamp.write().map(ulaw::decode);
        let phrase = &Script::standard().phrases()[0].samples;
        let sound = [&phrase[..1_000], &frame, &phrase[1_000..], &frame].concat();
        assert_eq!(stamps_in(&sound), 2);
        assert_eq!(stamps_in(phrase), 0);
        assert_eq!(stamps_in(&frame[..100]), 1);
        assert_eq!(stamps_in(&[]), 0);
    }
}
