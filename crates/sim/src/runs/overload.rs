//! `antiphon-sim overload`: a gateway that is full, and many times more callers at its door. Those
//! who are in must not notice, those who are out are sent away cleanly, and as soon as there is
//! room somebody is let in.

mod figures;

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use self::figures::{Figures, Wave};
use super::caller::{Caller, Spoken};
use super::muster::{muster, stop_all};
use super::refusal::Refusal;
use super::service::{self, Which};
use super::stage::{self, Stage};
use super::verdict::conclude;
use super::witness::{Seen, Witness};
use super::{Platforms, Switches};
use crate::load::drops;
use crate::load::ears::Ears;

/// Time for the last measured frames to get through.
const TAIL: Duration = Duration::from_secs(1);

/// Offers under way at once; one more waits for its turn.
const OFFERS_MAX: usize = 500;

/// An offer that is not answered within this is not refused cleanly.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A call that comes once there is room must be taken within this.
const RECOVERY_MAX: Duration = Duration::from_secs(2);

/// What `overload` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    switches: Switches,
    /// Calls that run, which are as many as there is room for.
    #[arg(long, default_value_t = 100)]
    calls: usize,
    /// How long more are offered.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How many times as many calls as there is room for are offered every ten seconds.
    #[arg(long, default_value_t = 10)]
    times: usize,
    /// Whose calls they are.
    #[arg(long, value_enum, default_value_t = Platforms::Both)]
    platform: Platforms,
    /// What the service speaks.
    #[arg(long, value_enum, default_value_t = Which::Autotranscribe)]
    service: Which,
    /// Calls a second, before the wave.
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
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
    let clock = std::time::Instant::now();
    let ears = Ears::new(clock);
    let settings = service::all_ears(&ears);
    let (running, mut toml) = service::open(arguments.service, settings, None).await?;
    let (program, calls) = (&arguments.switches.spawn, arguments.calls);
    toml.number("overload", "calls_max", calls);
    let mut stage = Stage::set(program, &toml, arguments.platform, calls + 64, clock).await?;
    let witness = Witness::of(&stage.gateway, arguments.switches.events.as_deref()).await?;
    let mut callers = muster(&mut stage, calls, arguments.rate).await?;
    let meter = stage.meter();
    stage.fleet.stamp(true).await;
    let gaps = witness.with(Seen::gaps);
    let before = meter.read()?;
    let wave = surge(&mut stage, arguments).await?;
    let after = meter.read()?;
    stage.fleet.stamp(false).await;
    sleep(TAIL).await;
    let kernel_drops = drops::at(&stage::ports(&callers));
    let stamped = stage.fleet.stamped();
    let stopped = stop_all(&callers).await?;
    let bytes = running.with_streams(|streams| {
        let samples = streams.iter().map(|stream| stream.audio_samples);
        samples.sum::<u64>() * 2
    });
    let recovery = recover(&mut stage, &mut callers).await?;
    for caller in callers {
        caller.hang_up().await?;
    }
    let log = Stage::leave(stage.fleet).await?;
    stage.spawned.end().await?;
    let mut figures = Figures::of(&wave, recovery, [before, after]);
    figures.heard(&ears.sum(stamped.len()), &stamped, &log, &stopped);
    figures.calls = calls;
    figures.seconds = arguments.seconds;
    figures.kernel_drops = kernel_drops;
    figures.bytes = bytes;
    figures.gaps = witness.with(Seen::gaps) - gaps;
    running.stop().await;
    Ok(figures)
}

/// Offers calls for as long as asked; none of them can be taken.
async fn surge(stage: &mut Stage, arguments: &Arguments) -> anyhow::Result<Wave> {
    let rate = (arguments.calls * arguments.times) as f64 / 10.0;
    ensure!(rate > 0.0, "--times must be more than 0");
    let mut pace = interval(Duration::from_secs_f64(1.0 / rate));
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let until = Instant::now() + Duration::from_secs(arguments.seconds);
    let room = Arc::new(Semaphore::new(OFFERS_MAX));
    let (mut offers, mut wave) = (JoinSet::new(), Wave::default());
    let half = until - Duration::from_secs(arguments.seconds) / 2;
    while Instant::now() < until {
        pace.tick().await;
        if wave.half.is_none() && Instant::now() > half {
            wave.half = Some(stage.meter().read()?);
        }
        let permit = Arc::clone(&room).acquire_owned().await?;
        let plot = stage.plot().await?;
        offers.spawn(async move {
            let _permit = permit;
            let asked = std::time::Instant::now();
            let dialled = timeout(ANSWER_MAX, plot.dial(Spoken::Stamps)).await;
            let dialled = dialled.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer in time")));
            let refusal = dialled.as_ref().err().map(Refusal::of);
            (refusal, asked.elapsed(), dialled.ok())
        });
        while let Some(offered) = offers.try_join_next() {
            let (refusal, took, _taken) = offered?;
            wave.note(refusal, took);
        }
    }
    while let Some(offered) = offers.join_next().await {
        let (refusal, took, _taken) = offered?;
        wave.note(refusal, took);
    }
    Ok(wave)
}

/// One call of each platform ends, and how long it takes until another is taken in its place.
async fn recover(stage: &mut Stage, callers: &mut Vec<Caller>) -> anyhow::Result<Duration> {
    let mut longest = Duration::ZERO;
    for _ in 0..2.min(callers.len()) {
        callers.remove(0).hang_up().await?;
        let free = Instant::now();
        let mut refusal = None;
        let taken = timeout(RECOVERY_MAX, async {
            loop {
                let plot = stage.plot().await?;
                match plot.dial(Spoken::Stamps).await {
                    Ok(caller) => return anyhow::Ok(caller),
                    Err(error) => refusal = Some(error),
                }
                sleep(Duration::from_millis(10)).await;
            }
        });
        let caller = taken.await.map_err(|_| {
            let refusal = refusal.unwrap_or_else(|| anyhow::anyhow!("no answer in time"));
            refusal.context("nobody is taken though there is room")
        })??;
        longest = longest.max(free.elapsed());
        let started = caller.start().await?;
        ensure!(started.is_ok(), "the first start: {}", started.complaint());
        callers.push(caller);
    }
    Ok(longest)
}
