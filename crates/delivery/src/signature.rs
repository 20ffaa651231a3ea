//! Signatures of Standard Webhooks 1.0.0: over id, time and body, with every key there is, so that
//! one can be replaced while another is in use.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use call::private::Private;
use zeroize::Zeroizing;

use crate::endpoint::Problem;

/// The keys of one endpoint.
pub(crate) struct Signer(Vec<Key>);

enum Key {
    Ed25519(Ed25519KeyPair),
    Hmac(Box<hmac::Key>),
}

impl Signer {
    /// A shorter key could be guessed.
    const BYTES_MIN: usize = 24;

    pub(crate) fn new(secrets: &[Private<String>]) -> Result<Self, Problem> {
        let keys = secrets.iter().zip(1..).map(|(secret, number)| {
            Key::parse(secret.reveal()).map_err(|why| Problem::Secret { number, why })
        });
        Ok(Self(keys.collect::<Result<_, _>>()?))
    }

    /// `webhook-signature`; `None` if there is no key.
    pub(crate) fn sign(&self, id: &str, unix_seconds: u64, body: &[u8]) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let mut signed = format!("{id}.{unix_seconds}.").into_bytes();
        signed.extend_from_slice(body);
        let signatures: Vec<String> = self.0.iter().map(|key| key.sign(&signed)).collect();
        Some(signatures.join(" "))
    }
}

impl Key {
    fn parse(secret: &str) -> Result<Self, &'static str> {
        if let Some(text) = secret.strip_prefix("whsec_") {
            let bytes = Self::decoded(text)?;
            if bytes.len() < Signer::BYTES_MIN {
                return Err("it has fewer than 24 bytes");
            }
            return Ok(Self::Hmac(Box::new(hmac::Key::new(
                hmac::HMAC_SHA256,
                &bytes,
            ))));
        }
        let text = secret
            .strip_prefix("whsk_")
            .ok_or("it must begin with `whsec_` or `whsk_`")?;
        let bytes = Self::decoded(text)?;
        let pair = match bytes.split_at_checked(32) {
            Some((seed, [])) => Ed25519KeyPair::from_seed_unchecked(seed),
            Some((seed, public)) => Ed25519KeyPair::from_seed_and_public_key(seed, public),
            None => return Err("an ed25519 key has 32 bytes, or 64 with its public half"),
        };
        let pair = pair.map_err(|_| "it is no ed25519 key, or its halves do not match")?;
        Ok(Self::Ed25519(pair))
    }

    fn decoded(text: &str) -> Result<Zeroizing<Vec<u8>>, &'static str> {
        let bytes = STANDARD.decode(text);
        Ok(Zeroizing::new(bytes.map_err(|_| "it is not in base64")?))
    }

    fn sign(&self, signed: &[u8]) -> String {
        match self {
            Self::Ed25519(pair) => format!("v1a,{}", STANDARD.encode(pair.sign(signed))),
            Self::Hmac(key) => format!("v1,{}", STANDARD.encode(hmac::sign(key, signed))),
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({} keys)", self.0.len())
    }
}

#[cfg(test)]
mod tests;
