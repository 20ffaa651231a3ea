//! `antiphon-sim load`: many two-track calls through one gateway, and what that costs it.
//!
//! The callers and the speech service live in this process, the gateway in another one. Every
//! measured frame carries a stamp, so that loss, order, damage and latency are read out of the
//! sound that the service has received.

pub mod beside;
mod compare;
pub(crate) mod drops;
pub mod ear;
pub(crate) mod ears;
pub mod figures;
pub mod fleet;
pub mod meter;
pub(crate) mod origin;
pub(crate) mod provide;
mod run;
pub(crate) mod spawn;
pub mod stamp;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;

use self::beside::{StoreWish, WebhookWish};
pub use self::figures::Figures;

use crate::caller::siprec::{Like, Suite, Target};

/// What `load` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Whose calls they are.
    #[arg(long, value_enum, default_value_t = Platform::Twilio)]
    platform: Platform,
    /// SIPREC: protect the media with this suite.
    #[arg(long, value_enum)]
    srtp: Option<Suite>,
    /// SIPREC: whose messages they are like; equal parts of four without.
    #[arg(long, value_enum)]
    like: Option<Like>,
    /// SIPREC: the recording server of a gateway that is not spawned, `udp:host:port`.
    #[arg(long, requires = "api")]
    to: Option<Target>,
    /// Calls at once, two tracks each.
    #[arg(long, default_value_t = 100)]
    calls: usize,
    /// How long it is measured once all calls are being transcribed.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Milliseconds of quiet before the idle memory is read, and before the measurement begins.
    #[arg(long, default_value_t = 2_000)]
    settle: u64,
    /// New calls a second.
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// Send times within 20 ms over which legs are spread; 1 sends all at the same instant.
    #[arg(long, default_value_t = 20)]
    slots: u32,
    /// Sound in one message to the service.
    #[arg(long, default_value = "100ms")]
    chunk: String,
    /// TLS towards the service, or on both sides; on both when nothing is said.
    #[arg(long, value_enum, num_args = 0..=1)]
    #[arg(default_value = "off", default_missing_value = "both")]
    tls: Tls,
    /// Run this `antiphon` with a configuration of our own.
    #[arg(long, conflicts_with = "api", required_unless_present = "api")]
    spawn: Option<PathBuf>,
    /// Pin the spawned gateway to this CPU.
    #[arg(long, requires = "spawn")]
    gateway_cpu: Option<usize>,
    /// Use the gateway at this `http://host:port`, whose service is the one we listen as.
    #[arg(long)]
    api: Option<String>,
    /// The process id of that gateway; no CPU and memory figures without.
    #[arg(long, requires = "api")]
    pid: Option<u32>,
    /// The API key's id.
    #[arg(long, env = "ANTIPHON_API_ID", default_value = "")]
    api_id: String,
    /// The API key's secret.
    #[arg(
        long,
        env = "ANTIPHON_API_SECRET",
        default_value = "",
        hide_env_values = true
    )]
    api_secret: String,
    /// Signs the callers' upgrades.
    #[arg(
        long,
        env = "TWILIO_AUTH_TOKEN",
        default_value = "",
        hide_env_values = true
    )]
    auth_token: String,
    /// What TLS to that gateway trusts.
    #[arg(long, requires = "api")]
    ca: Option<PathBuf>,
    /// Where the speech service listens; any port when it is 0.
    #[arg(long, default_value = "127.0.0.1:0")]
    service_listen: SocketAddr,
    /// The webhook of the spawned gateway.
    #[arg(long, value_enum, default_value_t = WebhookWish::Off)]
    webhook: WebhookWish,
    /// The store of the spawned gateway.
    #[arg(long, value_enum, default_value_t = StoreWish::Ok)]
    store: StoreWish,
    /// Run it once with each fault of webhook and store, and compare that with runs without.
    #[arg(long, requires = "spawn")]
    compare: bool,
    /// Write the figures to this file as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// `--platform`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Platform {
    Siprec,
    Twilio,
}

/// `--tls`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Tls {
    Both,
    Off,
    Upstream,
}

/// Runs the load and prints its figures.
///
/// # Errors
/// When it could not be run, or anything was lost, damaged or refused.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    if arguments.compare {
        let figures = compare::compare(&arguments).await?;
        return write(arguments.json.as_deref(), &figures);
    }
    let figures = run::run(&arguments).await?;
    print!("{}", figures.table());
    write(arguments.json.as_deref(), &figures)?;
    for doubt in figures.doubts() {
        eprintln!("Throw this run away: {doubt}.");
    }
    let faults = figures.faults();
    anyhow::ensure!(faults.is_empty(), "{}", counted(&faults));
    Ok(())
}

/// Writes figures for other programs, if that was asked for.
fn write(path: Option<&Path>, figures: &impl serde::Serialize) -> anyhow::Result<()> {
    let Some(path) = path else { return Ok(()) };
    let text = serde_json::to_string_pretty(figures)?;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Each fault once, with how often it occurred.
fn counted(faults: &[String]) -> String {
    let mut times = std::collections::BTreeMap::<&str, usize>::new();
    for fault in faults {
        *times.entry(fault).or_default() += 1;
    }
    let told = times.iter().map(|(fault, times)| match times {
        1 => (*fault).to_owned(),
        _ => format!("{times} × {fault}"),
    });
    told.collect::<Vec<_>>().join("; ")
}
