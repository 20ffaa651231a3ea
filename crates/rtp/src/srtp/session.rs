//! The keys of a session, and what they do to one packet. RFC 3711 §4, RFC 7714.
//!
//! The only file that names the libraries of ciphers: AES in counter mode and HMAC-SHA1 are
//! RustCrypto's, because its keyed state is a tenth of the other's and is in one place, so that a
//! line's next packet finds it with few looks into memory; AES-GCM is aws-lc-rs's.

use std::hint::black_box;

use aes::cipher::{KeyInit, KeyIvInit, StreamCipher};
use aes::{Aes128Enc, Aes256Enc};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use ctr::Ctr128BE;
use hmac::digest::core_api::CoreWrapper;
use hmac::{Hmac, HmacCore, Mac};
use sha1::Sha1;
use zeroize::Zeroizing;

use super::Suite;
use super::keys::Keys;
use super::wire::{GCM_TAG_BYTES, INDEX_BYTES, Kind, Parts, Shape};

/// The session keys of SRTP or of SRTCP.
pub(super) struct Session {
    cipher: Cipher,
    /// Of GCM 12 bytes.
    salt: Zeroizing<[u8; 14]>,
    shape: Shape,
}

enum Cipher {
    /// Counter mode and HMAC-SHA1. The key is expanded for each packet: that is faster than to
    /// fetch its expansion from memory.
    Counter {
        key: Zeroizing<[u8; 16]>,
        authentication: Authentication,
    },
    Gcm(Box<LessSafeKey>),
}

/// HMAC with its key in it. Wiped when dropped.
struct Authentication(HmacCore<Sha1>);

/// What is wanted of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Whether it is authentic. Its text may stay as it is.
    Authenticity,
    /// Its text too.
    Text,
}

impl Session {
    /// RFC 3711 §4.3, RFC 7714 §11, §12. There is no key derivation rate in SDES that we accept.
    pub(super) fn derive(keys: &Keys, kind: Kind) -> Self {
        let label = match kind {
            Kind::Rtcp => 3,
            Kind::Rtp => 0,
        };
        let mut salt = Zeroizing::new([0; 14]);
        let length = keys.salt().len();
        derive(keys, label + 2, &mut salt[..length]);
        let cipher = match keys.suite() {
            Suite::AeadAes128Gcm => {
                let key: Zeroizing<[u8; 16]> = derived(keys, label);
                Cipher::Gcm(gcm(UnboundKey::new(&AES_128_GCM, &*key)))
            }
            Suite::AeadAes256Gcm => {
                let key: Zeroizing<[u8; 32]> = derived(keys, label);
                Cipher::Gcm(gcm(UnboundKey::new(&AES_256_GCM, &*key)))
            }
            Suite::AesCm128HmacSha1_32 | Suite::AesCm128HmacSha1_80 => Cipher::Counter {
                key: derived(keys, label),
                authentication: Authentication::new(&derived(keys, label + 1)),
            },
        };
        Self {
            cipher,
            salt,
            shape: Shape::of(keys),
        }
    }

    /// Opens a packet where it lies and tells how much of it is plain then; `None` if its tag is
    /// wrong, after which what lies there is of no use. `index` is the rollover counter with the
    /// sequence number, or the index of SRTCP.
    pub(super) fn open(
        &self,
        bytes: &mut [u8],
        parts: &Parts,
        index: u64,
        wanted: Wanted,
    ) -> Option<usize> {
        let Parts {
            header, text_end, ..
        } = *parts;
        match &self.cipher {
            Cipher::Counter {
                key,
                authentication,
            } => {
                let tag = &bytes[bytes.len() - parts.tag..];
                let rollovers = ((index >> 16) as u32).to_be_bytes();
                let behind = match parts.kind {
                    Kind::Rtcp => &[][..],
                    Kind::Rtp => &rollovers,
                };
                let mac = authentication.of(&bytes[..parts.front], behind);
                mac.verify_truncated_left(tag).ok()?;
                if wanted == Wanted::Text {
                    let block = self.counter(parts.ssrc, index);
                    keystream(&**key, &block, &mut bytes[header..text_end]);
                }
                Some(text_end)
            }
            Cipher::Gcm(key) => {
                let (front, rest) = bytes.split_at_mut(header);
                let (text, rest) = rest.split_at_mut(text_end - header);
                let nonce = self.nonce(parts.ssrc, index);
                let mut report = [0; 8 + INDEX_BYTES];
                let aad = match parts.kind {
                    Kind::Rtcp => {
                        report[..8].copy_from_slice(front);
                        report[8..].copy_from_slice(&rest[..INDEX_BYTES]);
                        &report[..]
                    }
                    Kind::Rtp => front,
                };
                key.open_in_place(nonce, Aad::from(aad), text).ok()?;
                Some(text_end - GCM_TAG_BYTES)
            }
        }
    }

