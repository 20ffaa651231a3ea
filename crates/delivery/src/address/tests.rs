use proptest::prelude::*;

use super::*;

fn public(address: &str) -> bool {
    is_public(address.parse().unwrap())
}

#[test]
fn what_is_somebodys_inside_is_refused() {
    let inside = [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.168.1.1",
        "198.19.0.1",
        "198.51.100.7",
        "203.0.113.7",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:a00:1::1",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ];
    for address in inside {
        assert!(!public(address), "{address}");
    }
}

#[test]
fn what_is_everybodys_is_not() {
    let outside = [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.1",
        "198.17.255.255",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2001:4860:4860::8888",
        "2606:4700::1111",
        "2a00:1450::1",
    ];
    for address in outside {
        assert!(public(address), "{address}");
    }
}

#[test]
fn an_address_in_a_url_is_found_in_every_spelling() {
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "017700000001",
        "[::1]",
        "127.1",
    ] {
        let url = Url::parse(&format!("https://{host}/")).unwrap();
        assert!(is_forbidden(&url), "{host}");
    }
    for host in [
        "8.8.8.8",
        "[2001:4860:4860::8888]",
        "localhost",
        "example.com",
    ] {
        let url = Url::parse(&format!("https://{host}/")).unwrap();
        assert!(!is_forbidden(&url), "a name is for the resolver: {host}");
    }
}

proptest! {
    #[test]
    fn an_address_is_as_public_as_its_mapped_and_translated_forms(bits in any::<u32>()) {
        let v4 = Ipv4Addr::from_bits(bits);
        let nat64 = Ipv6Addr::from_bits((0x64_ff9b_u128 << 96) | u128::from(bits));
        prop_assert_eq!(is_public(v4.to_ipv6_mapped().into()), is_public(v4.into()));
        prop_assert_eq!(is_public(nat64.into()), is_public(v4.into()));
        prop_assert!(!is_public(v4.to_ipv6_compatible().into()));
    }

    #[test]
    fn nothing_that_the_standard_library_knows_as_inside_is_public(bits in any::<u32>()) {
        let v4 = Ipv4Addr::from_bits(bits);
        let inside = v4.is_private() || v4.is_loopback() || v4.is_link_local()
            || v4.is_multicast() || v4.is_broadcast() || v4.is_documentation()
            || v4.is_unspecified();
        prop_assert!(!(inside && is_public(v4.into())));
    }

    #[test]
    fn of_ipv6_only_global_unicast_is_public(bits in any::<u128>()) {
        let v6 = Ipv6Addr::from_bits(bits);
        let outside = bits >> 125 == 1;
        prop_assert!(outside || embedded(v6).is_some() || !is_public(v6.into()));
        let local = Ipv6Addr::from_bits((0xfd_u128 << 120) | (bits >> 8));
        prop_assert!(!is_public(local.into()));
    }
}
