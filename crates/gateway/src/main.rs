//! `antiphon`: reads its arguments and its configuration, and serves until it is told to end.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use gateway::app::{Addresses, Gateway};
use gateway::config::{Config, ConfigError};
use gateway::remote::{self, Order};
use gateway::shutdown::Shutdown;
use tokio_util::task::TaskTracker;

#[path = "export/command.rs"]
mod export;
#[path = "rekey/command.rs"]
mod rekey;

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
    /// Shows what could not be delivered by webhook, sends it once more or throws it away. Asks the
    /// gateway that runs with this configuration, with its first key for administration.
    DeadLetters {
        #[command(subcommand)]
        what: Letters,
    },
    /// Writes final transcripts into a file, while the gateway runs or while it does not.
    Export(export::Arguments),
    /// Serves until SIGTERM.
    Serve {
        /// The configuration file.
        #[arg(long, env = "ANTIPHON_CONFIG")]
        config: PathBuf,
    },
    /// Changes the store while no gateway runs.
    Store {
        #[command(subcommand)]
        what: Change,
    },
}

#[derive(Subcommand)]
enum Change {
    /// Seals everything that is kept with another key, or with none.
    Rekey(rekey::Arguments),
}

#[derive(Subcommand)]
enum Letters {
    /// Throws dead letters away.
    Bury(Which),
    /// Shows dead letters, the oldest first.
    List {
        /// The configuration file.
        #[arg(long, env = "ANTIPHON_CONFIG")]
        config: PathBuf,
        /// Of this webhook only.
        #[arg(long)]
        webhook: Option<String>,
    },
    /// Has dead letters sent once more.
    Replay(Which),
}

#[derive(clap::Args)]
struct Which {
    /// The configuration file.
    #[arg(long, env = "ANTIPHON_CONFIG")]
    config: PathBuf,
    /// The webhook, as the configuration names it.
    #[arg(long)]
    webhook: String,
    /// Only the one with this number; may be given several times.
    #[arg(long)]
    number: Vec<u64>,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Check { config } => check(&config),
        Command::DeadLetters { what } => dead_letters(what),
        Command::Export(wanted) => export::export(&wanted),
        Command::Serve { config } => serve(&config),
        Command::Store {
            what: Change::Rekey(wanted),
        } => rekey::rekey(&wanted),
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

fn dead_letters(what: Letters) -> anyhow::Result<()> {
    let (file, order) = match what {
        Letters::Bury(which) => (which.config, Order::Bury(which.webhook, which.number)),
        Letters::List { config, webhook } => (config, Order::List(webhook)),
        Letters::Replay(which) => (which.config, Order::Replay(which.webhook, which.number)),
    };
    let config = Config::load(&file)?;
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for line in runtime.block_on(remote::dead_letters(&config, order))? {
        println!("{line}");
    }
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
        let gateway = Gateway::bind(config).await?;
        let Addresses { http, siprec } = gateway.addresses();
        let version = env!("CARGO_PKG_VERSION");
        tracing::info!(version, %http, ?siprec, "Serving.");
        Ok(gateway.run(shutdown).await?)
    })
}
