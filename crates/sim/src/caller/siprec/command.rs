//! `antiphon-sim call siprec`: recorded calls out of a WAV file or out of the built-in speech, with
//! a progress bar and a table at the end.

mod outcome;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use indicatif::ProgressBar;

use self::outcome::Outcome;
use super::{Codec, Identifiers, Like, Options, Side, SiprecCall, Suite, Target};
use crate::caller::batch::{self, Commands};
use crate::caller::tls;
use crate::caller::wav::Recording;
use crate::control::{Gateway, Start};
use crate::network::{Conditions, share};
use crate::speech::Script;
use crate::speech::conversation::Channel;

/// Silence behind the last word, so that a recogniser hears the end of it.
const TAIL: Duration = Duration::from_secs(1);
/// How much is played before progress is told.
const STEP: usize = 800;

const PROGRESS: &str = "{elapsed_precise} {wide_bar} {percent} %, {eta} to go";

/// What `call siprec` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The recording server: `udp:host:port`, `tcp:host:port` or `tls:host:port`.
    #[arg(long)]
    to: Target,
    /// The call: 8 kHz, 16 bits, mono (customer) or stereo (customer, agent).
    #[arg(long, required_unless_present = "speech")]
    wav: Option<PathBuf>,
    /// Say the built-in conversation instead.
    #[arg(long, conflicts_with = "wav")]
    speech: bool,
    /// Whose messages they are like.
    #[arg(long, value_enum, default_value_t = Like::Plain)]
    like: Like,
    /// Protect the media with this suite.
    #[arg(long, value_enum)]
    srtp: Option<Suite>,
    /// Codecs in order of preference.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "pcmu")]
    codec: Vec<Codec>,
    /// Milliseconds of sound in one packet.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(10..=60))]
    packet: u64,
    /// The agent has called the customer, not the reverse.
    #[arg(long)]
    outbound: bool,
    /// The INVITE comes before the callee has answered.
    #[arg(long)]
    early: bool,
    /// The part of the packets that is lost: `0.05` or `5%`.
    #[arg(long, value_parser = share, default_value = "0")]
    loss: f64,
    /// The most a packet is delayed, in milliseconds.
    #[arg(long, default_value_t = 0)]
    jitter: u64,
    /// The part of the packets that is overtaken by others.
    #[arg(long, value_parser = share, default_value = "0")]
    reorder: f64,
    /// The part of the packets that arrives twice.
    #[arg(long, value_parser = share, default_value = "0")]
    duplicate: f64,
    /// The part of the SIP datagrams that is lost, each way.
    #[arg(long, value_parser = share, default_value = "0")]
    signalling_loss: f64,
    /// Repeats the same losses and delays.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Media seconds a second.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Keys that the customer presses after the first half.
    #[arg(long, default_value = "")]
    dtmf: String,
    /// Hold the call for so many seconds after the first half.
    #[arg(long, value_name = "SECONDS")]
    hold: Option<u64>,
    /// The agent hands over after the first half.
    #[arg(long)]
    transfer: bool,
    /// How many calls.
    #[arg(long, default_value_t = 1)]
    calls: usize,
    /// New calls a second.
    #[arg(long, default_value_t = 1.0)]
    rate: f64,
    /// What TLS trusts beside nothing else; the system's roots without.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// The certificate that the client shows.
    #[arg(long, requires = "key")]
    cert: Option<PathBuf>,
    /// Its key.
    #[arg(long, requires = "cert")]
    key: Option<PathBuf>,
    /// The gateway's API, `http://host:port`: start and stop go there.
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
    /// Only be recorded: whoever watches starts and stops the transcription.
    #[arg(long)]
    no_start: bool,
}

/// What all calls of a run share.
struct Plan {
    recording: Recording,
    arguments: Arguments,
    gateway: Option<Gateway>,
    options: Options,
    progress: ProgressBar,
}

/// Places the calls and prints the table.
///
/// # Errors
/// When a call could not be placed, broke off, or a command was refused.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let (calls, rate) = (arguments.calls, arguments.rate);
    ensure!(rate > 0.0, "--rate must be more than 0");
    ensure!(arguments.speed > 0.0, "--speed must be more than 0");
    let plan = Arc::new(Plan::new(arguments)?);
    let placed = batch::place(calls, rate, |index| Arc::clone(&plan).call(index)).await?;
    plan.progress.finish_and_clear();
    placed.judge(outcome::table, Outcome::is_good)
}

