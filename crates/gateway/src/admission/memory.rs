//! What the process has of the machine's memory.

/// Resident bytes, as the kernel counts them; `None` where it does not tell.
pub(super) async fn resident_bytes() -> Option<u64> {
    read(&tokio::fs::read_to_string("/proc/self/status").await.ok()?)
}

/// `VmRSS:     1234 kB`, see proc(5). `statm` has the same in pages, of which one had to know the
/// size.
fn read(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_resident_memory_is_found() {
        let status = "Name:\tantiphon\nVmHWM:\t    9 kB\nVmRSS:\t    7340 kB\nRssAnon:\t 1 kB\n";
        assert_eq!(read(status), Some(7_340 * 1024));
        for other in ["", "VmRSS:\t 7 pages\n", "VmRSS:\t-7 kB", "VmRSS: kB"] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn this_process_has_some() {
        assert!(resident_bytes().await.is_some_and(|bytes| bytes > 1 << 20));
    }
}
