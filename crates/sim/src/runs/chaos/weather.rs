//! What befalls the service as a whole, beside what befalls each session: it is killed and gone for
//! a while, all its sessions are reset or stalled, it refuses or delays whoever comes.

use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::audit::Audit;
use crate::runs::service;
use crate::service::chaos::{Chaos, Dice};
use crate::service::faults::{Cut, Faults, RestFault};
use crate::service::{Protocol, Running, Settings};

/// How long the service's address may be taken by somebody else after it was killed.
const BACK: Duration = Duration::from_secs(10);

/// What happens to the service.
pub(super) struct Weather {
    running: Running,
    settings: Settings,
    protocol: Protocol,
    /// Nothing happens without.
    chaos: Option<Chaos>,
    dice: Dice,
    audit: Audit,
    storms: Storms,
}

/// How often what has happened.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Storms {
    /// The listener and all sockets were gone for a while.
    pub(super) kills: u64,
    /// All sockets were reset at once.
    pub(super) resets: u64,
    /// Nothing was read from any socket for a while.
    pub(super) stalls: u64,
    /// Whoever came was refused for a while.
    pub(super) refusals: u64,
    /// Whoever came was answered late for a while.
    pub(super) delays: u64,
}

impl Weather {
    /// It is calm until it blows.
    pub(super) fn new(
        running: Running,
        settings: Settings,
        protocol: Protocol,
        chaos: Option<Chaos>,
    ) -> Self {
        Self {
            dice: Dice(chaos.map_or(0, |chaos| chaos.seed)),
            running,
            settings,
            protocol,
            chaos,
            audit: Audit::default(),
            storms: Storms::default(),
        }
    }

    /// Something happens every ten to thirty seconds until it shall be calm; when all is over, the
    /// service ends.
    ///
    /// # Errors
    /// When the service does not come back after it was killed.
    pub(super) async fn blow(
        mut self,
        calm: CancellationToken,
        over: CancellationToken,
    ) -> anyhow::Result<Audit> {
        self.running.set_chaos(self.chaos);
        while self.chaos.is_some() && !calm.is_cancelled() {
            let pause = Duration::from_secs(10 + self.dice.below(20));
            if timeout(pause, calm.cancelled()).await.is_err() {
                self.strike().await?;
            }
        }
        calm.cancelled().await;
        self.running.set_chaos(None);
        over.cancelled().await;
        self.audit.read(&self.running);
        self.audit.storms = self.storms;
        self.running.stop().await;
        Ok(self.audit)
    }

    async fn strike(&mut self) -> anyhow::Result<()> {
        let long = Duration::from_millis(3_000 + self.dice.below(5_000));
        match self.dice.below(5) {
            0 => {
                self.storms.kills += 1;
                return self.kill(long).await;
            }
            1 => {
                self.storms.resets += 1;
                self.running.inflict_all(Cut::Reset);
            }
            2 => {
                self.storms.stalls += 1;
                self.running.inflict_all(Cut::Stall(long));
            }
            3 => {
                self.storms.refusals += 1;
                let refused = RestFault {
                    status: 503,
                    retry_after: None,
                };
                let faults = Faults {
                    upgrade: Some(refused),
                    ..Faults::default()
                };
                self.misbehave(faults, long).await;
            }
            _ => {
                self.storms.delays += 1;
                let faults = Faults {
                    upgrade_delay: long / 4,
                    rest_delay: long / 4,
                    ..Faults::default()
                };
                self.misbehave(faults, long).await;
            }
        }
        Ok(())
    }

    async fn misbehave(&self, faults: Faults, long: Duration) {
        self.running.set_faults(faults);
        sleep(long).await;
        self.running.set_faults(Faults::default());
    }

    async fn kill(&mut self, long: Duration) -> anyhow::Result<()> {
        self.running.inflict_all(Cut::Reset);
        // Who has been reset must not be told that the service ends.
        sleep(Duration::from_millis(50)).await;
        self.audit.read(&self.running);
        self.settings.listen = service::address(&self.running)?;
        self.running.close();
        sleep(long).await;
        // The sessions of another life have another fate.
        if let Some(chaos) = &mut self.chaos {
            chaos.seed = chaos.seed.wrapping_add(1);
        }
        self.settings.chaos = self.chaos;
        let deadline = Instant::now() + BACK;
        loop {
            let started = service::start(self.protocol, self.settings.clone(), None).await;
            match started {
                Ok(running) => {
                    self.running = running;
                    return Ok(());
                }
                Err(error) if Instant::now() > deadline => {
                    return Err(error).context("the service does not come back");
                }
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }
}
