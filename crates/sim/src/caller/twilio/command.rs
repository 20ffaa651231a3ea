//! `antiphon-sim call twilio`: calls out of a WAV file, with a progress bar and a table at the end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{bail, ensure};
use indicatif::ProgressBar;

use super::{CallError, Closed, Options, Side, Signature, TwilioCall};
use crate::caller::batch::{self, Commands};
use crate::caller::tls;
use crate::caller::wav::Recording;
use crate::control::{Gateway, Start};
use crate::histogram::Histogram;
use crate::network::{Conditions, Network, share};
use crate::report::{Table, count, ms};

/// Silence behind the last word, so that a recogniser hears the end of it.
const TAIL: Duration = Duration::from_secs(1);

const PROGRESS: &str = "{elapsed_precise} {wide_bar} {pos}/{len} frames, {eta} to go";

/// What `call twilio` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The stream's URL; asked of the API when it is left out.
    #[arg(long)]
    url: Option<String>,
    /// Dial this `ws://host:port` or `wss://host:port` instead of the URL's, as a proxy would.
    #[arg(long)]
    via: Option<String>,
    /// The call: 8 kHz, 16 bits, mono (inbound) or stereo (inbound, outbound).
    #[arg(long)]
    wav: PathBuf,
    /// Which tracks the stream has.
    #[arg(long, value_enum, default_value_t = Tracks::Both)]
    tracks: Tracks,
    /// The part of the frames that is lost: `0.05` or `5%`.
    #[arg(long, value_parser = share, default_value = "0")]
    loss: f64,
    /// The most a frame is delayed, in milliseconds.
    #[arg(long, default_value_t = 0)]
    jitter: u64,
    /// Hold frames and send them together once in so many milliseconds.
    #[arg(long, default_value_t = 0)]
    burst: u64,
    /// The part of the frames that is overtaken by others: `0.05` or `5%`.
    #[arg(long, value_parser = share, default_value = "0")]
    reorder: f64,
    /// Repeats the same losses and delays.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Media seconds a second; 0 is as fast as the gateway takes it.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// How many calls.
    #[arg(long, default_value_t = 1)]
    calls: usize,
    /// New calls a second.
    #[arg(long, default_value_t = 1.0)]
    rate: f64,
    /// Signs the upgrade with this AuthToken; unsigned without.
    #[arg(long, env = "TWILIO_AUTH_TOKEN", hide_env_values = true)]
    auth_token: Option<String>,
    /// The account in `start`; random without.
    #[arg(long)]
    account_sid: Option<String>,
    /// What TLS trusts beside nothing else; the system's roots without.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// The gateway's API, `http://host:port`: where the URL comes from and start and stop go.
    #[arg(long)]
    api: Option<String>,
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
    /// Send start-streaming and stop-streaming; on by default when there is an API.
    #[arg(long, overrides_with = "no_start")]
    start: bool,
    /// Only stream: whoever watches starts and stops the transcription.
    #[arg(long)]
    no_start: bool,
}

/// `--tracks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Tracks {
    Both,
    Inbound,
    Outbound,
}

/// What all calls of a run share.
struct Plan {
    recording: Recording,
    conditions: Conditions,
    arguments: Arguments,
    gateway: Option<Gateway>,
    options: Options,
    progress: ProgressBar,
}

/// How one call went.
struct Outcome {
    guid: String,
    frames: [u64; 2],
    lost: u64,
    lateness: Histogram,
    commands: Commands,
    ended: Result<Closed, CallError>,
}

/// Places the calls and prints the table.
///
/// # Errors
/// When a call could not be placed, broke off, or a command was refused.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let (calls, rate) = (arguments.calls, arguments.rate);
    ensure!(rate > 0.0, "--rate must be more than 0");
    let plan = Arc::new(Plan::new(arguments).await?);
    let placed = batch::place(calls, rate, |index| Arc::clone(&plan).call(index)).await?;
    plan.progress.finish_and_clear();
    placed.judge(table, Outcome::is_good)
}

