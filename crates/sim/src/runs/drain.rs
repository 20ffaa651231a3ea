//! `antiphon-sim drain`: the gateway is told to end while many calls run. Whoever comes then is
//! sent away, half of the callers hang up by themselves, the others are said goodbye to; what was
//! received before the end must have arrived at the service.

mod figures;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use self::figures::{Figures, Leg, Strangers};
use super::caller::{Caller, Spoken};
use super::muster::muster;
use super::service::{self, Which};
use super::stage::Stage;
use super::verdict::conclude;
use super::witness::Witness;
use super::{Platforms, Switches};
use crate::load::ears::{Ears, Sum};

/// What the drain may take beyond its timeout: streams and connections over their ends.
const GOODBYE: Duration = Duration::from_secs(20);

/// How long before the end of the drain it is noted what has been sent.
const BEFORE: Duration = Duration::from_millis(500);

/// What `drain` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    switches: Switches,
    /// Calls at once, two legs each.
    #[arg(long, default_value_t = 200)]
    calls: usize,
    /// How long all of them run before.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How long running calls may live on.
    #[arg(long, default_value_t = 10)]
    drain_seconds: u64,
    /// Whose calls they are.
    #[arg(long, value_enum, default_value_t = Platforms::Both)]
    platform: Platforms,
    /// What the service speaks.
    #[arg(long, value_enum, default_value_t = Which::Autotranscribe)]
    service: Which,
    /// New calls a second.
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
    let drain = Duration::from_secs(arguments.drain_seconds);
    toml.text(
        "shutdown",
        "drain_timeout",
        &format!("{}s", arguments.drain_seconds),
    )
    // Each call that is said goodbye to is an error of the gateway's.
    .text("log", "filter", "gateway::exchange::calls=off");
    let (program, calls) = (&arguments.switches.spawn, arguments.calls);
    let mut stage = Stage::set(program, &toml, arguments.platform, calls + 8, clock).await?;
    let witness = Witness::of(&stage.gateway, arguments.switches.events.as_deref()).await?;
    let callers = muster(&mut stage, calls, arguments.rate).await?;
    stage.fleet.stamp(true).await;
    sleep(Duration::from_secs(arguments.seconds)).await;

    let strangers = [stage.plot().await?, stage.plot().await?];
    stage.spawned.terminate()?;
    let told = Instant::now();
    let ready = stage.gateway.get("/health/ready");
    sleep(Duration::from_millis(200)).await;
    let ready = ready.await.map_or(0, |answer| answer.status);
    let mut refused = Strangers::default();
    for stranger in strangers {
        refused.note(stranger.dial(Spoken::Stamps).await);
    }
    let (staying, leaving) = part(callers);
    let left = leave(leaving, told, drain).await?;
    sleep_until(told + drain - BEFORE).await;
    let before = stage.fleet.stamped();
    let ended = stage.spawned.ended(drain + GOODBYE).await;
    let took = told.elapsed();
    // The last events and goodbyes are on their way.
    sleep(Duration::from_secs(1)).await;
    let goodbyes = goodbyes(&staying).await;
    let stamped = stage.fleet.stamped();
    Stage::leave(stage.fleet).await?;
    let sum = ears.sum(stamped.len());
    let legs = legs(&stamped, &before, &left, &sum);
    let mut figures = running.with_streams(|streams| Figures::heard(streams, &sum));
    witness.with(|seen| figures.told(seen));
    running.stop().await;
    figures.run(arguments, took, ended.err());
    figures.parted(&legs, &goodbyes, left.len());
    figures.ready_while_draining = ready;
    figures.strangers = refused;
    Ok(figures)
}

/// Two stay, two leave: some of each platform.
fn part(callers: Vec<Caller>) -> (Vec<Caller>, Vec<(usize, Caller)>) {
    let (mut staying, mut leaving) = (Vec::new(), Vec::new());
    for (call, caller) in callers.into_iter().enumerate() {
        if call % 4 < 2 {
            staying.push(caller);
        } else {
            leaving.push((call, caller));
        }
    }
    (staying, leaving)
}

/// Hang up one after the other, in the first two thirds of the drain; which they were.
async fn leave(
    leaving: Vec<(usize, Caller)>,
    told: Instant,
    drain: Duration,
) -> anyhow::Result<BTreeSet<usize>> {
    let mut ends = JoinSet::new();
    let share = drain * 2 / 3 / leaving.len().max(1) as u32;
    for (nth, (call, caller)) in leaving.into_iter().enumerate() {
        let at = told + share * nth as u32;
        ends.spawn(async move {
            sleep_until(at).await;
            let ended = caller.hang_up().await;
            ended.with_context(|| format!("call {call} could not hang up"))?;
            anyhow::Ok(call)
        });
    }
    let mut left = BTreeSet::new();
    while let Some(ended) = ends.join_next().await {
        left.insert(ended??);
    }
    Ok(left)
}

/// What each of those who stayed was told.
async fn goodbyes(staying: &[Caller]) -> Vec<String> {
    let mut goodbyes = Vec::with_capacity(staying.len());
    for caller in staying {
        goodbyes.push(match &caller.session {
            Some(session) if session.call.ended(Duration::ZERO).await => "BYE".to_owned(),
            Some(_) => "none (SIPREC)".to_owned(),
            None => match caller.seat.goodbye() {
                Some(code) => format!("close {code}"),
                None => "none (Twilio)".to_owned(),
            },
        });
    }
    goodbyes
}

fn legs(stamped: &[u32], before: &[u32], left: &BTreeSet<usize>, sum: &Sum) -> Vec<Leg> {
    let legs = stamped.iter().zip(before).zip(&sum.legs).enumerate();
    let legs = legs.map(|(leg, ((&sent, &before), &heard))| Leg {
        // Whoever hung up sent nothing more, so all of it must have come.
        due: u64::from(if left.contains(&(leg / 2)) {
            sent
        } else {
            before
        }),
        heard,
    });
    legs.collect()
}
