//! A call of either platform, as far as the demo's story needs it.

use std::future::Future;
use std::sync::Arc;

use anyhow::Context;
use rustls::ClientConfig;

use crate::caller::siprec::{self, Like, SiprecCall, Target};
use crate::caller::twilio::{self, Signature, TwilioCall};
use crate::caller::ulaw;
use crate::control::Gateway;

/// One call, whatever it goes over.
pub(super) enum Party {
    Siprec(Box<SiprecCall>),
    Twilio(Box<TwilioCall>),
}

impl Party {
    /// Dials as Twilio's cloud does, with the upgrade signed by that token.
    pub(super) async fn twilio(
        gateway: &Gateway,
        base: &str,
        tls: Arc<ClientConfig>,
        token: &str,
    ) -> anyhow::Result<Self> {
        let mut options = twilio::Options::new(gateway.twilio_url().await?, tls);
        options.via = Some(base.replace("http://", "ws://"));
        options.signature = Signature::AuthToken(token.to_owned());
        Ok(Self::Twilio(Box::new(TwilioCall::dial(options).await?)))
    }

    /// Dials as an Oracle SBC does, so that the call has a UCID.
    pub(super) async fn siprec(target: Target, tls: Arc<ClientConfig>) -> anyhow::Result<Self> {
        let mut options = siprec::Options::new(target, tls);
        options.like = Like::Oracle;
        let call = SiprecCall::dial(options).await;
        let call = call.context("the SIPREC call could not be placed")?;
        Ok(Self::Siprec(Box::new(call)))
    }

    /// The call's name for the control API.
    pub(super) fn guid(&self) -> String {
        match self {
            Self::Siprec(call) => call.guid(),
            Self::Twilio(call) => call.call_sid().to_owned(),
        }
    }

    /// How the call came, in a line.
    pub(super) fn introduction(&self) -> String {
        match self {
            Self::Siprec(call) => format!(
                "INVITE, as Oracle's; answered in {} ms",
                call.answered_in().as_millis()
            ),
            Self::Twilio(_) => "<Stream track=\"both_tracks\">".to_owned(),
        }
    }

    /// Customer and agent speak, in real time.
    pub(super) async fn converse(&mut self, customer: &[i16], agent: &[i16]) -> anyhow::Result<()> {
        match self {
            Self::Siprec(call) => call.converse(customer, agent).await?,
            Self::Twilio(call) => call.converse(customer, agent).await?,
        }
        Ok(())
    }

    /// Nobody speaks until something has happened.
    pub(super) async fn silence_while<T>(
        &mut self,
        event: impl Future<Output = T>,
    ) -> anyhow::Result<T> {
        Ok(match self {
            Self::Siprec(call) => call.silence_while(event).await?,
            Self::Twilio(call) => call.silence_while(event).await?,
        })
    }

    /// Samples that each side has sent so far.
    pub(super) fn sent(&self) -> u64 {
        match self {
            Self::Siprec(call) => call.sent(siprec::Side::Customer).samples,
            Self::Twilio(call) => call.sent(twilio::Side::Inbound).samples,
        }
    }

    /// What the service must hear of customer and agent.
    pub(super) fn tapes(&self) -> [Vec<i16>; 2] {
        match self {
            Self::Siprec(call) => siprec::Side::BOTH.map(|side| call.sent(side).heard()),
            Self::Twilio(call) => twilio::Side::BOTH.map(|side| {
                let tape = call.sent(side).tape.iter();
                tape.map(|&code| ulaw::decode(code)).collect()
            }),
        }
    }

    /// The call is over.
    pub(super) async fn hang_up(self) -> anyhow::Result<()> {
        match self {
            Self::Siprec(call) => drop(call.hang_up().await?),
            Self::Twilio(call) => drop(call.hang_up().await?),
        }
        Ok(())
    }
}
