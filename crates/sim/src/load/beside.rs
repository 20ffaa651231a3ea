//! What stands beside the media of a spawned gateway: a receiver of webhooks and a store, each of
//! them well, broken or not there; and what came of them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Serialize;
use tokio::time::{sleep, timeout};

use super::spawn::Spawned;
use crate::control::Gateway;
use crate::webhook::{Fault, Faults, Receiver, Settings};

/// The database, in the configuration's folder.
const DATABASE: &str = "antiphon.db";

/// How long the store may take to open, and how often that is looked at.
const OPEN: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);

/// No file may become longer than this when the disk is to be full.
const FULL_BYTES: u32 = 4096;

/// Holds the lock of a database until its input ends.
const HOLDER: &str = "import sqlite3, sys\n\
    held = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)\n\
    held.execute('BEGIN IMMEDIATE')\n\
    print('locked', flush=True)\n\
    sys.stdin.read()\n";

/// `--webhook`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum WebhookWish {
    /// It takes connections and deliveries and does not answer.
    Dead,
    /// There is none.
    Off,
    /// It takes everything at once.
    Ok,
}

/// `--store`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum StoreWish {
    /// The disk is full from the first call on.
    Full,
    /// Another program holds the lock from the first call on.
    Locked,
    /// There is none.
    Off,
    /// It is as it should be.
    Ok,
}

/// Both at work.
pub(crate) struct Beside {
    store: StoreWish,
    receiver: Option<Receiver>,
    holder: Option<Child>,
}

/// What came of them, by the gateway's own metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Aside {
    /// 1 while the store takes what it is given.
    pub open: u64,
    /// Events that were kept.
    pub kept: u64,
    /// Events that were neither kept nor delivered.
    pub dropped: u64,
    /// Failures of the store.
    pub store_errors: u64,
    /// Deliveries that were taken.
    pub delivered: u64,
    /// Attempts to deliver, whatever came of them.
    pub attempts: u64,
}

impl Beside {
    /// A receiver, if there is to be one.
    ///
    /// # Errors
    /// When it cannot listen.
    pub(crate) async fn start(webhook: WebhookWish, store: StoreWish) -> anyhow::Result<Self> {
        let faults = match webhook {
            WebhookWish::Dead => Some(Faults::always(Fault::Stall)),
            WebhookWish::Off => None,
            WebhookWish::Ok => Some(Faults::default()),
        };
        let receiver = match faults {
            None => None,
            Some(faults) => {
                let settings = Settings {
                    faults,
                    ..Settings::default()
                };
                Some(Receiver::spawn(settings).await?)
            }
        };
        Ok(Self {
            store,
            receiver,
            holder: None,
        })
    }

    /// Sections of the gateway's configuration.
    pub(crate) fn toml(&self) -> String {
        let store = match self.store {
            StoreWish::Off => "[store]\nenabled = false\n".to_owned(),
            _ => format!("[store]\npath = \"{DATABASE}\"\n"),
        };
        let webhook = self.receiver.as_ref().map(|receiver| {
            format!(
                "[[webhooks]]\nname = \"load\"\nurl = \"{}\"\nallow_private = true\n\
                 allow_http = true\nconcurrency = 64\n",
                receiver.url()
            )
        });
        store + &webhook.unwrap_or_default()
    }

    /// Takes the store away from a gateway, once it is open.
    ///
    /// # Errors
    /// When it does not open, or that is not possible here.
    pub(crate) async fn strike(
        &mut self,
        spawned: &Spawned,
        gateway: &Gateway,
    ) -> anyhow::Result<()> {
        if matches!(self.store, StoreWish::Off | StoreWish::Ok) {
            return Ok(());
        }
        let is_open = async {
            while Aside::read(gateway).await?.open == 0 {
                sleep(LOOK).await;
            }
            anyhow::Ok(())
        };
        let in_time = timeout(OPEN, is_open).await;
        in_time.context("the store is not open in time")??;
        match self.store {
            StoreWish::Full => fill(spawned.pid()),
            StoreWish::Locked => {
                self.holder = Some(hold(&spawned.folder().join(DATABASE))?);
                Ok(())
            }
            StoreWish::Off | StoreWish::Ok => Ok(()),
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if let Some(holder) = &mut self.holder {
            // Both fail only where it is gone already.
            drop(holder.kill());
            drop(holder.wait());
        }
    }
}

impl Aside {
    /// Reads it from a gateway.
    ///
    /// # Errors
    /// When the gateway does not tell.
    pub(crate) async fn read(gateway: &Gateway) -> anyhow::Result<Self> {
        let text = gateway.text("/metrics").await?;
        let sum = |name: &str| {
            let values = text.lines().filter_map(|line| {
                let (series, value) = line.rsplit_once(' ')?;
                (series.split('{').next() == Some(name)).then(|| value.parse::<f64>().ok())?
            });
            values.sum::<f64>() as u64
        };
        Ok(Self {
            open: sum("antiphon_store_up"),
            kept: sum("antiphon_store_events_total"),
            dropped: sum("antiphon_store_events_dropped_total"),
            store_errors: sum("antiphon_store_errors_total"),
            delivered: sum("antiphon_delivery_delivered_total"),
            attempts: sum("antiphon_delivery_attempts_total"),
        })
    }
}

fn fill(pid: u32) -> anyhow::Result<()> {
    let limit = format!("--fsize={FULL_BYTES}:");
    let asked = Command::new("prlimit")
        .args(["--pid", &pid.to_string(), &limit])
        .status();
    let limited = asked.context("cannot run prlimit")?;
    ensure!(
        limited.success(),
        "prlimit cannot limit the gateway's files"
    );
    Ok(())
}

fn hold(database: &Path) -> anyhow::Result<Child> {
    let mut child = Command::new("python3")
        .args(["-c", HOLDER])
        .arg(database)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run python3, which is to hold the lock")?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    ensure!(line == "locked\n", "the database cannot be locked");
    Ok(child)
}
