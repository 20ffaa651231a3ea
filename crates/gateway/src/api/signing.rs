//! What this gateway signs so that it knows it again: tokens and URLs. Each purpose has a signature
//! of its own, so that one never passes for the other.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use call::private::Private;

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The URL of an exported file.
    File,
    /// A token that lets a browser read events.
    Token,
}

/// Signs and verifies.
pub(crate) struct Signer {
    key: hmac::Key,
}

impl Signer {
    /// With the configured key, or with one that nobody else will ever have.
    pub(crate) fn new(configured: Option<&Private<String>>) -> Self {
        let key = match configured {
            Some(secret) => hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes()),
            None => hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
                .expect("the operating system has randomness"),
        };
        Self { key }
    }

    /// A signature of a text, fit for URLs.
    pub(crate) fn sign(&self, purpose: Purpose, text: &str) -> String {
        let tag = hmac::sign(&self.key, message(purpose, text).as_bytes());
        URL_SAFE_NO_PAD.encode(tag.as_ref())
    }

    /// Whether a signature is one of ours, in constant time.
    pub(crate) fn is_ours(&self, purpose: Purpose, text: &str, signature: &str) -> bool {
        let Ok(tag) = URL_SAFE_NO_PAD.decode(signature) else {
            return false;
        };
        hmac::verify(&self.key, message(purpose, text).as_bytes(), &tag).is_ok()
    }
}

fn message(purpose: Purpose, text: &str) -> String {
    let purpose = match purpose {
        Purpose::File => "file",
        Purpose::Token => "token",
    };
    format!("antiphon {purpose} 1\n{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_good_for_one_text_one_purpose_and_one_key() {
        let secret = Private::new("k".repeat(32));
        let signer = Signer::new(Some(&secret));
        let signature = signer.sign(Purpose::File, "a");
        assert!(signer.is_ours(Purpose::File, "a", &signature));
        assert!(!signer.is_ours(Purpose::File, "b", &signature));
        assert!(!signer.is_ours(Purpose::Token, "a", &signature));
        for bad in ["", "x", &signature[1..], "é"] {
            assert!(!signer.is_ours(Purpose::File, "a", bad));
        }
        let same = Signer::new(Some(&secret));
        assert!(same.is_ours(Purpose::File, "a", &signature));
        assert!(!Signer::new(None).is_ours(Purpose::File, "a", &signature));
    }
}
