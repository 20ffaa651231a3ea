//! Datagrams that the kernel dropped because a socket's buffer was full, as Linux tells them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const TABLES: [&str; 2] = ["/proc/net/udp", "/proc/net/udp6"];

/// Every UDP socket of this network namespace and how many datagrams it lost. Empty where there is
/// no such table.
pub(crate) async fn read() -> Vec<(SocketAddr, u64)> {
    let mut drops = Vec::new();
    for table in TABLES {
        if let Ok(text) = tokio::fs::read_to_string(table).await {
            drops.extend(text.lines().filter_map(line));
        }
    }
    drops
}

/// `sl local_address rem_address st queues timer retrnsmt uid timeout inode ref pointer drops`
fn line(text: &str) -> Option<(SocketAddr, u64)> {
    let mut words = text.split_ascii_whitespace().skip(1);
    let address = address(words.next()?)?;
    Some((address, words.last()?.parse().ok()?))
}

/// Address and port in hex; the address in words of 32 bits as they lie in memory.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(host.get(at..at + 8)?, 16).ok();
    let host: IpAddr = match host.len() {
        8 => Ipv4Addr::from(word(0)?.to_ne_bytes()).into(),
        32 => {
            let mut bytes = [0; 16];
            for (index, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(8 * index)?.to_ne_bytes());
            }
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(host, port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn a_line_of_the_table_gives_the_address_and_its_drops() {
        let v4 = "  511: 0100007F:4E20 00000000:0000 07 00000000:00000000 00:00000000 00000000  \
                  1000        0 41235 2 0000000000000000 17";
        assert_eq!(line(v4), Some(("127.0.0.1:20000".parse().unwrap(), 17)));
        let v6 = "12: 00000000000000000000000001000000:13C4 \
                  00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000 \
                  0 0 1 2 0 3";
        assert_eq!(line(v6), Some(("[::1]:5060".parse().unwrap(), 3)));
    }

    #[test]
    fn the_heading_and_cut_lines_give_nothing() {
        let heading = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when drops";
        for text in [heading, "", "1:", "1: 0100007F:4E20", "1: 0100007F 3"] {
            assert_eq!(line(text), None, "{text}");
        }
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn a_socket_of_ours_is_in_the_table() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let ours = socket.local_addr().unwrap();
        assert!(read().await.contains(&(ours, 0)));
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_left(text in "\\PC{0,120}") {
            let _ = line(&text);
            let _ = address(&text);
        }
    }
}
