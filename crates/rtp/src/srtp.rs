//! SRTP and SRTCP opened, and our SRTCP sealed. The only file that names rtc-srtp. RFC 3711.
//!
//! The library keeps state for a source before it has authenticated it, and lets that state be
//! bent: a forged first packet moves the replay window so that the true ones are refused. So each
//! source has a context of its own, made for its first packet and kept only if that was authentic.
//! What is not authentic leaves nothing behind. The library also takes SRTCP that says it is not
//! encrypted without looking at its tag; that is refused before it gets there.

use std::fmt;
use std::ops::Deref;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtc_srtp::context::Context;
use rtc_srtp::crypto::providers::AwsLcRsCrypto;
use rtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use rtc_srtp::protection_profile::ProtectionProfile;
use zeroize::Zeroize;

use crate::packet::{self, Header};

mod fuzz;
mod keys;
mod wire;

pub use fuzz::fuzz;
pub use keys::{BadKeys, Keys, Suite};
use wire::Kind;

/// More than the library's calls need, in a build without optimization too.
const STACK_BYTES: usize = 16 << 10;

/// Limits of one [`Opener`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenerConfig {
    /// For so long after a new key the old one is still taken. Default 2 s.
    pub overlap: Duration,
    /// So many packets behind the newest may come late; at least 64, rounded up to a multiple of
    /// it. Default 128.
    pub replay_window: usize,
    /// So many authenticated sources keep their rollover counter; then the one that was heard
    /// least recently is forgotten. Default 8.
    pub sources_max: usize,
}

/// Opens what comes in on one line.
pub struct Opener {
    config: OpenerConfig,
    present: Vec<Master>,
    /// The keys before, and until when they are taken. They are kept for a peer that goes back to
    /// them: their rollover counters must not begin anew.
    former: Option<(Vec<Master>, Instant)>,
    scratch: Vec<u8>,
}

/// Seals our RTCP on one line.
pub struct Sealer {
    keys: Keys,
    context: Context,
}

/// An opened packet; wiped when dropped.
pub struct Plain(BytesMut);

/// Why a packet was not opened. Counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refused {
    /// Its tag is wrong: another key, another rollover counter, or nobody we know.
    #[error("not authentic")]
    Forged,
    /// Too short, not version 2, or with an extension that the library would misread.
    #[error("malformed")]
    Malformed,
    /// It was here already, or is older than the replay window.
    #[error("replayed")]
    Replayed,
    /// SRTCP that is not encrypted; we never agree to that.
    #[error("not encrypted")]
    Unencrypted,
    /// Its key identifier is none of ours.
    #[error("unknown key identifier")]
    UnknownKey,
}

/// One master key and the sources that have used it.
struct Master {
    keys: Keys,
    rtp: Vec<Source>,
    rtcp: Vec<Source>,
}

/// One authenticated source. RTP and RTCP have contexts of their own, for the state of one may not
/// be begun by a packet of the other.
struct Source {
    ssrc: u32,
    context: Context,
}

impl Default for OpenerConfig {
    fn default() -> Self {
        Self {
            overlap: Duration::from_secs(2),
            replay_window: 128,
            sources_max: 8,
        }
    }
}

impl Opener {
    /// At most so many master keys at once, told apart by their MKI.
    pub const KEYS_MAX: usize = 4;

    /// With the keys of one `a=crypto` line.
    pub fn new(config: OpenerConfig, keys: Vec<Keys>) -> Result<Self, BadKeys> {
        Ok(Self {
            config,
            present: masters(keys)?,
            former: None,
            scratch: Vec::new(),
        })
    }

    /// The same keys again change nothing, so the rollover counters live on; false is returned.
    /// After others the old ones are taken for a short while yet.
    pub fn rekey(&mut self, now: Instant, keys: Vec<Keys>) -> Result<bool, BadKeys> {
        if is_of(&self.present, &keys) {
            return Ok(false);
        }
        let next = match self.former.take() {
            Some((former, _)) if is_of(&former, &keys) => former,
            _ => masters(keys)?,
        };
        let former = std::mem::replace(&mut self.present, next);
        self.former = Some((former, now + self.config.overlap));
        Ok(true)
    }

    /// Opens an SRTP packet.
    pub fn open_rtp(&mut self, now: Instant, bytes: &[u8]) -> Result<Plain, Refused> {
        self.open(now, bytes, Kind::Rtp)
    }

    /// For a gate that is not open: authenticates, so neither rollover counter nor replay window
    /// slips, and keeps the header only. The library cannot authenticate without decrypting; what
    /// it decrypts is wiped before this returns, the copies of its ciphers on the stack included.
    pub fn check_rtp(&mut self, now: Instant, bytes: &[u8]) -> Result<Header, Refused> {
        let header = self.header(now, bytes);
        wipe_stack();
        header
    }

    /// Opens an SRTCP packet.
    pub fn open_rtcp(&mut self, now: Instant, bytes: &[u8]) -> Result<Plain, Refused> {
        self.open(now, bytes, Kind::Rtcp)
    }

    #[inline(never)]
    fn header(&mut self, now: Instant, bytes: &[u8]) -> Result<Header, Refused> {
        let plain = self.open(now, bytes, Kind::Rtp)?;
        let packet = packet::parse(&plain).map_err(|_| Refused::Malformed)?;
        Ok(packet.header())
    }

