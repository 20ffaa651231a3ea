//! Which addresses a webhook may reach: those that are everybody's. What is private, local, shared
//! or reserved is somebody's inside, and a URL must not lead us into it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Networks of IPv4 that are not public, by the IANA special-purpose registry, and the address at
/// which Azure has its machines' metadata.
const RESERVED_V4: [([u8; 4], u32); 15] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([168, 63, 129, 16], 32),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 3),
];

/// Networks within 2000::/3 that are not public: the protocols' own with Teredo, documentation,
/// 6to4 (which would lead to any IPv4 address), documentation again.
const RESERVED_V6: [([u16; 3], u32); 4] = [
    ([0x2001, 0, 0], 23),
    ([0x2001, 0xdb8, 0], 32),
    ([0x2002, 0, 0], 16),
    ([0x3fff, 0, 0], 20),
];

/// Whether everybody may be sent to this address.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Whether a URL names an address, no name, that is not public.
pub(crate) fn is_forbidden(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => !is_public_v4(address),
        Some(Host::Ipv6(address)) => !is_public_v6(address),
        Some(Host::Domain(_)) | None => false,
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let inside = |(network, length): &([u8; 4], u32)| {
        (address.to_bits() ^ Ipv4Addr::from(*network).to_bits()).leading_zeros() >= *length
    };
    !RESERVED_V4.iter().any(inside)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(within) = embedded(address) {
        return is_public_v4(within);
    }
    let is_global_unicast = address.octets()[0] & 0xe0 == 0x20;
    let inside = |([a, b, c], length): &([u16; 3], u32)| {
        let network = Ipv6Addr::new(*a, *b, *c, 0, 0, 0, 0, 0);
        (address.to_bits() ^ network.to_bits()).leading_zeros() >= *length
    };
    is_global_unicast && !RESERVED_V6.iter().any(inside)
}

/// The IPv4 address that is meant by an IPv6 one: mapped, RFC 4291, or by NAT64, RFC 6052.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);
    let is_nat64 = address.to_bits() >> 32 == nat64.to_bits() >> 32;
    let low = Ipv4Addr::from_bits((address.to_bits() & u128::from(u32::MAX)) as u32);
    match address.to_ipv4_mapped() {
        None if is_nat64 => Some(low),
        mapped => mapped,
    }
}

#[cfg(test)]
mod tests;
