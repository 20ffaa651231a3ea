//! How often a key may ask, and how often an address may fail to authenticate.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use tokio::time::Instant;

/// So many in each period, evenly, and some at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// So many in each period; 0 counts as 1.
    pub allowed: u32,
    /// The period.
    pub per: Duration,
    /// So many at once, before that rate counts.
    pub burst: NonZeroU32,
}

/// The limits of one router.
pub(crate) struct Limits {
    clock: DefaultClock,
    keys: DefaultKeyedRateLimiter<Arc<str>>,
    failures: DefaultKeyedRateLimiter<IpAddr>,
    /// Addresses that failed too often, and until when nothing of theirs is looked at.
    shut_out: Mutex<HashMap<IpAddr, Instant>>,
    addresses_max: usize,
}

impl Limits {
    pub(crate) fn new(requests: Rate, failures: Rate, addresses_max: usize) -> Self {
        Self {
            clock: DefaultClock::default(),
            keys: DefaultKeyedRateLimiter::keyed(quota(requests)),
            failures: DefaultKeyedRateLimiter::keyed(quota(failures)),
            shut_out: Mutex::default(),
            addresses_max: addresses_max.max(1),
        }
    }

    /// Whether this key may ask now; if not, how long to wait.
    pub(crate) fn ask(&self, key: &Arc<str>) -> Result<(), Duration> {
        // Only keys of the configuration come here; old ones go with a reload.
        if self.keys.len() > KEYS_MAX {
            self.keys.retain_recent();
        }
        self.keys
            .check_key(key)
            .map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }

    /// Whether requests of this address are looked at; if not, how long to wait.
    pub(crate) fn admit(&self, address: IpAddr) -> Result<(), Duration> {
        let (now, address) = (Instant::now(), network(address));
        let mut shut_out = self.shut_out();
        match shut_out.get(&address) {
            Some(until) if *until > now => Err(*until - now),
            Some(_) => {
                shut_out.remove(&address);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// This address failed to authenticate; one time too many shuts it out.
    pub(crate) fn failed(&self, address: IpAddr) {
        if self.failures.len() >= self.addresses_max {
            self.failures.retain_recent();
        }
        // With the table full of fresh failures the world is attacking: then all strangers share
        // one budget, so that memory stays bounded.
        let full = self.failures.len() >= self.addresses_max;
        let counted = if full {
            IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        } else {
            network(address)
        };
        if let Err(not_until) = self.failures.check_key(&counted) {
            let wait = not_until.wait_time_from(self.clock.now());
            let (now, mut shut_out) = (Instant::now(), self.shut_out());
            if shut_out.len() >= self.addresses_max {
                shut_out.retain(|_, until| *until > now);
            }
            if shut_out.len() < self.addresses_max {
                shut_out.insert(network(address), now + wait);
            }
        }
    }

    fn shut_out(&self) -> MutexGuard<'_, HashMap<IpAddr, Instant>> {
        self.shut_out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const KEYS_MAX: usize = 1000;

/// Who holds one IPv6 address holds its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
    }
}

fn quota(rate: Rate) -> Quota {
    let interval = (rate.per / rate.allowed.max(1)).max(Duration::from_nanos(1));
    let quota = Quota::with_period(interval).expect("the interval is not zero");
    quota.allow_burst(rate.burst)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(burst: u32, addresses_max: usize) -> Limits {
        let burst = NonZeroU32::new(burst).unwrap();
        let rate = Rate {
            allowed: 2,
            per: Duration::from_secs(120),
            burst,
        };
        Limits::new(rate, rate, addresses_max)
    }

    #[test]
    fn a_key_is_told_how_long_to_wait_and_does_not_slow_down_another() {
        let limits = limits(2, 10);
        let (one, other) = (Arc::from("one"), Arc::from("other"));
        assert_eq!((limits.ask(&one), limits.ask(&one)), (Ok(()), Ok(())));
        let wait = limits.ask(&one).unwrap_err();
        assert!(
            wait > Duration::from_secs(50) && wait <= Duration::from_secs(60),
            "{wait:?}"
        );
        assert_eq!(limits.ask(&other), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_fails_too_often_is_shut_out_for_a_while() {
        let limits = limits(2, 10);
        let address = IpAddr::from([192, 0, 2, 1]);
        for _ in 0..2 {
            limits.failed(address);
            assert_eq!(limits.admit(address), Ok(()));
        }
        limits.failed(address);
        let wait = limits.admit(address).unwrap_err();
        assert_eq!(limits.admit(IpAddr::from([192, 0, 2, 2])), Ok(()));
        tokio::time::advance(wait).await;
        assert_eq!(limits.admit(address), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn all_addresses_of_one_ipv6_network_are_one() {
        let limits = limits(1, 10);
        limits.failed("2001:db8::1".parse().unwrap());
        limits.failed("2001:db8::2".parse().unwrap());
        assert!(limits.admit("2001:db8::3".parse().unwrap()).is_err());
        assert!(limits.admit("2001:db8:0:1::1".parse().unwrap()).is_ok());
        assert_eq!(
            network("::ffff:192.0.2.1".parse().unwrap()),
            IpAddr::from([192, 0, 2, 1])
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_million_addresses_do_not_fill_the_memory() {
        let limits = limits(1, 10);
        for last in 0..100 {
            limits.failed(IpAddr::from([10, 0, 0, last]));
        }
        assert!(limits.failures.len() <= 11);
        assert!(limits.shut_out().len() <= 10);
        assert!(
            limits.admit(IpAddr::from([10, 0, 0, 12])).is_err(),
            "all strangers share one"
        );
    }
}
