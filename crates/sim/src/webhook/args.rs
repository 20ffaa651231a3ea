//! The receiver as a program: its switches.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use super::faults::{Fault, Faults, Random};
use super::signature::Secret;
use super::{Client, Receiver, Settings, print};
use crate::service::TlsFiles;
use crate::service::args::duration;

/// Switches of `antiphon-sim webhook`.
#[derive(Clone, Debug, clap::Args)]
pub struct WebhookArgs {
    /// Where to listen; deliveries go to /webhook there.
    #[arg(long, default_value = "127.0.0.1:8095")]
    listen: SocketAddr,
    /// PEM file of the certificate chain; makes it https.
    #[arg(long, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM file of the certificate's key.
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// PEM file of the authorities whose certificates senders must show.
    #[arg(long, requires = "tls_cert")]
    client_ca: Option<PathBuf>,
    /// Give bearer tokens at /token to this client, and take nothing without one: ID=SECRET.
    #[arg(long, value_parser = pair)]
    oauth2: Option<(String, String)>,
    /// The signing secret, whsec_…, or the sender's public key, whpk_…; may be given again. Without
    /// one anything is taken.
    #[arg(long, env = "ANTIPHON_WEBHOOK_SECRET", hide_env_values = true)]
    secret: Vec<Secret>,
    /// A header that must come with each delivery: NAME=VALUE.
    #[arg(long, value_parser = pair)]
    header: Option<(String, String)>,
    /// A parameter that must be in the URL: NAME=VALUE.
    #[arg(long, value_parser = pair)]
    parameter: Option<(String, String)>,
    /// Print each event as a line of JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    faults: FaultArgs,
}

/// What goes wrong; one of them.
#[derive(Clone, Debug, clap::Args)]
struct FaultArgs {
    /// Answer with this status.
    #[arg(long, group = "fault")]
    status: Option<u16>,
    /// Do not answer.
    #[arg(long, group = "fault")]
    stall: bool,
    /// Reset connections in the middle of an answer.
    #[arg(long, group = "fault")]
    reset: bool,
    /// The same behind what was taken: the sender will send it again.
    #[arg(long, group = "fault")]
    lose_answer: bool,
    /// Answer 307 to another place.
    #[arg(long, group = "fault")]
    redirect: bool,
    /// Answer 410.
    #[arg(long, group = "fault")]
    gone: bool,
    /// Answer 429 with so many seconds of Retry-After.
    #[arg(long, group = "fault", value_name = "SECONDS")]
    too_many: Option<u64>,
    /// Of all deliveries, strike this share at random, 0 to 1, in any of these ways but stall and
    /// 410.
    #[arg(long, group = "fault", value_parser = share)]
    fail_rate: Option<u8>,
    /// The same seed strikes in the same way again.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only so many times.
    #[arg(long, alias = "status-for", value_name = "TIMES")]
    fault_for: Option<u32>,
    /// Strike only this call, by its guid.
    #[arg(long, value_name = "GUID")]
    fault_only: Option<String>,
    /// Read bodies no faster than so many bytes a second.
    #[arg(long, value_name = "BYTES/S")]
    slow: Option<u32>,
    /// Listen only after so long; until then connections are refused.
    #[arg(long, default_value = "0s", value_parser = duration)]
    down_for: Duration,
}

/// Runs the receiver and prints what it takes, until `stop` is ready.
///
/// # Errors
/// The receiver cannot start, or nothing can be printed.
pub async fn run(args: WebhookArgs, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let (json, down_for) = (args.json, args.faults.down_for);
    let settings = args.settings();
    let mut stop = std::pin::pin!(stop);
    tokio::select! {
        () = &mut stop => return Ok(()),
        () = tokio::time::sleep(down_for) => {}
    }
    print::print(Receiver::spawn(settings).await?, json, stop).await
}

impl WebhookArgs {
    /// The settings these switches stand for.
    pub fn settings(self) -> Settings {
        Settings {
            listen: self.listen,
            tls: self
                .tls_cert
                .zip(self.tls_key)
                .map(|(cert, key)| TlsFiles { cert, key }),
            client_ca: self.client_ca,
            oauth2: self.oauth2.map(|(id, secret)| Client { id, secret }),
            secrets: self.secret,
            header: self.header,
            parameter: self.parameter,
            faults: self.faults.faults(),
        }
    }
}

impl FaultArgs {
    fn faults(self) -> Faults {
        let flags = [
            (self.stall, Fault::Stall),
            (self.reset, Fault::Reset),
            (self.lose_answer, Fault::LoseAnswer),
            (self.redirect, Fault::Redirect),
            (self.gone, Fault::Gone),
        ];
        let flagged = flags.into_iter().find(|(is_set, _)| *is_set);
        let status = self.status.map(Fault::Status);
        let too_many = self.too_many.map(Duration::from_secs).map(Fault::TooMany);
        let fault = flagged.map(|(_, fault)| fault).or(status).or(too_many);
        let seed = self.seed;
        Faults {
            fault,
            times: self.fault_for,
            only: self.fault_only,
            random: self.fail_rate.map(|percent| Random { percent, seed }),
            slow_bytes_per_second: self.slow,
        }
    }
}

fn pair(text: &str) -> anyhow::Result<(String, String)> {
    let (name, value) = text.split_once('=').context("it is not like NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// In percent.
fn share(text: &str) -> anyhow::Result<u8> {
    let share: f64 = text.parse().context("it is no number")?;
    anyhow::ensure!((0.0..=1.0).contains(&share), "it is not from 0 to 1");
    Ok((share * 100.0).round() as u8)
}
