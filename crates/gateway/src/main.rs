//! `antiphon`: reads its arguments and its configuration, and serves until it is told to end.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use gateway::app::Gateway;
use gateway::config::{Config, ConfigError};
use gateway::shutdown::Shutdown;
use tokio_util::task::TaskTracker;

/// As sysexits.h has it: the command, and so its configuration, was wrong.
const USAGE: u8 = 64;

/// Brings the sound of telephone calls to a speech service, and stops when told to.
#[derive(Parser)]
#[command(name = "antiphon", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prints what would be run with, secrets as dots.
    Check {
        /// The configuration file.
        #[arg(long, env = "ANTIPHON_CONFIG")]
        config: PathBuf,
    },
    /// Serves until SIGTERM.
    Serve {
        /// The configuration file.
        #[arg(long, env = "ANTIPHON_CONFIG")]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Check { config } => check(&config),
        Command::Serve { config } => serve(&config),
    };
    let Err(error) = done else {
        return ExitCode::SUCCESS;
    };
    eprintln!("{error:#}");
    if error.is::<ConfigError>() {
        ExitCode::from(USAGE)
    } else {
        ExitCode::FAILURE
    }
}

fn check(file: &Path) -> anyhow::Result<()> {
    print!("{}", Config::check(file)?);
    Ok(())
}

fn serve(file: &Path) -> anyhow::Result<()> {
    let config = Config::load(file)?;
    gateway::log::start(&config.log)?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let (allowed, wanted) = (
        gateway::server::files::raise_open_files(),
        config.open_files_max(),
    );
    if allowed.is_some_and(|allowed| allowed < wanted) {
        tracing::warn!(
            allowed,
            wanted,
            "The limits need more open files than are allowed."
        );
    }
    // Whoever has installed one before has installed the same.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let shutdown = Shutdown::on_signals(&TaskTracker::new())?;
        Ok(Gateway::bind(config).await?.run(shutdown).await?)
    })
}
