//! `X-Twilio-Signature`: base64 of an HMAC over the URL as Twilio was given it.
//!
//! The URL is built from the configured public URL and the request's path, never from the Host
//! header or a scheme that a proxy may have changed. A signature can be replayed, so a socket needs
//! a token as well.

use aws_lc_rs::hmac;
use url::Url;

use call::private::Private;

use crate::twilio::payload;

/// Checks signatures of requests to one public URL.
#[derive(Debug)]
pub struct Verifier {
    /// The forms the public URL may have been signed in.
    bases: Vec<String>,
    auth_tokens: Vec<hmac::Key>,
    /// By the id that the settings header names.
    shared_keys: Vec<(String, hmac::Key)>,
}

/// What of a request a signature is about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Signed<'a> {
    /// The path, as it came.
    pub path: &'a str,
    /// The query, if there was one.
    pub query: Option<&'a str>,
    /// `X-Twilio-Signature`
    pub signature: Option<&'a str>,
    /// `X-Twilio-Webhooks-Signature-Settings`
    pub settings: Option<&'a str>,
}

/// Why a signature does not convince. For the counter and the debug log only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// It fits none of the keys.
    #[error("the signature does not fit")]
    Mismatch,
    /// There is none, or an empty one.
    #[error("there is no signature")]
    Missing,
    /// The settings header names what we do not know.
    #[error("the signature's algorithm or key is not known")]
    Unknown,
}

impl Verifier {
    /// For sockets at `public_url`; http and https stand for ws and wss.
    pub fn new(
        public_url: &Url,
        auth_tokens: &[Private<String>],
        shared_keys: &[(String, Private<String>)],
    ) -> Self {
        let sha1 = |token: &Private<String>| sha1_key(token.reveal());
        let sha256 = |secret: &Private<String>| {
            hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes())
        };
        Self {
            bases: bases(public_url),
            auth_tokens: auth_tokens.iter().map(sha1).collect(),
            shared_keys: shared_keys
                .iter()
                .map(|(id, secret)| (id.clone(), sha256(secret)))
                .collect(),
        }
    }

    /// Checks a request. It says yes if the signature is of one of the keys over one of the URL's
    /// forms.
    pub fn verify(&self, request: &Signed<'_>) -> Result<(), BadSignature> {
        let keys = self.keys(request.settings.unwrap_or_default())?;
        let signature = request.signature.map(str::trim).unwrap_or_default();
        if signature.is_empty() {
            return Err(BadSignature::Missing);
        }
        let tag = payload::decode_strict(signature).ok_or(BadSignature::Mismatch)?;
        // Twilio takes the query off the URL it calls; whether it signs with it is not known.
        let queries = [None, request.query];
        let queries = if request.query.is_some() {
            &queries[..]
        } else {
            &queries[..1]
        };
        let mut fits = false;
        for base in &self.bases {
            for query in queries {
                let mut url = format!("{base}{}", request.path);
                if let Some(query) = query {
                    url.push('?');
                    url.push_str(query);
                }
                fits |= keys
                    .iter()
                    .any(|key| hmac::verify(key, url.as_bytes(), &tag).is_ok());
            }
        }
        if fits {
            Ok(())
        } else {
            Err(BadSignature::Mismatch)
        }
    }

    /// The keys that the settings header lets in: `key=<id>,algorithm=HMAC_SHA256`, or none for the
    /// account's token.
    fn keys(&self, settings: &str) -> Result<Vec<&hmac::Key>, BadSignature> {
        let setting = |name: &str| {
            let named = |part: &'_ str| {
                part.split_once('=')
                    .map(|(n, v)| (n.trim().to_owned(), v.trim().to_owned()))
            };
            settings
                .split(',')
                .filter_map(named)
                .find(|(n, v)| n == name && !v.is_empty())
                .map(|(_, v)| v)
        };
        let algorithm = setting("algorithm").unwrap_or_else(|| "HMAC_SHA1".to_owned());
        if algorithm.eq_ignore_ascii_case("HMAC_SHA1") {
            return Ok(self.auth_tokens.iter().collect());
        }
        if !algorithm.eq_ignore_ascii_case("HMAC_SHA256") {
            return Err(BadSignature::Unknown);
        }
        let id = setting("key").ok_or(BadSignature::Unknown)?;
        let keys: Vec<_> = self
            .shared_keys
            .iter()
            .filter(|(key, _)| *key == id)
            .map(|(_, key)| key)
            .collect();
        if keys.is_empty() {
            Err(BadSignature::Unknown)
        } else {
            Ok(keys)
        }
    }
}

/// The signature of a request as Twilio makes it. For a form POST `params` are the form's fields:
/// sorted by name, name and value appended, the same pair once.
pub fn compute(auth_token: &str, url: &str, params: &[(&str, &str)]) -> String {
    let mut params = params.to_vec();
    params.sort_unstable();
    params.dedup();
    let mut signed = url.to_owned();
    for (name, value) in params {
        signed.push_str(name);
        signed.push_str(value);
    }
    payload::encode(hmac::sign(&sha1_key(auth_token), signed.as_bytes()).as_ref())
}

/// The URL that sockets at `public_url` are opened at, without a slash at its end.
pub fn socket_base(public_url: &Url) -> String {
    bases(public_url).swap_remove(0)
}

fn sha1_key(token: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes())
}

/// As configured; without the port; with :443 where that is the port. Never with :80, which
/// Twilio's own libraries take for the port of `wss`.
fn bases(public_url: &Url) -> Vec<String> {
    let secure = matches!(public_url.scheme(), "https" | "wss");
    let scheme = if secure { "wss" } else { "ws" };
    let host = public_url.host_str().unwrap_or_default();
    let path = public_url.path().trim_end_matches('/');
    let plain = format!("{scheme}://{host}{path}");
    match public_url.port() {
        Some(port) => vec![format!("{scheme}://{host}:{port}{path}"), plain],
        None if secure => vec![plain, format!("{scheme}://{host}:443{path}")],
        None => vec![plain],
    }
}

#[cfg(test)]
mod tests;
