//! Unpredictable numbers and bytes, from the one cryptographic library.

use aws_lc_rs::rand;

/// Fills bytes: tags, branches, SRTP keys.
pub(crate) fn fill(bytes: &mut [u8]) {
    rand::fill(bytes).expect("the operating system has randomness");
}

/// Any number.
pub(crate) fn number() -> u32 {
    let mut bytes = [0; 4];
    fill(&mut bytes);
    u32::from_ne_bytes(bytes)
}
