//! Names to addresses, of which only those remain that may be reached. The connection is made to
//! what was checked here, so that a name that changes its mind changes nothing.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::lookup_host;

use crate::address::is_public;
use crate::endpoint::Endpoint;

/// Resolves the names of one endpoint.
#[derive(Debug)]
pub(super) struct GuardedResolver {
    allow_private: bool,
    /// It is ours, wherever it is.
    proxy: Option<String>,
}

/// None of a name's addresses may be reached.
#[derive(Debug, thiserror::Error)]
#[error("the address is not public")]
pub(super) struct Forbidden;

impl GuardedResolver {
    pub(super) fn new(endpoint: &Endpoint) -> Self {
        let proxy = endpoint.proxy.as_ref();
        Self {
            allow_private: endpoint.allow_private,
            proxy: proxy.and_then(|proxy| proxy.host_str().map(str::to_owned)),
        }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let is_proxy = self.proxy.as_deref() == Some(name.as_str());
        let all = self.allow_private || is_proxy;
        Box::pin(async move {
            // The port is put in by who asks.
            let found = lookup_host((name.as_str(), 0)).await?;
            let reachable: Vec<SocketAddr> = found
                .filter(|address| all || is_public(address.ip()))
                .collect();
            if reachable.is_empty() {
                return Err(Forbidden.into());
            }
            Ok(Box::new(reachable.into_iter()) as Addrs)
        })
    }
}
