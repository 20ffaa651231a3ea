//! `a=crypto` lines, read and written: RFC 4568. Keys are never printed.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// Suites in the order we prefer them. RFC 4568 §6.2, RFC 7714.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// `AEAD_AES_256_GCM`
    AeadAes256Gcm,
    /// `AEAD_AES_128_GCM`
    AeadAes128Gcm,
    /// `AES_CM_128_HMAC_SHA1_80`
    AesCm128HmacSha1_80,
    /// `AES_CM_128_HMAC_SHA1_32`
    AesCm128HmacSha1_32,
}

/// Master key and salt.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// 16 or 32 bytes.
    pub key: Vec<u8>,
    /// 14 or 12 bytes.
    pub salt: Vec<u8>,
    /// Master key identifier and its length in bytes, if keys carry one.
    pub mki: Option<(u64, u8)>,
}

/// One `a=crypto` that we can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CryptoLine {
    /// The tag that an answer repeats.
    pub tag: u32,
    /// The suite.
    pub suite: Suite,
    /// The only key, or several, each with an MKI of its own and all of one length.
    pub keys: Vec<Keys>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

impl Suite {
    /// Every suite, in the order we prefer them.
    pub const ALL: [Self; 4] = [
        Self::AeadAes256Gcm,
        Self::AeadAes128Gcm,
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
    ];

    /// As it is written in an `a=crypto` line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
        }
    }

    /// Bytes of master key and of salt.
    pub fn key_bytes(self) -> (usize, usize) {
        match self {
            Self::AeadAes128Gcm => (16, 12),
            Self::AeadAes256Gcm => (32, 12),
            Self::AesCm128HmacSha1_32 | Self::AesCm128HmacSha1_80 => (16, 14),
        }
    }
}

/// Written with padding, read with and without; some senders leave bits in the last character.
const KEY_ENCODING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// RFC 4568 §9.2: an MKI has 1 to 128 bytes.
const MKI_BYTES_MAX: u8 = 128;

/// Reads the value of an `a=crypto` attribute; `None` for a suite we do not know, a key of the
/// wrong length, several keys that no MKI tells apart, or a mandatory session parameter (`KDR`,
/// `UNENCRYPTED_SRTP`, …). RFC 4568 §9.
///
/// Names are taken in any case. A key's lifetime is only checked for its shape: it binds who sends.
pub fn parse(value: &str) -> Option<CryptoLine> {
    let mut words = value.split_whitespace();
    let tag = number(words.next()?, 9)?.try_into().ok()?;
    let suite = suite(words.next()?)?;
    let keys: Vec<Keys> = words
        .next()?
        .split(';')
        .map(|key| keys(suite, key))
        .collect::<Option<_>>()?;
    let line = CryptoLine { tag, suite, keys };
    (words.all(can_be_ignored) && can_be_told_apart(&line.keys)).then_some(line)
}

/// Writes the value of an `a=crypto` attribute.
pub fn write(line: &CryptoLine) -> String {
    let key = |keys: &Keys| {
        let inline = KEY_ENCODING.encode([&keys.key[..], &keys.salt[..]].concat());
        match keys.mki {
            None => format!("inline:{inline}"),
            Some((value, bytes)) => format!("inline:{inline}|{value}:{bytes}"),
        }
    };
    let keys: Vec<String> = line.keys.iter().map(key).collect();
    format!("{} {} {}", line.tag, line.suite.as_str(), keys.join(";"))
}

/// The body of the fuzz target: what is read has the lengths of its suite, is never printed, and
/// is read again as it was written.
pub fn fuzz(data: &[u8]) {
    let Some(line) = str::from_utf8(data).ok().and_then(parse) else {
        return;
    };
    for keys in &line.keys {
        assert_eq!((keys.key.len(), keys.salt.len()), line.suite.key_bytes());
    }
    let written = write(&line);
    assert_eq!(parse(&written).as_ref(), Some(&line), "not read as written");
    let printed = format!("{line:?}");
    let secret = KEY_ENCODING.encode(&line.keys[0].key[..15]);
    assert!(!printed.contains(&secret), "a key is printed");
}

fn suite(name: &str) -> Option<Suite> {
    let mut suites = Suite::ALL.into_iter();
    suites.find(|suite| suite.as_str().eq_ignore_ascii_case(name))
}

/// `inline:<key and salt>[|<lifetime>][|<MKI>:<its length>]`
fn keys(suite: Suite, text: &str) -> Option<Keys> {
    let (method, value) = text.split_once(':')?;
    if !method.eq_ignore_ascii_case("inline") {
        return None;
    }
    let mut parts = value.split('|');
    let mut key = KEY_ENCODING.decode(parts.next()?).ok()?;
    let (key_bytes, salt_bytes) = suite.key_bytes();
    if key.len() != key_bytes + salt_bytes {
        return None;
    }
    let salt = key.split_off(key_bytes);
    let mki = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => None,
        (Some(only), None, _) if only.contains(':') => Some(mki(only)?),
        (Some(only), None, _) => {
            lifetime(only)?;
            None
        }
        (Some(first), Some(second), None) => {
            lifetime(first)?;
            Some(mki(second)?)
        }
        (Some(_), Some(_), Some(_)) => return None,
    };
    Some(Keys { key, salt, mki })
}

/// Packets, as a number or as a power of two.
fn lifetime(text: &str) -> Option<()> {
    number(text.strip_prefix("2^").unwrap_or(text), 15).map(|_| ())
}

fn mki(text: &str) -> Option<(u64, u8)> {
    let (value, bytes) = text.split_once(':')?;
    let value = number(value, 20)?;
    let bytes = u8::try_from(number(bytes, 3)?).ok()?;
    let fits = bytes >= 8 || value >> (8 * bytes) == 0;
    (fits && (1..=MKI_BYTES_MAX).contains(&bytes)).then_some((value, bytes))
}

/// Only digits, and not too many: `parse` alone would take a sign.
fn number(text: &str, digits_max: usize) -> Option<u64> {
    let is_number = text.len() <= digits_max && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// A hint, or said to be optional. Every other parameter changes what is on the wire.
/// RFC 4568 §6.3.
fn can_be_ignored(parameter: &str) -> bool {
    let (name, _) = parameter.split_once('=').unwrap_or((parameter, ""));
    name.starts_with('-') || name.eq_ignore_ascii_case("WSH")
}

/// One key, or MKIs of one length that are all different. RFC 4568 §6.1.
fn can_be_told_apart(keys: &[Keys]) -> bool {
    let [first, others @ ..] = keys else {
        return false;
    };
    let length = |keys: &Keys| keys.mki.map(|(_, bytes)| bytes);
    let is_new = |(at, other): (usize, &Keys)| keys[..=at].iter().all(|key| key.mki != other.mki);
    others.is_empty()
        || (first.mki.is_some()
            && others.iter().all(|other| length(other) == length(first))
            && others.iter().enumerate().all(is_new))
}

#[cfg(test)]
mod tests;
