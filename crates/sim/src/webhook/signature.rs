//! Standard Webhooks 1.0.0, the receiving side: whether a body was signed by who knows the secret.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use aws_lc_rs::{hmac, signature};
use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How far the clock of the sender may be from ours, in seconds.
const TOLERANCE_S: u64 = 5 * 60;

/// What a receiver knows of its sender's key.
#[derive(Clone)]
pub struct Secret(Kind);

#[derive(Clone)]
enum Kind {
    /// `v1`
    Shared(Box<hmac::Key>),
    /// `v1a`
    Public(signature::UnparsedPublicKey<Vec<u8>>),
}

/// What a good signature says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signed {
    /// `webhook-id`.
    pub id: String,
    /// `webhook-timestamp`.
    pub at_unix_s: u64,
    /// Which of the receiver's secrets have signed, by their places.
    pub by: Vec<usize>,
}

/// Why a signature is not good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forgery {
    /// A header is not there, or is not what it should be.
    #[error("the header {0} is missing or malformed")]
    Header(&'static str),
    /// Nobody whom we know has signed.
    #[error("no signature is by a known secret")]
    Mismatch,
    /// It was signed too long ago, or is yet to be signed.
    #[error("it was signed {0} s from now")]
    Stale(u64),
}

/// Reads the three headers and verifies that one of the secrets has signed; with no secrets it only
/// reads.
///
/// # Errors
/// They are not there, or nobody has.
pub fn verify(
    secrets: &[Secret],
    headers: &HeaderMap,
    body: &[u8],
    now_unix_s: u64,
) -> Result<Signed, Forgery> {
    let header = |name: &'static str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value
            .filter(|value| !value.is_empty())
            .ok_or(Forgery::Header(name))
    };
    if secrets.is_empty() {
        let id = header("webhook-id").unwrap_or_default().to_owned();
        return Ok(Signed {
            id,
            ..Signed::default()
        });
    }
    let (id, at) = (header("webhook-id")?, header("webhook-timestamp")?);
    if id.contains('.') {
        return Err(Forgery::Header("webhook-id"));
    }
    let is_plain = at.bytes().all(|byte| byte.is_ascii_digit());
    let at_unix_s = at.parse().ok().filter(|_| is_plain);
    let at_unix_s = at_unix_s.ok_or(Forgery::Header("webhook-timestamp"))?;
    let off = now_unix_s.abs_diff(at_unix_s);
    if off > TOLERANCE_S {
        return Err(Forgery::Stale(off));
    }
    let signed = [id.as_bytes(), b".", at.as_bytes(), b".", body].concat();
    let signatures = header("webhook-signature")?;
    let has_signed = |secret: &Secret| {
        let mut each = signatures.split(' ');
        each.any(|one| secret.has_signed(&signed, one))
    };
    let places = secrets.iter().enumerate();
    let by: Vec<usize> = places
        .filter_map(|(place, secret)| has_signed(secret).then_some(place))
        .collect();
    if by.is_empty() {
        return Err(Forgery::Mismatch);
    }
    let id = id.to_owned();
    Ok(Signed { id, at_unix_s, by })
}

impl Secret {
    /// Whether this signature, with its version before it, is ours; in constant time.
    fn has_signed(&self, signed: &[u8], one: &str) -> bool {
        let Some((version, encoded)) = one.split_once(',') else {
            return false;
        };
        let Ok(bytes) = STANDARD.decode(encoded) else {
            return false;
        };
        match (&self.0, version) {
            (Kind::Shared(key), "v1") => hmac::verify(key, signed, &bytes).is_ok(),
            (Kind::Public(key), "v1a") => key.verify(signed, &bytes).is_ok(),
            _ => false,
        }
    }
}

impl FromStr for Secret {
    type Err = anyhow::Error;

    /// `whsec_…` is shared with the sender, `whpk_…` is the sender's public key.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (prefix, encoded) = text.split_once('_').unwrap_or(("", text));
        let bytes = STANDARD
            .decode(encoded)
            .context("the secret is not base64")?;
        match prefix {
            "whsec" => {
                ensure!(
                    (24..=64).contains(&bytes.len()),
                    "a secret has 24 to 64 bytes, this one has {}",
                    bytes.len()
                );
                let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
                Ok(Self(Kind::Shared(key.into())))
            }
            "whpk" => Ok(Self(Kind::Public(signature::UnparsedPublicKey::new(
                &signature::ED25519,
                bytes,
            )))),
            _ => bail!("a secret begins with whsec_, a public key with whpk_"),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
