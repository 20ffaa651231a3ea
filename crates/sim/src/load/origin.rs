//! Where the callers of a load run come from: Twilio's cloud, or a session border controller.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use super::fleet::Line;
use super::fleet::siprec::SiprecLine;
use super::fleet::twilio::TwilioLine;
use crate::caller::siprec::{Identifiers, Like, Options, SiprecCall, UserAgent};
use crate::caller::twilio::{Counters, Sids, Signature, Upgrade, Writer};
use crate::control::Gateway;

/// Callers that share one streaming URL; it lives for five minutes.
const CALLERS_A_URL: usize = 100;
/// Equal parts of these, as far as nothing is said.
const MIX: [Like; 4] = [Like::Oracle, Like::Cube, Like::Avaya, Like::Ribbon];

/// Places calls of one platform.
pub(crate) enum Origin {
    Siprec {
        agent: UserAgent,
        options: Box<Options>,
        /// Whose messages they are like; all of [`MIX`] without.
        like: Option<Like>,
    },
    Twilio {
        gateway: Gateway,
        signature: Signature,
        tls: Arc<ClientConfig>,
        url: String,
    },
}

/// A call that has just been placed.
pub(crate) struct Placed {
    pub(crate) guid: String,
    pub(crate) line: Box<dyn Line>,
    /// Of SIPREC: the dialog, which somebody has to end.
    pub(crate) session: Option<Session>,
}

/// A SIPREC call whose media is somebody else's.
pub(crate) struct Session {
    pub(crate) call: SiprecCall,
    /// From INVITE to 200.
    pub(crate) answered_in: Duration,
    /// Where its packets go.
    pub(crate) peers: [SocketAddr; 2],
}

/// How one call is to be placed.
pub(crate) enum Plan {
    Siprec(UserAgent, Box<Options>),
    Twilio(String, Signature, Arc<ClientConfig>),
}

impl Origin {
    /// What the gateway calls the platform.
    pub(crate) fn namespace(&self) -> &'static str {
        match self {
            Self::Siprec { .. } => "siprec",
            Self::Twilio { .. } => "twilio",
        }
    }

    /// How the call with that number is placed.
    pub(crate) async fn plan(&mut self, index: usize) -> anyhow::Result<Plan> {
        Ok(match self {
            Self::Siprec {
                agent,
                options,
                like,
            } => {
                let mut options = options.clone();
                options.identifiers = Identifiers::random();
                options.like = like.unwrap_or(MIX[index % MIX.len()]);
                Plan::Siprec(agent.clone(), options)
            }
            Self::Twilio {
                gateway,
                signature,
                tls,
                url,
            } => {
                if index.is_multiple_of(CALLERS_A_URL) {
                    *url = gateway.twilio_url().await?;
                }
                Plan::Twilio(url.clone(), signature.clone(), Arc::clone(tls))
            }
        })
    }
}

impl Plan {
    /// Places it.
    pub(crate) async fn dial(self) -> anyhow::Result<Placed> {
        match self {
            Self::Siprec(agent, options) => {
                let mut call = SiprecCall::dial_over(&agent, *options).await?;
                let tracks = call.unhurried()?;
                let session = Session {
                    answered_in: call.answered_in(),
                    peers: [tracks[0].peer(), tracks[1].peer()],
                    call,
                };
                Ok(Placed {
                    guid: session.call.guid(),
                    line: Box::new(SiprecLine::new(tracks)),
                    session: Some(session),
                })
            }
            Self::Twilio(url, signature, tls) => {
                let sids = Sids::random();
                let upgrade = Upgrade {
                    url: &url,
                    via: None,
                    keep_query: false,
                    signature: &signature,
                    headers: &[],
                    tls: &tls,
                };
                let (transport, rest) = upgrade.dial().await?;
                let guid = sids.call.clone();
                let writer = Writer::new(sids, Counters::Strings);
                let line = TwilioLine::open(transport.into_unhurried()?, rest, writer);
                Ok(Placed {
                    guid,
                    line: Box::new(line),
                    session: None,
                })
            }
        }
    }
}