    fn open(&mut self, now: Instant, bytes: &[u8], kind: Kind) -> Result<Plain, Refused> {
        let Self {
            config,
            present,
            former,
            scratch,
        } = self;
        let opened = open_with(present, config, kind, bytes, scratch);
        match former {
            Some((former, until)) if opened.is_err() && now < *until => {
                open_with(former, config, kind, bytes, scratch).or(opened)
            }
            _ => opened,
        }
    }
}

impl Sealer {
    /// With our own key.
    pub fn new(keys: Keys) -> Result<Self, BadKeys> {
        let context = context(&keys, 64).ok_or(BadKeys::Length)?;
        Ok(Self { keys, context })
    }

    /// The same key again changes nothing: an index is never used twice with one key.
    pub fn rekey(&mut self, keys: Keys) -> Result<(), BadKeys> {
        if self.keys != keys {
            *self = Self::new(keys)?;
        }
        Ok(())
    }

    /// Seals a compound RTCP packet; `None` if it is none.
    pub fn seal_rtcp(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let sealed = self.context.encrypt_rtcp(bytes).ok()?;
        Some(wire::with_mki(&self.keys, Kind::Rtcp, &sealed))
    }
}

/// Tries one set of masters.
fn open_with(
    masters: &mut [Master],
    config: &OpenerConfig,
    kind: Kind,
    bytes: &[u8],
    scratch: &mut Vec<u8>,
) -> Result<Plain, Refused> {
    // All keys of a set have the same suite and length of MKI.
    let kept = &masters.first().ok_or(Refused::UnknownKey)?.keys;
    let ssrc = wire::check(bytes, kept, kind)?;
    let mki = wire::mki(bytes, kept, kind)?;
    let master = masters
        .iter_mut()
        .find(|master| master.keys.mki() == mki)
        .ok_or(Refused::UnknownKey)?;
    let bytes = wire::without_mki(bytes, &master.keys, kind, scratch)?;
    master.open(config, kind, ssrc, bytes)
}

impl Master {
    fn open(
        &mut self,
        config: &OpenerConfig,
        kind: Kind,
        ssrc: u32,
        bytes: &[u8],
    ) -> Result<Plain, Refused> {
        let Self { keys, rtp, rtcp } = self;
        let sources = match kind {
            Kind::Rtcp => rtcp,
            Kind::Rtp => rtp,
        };
        if let Some(at) = sources.iter().position(|source| source.ssrc == ssrc) {
            let plain = open(&mut sources[at].context, kind, bytes)?;
            // The one heard last stands last, so the first is the one to be forgotten.
            sources[at..].rotate_left(1);
            return Ok(plain);
        }
        let mut context = context(keys, config.replay_window).ok_or(Refused::Malformed)?;
        let plain = open(&mut context, kind, bytes)?;
        if sources.len() >= config.sources_max.max(1) {
            sources.remove(0);
        }
        sources.push(Source { ssrc, context });
        Ok(plain)
    }
}

fn open(context: &mut Context, kind: Kind, bytes: &[u8]) -> Result<Plain, Refused> {
    let opened = match kind {
        Kind::Rtcp => context.decrypt_rtcp(bytes),
        Kind::Rtp => context.decrypt_rtp(bytes),
    };
    // The library's error has no name that it exports; its words do for a count.
    opened
        .map(Plain)
        .map_err(|error| match error.to_string().contains("duplicated") {
            true => Refused::Replayed,
            false => Refused::Forged,
        })
}

fn context(keys: &Keys, replay_window: usize) -> Option<Context> {
    let profile = match keys.suite() {
        Suite::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Suite::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
        Suite::AesCm128HmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
        Suite::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
    };
    // The library masks another size wrongly.
    let window = replay_window.max(1).next_multiple_of(64);
    Context::new(
        keys.key(),
        keys.salt(),
        profile,
        Some(srtp_replay_protection(window)),
        Some(srtcp_replay_protection(window)),
        &AwsLcRsCrypto,
    )
    .ok()
}

/// Puts nought where functions that have returned may have left something on the stack.
#[inline(never)]
fn wipe_stack() {
    let mut stack = [0_u8; STACK_BYTES];
    std::hint::black_box(&mut stack);
}

fn masters(keys: Vec<Keys>) -> Result<Vec<Master>, BadKeys> {
    let first = keys.first().ok_or(BadKeys::Set)?;
    let fits = |it: &Keys| it.suite() == first.suite() && it.mki().len() == first.mki().len();
    let is_told_apart = keys.len() == 1 || !first.mki().is_empty();
    if keys.len() > Opener::KEYS_MAX || !is_told_apart || !keys.iter().all(fits) {
        return Err(BadKeys::Set);
    }
    let master = |keys| Master {
        keys,
        rtp: Vec::new(),
        rtcp: Vec::new(),
    };
    Ok(keys.into_iter().map(master).collect())
}

fn is_of(masters: &[Master], keys: &[Keys]) -> bool {
    masters.iter().map(|master| &master.keys).eq(keys)
}

impl Deref for Plain {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.0.as_mut().zeroize();
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener(..)")
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plain({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests;
