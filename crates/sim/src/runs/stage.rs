//! The gateway of a run, a process of its own, and those who call it: Twilio's cloud and a session
//! border controller on one pacing thread.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use super::Platforms;
use super::caller::{Caller, Spoken};
use super::toml::Toml;
use crate::caller::siprec::{Options, UserAgent};
use crate::caller::tls;
use crate::caller::twilio::Signature;
use crate::control::Gateway;
use crate::load::fleet::{Door, Fleet, Log};
use crate::load::meter::Meter;
use crate::load::origin::{Origin, Plan};
use crate::load::provide;
use crate::load::spawn::Spawned;

/// How long the gateway may take to become ready.
const READY: Duration = Duration::from_secs(20);

/// Open files that a call takes at most on either side, with its streams and their successors.
const FILES_A_CALL: usize = 12;

/// Open files beside those.
const FILES: usize = 512;

/// Send times within 20 ms over which callers are spread.
const SLOTS: u32 = 20;

/// All but the service.
pub(super) struct Stage {
    pub(super) spawned: Spawned,
    pub(super) gateway: Gateway,
    pub(super) fleet: Fleet,
    platforms: Platforms,
    twilio: Origin,
    siprec: Origin,
    placed: usize,
}

/// How one call is to be placed.
pub(super) struct Plot {
    plan: Plan,
    door: Door,
    gateway: Gateway,
}

impl Stage {
    /// Starts the gateway and waits until it takes calls: so many at once at most. Stamps count
    /// from `clock`.
    ///
    /// # Errors
    /// When it cannot be started or is not ready in time.
    pub(super) async fn set(
        program: &Path,
        toml: &Toml,
        platforms: Platforms,
        calls: usize,
        clock: Instant,
    ) -> anyhow::Result<Self> {
        provide::allow_files(calls * FILES_A_CALL + FILES)?;
        let write = |address, facts: &_| toml.at(address, facts);
        let spawned = Spawned::configured(program, None, "http", write)?;
        let facts = &spawned.facts;
        let (id, secret) = &facts.api_key;
        let gateway = Gateway::new(&facts.base, id, secret, None)?;
        gateway.ready(READY).await?;
        let tls = tls::client_config(None)?;
        let mut options = Options::new(facts.siprec.clone(), tls.clone());
        options.tape = false;
        Ok(Self {
            siprec: Origin::Siprec {
                agent: UserAgent::connect(&options).await?,
                options: Box::new(options),
                like: None,
            },
            twilio: Origin::Twilio {
                gateway: gateway.clone(),
                signature: Signature::AuthToken(facts.auth_token.clone()),
                tls,
                url: String::new(),
            },
            fleet: Fleet::start(SLOTS, calls, clock)?,
            gateway,
            spawned,
            platforms,
            placed: 0,
        })
    }

    /// The next call: in turn one of each platform, if there are to be both.
    ///
    /// # Errors
    /// When the gateway has no URL to give.
    pub(super) async fn plot(&mut self) -> anyhow::Result<Plot> {
        let nth = self.placed;
        self.placed += 1;
        let (origin, nth) = match self.platforms {
            Platforms::Both if nth.is_multiple_of(2) => (&mut self.twilio, nth / 2),
            Platforms::Both => (&mut self.siprec, nth / 2),
            Platforms::Siprec => (&mut self.siprec, nth),
            Platforms::Twilio => (&mut self.twilio, nth),
        };
        Ok(Plot {
            gateway: self.gateway.on(origin.namespace()),
            plan: origin.plan(nth).await?,
            door: self.fleet.door(),
        })
    }

    /// What the gateway's process costs.
    pub(super) fn meter(&self) -> Meter {
        Meter::new(self.spawned.pid())
    }

    /// Everybody hangs up who has not; what the fleet has done.
    ///
    /// # Errors
    /// When its thread has panicked.
    pub(super) async fn leave(fleet: Fleet) -> anyhow::Result<Log> {
        tokio::task::spawn_blocking(|| fleet.leave()).await?
    }
}

impl Plot {
    /// Places the call.
    ///
    /// # Errors
    /// When it is refused, or there is no answer.
    pub(super) async fn dial(self, spoken: Spoken) -> anyhow::Result<Caller> {
        let placed = self.plan.dial().await?;
        let seat = match spoken {
            Spoken::Phrases(speaker) => self.door.join_speaking(placed.line, Box::new(speaker))?,
            Spoken::Stamps => self.door.join(placed.line)?,
        };
        Ok(Caller {
            guid: placed.guid,
            gateway: self.gateway,
            session: placed.session,
            seat,
        })
    }
}

/// Where the gateway listens for these callers' packets.
pub(super) fn ports<'a>(callers: impl IntoIterator<Item = &'a Caller>) -> HashSet<u16> {
    let sessions = callers
        .into_iter()
        .filter_map(|caller| caller.session.as_ref());
    let peers = sessions.flat_map(|session| session.peers);
    peers.map(|peer| peer.port()).collect()
}
