//! Seals on what is kept: AES-256-GCM under a key of each conversation's own, bound to the row it
//! lies in, so that rows can neither be read without the key nor changed for one another.
//!
//! A conversation's key is 32 random bytes that lie in the file in one place. Whoever removes the
//! conversation overwrites them, and whatever is left of its rows anywhere can no longer be opened.
//! What seals a row is derived (HKDF-SHA256, RFC 5869) from that key and the file's: its salt, and
//! with encryption the key that does not lie in it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use aws_lc_rs::{hmac, rand};
use zeroize::Zeroize;

use crate::StoreError;
use crate::key::Key;

/// How long a file's salt and a conversation's key are.
pub(crate) const SECRET_BYTES: usize = 32;

/// How long what recognises a key is.
pub(crate) const CHECK_BYTES: usize = 16;

/// The first byte of what is sealed: which way.
const VERSION: u8 = 1;

/// Bits of a term: collisions stay rarer than misheard words, and its row stays short.
const TERM_BITS: u32 = 48;

/// What all seals of a file derive from.
pub(crate) struct Vault {
    rows: Prk,
    terms: hmac::Key,
    check: [u8; CHECK_BYTES],
}

/// Seals and opens the rows of one conversation.
pub(crate) struct Sealer(LessSafeKey);

/// Where a sealed text lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The table.
    pub(crate) table: Table,
    /// What tells the row from others of its table.
    pub(crate) row: (u64, u64),
}

/// Tables with sealed columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Commands = 1,
    Events = 2,
    Parcels = 3,
    Utterances = 4,
}

/// What one can search for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TermKind {
    Sender = 1,
    Tenant = 2,
    Word = 3,
}

impl Vault {
    /// Of a file with this salt, and of this key if it is encrypted.
    pub(crate) fn new(salt: &[u8; SECRET_BYTES], key: Option<&Key>) -> Result<Self, StoreError> {
        let secret = key.map_or(&[][..], Key::bytes);
        let root = Salt::new(HKDF_SHA256, salt).extract(secret);
        let mut rows = derived(&root, b"rows")?;
        let mut terms = derived(&root, b"terms")?;
        let check = derived(&root, b"check")?;
        let vault = Self {
            rows: Prk::new_less_safe(HKDF_SHA256, &rows),
            terms: hmac::Key::new(hmac::HMAC_SHA256, &terms),
            check: std::array::from_fn(|at| check[at]),
        };
        rows.zeroize();
        terms.zeroize();
        Ok(vault)
    }

    /// Recognises the key and tells nothing about it.
    pub(crate) fn check(&self) -> &[u8; CHECK_BYTES] {
        &self.check
    }

    /// Seals and opens rows of the conversation with this key.
    pub(crate) fn sealer(&self, conversation: &[u8; SECRET_BYTES]) -> Result<Sealer, StoreError> {
        let info = [conversation.as_slice()];
        let derived = self
            .rows
            .expand(&info, &AES_256_GCM)
            .map_err(|_| broken())?;
        Ok(Sealer(LessSafeKey::new(UnboundKey::from(derived))))
    }

    /// What stands for a word or a sender in the search index. Equal ones are seen to be equal;
    /// what they are is not seen without the key.
    pub(crate) fn term(&self, kind: TermKind, text: &str) -> i64 {
        let mut signing = hmac::Context::with_key(&self.terms);
        signing.update(&[kind as u8]);
        signing.update(text.as_bytes());
        let tag = signing.sign();
        let folded = tag.as_ref().iter().take(8);
        let number = folded.fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        i64::try_from(number >> (u64::BITS - TERM_BITS)).unwrap_or_default()
    }
}

impl Sealer {
    /// Seals a text for its place.
    pub(crate) fn seal(&self, place: Place, text: &[u8]) -> Result<Vec<u8>, StoreError> {
        let nonce: [u8; NONCE_LEN] = random()?;
        let tag_bytes = AES_256_GCM.tag_len();
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + text.len() + tag_bytes);
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(text);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let inside = &mut sealed[1 + NONCE_LEN..];
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, place.aad(), inside)
            .map_err(|_| broken())?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens what was sealed for this place, and nothing else.
    pub(crate) fn open(&self, place: Place, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (version, sealed) = sealed.split_first().ok_or_else(broken)?;
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or_else(broken)?;
        if *version != VERSION {
            return Err(broken());
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| broken())?;
        let mut text = sealed.to_vec();
        let opened = self.0.open_in_place(nonce, place.aad(), &mut text);
        let length = opened.map_err(|_| broken())?.len();
        text.truncate(length);
        Ok(text)
    }
}

impl Place {
    pub(crate) fn new(table: Table, row: i64) -> Self {
        Self {
            table,
            row: (row.unsigned_abs(), 0),
        }
    }

    fn aad(self) -> Aad<[u8; 17]> {
        let mut bytes = [self.table as u8; 17];
        bytes[1..9].copy_from_slice(&self.row.0.to_be_bytes());
        bytes[9..].copy_from_slice(&self.row.1.to_be_bytes());
        Aad::from(bytes)
    }
}

/// Random bytes of the system's.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| StoreError::Other("there is no randomness".into()))?;
    Ok(bytes)
}

fn derived(root: &Prk, purpose: &[u8]) -> Result<[u8; SECRET_BYTES], StoreError> {
    let mut bytes = [0; SECRET_BYTES];
    let purpose = [purpose];
    root.expand(&purpose, HKDF_SHA256)
        .and_then(|derived| derived.fill(&mut bytes))
        .map_err(|_| broken())?;
    Ok(bytes)
}

fn broken() -> StoreError {
    StoreError::Other("a sealed text cannot be opened".into())
}

/// Opening anything else than what was sealed fails and does not panic.
pub fn fuzz(data: &[u8]) {
    let sealer = Vault::new(&[1; SECRET_BYTES], None).and_then(|vault| vault.sealer(&[2; 32]));
    let Ok(sealer) = sealer else { return };
    let place = Place::new(Table::Utterances, 7);
    assert!(sealer.open(place, data).is_err(), "a seal was forged");
    if let Ok(sealed) = sealer.seal(place, data) {
        assert_eq!(sealer.open(place, &sealed).ok().as_deref(), Some(data));
    }
}

#[cfg(test)]
mod tests;
