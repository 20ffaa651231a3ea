//! Master keys as an `a=crypto` line names them. RFC 4568 §6.1.

use std::fmt;

use zeroize::Zeroizing;

/// How a line is protected. RFC 4568 §6.2, RFC 7714 §14.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// `AEAD_AES_128_GCM`
    AeadAes128Gcm,
    /// `AEAD_AES_256_GCM`
    AeadAes256Gcm,
    /// `AES_CM_128_HMAC_SHA1_32`
    AesCm128HmacSha1_32,
    /// `AES_CM_128_HMAC_SHA1_80`
    AesCm128HmacSha1_80,
}

/// A master key and salt of a suite. Never printed, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    suite: Suite,
    key: Zeroizing<Vec<u8>>,
    salt: Zeroizing<Vec<u8>>,
    /// As it stands in each packet; empty if there is none.
    mki: Vec<u8>,
}

/// These keys cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// A key or salt has the wrong length for its suite, or an MKI does not fit in its length.
    #[error("a master key, salt or key identifier of the wrong length")]
    Length,
    /// None, more than [`Opener::KEYS_MAX`](super::Opener::KEYS_MAX), or they differ in suite or
    /// in length of MKI.
    #[error("no set of master keys of one kind")]
    Set,
}

impl Suite {
    /// Bytes of master key and of salt.
    pub fn key_bytes(self) -> (usize, usize) {
        match self {
            Self::AeadAes128Gcm => (16, 12),
            Self::AeadAes256Gcm => (32, 12),
            Self::AesCm128HmacSha1_32 | Self::AesCm128HmacSha1_80 => (16, 14),
        }
    }
}

impl Keys {
    /// Of an `a=crypto` line. `mki` is its value and its length in bytes, 1 to 128.
    pub fn new(
        suite: Suite,
        key: &[u8],
        salt: &[u8],
        mki: Option<(u64, u8)>,
    ) -> Result<Self, BadKeys> {
        if (key.len(), salt.len()) != suite.key_bytes() {
            return Err(BadKeys::Length);
        }
        Ok(Self {
            suite,
            key: Zeroizing::new(key.to_vec()),
            salt: Zeroizing::new(salt.to_vec()),
            mki: mki
                .map_or(Some(Vec::new()), on_wire)
                .ok_or(BadKeys::Length)?,
        })
    }

    /// The suite.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(super) fn salt(&self) -> &[u8] {
        &self.salt
    }

    pub(super) fn mki(&self) -> &[u8] {
        &self.mki
    }
}

/// Big-endian, as long as the line says.
fn on_wire((value, length): (u64, u8)) -> Option<Vec<u8>> {
    let bytes = value.to_be_bytes();
    let zeros = value.leading_zeros() as usize / 8;
    let length = usize::from(length);
    if !(1..=128).contains(&length) || bytes.len() - zeros > length {
        return None;
    }
    let mut mki = vec![0; length.saturating_sub(bytes.len())];
    mki.extend(&bytes[bytes.len().saturating_sub(length)..]);
    Some(mki)
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({:?})", self.suite)
    }
}