impl Plan {
    async fn new(arguments: Arguments) -> anyhow::Result<Self> {
        let recording = Recording::read(&arguments.wav)?;
        let gateway = match &arguments.api {
            None => None,
            Some(base) => Some(Gateway::new(
                base,
                &arguments.api_id,
                &arguments.api_secret,
                arguments.ca.as_deref(),
            )?),
        };
        let url = match (&arguments.url, &gateway) {
            (Some(url), _) => url.clone(),
            (None, Some(gateway)) => gateway.twilio_url().await?,
            (None, None) => bail!("where to? give --url, or --api to ask for one"),
        };
        let options = options(&arguments, url)?;
        let ticks = recording.samples().div_ceil(options.frame_samples);
        let frames = (ticks * options.sides.len() * arguments.calls) as u64;
        Ok(Self {
            conditions: Conditions {
                loss: arguments.loss,
                jitter_ms: arguments.jitter,
                burst_ms: arguments.burst,
                reorder: arguments.reorder,
                ..Conditions::PERFECT
            },
            progress: batch::progress(frames, PROGRESS),
            gateway: gateway.filter(|_| arguments.start || !arguments.no_start),
            recording,
            options,
            arguments,
        })
    }

    async fn call(self: Arc<Self>, index: usize) -> anyhow::Result<Outcome> {
        let mut options = self.options.clone();
        let account = options.sids.account.clone();
        options.sids = super::Sids {
            account,
            ..super::Sids::random()
        };
        let mut call = TwilioCall::dial(options).await?;
        let guid = call.call_sid().to_owned();
        let mut network = Network::new(self.arguments.seed ^ index as u64, self.conditions);
        let (mut started, mut stopped) = (None, None);
        if let Some(gateway) = &self.gateway {
            started = Some(
                call.silence_while(gateway.start(&Start::of(&guid)))
                    .await??,
            );
        }
        call.play(&self.recording, &mut network, || self.progress.inc(1))
            .await?;
        if let Some(gateway) = &self.gateway {
            call.silence(TAIL).await?;
            stopped = Some(call.silence_while(gateway.stop(&guid)).await??);
        }
        let frames = Side::BOTH.map(|side| call.sent(side).frames);
        let lateness = call.lateness().clone();
        let ended = call.hang_up().await;
        let lost = network.counts().lost;
        Ok(Outcome {
            guid,
            frames,
            lost,
            lateness,
            commands: Commands { started, stopped },
            ended,
        })
    }
}

impl Outcome {
    fn is_good(&self) -> bool {
        self.commands.are_good() && self.ended.is_ok()
    }

    fn end(&self) -> String {
        match &self.ended {
            Ok(closed) => closed
                .code
                .map_or_else(|| closed.reason.clone(), |code| code.to_string()),
            Err(error) => error.to_string(),
        }
    }
}

fn options(arguments: &Arguments, url: String) -> anyhow::Result<Options> {
    let mut options = Options::new(url, tls::client_config(arguments.ca.as_deref())?);
    options.via.clone_from(&arguments.via);
    options.speed = arguments.speed;
    options.tape = false;
    options.sides = match arguments.tracks {
        Tracks::Both => Side::BOTH.to_vec(),
        Tracks::Inbound => vec![Side::Inbound],
        Tracks::Outbound => vec![Side::Outbound],
    };
    if let Some(token) = &arguments.auth_token {
        options.signature = Signature::AuthToken(token.clone());
    }
    if let Some(account) = &arguments.account_sid {
        options.sids.account.clone_from(account);
    }
    Ok(options)
}

fn table(outcomes: &[Outcome]) -> Table {
    let mut table = Table::new([
        "call",
        "inbound",
        "outbound",
        "lost",
        "late p99",
        "start",
        "stop",
        "customer bytes",
        "agent bytes",
        "end",
    ]);
    for outcome in outcomes {
        table.row([
            outcome.guid.clone(),
            count(outcome.frames[0]),
            count(outcome.frames[1]),
            count(outcome.lost),
            ms(outcome.lateness.quantile_us(0.99)),
            outcome.commands.start(),
            outcome.commands.stop(),
            outcome.commands.confirmed("customer"),
            outcome.commands.confirmed("agent"),
            outcome.end(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests;
