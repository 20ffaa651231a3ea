//! Datagrams that the kernel took and nobody read in time, out of `/proc/net/udp`.

use std::collections::HashSet;
use std::fs;

/// How many were dropped at sockets with these ports.
pub(crate) fn at(ports: &HashSet<u16>) -> u64 {
    let tables = ["/proc/net/udp", "/proc/net/udp6"].map(fs::read_to_string);
    let tables = tables.iter().flatten();
    tables.map(|table| count(table, ports)).sum()
}

/// The last column of each line whose local address has one of the ports; proc(5).
fn count(table: &str, ports: &HashSet<u16>) -> u64 {
    let dropped = table.lines().skip(1).filter_map(|line| {
        let mut words = line.split_whitespace();
        let (_, port) = words.nth(1)?.rsplit_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        let drops = words.next_back()?.parse::<u64>().ok()?;
        ports.contains(&port).then_some(drops)
    });
    dropped.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ports_that_are_asked_for_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr drops\n\
             1: 0100007F:4E20 00000000:0000 07 00000000:00000000 00:0 0 0 0 5 2 0 17\n\
             2: 0100007F:4E22 00000000:0000 07 00000000:00000000 00:0 0 0 0 5 2 0 4\n";
        assert_eq!(count(table, &HashSet::from([20_000])), 17);
        assert_eq!(count(table, &HashSet::from([20_000, 20_002])), 21);
        assert_eq!(count("nonsense", &HashSet::from([1])), 0);
    }
}
