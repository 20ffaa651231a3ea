//! SRTP and SRTCP opened, and our SRTCP sealed. RFC 3711, RFC 7714.
//!
//! What is not authentic leaves nothing behind: a source is known, its rollover counter moves and
//! its replay window slips by authentic packets only. Keys of SRTCP, a few packets a minute, are
//! derived for each; those of SRTP stand beside what is known of the line's source, because a
//! thousand lines in turn find each other's state no longer in the cache.

use std::fmt;
use std::hint::black_box;
use std::iter;
use std::ops::Deref;
use std::time::{Duration, Instant};

use crate::packet::{self, Header};

mod fuzz;
mod keys;
mod session;
mod source;
mod wire;

pub use fuzz::fuzz;
pub use keys::{BadKeys, Keys, Suite};
use session::{Session, Wanted};
use source::{Source, Sources};
use wire::{INDEX_MAX, Kind, Parts};

/// More than the ciphers need, in a build without optimization too.
const STACK_BYTES: usize = 16 << 10;

/// Limits of one [`Opener`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenerConfig {
    /// For so long after a new key the old one is still taken. Default 2 s.
    pub overlap: Duration,
    /// So many packets behind the newest may come late; 64 to 128. Default 128.
    pub replay_window: u32,
    /// So many authenticated sources keep their rollover counter; then the one that was heard
    /// least recently is forgotten. Default 8.
    pub sources_max: usize,
}

/// Opens what comes in on one line. In this order: what each packet needs stands first, within
/// three cache lines.
#[repr(C)]
pub struct Opener {
    /// The keys before, and until when they are taken. They are kept for a peer that goes back to
    /// them: their rollover counters must not begin anew.
    former: Option<Box<(Masters, Instant)>>,
    present: Masters,
    config: OpenerConfig,
}

/// Seals our RTCP on one line.
pub struct Sealer {
    keys: Keys,
    /// Of the last packet.
    index: u32,
}

/// An opened packet, where the sealed one was; wiped when dropped.
pub struct Plain<'a>(&'a mut [u8]);

/// Why a packet was not opened. Counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refused {
    /// Its tag is wrong: another key, another rollover counter, or nobody we know.
    #[error("not authentic")]
    Forged,
    /// Too short, or not version 2.
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

/// The keys of one `a=crypto` line, of one suite and length of MKI.
#[repr(C)]
struct Masters {
    first: Master,
    others: Vec<Master>,
}

/// One master key and the sources that have used it.
#[repr(C)]
struct Master {
    rtp: Session,
    rtp_sources: Sources,
    keys: Keys,
    rtcp_sources: Sources,
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
            present: Masters::new(keys)?,
            former: None,
            config,
        })
    }

    /// The same keys again change nothing, so the rollover counters live on; false is returned.
    /// After others the old ones are taken for a short while yet.
    pub fn rekey(&mut self, now: Instant, keys: Vec<Keys>) -> Result<bool, BadKeys> {
        if self.present.is_of(&keys) {
            return Ok(false);
        }
        let next = match self.former.take() {
            Some(former) if former.0.is_of(&keys) => former.0,
            _ => Masters::new(keys)?,
        };
        let former = std::mem::replace(&mut self.present, next);
        self.former = Some(Box::new((former, now + self.config.overlap)));
        Ok(true)
    }

    /// Reads a word of each cache line that the next packet needs, for the processor to fetch them;
    /// of no meaning.
    pub fn prefetch(&self) -> u64 {
        let Master {
            rtp, rtp_sources, ..
        } = &self.present.first;
        let newest = rtp_sources.newest().unwrap_or(0);
        newest ^ u64::from(self.former.is_some()) ^ u64::from(rtp.is_aead())
    }

    /// Opens an SRTP packet where it lies. What could not be opened is of no use any more.
    pub fn open_rtp<'a>(
        &mut self,
        now: Instant,
        bytes: &'a mut [u8],
    ) -> Result<Plain<'a>, Refused> {
        self.open(now, bytes, Kind::Rtp, Wanted::Text)
    }

    /// For a gate that is not open: authenticates, so neither rollover counter nor replay window
    /// slips, and keeps the header only. GCM cannot authenticate without decrypting, and how long
    /// padding is stands in the text; what is decrypted for that is wiped before this returns, the
    /// copies of the ciphers on the stack included.
    pub fn check_rtp(&mut self, now: Instant, bytes: &mut [u8]) -> Result<Header, Refused> {
        let is_padded = bytes.first().is_some_and(|first| first & 0x20 != 0);
        let wanted = match is_padded {
            false => Wanted::Authenticity,
            true => Wanted::Text,
        };
        let header = self.header(now, bytes, wanted);
        let is_rekeyed = self.former.as_ref().is_some_and(|former| now < former.1);
        if is_padded || self.present.first.rtp.is_aead() || is_rekeyed {
            wipe_stack();
        }
        header
    }

    /// Opens an SRTCP packet where it lies.
    pub fn open_rtcp<'a>(
        &mut self,
        now: Instant,
        bytes: &'a mut [u8],
    ) -> Result<Plain<'a>, Refused> {
        self.open(now, bytes, Kind::Rtcp, Wanted::Text)
    }

    #[inline(never)]
    fn header(
        &mut self,
        now: Instant,
        bytes: &mut [u8],
        wanted: Wanted,
    ) -> Result<Header, Refused> {
        let plain = self.open(now, bytes, Kind::Rtp, wanted)?;
        let packet = packet::parse(&plain).map_err(|_| Refused::Malformed)?;
        Ok(packet.header())
    }

    fn open<'a>(
        &mut self,
        now: Instant,
        bytes: &'a mut [u8],
        kind: Kind,
        wanted: Wanted,
    ) -> Result<Plain<'a>, Refused> {
        let config = &self.config;
        let former = self.former.as_deref_mut().filter(|(_, until)| now < *until);
        let opened = match former {
            None => self.present.open(config, bytes, kind, wanted),
            Some((former, _)) => {
                let sealed = bytes.to_vec();
                self.present
                    .open(config, bytes, kind, wanted)
                    .or_else(|refused| {
                        bytes.copy_from_slice(&sealed);
                        former
                            .open(config, bytes, kind, wanted)
                            .map_err(|_| refused)
                    })
            }
        };
        opened.map(|length| Plain(&mut bytes[..length]))
    }
}

