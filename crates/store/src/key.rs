//! The key to what is kept: 32 bytes, as text or as they are.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use zeroize::Zeroize;

/// A key of 256 bits. It is wiped when it is dropped, and prints as dots.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; Self::BYTES]);

/// Why something is not a [`Key`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a key of 32 bytes, written as 64 hexadecimal digits or in base64")]
pub struct BadKey;

impl Key {
    /// How long a key is.
    pub const BYTES: usize = 32;

    /// Reads what a key file holds: 64 hexadecimal digits, base64 of either alphabet with or
    /// without padding, or 32 bytes as they are. White space around the text does not count.
    pub fn parse(written: &[u8]) -> Result<Self, BadKey> {
        let text = written.trim_ascii();
        let raw = <[u8; Self::BYTES]>::try_from(written);
        if let Ok(raw) = raw.or_else(|_| <[u8; Self::BYTES]>::try_from(text)) {
            return Ok(Self(raw));
        }
        if text.len() == Self::BYTES * 2 {
            return hexadecimal(text).map(Self).ok_or(BadKey);
        }
        let mut decoded = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD]
            .into_iter()
            .find_map(|alphabet| alphabet.decode(text).ok())
            .ok_or(BadKey)?;
        let key = <[u8; Self::BYTES]>::try_from(decoded.as_slice());
        decoded.zeroize();
        key.map(Self).map_err(|_| BadKey)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("•••")
    }
}

fn hexadecimal(text: &[u8]) -> Option<[u8; Key::BYTES]> {
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16)?).ok();
    let mut key = [0; Key::BYTES];
    for (byte, pair) in key.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_hexadecimal_digits_base64_or_bytes() {
        let raw: [u8; 32] = std::array::from_fn(|at| u8::try_from(at * 8).unwrap() ^ 0xfb);
        let digits: String = raw.iter().map(|byte| format!("{byte:02X}")).collect();
        let written = [
            raw.to_vec(),
            digits.clone().into_bytes(),
            format!(" {}\n", digits.to_lowercase()).into_bytes(),
            STANDARD.encode(raw).into_bytes(),
            format!("{}\r\n", STANDARD_NO_PAD.encode(raw)).into_bytes(),
            URL_SAFE.encode(raw).into_bytes(),
            URL_SAFE_NO_PAD.encode(raw).into_bytes(),
        ];
        for written in written {
            assert_eq!(Key::parse(&written), Ok(Key(raw)));
        }
    }

    #[test]
    fn what_is_shorter_longer_or_no_text_is_refused() {
        let short = STANDARD.encode([1; 31]);
        let long = STANDARD.encode([1; 33]);
        let digits = "0g".repeat(32);
        for written in ["", "secret", &short, &long, &digits] {
            assert_eq!(Key::parse(written.as_bytes()), Err(BadKey), "{written}");
        }
    }

    #[test]
    fn a_key_prints_as_dots() {
        let key = Key::parse(&[b'k'; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "•••");
    }
}
