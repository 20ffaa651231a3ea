//! Who may use the API: keys, compared in constant time, what each of them may do, and what a
//! failure costs.

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
use super::observe::RequestId;
use super::tokens::{self, Grant};
use crate::metrics::labels::Limit;
use crate::switchboard_task::By;

mod scopes;

pub use scopes::{Scope, Scopes};

/// One key of the API: what the headers `asapp-api-id` and `asapp-api-secret` must say.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// `asapp-api-id`
    pub id: String,
    /// `asapp-api-secret`
    pub secret: Private<String>,
    /// What it may do.
    pub scopes: Scopes,
    /// Whose key it is; without one it sees and commands everybody's calls.
    pub tenant: Option<Arc<str>>,
}

/// Who makes a request: a key, and where from.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The key's public half.
    pub(crate) key: Arc<str>,
    pub(crate) tenant: Option<Arc<str>>,
    pub(crate) scopes: Scopes,
    pub(crate) address: IpAddr,
    /// What of the events it is shown, if it came with a token.
    pub(crate) grant: Option<Arc<Grant>>,
}

/// The keys in force. Clones share them, so that a reload reaches the router.
#[derive(Clone)]
pub struct ApiKeys(Arc<RwLock<Arc<[Digested]>>>);

/// A key as digests, all of one length, so that comparing tells nothing about lengths.
struct Digested {
    name: Arc<str>,
    tenant: Option<Arc<str>>,
    scopes: Scopes,
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

    /// The caller whose key was shown, if it is one.
    pub(crate) fn check(&self, headers: &HeaderMap, address: IpAddr) -> Option<Caller> {
        let shown = |name| headers.get(name).map_or(&[][..], |value| value.as_bytes());
        let (id, secret) = (sha256(shown(ID_HEADER)), sha256(shown(SECRET_HEADER)));
        let keys = self.keys();
        let mut found = None;
        // Every key is compared, whichever matches: the time says nothing.
        for key in keys.iter() {
            let same: Choice = key.id.ct_eq(&id) & key.secret.ct_eq(&secret);
            if same.into() {
                found = Some(key.caller(address));
            }
        }
        found
    }

    /// The caller that a key of this name makes, as long as there is one: for what the key has
    /// signed.
    pub(crate) fn named(&self, name: &str, address: IpAddr) -> Option<Caller> {
        let keys = self.keys();
        let key = keys.iter().find(|key| *key.name == *name);
        key.map(|key| key.caller(address))
    }

    fn keys(&self) -> Arc<[Digested]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Digested {
    fn caller(&self, address: IpAddr) -> Caller {
        Caller {
            key: Arc::clone(&self.name),
            tenant: self.tenant.clone(),
            scopes: self.scopes,
            address,
            grant: None,
        }
    }
}

impl Caller {
    /// As commands and the audit trail name who gives them.
    pub(crate) fn by(&self, request: &RequestId) -> By {
        By {
            key: Arc::clone(&self.key),
            tenant: self.tenant.clone(),
            from: self.address.to_string().into(),
            request: request.0.to_string(),
        }
    }

    /// What of the store it may see.
    pub(crate) fn sight(&self) -> store::query::Scope {
        store::query::Scope {
            tenant: self.tenant.clone(),
        }
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
    let address = admitted(&api, &request)?;
    let caller = api.state.keys.check(request.headers(), address);
    answer(&api, address, caller, request, next).await
}

/// The layer before streams of events, which a token opens as well.
pub(crate) async fn authenticate_reader(
    State(api): State<Arc<Api>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let address = admitted(&api, &request)?;
    let query = request.uri().query().unwrap_or_default();
    let caller = match tokens::shown(query, request.headers()) {
        Some(token) => tokens::caller(&api, &token, address),
        None => api.state.keys.check(request.headers(), address),
    };
    answer(&api, address, caller, request, next).await
}

/// Where a request comes from, unless nothing from there is looked at.
fn admitted(api: &Api, request: &Request) -> Result<IpAddr, ApiError> {
    let address = remote(request, api.state.settings.trust_forwarded_for);
    let admitted = api.limits.admit(address);
    admitted.map(|()| address).map_err(|wait| {
        api.state.metrics.limited(Limit::Address);
        ApiError::from(Code::TooMany).again_after(wait)
    })
}

async fn answer(
    api: &Api,
    address: IpAddr,
    caller: Option<Caller>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let Some(caller) = caller else {
        api.limits.failed(address);
        api.state.metrics.auth_failed();
        return Err(Code::Unauthorized.into());
    };
    api.limits.ask(&caller.key).map_err(|wait| {
        api.state.metrics.limited(Limit::Key);
        ApiError::from(Code::TooMany).again_after(wait)
    })?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// The layer before routes that need a scope: 403-01 for a key that has it not.
pub(crate) async fn authorize(
    State(scope): State<Scope>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let caller = request.extensions().get::<Caller>();
    if caller.is_some_and(|caller| caller.scopes.has(scope)) {
        return Ok(next.run(request).await);
    }
    let message = format!("The key does not have the scope {}", scope.as_str());
    Err(ApiError::new(Code::Forbidden, message))
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
        tenant: key.tenant.clone(),
        scopes: key.scopes,
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
            scopes: Scopes::all(),
            tenant: None,
        }
    }

    fn name_of(keys: &ApiKeys, headers: &HeaderMap) -> Option<Arc<str>> {
        let caller = keys.check(headers, Ipv4Addr::LOCALHOST.into());
        caller.map(|caller| caller.key)
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
        assert_eq!(name_of(&keys, &shown("two", "s2")).as_deref(), Some("two"));
        for (id, secret) in [
            ("one", "s2"),
            ("two", "s1"),
            ("ones", "1"),
            ("one", ""),
            ("", ""),
        ] {
            assert_eq!(name_of(&keys, &shown(id, secret)), None, "{id} {secret}");
        }
        assert_eq!(name_of(&keys, &HeaderMap::new()), None);
        let empty = ApiKeys::new(&[key("", "")]);
        assert_eq!(name_of(&empty, &HeaderMap::new()), None);
    }

    #[test]
    fn new_keys_replace_the_old_ones_in_every_clone() {
        let keys = ApiKeys::new(&[key("one", "s1")]);
        keys.clone().replace(&[key("two", "s2")]);
        assert_eq!(name_of(&keys, &shown("one", "s1")), None);
        assert!(name_of(&keys, &shown("two", "s2")).is_some());
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
