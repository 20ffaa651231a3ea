//! Where a packet keeps its text, its key identifier and its tag. RFC 3711 §3.1, §3.4, RFC 7714
//! §8.2, §9.

use super::{Keys, Refused, Suite};

/// Which of the two protocols a packet is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Rtcp,
    Rtp,
}

/// The word of SRTCP that holds the index and, in its highest bit, whether it is encrypted.
pub(super) const INDEX_BYTES: usize = 4;

/// The highest index of SRTCP; behind it a key may not be used any more.
pub(super) const INDEX_MAX: u32 = 0x7fff_ffff;

/// The tag of GCM, which is part of the text.
pub(super) const GCM_TAG_BYTES: usize = 16;

/// How packets of one set of keys look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    suite: Suite,
    /// Bytes of the key identifier.
    mki: u8,
}

/// One packet's parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    pub(super) kind: Kind,
    pub(super) ssrc: u32,
    /// The sequence number of SRTP, the index of SRTCP.
    pub(super) number: u32,
    /// Here the text begins.
    pub(super) header: usize,
    /// Here it ends.
    pub(super) text_end: usize,
    /// Here the key identifier begins, or else the tag: what is before it is authenticated.
    pub(super) front: usize,
    /// Bytes of the tag that stands last; none of GCM.
    pub(super) tag: usize,
}

impl Shape {
    pub(super) fn of(keys: &Keys) -> Self {
        Self {
            suite: keys.suite(),
            // At most 128, see `Keys::new`.
            mki: keys.mki().len() as u8,
        }
    }

    /// Bytes of the tag behind the key identifier.
    pub(super) fn tag(self, kind: Kind) -> usize {
        match (self.suite, kind) {
            (Suite::AeadAes128Gcm | Suite::AeadAes256Gcm, _) => 0,
            (Suite::AesCm128HmacSha1_32, Kind::Rtp) => 4,
            (Suite::AesCm128HmacSha1_32 | Suite::AesCm128HmacSha1_80, _) => 10,
        }
    }
}

impl Parts {
    /// Refuses what is too short and what is not what it says.
    pub(super) fn of(bytes: &[u8], shape: Shape, kind: Kind) -> Result<Self, Refused> {
        let tag = shape.tag(kind);
        let least = match shape.suite {
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => GCM_TAG_BYTES,
            Suite::AesCm128HmacSha1_32 | Suite::AesCm128HmacSha1_80 => 0,
        };
        let (header, ssrc_at, behind) = match kind {
            Kind::Rtcp => (Some(8), 4, INDEX_BYTES),
            Kind::Rtp => (rtp_header(bytes), 8, 0),
        };
        let front = bytes.len().checked_sub(tag + usize::from(shape.mki));
        let text_end = front.and_then(|front| front.checked_sub(behind));
        let (Some(header), Some(front), Some(text_end)) = (header, front, text_end) else {
            return Err(Refused::Malformed);
        };
        if bytes[0] >> 6 != 2 || text_end < header + least {
            return Err(Refused::Malformed);
        }
        let number = match kind {
            Kind::Rtcp => match word(bytes, text_end).ok_or(Refused::Malformed)? {
                index if index >> 31 == 0 => return Err(Refused::Unencrypted),
                index => index & INDEX_MAX,
            },
            Kind::Rtp => word(bytes, 0).ok_or(Refused::Malformed)? & 0xffff,
        };
        Ok(Self {
            kind,
            ssrc: word(bytes, ssrc_at).ok_or(Refused::Malformed)?,
            number,
            header,
            text_end,
            front,
            tag,
        })
    }

    /// The key identifier; empty if the keys have none.
    pub(super) fn mki<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.front..bytes.len() - self.tag]
    }
}

/// How long the header is, with contributing sources and extension. RFC 3550 §5.1, §5.3.1.
fn rtp_header(bytes: &[u8]) -> Option<usize> {
    let fixed = 12 + 4 * usize::from(bytes.first()? & 0x0f);
    if bytes[0] & 0x10 == 0 {
        return Some(fixed);
    }
    let words = word(bytes, fixed)? & 0xffff;
    Some(fixed + 4 + 4 * words as usize)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*word))
}
