//! What others send us, or may have written into the configuration: none of it ends the process.

use std::time::{Duration, SystemTime};

use url::Url;

use crate::address::{is_forbidden, is_public};
use crate::client::{Grant, retry_after};
use crate::endpoint::{Endpoint, check};
use crate::lanes;
use crate::signature::Signer;

/// Reads bytes as everything that this crate reads, and as the fate of parcels.
pub fn fuzz(data: &[u8]) {
    lanes::fuzz(data);
    if let Some(grant) = Grant::read(data) {
        let life = grant.life(Duration::from_secs(30));
        assert!(
            life <= Duration::from_secs(24 * 60 * 60),
            "a token is fetched once a day"
        );
        let sent = grant.bearer();
        assert!(
            sent.is_none_or(|bearer| bearer.is_sensitive()),
            "a token shows nowhere"
        );
    }
    if let Ok(value) = http::HeaderValue::from_bytes(data) {
        let headers = [(http::header::RETRY_AFTER, value)].into_iter().collect();
        let _any = retry_after(&headers, SystemTime::UNIX_EPOCH);
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _any = Signer::new(&[text.to_owned().into()]);
    if let Ok(url) = Url::parse(text) {
        let endpoint = Endpoint::new("fuzz", url);
        let is_good = check(&endpoint).is_ok();
        assert!(
            !(is_good && is_forbidden(&endpoint.url)),
            "no private address passes"
        );
        assert!(
            !is_good || endpoint.url.scheme() == "https",
            "nothing passes without TLS"
        );
    }
    if let Ok(address) = text.parse::<std::net::Ipv4Addr>() {
        let mapped = address.to_ipv6_mapped();
        assert_eq!(is_public(address.into()), is_public(mapped.into()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_bytes_end_the_process(data in prop::collection::vec(any::<u8>(), 0..300)) {
            super::fuzz(&data);
        }

        #[test]
        fn no_url_ends_the_process(text in "https?://[0-9a-fx.:\\[\\]@#/-]{0,40}") {
            super::fuzz(text.as_bytes());
        }

        #[test]
        fn no_grant_ends_the_process(
            token in "\\PC{0,20}",
            kind in "Bearer|bearer|mac",
            life in any::<u64>(),
        ) {
            let grant = serde_json::json!({
                "access_token": token, "token_type": kind, "expires_in": life,
            });
            super::fuzz(grant.to_string().as_bytes());
        }
    }
}