impl Plan {
    fn new(arguments: Arguments) -> anyhow::Result<Self> {
        let recording = match &arguments.wav {
            Some(path) => Recording::read(path)?,
            None => speech()?,
        };
        let ca = arguments.ca.as_deref();
        let gateway = arguments.api.as_ref().filter(|_| !arguments.no_start);
        let gateway = gateway
            .map(|base| Gateway::new(base, &arguments.api_id, &arguments.api_secret, ca))
            .transpose()?
            .map(|gateway| gateway.on("siprec"));
        let samples = (recording.samples() * arguments.calls) as u64;
        Ok(Self {
            options: options(&arguments)?,
            progress: batch::progress(samples, PROGRESS),
            gateway,
            recording,
            arguments,
        })
    }

    async fn call(self: Arc<Self>, index: usize) -> anyhow::Result<Outcome> {
        let mut options = self.options.clone();
        options.identifiers = Identifiers::random();
        options.seed ^= (index as u64) << 8;
        let mut call = SiprecCall::dial(options).await?;
        if self.arguments.early {
            call.callee_answers().await?;
        }
        let guid = call.guid();
        let (mut started, mut stopped) = (None, None);
        if let Some(gateway) = &self.gateway {
            let start = Start::of(&guid);
            started = Some(call.silence_while(gateway.start(&start)).await??);
        }
        let half = (self.recording.samples() / 2).next_multiple_of(STEP);
        self.play(&mut call, 0..half).await?;
        self.interlude(&mut call).await?;
        self.play(&mut call, half..self.recording.samples()).await?;
        if let Some(gateway) = &self.gateway {
            call.silence(TAIL).await?;
            stopped = Some(call.silence_while(gateway.stop(&guid)).await??);
        }
        Ok(Outcome::of(call, Commands { started, stopped }).await)
    }

    async fn play(
        &self,
        call: &mut SiprecCall,
        range: std::ops::Range<usize>,
    ) -> anyhow::Result<()> {
        let Recording { inbound, outbound } = &self.recording;
        for start in range.clone().step_by(STEP) {
            let end = (start + STEP).min(range.end);
            let cut = |voice: &[i16]| voice[start.min(voice.len())..end.min(voice.len())].to_vec();
            let (customer, agent) = (cut(inbound), cut(outbound));
            if customer.is_empty() && agent.is_empty() {
                return Ok(());
            }
            call.converse(&customer, &agent).await?;
            self.progress.inc((end - start) as u64);
        }
        Ok(())
    }

    /// What happens to the call in its middle.
    async fn interlude(&self, call: &mut SiprecCall) -> anyhow::Result<()> {
        for key in self.arguments.dtmf.chars() {
            call.dtmf(Side::Customer, key).await?;
            call.silence(Duration::from_millis(100)).await?;
        }
        if let Some(seconds) = self.arguments.hold {
            call.hold().await?;
            call.silence(Duration::from_secs(seconds)).await?;
            call.resume().await?;
        }
        if self.arguments.transfer {
            call.transfer().await?;
        }
        Ok(())
    }
}

fn options(arguments: &Arguments) -> anyhow::Result<Options> {
    let identity = arguments.cert.as_deref().zip(arguments.key.as_deref());
    let tls = tls::client_config_as(arguments.ca.as_deref(), identity)?;
    Ok(Options {
        like: arguments.like,
        srtp: arguments.srtp,
        codecs: arguments.codec.clone(),
        packet: Duration::from_millis(arguments.packet),
        customer_calls: !arguments.outbound,
        early: arguments.early,
        network: Conditions {
            loss: arguments.loss,
            jitter_ms: arguments.jitter,
            reorder: arguments.reorder,
            duplicate: arguments.duplicate,
            ..Conditions::PERFECT
        },
        signalling_loss: arguments.signalling_loss,
        seed: arguments.seed,
        speed: arguments.speed,
        tape: false,
        ..Options::new(arguments.to.clone(), tls)
    })
}

/// The customer on the first channel.
fn speech() -> anyhow::Result<Recording> {
    let conversation = Script::standard().payment_call();
    let conversation = conversation.context("the script has no payment call")?;
    Ok(Recording {
        inbound: conversation.channel(Channel::Inbound),
        outbound: conversation.channel(Channel::Outbound),
    })
}

#[cfg(test)]
mod tests;
