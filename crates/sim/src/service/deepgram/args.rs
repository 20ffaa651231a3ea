//! The service as a program: its switches.

use std::time::Duration;

use super::{Config, Deepgram, Rules};
use crate::service::args::{self, SettingsArgs, duration};

/// Switches of `antiphon-sim service deepgram`.
#[derive(Clone, Debug, clap::Args)]
pub struct ServiceArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// The API key that clients must send.
    #[arg(long, default_value = "sim-api-key")]
    api_key: String,
    /// 1011 after so long without sound or a KeepAlive.
    #[arg(long, default_value = "10s", value_parser = duration)]
    idle_timeout: Duration,
    /// Tell an utterance in pieces of so many words; 0 tells it in one.
    #[arg(long, default_value_t = 0)]
    piece_words: usize,
}

/// Runs the service and prints each session's end, until `stop` is ready.
///
/// # Errors
/// The service cannot start, or nothing can be printed.
pub async fn run(args: ServiceArgs, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let json = args.settings.json;
    let config = Config {
        settings: args.settings.settings()?,
        key: args.api_key,
        rules: Rules {
            idle_timeout: args.idle_timeout,
            piece_words: args.piece_words,
            ..Rules::default()
        },
    };
    args::print(Deepgram::start(config).await?, json, stop).await
}
