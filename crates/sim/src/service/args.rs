//! The switches that all services have.

mod print;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};

pub(super) use self::print::print;
use super::chaos::Chaos;
use super::faults::{Cut, CutAfter, EndFault, Faults, RestFault, TokenFault};
use super::settings::{Keep, Settings, TlsFiles};
use crate::hearing::Lexicon;
use crate::speech::{Role, Script};

/// The switches that all services have.
#[derive(Clone, Debug, clap::Args)]
pub struct SettingsArgs {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// PEM file of the certificate chain; makes it https and wss.
    #[arg(long, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM file of the certificate's key.
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A directory with phrases.json and recordings to hear instead of the built-in ones.
    #[arg(long)]
    phrases: Option<PathBuf>,
    /// Only count and digest the sound; hear nothing.
    #[arg(long, conflicts_with = "phrases")]
    deaf: bool,
    /// Print each stream's end as a line of JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// The socket's receive buffer in bytes; small ones make a stall felt soon.
    #[arg(long)]
    receive_buffer: Option<u32>,
    #[command(flatten)]
    faults: FaultArgs,
    #[command(flatten)]
    chaos: ChaosArgs,
}

/// What goes wrong. A service passes over what it has no place for.
#[derive(Clone, Debug, clap::Args)]
struct FaultArgs {
    /// Only streams of this role; where no message says who speaks, a phrase does.
    #[arg(long, value_parser = role)]
    fault_role: Option<Role>,
    /// Leave so many alone first.
    #[arg(long, default_value_t = 0)]
    fault_skip: u32,
    /// Only so many times.
    #[arg(long)]
    fault_times: Option<u32>,
    /// Answer the REST call with this HTTP status.
    #[arg(long)]
    rest_status: Option<u16>,
    /// Refuse the WebSocket with this HTTP status.
    #[arg(long)]
    upgrade_status: Option<u16>,
    /// With a Retry-After of so long.
    #[arg(long, value_parser = duration)]
    retry_after: Option<Duration>,
    /// Take so long for the REST call.
    #[arg(long, default_value = "0s", value_parser = duration)]
    rest_delay: Duration,
    /// Take so long to open the WebSocket.
    #[arg(long, default_value = "0s", value_parser = duration)]
    upgrade_delay: Duration,
    /// Give URLs or tokens that open nothing.
    #[arg(long, conflicts_with = "url_expired")]
    bad_token: bool,
    /// Give URLs or tokens that have expired.
    #[arg(long)]
    url_expired: bool,
    /// Close a WebSocket as soon as it opens, with this code.
    #[arg(long)]
    accept_then_close: Option<u16>,
    /// Refuse the stream with this status code, in the service's words.
    #[arg(long)]
    refuse: Option<u16>,
    /// Answer nothing for so long after the beginning.
    #[arg(long, default_value = "0s", value_parser = duration)]
    start_delay: Duration,
    /// Break the stream: WHAT or WHAT@AFTER, as in reset@2s, tear, drop, black-hole, close:1000,
    /// final:5000 (also error:5000), stall:10s@1s.
    #[arg(long)]
    cut: Option<CutAfter>,
    /// Close without an acknowledgement of the end.
    #[arg(long, conflicts_with = "no_end")]
    no_final: bool,
    /// Neither an acknowledgement of the end nor a close.
    #[arg(long)]
    no_end: bool,
    /// Answer nothing for so long after the client's last message.
    #[arg(long, default_value = "0s", value_parser = duration)]
    final_delay: Duration,
    /// Acknowledge the end twice.
    #[arg(long)]
    final_twice: bool,
    /// Send each final transcript twice.
    #[arg(long)]
    transcript_twice: bool,
    /// Send the last transcript once more behind the acknowledgement of the end.
    #[arg(long)]
    transcript_late: bool,
    /// Sum up so many bytes more, or less, than came.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    bytes_off: i64,
    /// Send a message of an unknown type after the beginning.
    #[arg(long)]
    unknown_message: bool,
    /// Send a transcript of a megabyte after the beginning.
    #[arg(long)]
    huge_message: bool,
    /// Send a warning after the beginning.
    #[arg(long)]
    warning: bool,
    /// Do not say of transcripts whether they are formatted.
    #[arg(long)]
    unflagged: bool,
}