    /// Seals a compound RTCP packet, whose source is `ssrc`, with a key identifier.
    pub(super) fn seal_rtcp(&self, mki: &[u8], plain: &[u8], (ssrc, index): (u32, u32)) -> Vec<u8> {
        let word = (index | 1 << 31).to_be_bytes();
        let index = u64::from(index);
        let mut sealed = plain.to_vec();
        match &self.cipher {
            Cipher::Counter {
                key,
                authentication,
            } => {
                keystream(&**key, &self.counter(ssrc, index), &mut sealed[8..]);
                sealed.extend(word);
                let mac = authentication.of(&sealed, &[]).finalize().into_bytes();
                sealed.extend(mki);
                sealed.extend(&mac[..self.shape.tag(Kind::Rtcp)]);
            }
            Cipher::Gcm(key) => {
                let (header, text) = sealed.split_at_mut(8);
                let aad = Aad::from([&*header, &word].concat());
                let tag = key
                    .seal_in_place_separate_tag(self.nonce(ssrc, index), aad, text)
                    .expect("a report is shorter than what GCM can seal");
                sealed.extend(tag.as_ref());
                sealed.extend(word);
                sealed.extend(mki);
            }
        }
        sealed
    }

    /// How its packets look.
    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Whether a packet cannot be found authentic without its text.
    pub(super) fn is_aead(&self) -> bool {
        matches!(self.cipher, Cipher::Gcm(_))
    }

    /// RFC 3711 §4.1.1.
    fn counter(&self, ssrc: u32, index: u64) -> [u8; 16] {
        let mixed = u128::from(ssrc) << 64 | u128::from(index) << 16;
        let mut block = mixed.to_be_bytes();
        block
            .iter_mut()
            .zip(*self.salt)
            .for_each(|(byte, salt)| *byte ^= salt);
        block
    }

    /// RFC 7714 §8.1, §9.1.
    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let mixed = u128::from(ssrc) << 48 | u128::from(index);
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&mixed.to_be_bytes()[4..]);
        nonce
            .iter_mut()
            .zip(*self.salt)
            .for_each(|(byte, salt)| *byte ^= salt);
        Nonce::assume_unique_for_key(nonce)
    }
}

impl Authentication {
    fn new(key: &[u8; 20]) -> Self {
        Self(Self::keyed(key))
    }

    fn keyed(key: &[u8; 20]) -> HmacCore<Sha1> {
        HmacCore::new_from_slice(key).expect("HMAC takes a key of any length")
    }

    /// Of two pieces behind each other.
    fn of(&self, front: &[u8], rest: &[u8]) -> Hmac<Sha1> {
        let mut mac = CoreWrapper::from_core(self.0.clone());
        mac.update(front);
        mac.update(rest);
        mac
    }
}

impl Drop for Authentication {
    fn drop(&mut self) {
        self.0 = Self::keyed(&[0; 20]);
        black_box(&self.0);
    }
}

fn gcm(key: Result<UnboundKey, Unspecified>) -> Box<LessSafeKey> {
    Box::new(LessSafeKey::new(
        key.expect("a key as long as its suite says"),
    ))
}

fn derived<const N: usize>(keys: &Keys, label: u8) -> Zeroizing<[u8; N]> {
    let mut key = Zeroizing::new([0; N]);
    derive(keys, label, &mut key[..]);
    key
}

/// RFC 3711 §4.3.3, RFC 6188 §3.
fn derive(keys: &Keys, label: u8, key: &mut [u8]) {
    let mut block = [0; 16];
    block[..keys.salt().len()].copy_from_slice(keys.salt());
    block[7] ^= label;
    keystream(keys.key(), &block, key);
}

/// AES in counter mode, from this block on.
fn keystream(key: &[u8], block: &[u8; 16], text: &mut [u8]) {
    const FITS: &str = "a key of 16 or 32 bytes";
    match key.len() {
        32 => Ctr128BE::<Aes256Enc>::new_from_slices(key, block)
            .expect(FITS)
            .apply_keystream(text),
        _ => Ctr128BE::<Aes128Enc>::new_from_slices(key, block)
            .expect(FITS)
            .apply_keystream(text),
    }
}

#[cfg(test)]
mod tests;
