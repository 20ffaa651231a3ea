//! How a media line is protected: keys out of `a=crypto` lines, opened packets, sealed reports.
//! RFC 3711, RFC 4568.

use std::time::Instant;

use rtp::packet::Header;
use rtp::srtp::{BadKeys, Keys, Opener, OpenerConfig, Plain, Refused, Sealer, Suite};
use siprec::sdes::{self, CryptoLine};

/// The protection of one line that has any.
#[derive(Debug)]
pub(crate) struct Seal {
    opener: Opener,
    /// None: the peer was given no key of ours, so no report can be sent.
    sealer: Option<Sealer>,
}

impl Seal {
    /// With the peer's keys and ours.
    pub(crate) fn new(theirs: &CryptoLine, ours: Option<&CryptoLine>) -> Result<Self, BadKeys> {
        let opener = Opener::new(opener_config(), keys(theirs)?)?;
        let sealer = ours.map(own_keys).transpose()?;
        Ok(Self {
            opener,
            sealer: sealer.map(Sealer::new),
        })
    }

    /// A re-INVITE may bring new keys. The same ones change nothing, so the rollover counters live
    /// on; others begin anew.
    pub(crate) fn rekey(
        &mut self,
        now: Instant,
        theirs: &CryptoLine,
        ours: Option<&CryptoLine>,
    ) -> Result<(), BadKeys> {
        if self.opener.rekey(now, keys(theirs)?).is_err() {
            // Another suite, or an MKI of another length.
            self.opener = Opener::new(opener_config(), keys(theirs)?)?;
        }
        match (&mut self.sealer, ours) {
            (_, None) => self.sealer = None,
            (None, Some(ours)) => self.sealer = Some(Sealer::new(own_keys(ours)?)),
            (Some(sealer), Some(ours)) => sealer.rekey(own_keys(ours)?),
        }
        Ok(())
    }

    /// As [`Opener::prefetch`].
    pub(crate) fn prefetch(&self) -> u64 {
        self.opener.prefetch()
    }

    /// Opens a packet for an open gate, where it lies.
    pub(crate) fn open_rtp<'a>(
        &mut self,
        now: Instant,
        bytes: &'a mut [u8],
    ) -> Result<Plain<'a>, Refused> {
        self.opener.open_rtp(now, bytes)
    }

    /// Authenticates a packet that a gate keeps out.
    pub(crate) fn check_rtp(&mut self, now: Instant, bytes: &mut [u8]) -> Result<Header, Refused> {
        self.opener.check_rtp(now, bytes)
    }

    /// Opens a report of the peer's, where it lies.
    pub(crate) fn open_rtcp<'a>(
        &mut self,
        now: Instant,
        bytes: &'a mut [u8],
    ) -> Result<Plain<'a>, Refused> {
        self.opener.open_rtcp(now, bytes)
    }

    /// Seals a report of ours; none without a key.
    pub(crate) fn seal_rtcp(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.sealer.as_mut()?.seal_rtcp(bytes)
    }
}

fn opener_config() -> OpenerConfig {
    OpenerConfig::default()
}

fn keys(line: &CryptoLine) -> Result<Vec<Keys>, BadKeys> {
    let suite = suite(line.suite);
    let usable = line.keys.iter().take(Opener::KEYS_MAX);
    usable
        .map(|keys| Keys::new(suite, &keys.key, &keys.salt, keys.mki))
        .collect()
}

fn own_keys(line: &CryptoLine) -> Result<Keys, BadKeys> {
    keys(line)?.into_iter().next().ok_or(BadKeys::Set)
}

fn suite(suite: sdes::Suite) -> Suite {
    match suite {
        sdes::Suite::AeadAes128Gcm => Suite::AeadAes128Gcm,
        sdes::Suite::AeadAes256Gcm => Suite::AeadAes256Gcm,
        sdes::Suite::AesCm128HmacSha1_32 => Suite::AesCm128HmacSha1_32,
        sdes::Suite::AesCm128HmacSha1_80 => Suite::AesCm128HmacSha1_80,
    }
}
