//! Where a packet keeps its tag and its key identifier, and what the library must not be shown.
//! RFC 3711 §3.1, §3.4, RFC 7714 §8.2, §9.

use super::{Keys, Refused, Suite};

/// Which of the two protocols a packet is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Rtcp,
    Rtp,
}

/// The word of SRTCP that holds the index and, in its highest bit, whether it is encrypted.
const INDEX_BYTES: usize = 4;

/// Refuses what is too short, what is not what it says, and what the library would misread; gives
/// the source.
pub(super) fn check(bytes: &[u8], keys: &Keys, kind: Kind) -> Result<u32, Refused> {
    let (header, ssrc_at) = match kind {
        Kind::Rtcp => (8, 4),
        Kind::Rtp => (12, 8),
    };
    let least = header + keys.mki().len() + protection(keys.suite(), kind);
    if bytes.len() < least || bytes[0] >> 6 != 2 {
        return Err(Refused::Malformed);
    }
    match kind {
        Kind::Rtcp if !is_encrypted(bytes, keys) => return Err(Refused::Unencrypted),
        Kind::Rtp if !has_plain_extension(bytes) => return Err(Refused::Malformed),
        Kind::Rtcp | Kind::Rtp => {}
    }
    let ssrc = bytes[ssrc_at..].first_chunk().ok_or(Refused::Malformed)?;
    Ok(u32::from_be_bytes(*ssrc))
}

/// The key identifier of a packet that was checked; empty if the keys have none.
pub(super) fn mki<'a>(bytes: &'a [u8], keys: &Keys, kind: Kind) -> Result<&'a [u8], Refused> {
    let end = bytes.len() - tail(keys.suite(), kind);
    bytes
        .get(end - keys.mki().len()..end)
        .ok_or(Refused::Malformed)
}

/// A packet that was checked, as it were without a key identifier.
pub(super) fn without_mki<'a>(
    bytes: &'a [u8],
    keys: &Keys,
    kind: Kind,
    scratch: &'a mut Vec<u8>,
) -> Result<&'a [u8], Refused> {
    if keys.mki().is_empty() {
        return Ok(bytes);
    }
    let (front, tag) = bytes
        .split_at_checked(bytes.len() - tail(keys.suite(), kind))
        .ok_or(Refused::Malformed)?;
    scratch.clear();
    scratch.extend_from_slice(&front[..front.len() - keys.mki().len()]);
    scratch.extend_from_slice(tag);
    Ok(scratch)
}

/// A sealed packet with its key identifier.
pub(super) fn with_mki(keys: &Keys, kind: Kind, sealed: &[u8]) -> Vec<u8> {
    let (front, tag) = sealed.split_at(sealed.len() - tail(keys.suite(), kind));
    [front, keys.mki(), tag].concat()
}

/// Bytes behind the key identifier: the tag, but for GCM, which has its own within the text.
fn tail(suite: Suite, kind: Kind) -> usize {
    match (suite, kind) {
        (Suite::AeadAes128Gcm | Suite::AeadAes256Gcm, _) => 0,
        (Suite::AesCm128HmacSha1_32, Kind::Rtp) => 4,
        (Suite::AesCm128HmacSha1_32 | Suite::AesCm128HmacSha1_80, _) => 10,
    }
}

/// Bytes that protection adds, without the key identifier.
fn protection(suite: Suite, kind: Kind) -> usize {
    let tag = match suite {
        Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => 16,
        Suite::AesCm128HmacSha1_32 | Suite::AesCm128HmacSha1_80 => tail(suite, kind),
    };
    match kind {
        Kind::Rtcp => tag + INDEX_BYTES,
        Kind::Rtp => tag,
    }
}

fn is_encrypted(bytes: &[u8], keys: &Keys) -> bool {
    let behind = tail(keys.suite(), Kind::Rtcp) + keys.mki().len() + INDEX_BYTES;
    bytes[bytes.len() - behind] & 0x80 != 0
}

/// The library measures a header by the elements of its extension (RFC 8285). If they do not fill
/// it, the text is not where the library looks for it.
fn has_plain_extension(bytes: &[u8]) -> bool {
    if bytes[0] & 0x10 == 0 {
        return true;
    }
    let at = 12 + 4 * usize::from(bytes[0] & 0x0f);
    let Some(&[profile_high, profile_low, high, low]) =
        bytes.get(at..).and_then(|rest| rest.first_chunk())
    else {
        return false;
    };
    let length = 4 * usize::from(u16::from_be_bytes([high, low]));
    let Some(mut rest) = bytes.get(at + 4..at + 4 + length) else {
        return false;
    };
    let profile = u16::from_be_bytes([profile_high, profile_low]);
    while let Some((&first, after)) = rest.split_first() {
        let element = match (profile, first) {
            (0xbede | 0x1000, 0) => Some(0),
            (0xbede, _) if first >> 4 != 15 => Some(usize::from(first & 0x0f) + 1),
            (0xbede, _) => None,
            (0x1000, _) => after.first().map(|&length| usize::from(length) + 1),
            _ => return true,
        };
        match element.and_then(|length| after.get(length..)) {
            Some(next) => rest = next,
            None => return false,
        }
    }
    true
}
