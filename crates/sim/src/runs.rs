//! The long runs: many calls at once against a service that breaks, a call that outlives its
//! sockets, a shutdown under load, more callers than there is room for. The callers and the speech
//! service live in this process, the gateway in another one; each run ends with one line of figures
//! and fails when one of them is off.

mod account;
mod caller;
pub mod chaos;
pub mod drain;
pub mod long;
mod muster;
pub mod overload;
mod phrasebook;
mod refusal;
mod service;
mod speaker;
mod stage;
mod takes;
mod toml;
mod verdict;
mod witness;

/// What every run can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct Switches {
    /// The `antiphon` to run, with a configuration of our own.
    #[arg(long)]
    spawn: std::path::PathBuf,
    /// Write the figures to this file as JSON.
    #[arg(long)]
    json: Option<std::path::PathBuf>,
    /// Write the gateway's events to this file, one a line; `chaos` adds what the service heard.
    #[arg(long)]
    events: Option<std::path::PathBuf>,
}

/// `--platform`
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Platforms {
    Both,
    Siprec,
    Twilio,
}
