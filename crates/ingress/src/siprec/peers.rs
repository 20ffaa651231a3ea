//! Which hosts any trunk expects anything from: a first look before a message is read.

use std::net::IpAddr;

use ipnet::IpNet;
use siprec::trunk::Trunk;

/// The networks of all trunks.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    networks: Vec<IpNet>,
    /// A trunk takes anybody.
    anybody: bool,
    /// Names that trunks know peers' certificates by.
    names: Vec<String>,
}

impl Peers {
    pub(crate) fn new(trunks: &[Trunk]) -> Self {
        let networks = trunks.iter().flat_map(|trunk| trunk.sources.clone());
        let names = trunks.iter().flat_map(|trunk| trunk.tls_names.clone());
        Self {
            networks: networks.collect(),
            anybody: trunks.iter().any(|trunk| trunk.sources.is_empty()),
            names: names.collect(),
        }
    }

    /// Whether a trunk may take what comes from there.
    pub(crate) fn knows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.anybody || self.networks.iter().any(|net| net.contains(&address))
    }

    /// Names in certificates that matter.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }
}