impl Sealer {
    /// With our own key.
    pub fn new(keys: Keys) -> Self {
        Self { keys, index: 0 }
    }

    /// The same key again changes nothing: an index is never used twice with one key.
    pub fn rekey(&mut self, keys: Keys) {
        if self.keys != keys {
            *self = Self::new(keys);
        }
    }

    /// Seals a compound RTCP packet; `None` if it is none, and when the key is used up.
    pub fn seal_rtcp(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let ssrc = bytes.get(4..)?.first_chunk()?;
        if bytes[0] >> 6 != 2 || self.index == INDEX_MAX {
            return None;
        }
        self.index += 1;
        let at = (u32::from_be_bytes(*ssrc), self.index);
        let session = Session::derive(&self.keys, Kind::Rtcp);
        Some(session.seal_rtcp(self.keys.mki(), bytes, at))
    }
}

impl Masters {
    fn new(keys: Vec<Keys>) -> Result<Self, BadKeys> {
        let first = keys.first().ok_or(BadKeys::Set)?;
        let fits = |it: &Keys| it.suite() == first.suite() && it.mki().len() == first.mki().len();
        let is_told_apart = keys.len() == 1 || !first.mki().is_empty();
        if keys.len() > Opener::KEYS_MAX || !is_told_apart || !keys.iter().all(fits) {
            return Err(BadKeys::Set);
        }
        let mut masters = keys.into_iter().map(Master::new);
        Ok(Self {
            first: masters.next().ok_or(BadKeys::Set)?,
            others: masters.collect(),
        })
    }

    fn is_of(&self, keys: &[Keys]) -> bool {
        let masters = iter::once(&self.first).chain(&self.others);
        masters.map(|master| &master.keys).eq(keys)
    }

    /// Tells how much of the packet is plain then.
    fn open(
        &mut self,
        config: &OpenerConfig,
        bytes: &mut [u8],
        kind: Kind,
        wanted: Wanted,
    ) -> Result<usize, Refused> {
        let parts = Parts::of(bytes, self.first.rtp.shape(), kind)?;
        let master = match parts.mki(bytes) {
            [] => Some(&mut self.first),
            mki => iter::once(&mut self.first)
                .chain(&mut self.others)
                .find(|master| master.keys.mki() == mki),
        };
        let master = master.ok_or(Refused::UnknownKey)?;
        master.open(config, bytes, &parts, wanted)
    }
}

impl Master {
    fn new(keys: Keys) -> Self {
        Self {
            rtp: Session::derive(&keys, Kind::Rtp),
            rtp_sources: Sources::default(),
            keys,
            rtcp_sources: Sources::default(),
        }
    }

    fn open(
        &mut self,
        config: &OpenerConfig,
        bytes: &mut [u8],
        parts: &Parts,
        wanted: Wanted,
    ) -> Result<usize, Refused> {
        let sources = match parts.kind {
            Kind::Rtcp => &mut self.rtcp_sources,
            Kind::Rtp => &mut self.rtp_sources,
        };
        let known = sources.find(parts.ssrc);
        let index = match (known, parts.kind) {
            (Some(source), Kind::Rtp) => source.index(parts.number as u16)?,
            _ => parts.number.into(),
        };
        if let Some(source) = known {
            source.check(index, config)?;
        }
        let opened = match parts.kind {
            Kind::Rtcp => Session::derive(&self.keys, Kind::Rtcp).open(bytes, parts, index, wanted),
            Kind::Rtp => self.rtp.open(bytes, parts, index, wanted),
        };
        let length = opened.ok_or(Refused::Forged)?;
        let source = match known {
            Some(source) => source.with(index),
            None => Source::begin(parts.ssrc, index),
        };
        sources.hear(source, config);
        Ok(length)
    }
}

/// Puts nought where functions that have returned may have left something on the stack.
#[inline(never)]
fn wipe_stack() {
    let mut stack = [0_u8; STACK_BYTES];
    black_box(&mut stack);
}

impl Deref for Plain<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0
    }
}

impl Drop for Plain<'_> {
    fn drop(&mut self) {
        self.0.fill(0);
        black_box(&self.0);
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

impl fmt::Debug for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plain({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests;
