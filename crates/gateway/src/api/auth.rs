//! Who may use the API: keys, compared in constant time, and what a failure costs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Extensions, HeaderMap};
use axum::middleware::Next;
use axum::response::Response;
use call::private::Private;
use subtle::{Choice, ConstantTimeEq};

use super::Api;
use super::errors::{ApiError, Code};
use crate::metrics::labels::Limit;

/// One key of the API: what the headers `asapp-api-id` and `asapp-api-secret` must say.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// `asapp-api-id`
    pub id: String,
    /// `asapp-api-secret`
    pub secret: Private<String>,
}

/// The keys in force. Clones share them, so that a reload reaches the router.
#[derive(Clone)]
pub struct ApiKeys(Arc<RwLock<Arc<[Digested]>>>);

/// A key as digests, all of one length, so that comparing tells nothing about lengths.
struct Digested {
    name: Arc<str>,
    id: [u8; SHA256_OUTPUT_LEN],
    secret: [u8; SHA256_OUTPUT_LEN],
}

impl ApiKeys {
    /// With these keys; with none, nobody may use the API.
    pub fn new(keys: &[ApiKey]) -> Self {
        Self(Arc::new(RwLock::new(digested(keys))))
    }

    /// From now on these keys are in force, and no others.
    pub fn replace(&self, keys: &[ApiKey]) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = digested(keys);
    }

    /// The name of the key that was shown, if it is one.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Option<Arc<str>> {
        let shown = |name| headers.get(name).map_or(&[][..], |value| value.as_bytes());
        let (id, secret) = (sha256(shown(ID_HEADER)), sha256(shown(SECRET_HEADER)));
        let keys = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        let mut found = None;
        // Every key is compared, whichever matches: the time says nothing.
        for key in keys.iter() {
            let same: Choice = key.id.ct_eq(&id) & key.secret.ct_eq(&secret);
            if same.into() {
                found = Some(Arc::clone(&key.name));
            }
        }
        found
    }
}

impl std::fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKeys")
    }
}

pub(crate) const ID_HEADER: &str = "asapp-api-id";
pub(crate) const SECRET_HEADER: &str = "asapp-api-secret";

/// The layer before every route that needs a key.
pub(crate) async fn authenticate(
    State(api): State<Arc<Api>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let address = remote(&request, api.state.settings.trust_forwarded_for);
    api.limits.admit(address).map_err(|wait| {
        api.state.metrics.limited(Limit::Address);
        ApiError::from(Code::TooMany).again_after(wait)
    })?;
    let Some(key) = api.state.keys.check(request.headers()) else {
        api.limits.failed(address);
        api.state.metrics.auth_failed();
        return Err(Code::Unauthorized.into());
    };
    api.limits.ask(&key).map_err(|wait| {
        api.state.metrics.limited(Limit::Key);
        ApiError::from(Code::TooMany).again_after(wait)
    })?;
    Ok(next.run(request).await)
}

/// Where a request comes from. Behind a proxy the last entry of `X-Forwarded-For` is the one that
/// the proxy itself has written.
fn remote(request: &Request, trust_forwarded_for: bool) -> IpAddr {
    let forwarded = || {
        let values = request.headers().get_all("x-forwarded-for");
        let last = values.iter().next_back()?.to_str().ok()?;
        last.rsplit(',').next()?.trim().parse().ok()
    };
    let peer = peer(request.extensions());
    if trust_forwarded_for {
        forwarded().unwrap_or(peer)
    } else {
        peer
    }
}

fn peer(extensions: &Extensions) -> IpAddr {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| {
        address.ip()
    })
}

fn digested(keys: &[ApiKey]) -> Arc<[Digested]> {
    let one = |key: &ApiKey| Digested {
        name: key.id.as_str().into(),
        id: sha256(key.id.as_bytes()),
        secret: sha256(key.secret.reveal().as_bytes()),
    };
    // A missing header counts as an empty one, so an empty key would let everybody in.
    let usable = keys
        .iter()
        .filter(|key| !key.id.is_empty() && !key.secret.reveal().is_empty());
    usable.map(one).collect()
}

fn sha256(bytes: &[u8]) -> [u8; SHA256_OUTPUT_LEN] {
    let mut out = [0; SHA256_OUTPUT_LEN];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn key(id: &str, secret: &str) -> ApiKey {
        ApiKey {
            id: id.into(),
            secret: secret.to_owned().into(),
        }
    }

    fn shown(id: &str, secret: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ID_HEADER, id.parse().unwrap());
        headers.insert(SECRET_HEADER, secret.parse().unwrap());
        headers
    }

    #[test]
    fn id_and_secret_must_be_of_one_key() {
        let keys = ApiKeys::new(&[key("one", "s1"), key("two", "s2")]);
        assert_eq!(keys.check(&shown("two", "s2")).as_deref(), Some("two"));
        for (id, secret) in [
            ("one", "s2"),
            ("two", "s1"),
            ("ones", "1"),
            ("one", ""),
            ("", ""),
        ] {
            assert_eq!(keys.check(&shown(id, secret)), None, "{id} {secret}");
        }
        assert_eq!(keys.check(&HeaderMap::new()), None);
        assert_eq!(ApiKeys::new(&[key("", "")]).check(&HeaderMap::new()), None);
    }

    #[test]
    fn new_keys_replace_the_old_ones_in_every_clone() {
        let keys = ApiKeys::new(&[key("one", "s1")]);
        keys.clone().replace(&[key("two", "s2")]);
        assert_eq!(keys.check(&shown("one", "s1")), None);
        assert!(keys.check(&shown("two", "s2")).is_some());
        assert!(!format!("{keys:?}").contains("two"));
    }

    #[test]
    fn forwarded_addresses_count_only_when_a_proxy_is_trusted() {
        let mut request = Request::new(Body::empty());
        request
            .extensions_mut()
            .insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 9], 1))));
        let headers = request.headers_mut();
        headers.append("x-forwarded-for", "203.0.113.1".parse().unwrap());
        headers.append(
            "x-forwarded-for",
            "203.0.113.2, 203.0.113.3".parse().unwrap(),
        );
        assert_eq!(remote(&request, false), IpAddr::from([192, 0, 2, 9]));
        assert_eq!(remote(&request, true), IpAddr::from([203, 0, 113, 3]));
        request
            .headers_mut()
            .insert("x-forwarded-for", "nonsense".parse().unwrap());
        assert_eq!(remote(&request, true), IpAddr::from([192, 0, 2, 9]));
    }
}
