//! Payloads: base64, measured without being decoded, or decoded into a buffer that is used again
//! and again.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig, Simd};
use zeroize::Zeroize;

/// How many bytes a base64 text stands for, by its length alone; `None` if no text of that length
/// is base64.
pub fn decoded_len(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let padding = bytes
        .iter()
        .rev()
        .take(2)
        .take_while(|&&byte| byte == b'=')
        .count();
    let digits = bytes.len() - padding;
    (digits % 4 != 1).then_some(digits / 4 * 3 + (digits % 4).saturating_sub(1))
}

/// Where payloads are decoded to.
#[derive(Debug, Default)]
pub struct Scratch {
    buffer: Vec<u8>,
    /// Whether the buffer holds sound.
    used: bool,
}

/// Standard alphabet; padding and trailing bits as the sender likes.
static ENGINE: LazyLock<Simd> = LazyLock::new(|| {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    Simd::standard(config)
});

impl Scratch {
    /// Decodes; `None` if it is not base64. The bytes are good until the next call.
    pub fn decode(&mut self, text: &str) -> Option<&[u8]> {
        let room = base64::decoded_len_estimate(text.len());
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        self.used = true;
        let length = ENGINE.decode_slice(text, &mut self.buffer[..room]).ok()?;
        Some(&self.buffer[..length])
    }

    /// Wipes what was decoded last, once: behind a gate that is not open no sound shall be left
    /// lying about.
    pub fn wipe(&mut self) {
        if self.used {
            self.buffer.zeroize();
            self.used = false;
        }
    }
}

/// Reads the base64 of a header, strictly.
pub(crate) fn decode_strict(text: &str) -> Option<Vec<u8>> {
    base64::prelude::BASE64_STANDARD.decode(text).ok()
}

/// Writes base64 as headers have it.
pub(crate) fn encode(bytes: &[u8]) -> String {
    base64::prelude::BASE64_STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_length_is_known_without_decoding(bytes: Vec<u8>, padded: bool) {
            let text = encode(&bytes);
            let text = if padded { text.as_str() } else { text.trim_end_matches('=') };
            prop_assert_eq!(decoded_len(text), Some(bytes.len()));
            let mut scratch = Scratch::default();
            prop_assert_eq!(scratch.decode(text), Some(bytes.as_slice()));
        }

        #[test]
        fn what_can_be_decoded_has_the_length_foretold(text in "[A-Za-z0-9+/=]{0,24}") {
            let mut scratch = Scratch::default();
            if let Some(bytes) = scratch.decode(&text) {
                prop_assert_eq!(decoded_len(&text), Some(bytes.len()));
            }
        }
    }

    #[test]
    fn what_is_not_base64_is_told_and_does_not_spoil_the_next() {
        let mut scratch = Scratch::default();
        for bad in ["A", "====", "/w=!", "/w==x", "\u{e9}\u{e9}"] {
            assert_eq!(scratch.decode(bad), None, "{bad}");
        }
        assert_eq!(scratch.decode("/w"), Some(&[0xFF][..]));
        assert_eq!(scratch.decode(""), Some(&[][..]));
    }

    #[test]
    fn wiping_leaves_no_sound_in_the_buffer() {
        let mut scratch = Scratch::default();
        scratch.decode("cHJpdmF0ZQ==").unwrap();
        scratch.wipe();
        assert!(scratch.buffer.is_empty());
        assert_eq!(scratch.decode("cHJpdmF0ZQ=="), Some(&b"private"[..]));
    }
}
