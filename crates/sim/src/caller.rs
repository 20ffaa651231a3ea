//! Callers that are not real: they speak a platform's protocol with code of their own, so that a
//! mistake shared with the gateway's parsers cannot hide.

pub mod alaw;
mod batch;
pub mod pace;
pub mod siprec;
pub mod tls;
pub mod transport;
pub mod twilio;
pub mod ulaw;
pub mod wav;

/// Samples a second of everything a caller says.
pub const SAMPLE_RATE: u32 = 8_000;

/// A length of sound in milliseconds; what is left of a millisecond is dropped.
pub fn millis(samples: u64) -> u64 {
    samples * 1_000 / u64::from(SAMPLE_RATE)
}

/// Samples in that many milliseconds.
pub fn samples(millis: u64) -> u64 {
    millis * u64::from(SAMPLE_RATE) / 1_000
}
