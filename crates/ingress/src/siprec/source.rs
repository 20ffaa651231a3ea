//! Which address a line is received from: the signalled one, or the one packets really come from.
//!
//! A peer behind address translation does not send from where it says. Its true address is learnt
//! from its packets and kept, so that nobody else can speak on the line. RFC 3550 §8, RFC 4961.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// One line's source.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    signalled: Option<SocketAddr>,
    locked: Option<SocketAddr>,
    /// Another address, and how many packets in a row came from it.
    candidate: Option<(SocketAddr, u32)>,
    /// When the locked one was last heard.
    heard: Option<Instant>,
    packets: u32,
    timeout: Duration,
}

/// Whether a packet's address is the line's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sourced {
    /// It is now, and was not before.
    Changed,
    /// It is not.
    Foreign,
    /// It is.
    Known,
}

impl Source {
    /// An address that was not signalled is taken after `packets` packets in a row; the one that is
    /// taken may be followed by another after it was silent for `timeout`.
    pub(crate) fn new(signalled: Option<SocketAddr>, packets: u32, timeout: Duration) -> Self {
        Self {
            signalled: usable(signalled),
            locked: None,
            candidate: None,
            heard: None,
            packets,
            timeout,
        }
    }

    /// The peer says that it sends from elsewhere now. What is locked stays until packets come from
    /// there.
    pub(crate) fn signal(&mut self, signalled: Option<SocketAddr>) {
        self.signalled = usable(signalled);
    }

    /// Where the line is received from now.
    pub(crate) fn locked(&self) -> Option<SocketAddr> {
        self.locked
    }

    /// Whether an address belongs to the peer's host, for RTCP.
    pub(crate) fn is_host(&self, from: SocketAddr) -> bool {
        let known = self.locked.or(self.signalled);
        known.is_none_or(|known| known.ip() == from.ip())
    }

    /// A packet came from `from`.
    pub(crate) fn admit(&mut self, now: Instant, from: SocketAddr) -> Sourced {
        if self.locked == Some(from) {
            self.heard = Some(now);
            self.candidate = None;
            return Sourced::Known;
        }
        if self.signalled == Some(from) {
            return self.lock(now, from);
        }
        let is_free = self
            .heard
            .is_none_or(|heard| now.saturating_duration_since(heard) >= self.timeout);
        if !is_free {
            return Sourced::Foreign;
        }
        // The right host behind another port needs no proof, nor does anybody where none is named.
        let expected = self.signalled.is_none_or(|named| named.ip() == from.ip());
        if (expected && self.locked.is_none()) || self.insists(from) {
            return self.lock(now, from);
        }
        Sourced::Foreign
    }

    /// Counts packets in a row; true at the last one that is needed.
    fn insists(&mut self, from: SocketAddr) -> bool {
        let count = match self.candidate {
            Some((candidate, count)) if candidate == from => count.saturating_add(1),
            _ => 1,
        };
        self.candidate = Some((from, count));
        count >= self.packets
    }

    fn lock(&mut self, now: Instant, from: SocketAddr) -> Sourced {
        self.candidate = None;
        self.heard = Some(now);
        self.locked = Some(from);
        Sourced::Changed
    }
}

/// The address of a hold (`0.0.0.0`) and port 0 say nothing about where packets come from.
fn usable(signalled: Option<SocketAddr>) -> Option<SocketAddr> {
    signalled.filter(|address| !address.ip().is_unspecified() && address.port() != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNALLED: &str = "192.0.2.1:4000";
    const OTHER_PORT: &str = "192.0.2.1:4444";
    const ELSEWHERE: &str = "198.51.100.7:4000";

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    struct World {
        source: Source,
        now: Instant,
    }

    impl World {
        fn new(signalled: Option<&str>) -> Self {
            let signalled = signalled.map(address);
            Self {
                source: Source::new(signalled, 3, Duration::from_secs(1)),
                now: Instant::now(),
            }
        }

        fn packet(&mut self, from: &str) -> Sourced {
            self.now += Duration::from_millis(20);
            self.source.admit(self.now, address(from))
        }
    }

    #[test]
    fn the_signalled_address_is_taken_at_once_and_kept() {
        let mut world = World::new(Some(SIGNALLED));
        assert_eq!(world.packet(SIGNALLED), Sourced::Changed);
        assert_eq!(world.packet(SIGNALLED), Sourced::Known);
        for _ in 0..10 {
            assert_eq!(world.packet(ELSEWHERE), Sourced::Foreign);
            assert_eq!(world.packet(SIGNALLED), Sourced::Known);
        }
    }

    #[test]
    fn another_port_of_the_signalled_host_needs_no_proof() {
        let mut world = World::new(Some(SIGNALLED));
        assert_eq!(world.packet(OTHER_PORT), Sourced::Changed);
        assert_eq!(world.packet(OTHER_PORT), Sourced::Known);
    }

    #[test]
    fn another_host_is_taken_after_three_packets_in_a_row_and_yields_to_the_signalled_one() {
        let mut world = World::new(Some(SIGNALLED));
        assert_eq!(world.packet(ELSEWHERE), Sourced::Foreign);
        assert_eq!(world.packet(ELSEWHERE), Sourced::Foreign);
        assert_eq!(world.packet(ELSEWHERE), Sourced::Changed);
        assert_eq!(world.packet(ELSEWHERE), Sourced::Known);
        assert_eq!(world.packet(SIGNALLED), Sourced::Changed);
        assert_eq!(world.packet(ELSEWHERE), Sourced::Foreign);
    }

    #[test]
    fn who_interrupts_the_row_begins_it_anew() {
        let mut world = World::new(Some(SIGNALLED));
        for from in [ELSEWHERE, ELSEWHERE, "203.0.113.5:9", ELSEWHERE, ELSEWHERE] {
            assert_eq!(world.packet(from), Sourced::Foreign);
        }
        assert_eq!(world.packet(ELSEWHERE), Sourced::Changed);
    }

    #[test]
    fn only_a_silent_source_is_followed_by_another() {
        let mut world = World::new(Some(SIGNALLED));
        world.packet(SIGNALLED);
        world.now += Duration::from_secs(2);
        assert_eq!(world.packet(OTHER_PORT), Sourced::Foreign);
        assert_eq!(world.packet(OTHER_PORT), Sourced::Foreign);
        assert_eq!(world.packet(OTHER_PORT), Sourced::Changed);
        assert_eq!(world.source.locked(), Some(address(OTHER_PORT)));
    }

    #[test]
    fn a_new_signalled_address_takes_over_when_its_packets_come() {
        let mut world = World::new(Some(SIGNALLED));
        world.packet(SIGNALLED);
        world.source.signal(Some(address(OTHER_PORT)));
        assert_eq!(world.packet(SIGNALLED), Sourced::Known);
        assert_eq!(world.packet(OTHER_PORT), Sourced::Changed);
        assert_eq!(world.packet(SIGNALLED), Sourced::Foreign);
    }

    #[test]
    fn a_hold_address_names_nobody_and_without_a_name_the_first_is_taken() {
        let mut world = World::new(Some("0.0.0.0:4000"));
        assert!(world.source.is_host(address(ELSEWHERE)));
        assert_eq!(world.packet(ELSEWHERE), Sourced::Changed);
        assert!(!world.source.is_host(address(SIGNALLED)));
    }
}
