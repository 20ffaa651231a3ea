//! `antiphon store rekey`: reads its arguments, and has what is kept sealed with another key.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use gateway::config::Config;
use store::StoreError;
use store::key::Key;
use store::sqlite::SqliteStore;

/// What `antiphon store rekey` is told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The configuration file, with the key that the store has until now.
    #[arg(long, env = "ANTIPHON_CONFIG")]
    config: PathBuf,
    /// A file with the other key: 32 random bytes, as hex or base64.
    #[arg(
        long,
        required_unless_present = "without_key",
        conflicts_with = "without_key"
    )]
    to: Option<PathBuf>,
    /// The store is to have no key.
    #[arg(long)]
    without_key: bool,
}

/// Seals everything anew.
pub(crate) fn rekey(wanted: &Arguments) -> anyhow::Result<()> {
    let key = wanted.to.as_deref().map(key_of).transpose()?;
    let config = Config::load(&wanted.config)?;
    let folder = config.file.parent().unwrap_or_else(|| Path::new(""));
    let kept = config.store.sqlite(folder);
    let path = kept.path.display();
    match SqliteStore::rekey(&kept, key.as_ref()) {
        Ok(()) => {}
        Err(StoreError::Locked) => bail!("{path} is in use; end the gateway first"),
        Err(error) => return Err(error).with_context(|| format!("{path} keeps its key")),
    }
    match &wanted.to {
        Some(file) => eprintln!(
            "{path} is sealed with the key of {0}. Before the gateway is started, set store.key to \
             \"file:{0}\".",
            file.display()
        ),
        None => eprintln!("{path} has no key. Before the gateway is started, remove store.key."),
    }
    Ok(())
}

fn key_of(file: &Path) -> anyhow::Result<Key> {
    let written =
        std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let key = Key::parse(&written);
    key.map_err(|error| anyhow::anyhow!("{} {error}", file.display()))
}
