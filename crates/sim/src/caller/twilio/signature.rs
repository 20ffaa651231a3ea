//! `X-Twilio-Signature`: what proves that an upgrade comes from Twilio.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How an upgrade is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature {
    /// HMAC-SHA1 with the account's AuthToken: what Twilio does today.
    AuthToken(String),
    /// This header value, whatever it is worth.
    Literal(String),
    /// No header at all.
    None,
    /// HMAC-SHA256 with a shared key, announced in `X-Twilio-Webhooks-Signature-Settings`.
    SharedKey {
        /// The key's id.
        id: String,
        /// The key.
        secret: String,
    },
}

impl Signature {
    /// The headers that carry it, for a stream to `url` exactly as it was written.
    pub fn headers(&self, url: &str) -> Vec<(String, String)> {
        let signed = |value: String| ("x-twilio-signature".to_owned(), value);
        match self {
            Self::AuthToken(token) => {
                vec![signed(mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token, url))]
            }
            Self::Literal(value) => vec![signed(value.clone())],
            Self::None => Vec::new(),
            Self::SharedKey { id, secret } => vec![
                signed(mac(hmac::HMAC_SHA256, secret, url)),
                (
                    "x-twilio-webhooks-signature-settings".to_owned(),
                    format!("key={id},algorithm=HMAC_SHA256"),
                ),
            ],
        }
    }
}

fn mac(algorithm: hmac::Algorithm, secret: &str, url: &str) -> String {
    let key = hmac::Key::new(algorithm, secret.as_bytes());
    STANDARD.encode(hmac::sign(&key, url.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_twilios_own_libraries() {
        let token = Signature::AuthToken("12345678901234567890123456789012".to_owned());
        for (url, expected) in [
            (
                "wss://gw.example.com/twilio",
                "ggMmViUp0g9CYyRDmhN00z0Pc2E=",
            ),
            (
                "wss://gw.example.com:443/twilio",
                "RVIueS/cnKa8tYT8lmKWFbuUYnE=",
            ),
            (
                "wss://gw.example.com:8443/twilio",
                "ttHVQX+/9GELSXJyCTAkxR0rpF0=",
            ),
            (
                "https://gw.example.com/twilio",
                "yAwPYP33T8kESghXZfIisibbQRs=",
            ),
        ] {
            let expected = ("x-twilio-signature".to_owned(), expected.to_owned());
            assert_eq!(token.headers(url), [expected]);
        }
    }

    #[test]
    fn a_shared_key_announces_its_algorithm() {
        let key = Signature::SharedKey {
            id: "SK1".to_owned(),
            secret: "s".to_owned(),
        };
        let headers = key.headers("wss://gw.example.com/twilio");
        assert_eq!(headers[1].1, "key=SK1,algorithm=HMAC_SHA256");
        assert_eq!(STANDARD.decode(&headers[0].1).unwrap().len(), 32);
    }
}