/// What goes wrong at random.
#[derive(Clone, Debug, clap::Args)]
struct ChaosArgs {
    /// Refuse, slow and break streams at random; the same seed does the same again.
    #[arg(long, value_name = "SEED")]
    chaos: Option<u64>,
    /// Break a stream after so much sound on average.
    #[arg(long, default_value = "20s", value_parser = duration)]
    chaos_mean: Duration,
    /// The longest stall, and the longest wait for the beginning.
    #[arg(long, default_value = "10s", value_parser = duration)]
    chaos_wait: Duration,
    /// Of a hundred WebSockets, refuse so many.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(..=100))]
    chaos_refused: u8,
    /// Of a hundred streams, begin so many slowly.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(..=100))]
    chaos_slow: u8,
}

impl SettingsArgs {
    /// The settings these switches stand for, which keep no sound: nobody looks at it here.
    ///
    /// # Errors
    /// The phrases cannot be read or heard.
    pub(super) fn settings(self) -> anyhow::Result<Settings> {
        let lexicon = match (&self.phrases, self.deaf) {
            (_, true) => None,
            (Some(directory), _) => Some(Lexicon::new(Script::load(directory)?.phrases())?),
            (None, _) => Some(Lexicon::new(Script::standard().phrases())?),
        };
        Ok(Settings {
            listen: self.listen,
            tls: self
                .tls_cert
                .zip(self.tls_key)
                .map(|(cert, key)| TlsFiles { cert, key }),
            lexicon: lexicon.map(Arc::new),
            keep: Keep {
                samples_max: 0,
                arrivals_max: 0,
                ..Keep::default()
            },
            receive_buffer_bytes: self.receive_buffer,
            faults: self.faults.faults(),
            chaos: self.chaos.chaos(),
            observer: None,
        })
    }
}

impl FaultArgs {
    fn faults(self) -> Faults {
        let retry_after = self.retry_after;
        let fault = |status| RestFault {
            status,
            retry_after,
        };
        Faults {
            role: self.fault_role,
            skip: self.fault_skip,
            times: self.fault_times,
            rest: self.rest_status.map(fault),
            rest_delay: self.rest_delay,
            token: match (self.bad_token, self.url_expired) {
                (true, _) => TokenFault::Bad,
                (_, true) => TokenFault::Expired,
                _ => TokenFault::None,
            },
            upgrade: self.upgrade_status.map(fault),
            upgrade_delay: self.upgrade_delay,
            accept_then_close: self.accept_then_close,
            refuse: self.refuse,
            start_delay: self.start_delay,
            cut: self.cut,
            end: match (self.no_final, self.no_end) {
                (true, _) => EndFault::CloseOnly,
                (_, true) => EndFault::Silence,
                _ => EndFault::None,
            },
            final_delay: self.final_delay,
            final_twice: self.final_twice,
            transcript_twice: self.transcript_twice,
            transcript_late: self.transcript_late,
            bytes_off: self.bytes_off,
            unknown_message: self.unknown_message,
            huge_message: self.huge_message,
            warning: self.warning,
            unflagged: self.unflagged,
        }
    }
}

impl ChaosArgs {
    fn chaos(self) -> Option<Chaos> {
        Some(Chaos {
            seed: self.chaos?,
            mean: self.chaos_mean,
            wait_max: self.chaos_wait,
            refused_percent: self.chaos_refused,
            slow_percent: self.chaos_slow,
        })
    }
}

impl FromStr for CutAfter {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (what, after) = text.split_once('@').unwrap_or((text, "0s"));
        let audio = duration(after)?;
        let (name, value) = what.split_once(':').unwrap_or((what, ""));
        let code = || {
            value
                .parse()
                .with_context(|| format!("{what} needs a code, as in {name}:1000"))
        };
        let cut = match name {
            "black-hole" => Cut::BlackHole,
            "close" => Cut::Close(code()?),
            "drop" => Cut::Drop,
            "error" | "final" => Cut::Final(code()?),
            "reset" => Cut::Reset,
            "stall" => Cut::Stall(duration(value)?),
            "tear" => Cut::Tear,
            _ => bail!("{name} is none of black-hole, close, drop, final, reset, stall, tear"),
        };
        Ok(Self { audio, cut })
    }
}

fn role(text: &str) -> anyhow::Result<Role> {
    Role::parse(text).with_context(|| format!("{text} is neither agent nor customer"))
}

/// A number and ms, s, m or h.
pub(crate) fn duration(text: &str) -> anyhow::Result<Duration> {
    let digits = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text[..digits]
        .parse()
        .with_context(|| format!("{text} is not like 100ms or 5s"))?;
    let unit_ms = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => bail!("{text} does not end in ms, s, m or h"),
    };
    Ok(Duration::from_millis(number.saturating_mul(unit_ms)))
}
