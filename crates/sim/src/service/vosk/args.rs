//! The service as a program: its switches.

use super::{Config, Rules, Vosk};
use crate::service::args::{self, SettingsArgs};

/// Switches of `antiphon-sim service vosk`.
#[derive(Clone, Debug, clap::Args)]
pub struct ServiceArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// The rate at which it listens to those who name none.
    #[arg(long, default_value_t = 8000)]
    sample_rate: u32,
}

/// Runs the service and prints each session's end, until `stop` is ready.
///
/// # Errors
/// The service cannot start, or nothing can be printed.
pub async fn run(args: ServiceArgs, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let json = args.settings.json;
    let config = Config {
        settings: args.settings.settings()?,
        rules: Rules {
            sample_rate: args.sample_rate,
            ..Rules::default()
        },
    };
    args::print(Vosk::start(config).await?, json, stop).await
}
