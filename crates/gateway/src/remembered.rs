//! Calls that ended a while ago, so that the log can say so when a command comes for one.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use call::name::CallName;

/// The newest ended calls, for a time and up to a number.
#[derive(Debug)]
pub(crate) struct Remembered {
    keep: Duration,
    order: VecDeque<(Instant, CallName)>,
    ended: HashMap<CallName, Instant>,
}

impl Remembered {
    /// More ended calls than this are forgotten early.
    const CALLS_MAX: usize = 10_000;

    pub(crate) fn new(keep: Duration) -> Self {
        Self {
            keep,
            order: VecDeque::new(),
            ended: HashMap::new(),
        }
    }

    pub(crate) fn add(&mut self, call: CallName, now: Instant) {
        self.order.push_back((now, call.clone()));
        self.ended.insert(call, now);
        self.forget(now);
    }

    /// How long ago the call ended, if that is remembered.
    pub(crate) fn ended_ago(&mut self, call: &CallName, now: Instant) -> Option<Duration> {
        self.forget(now);
        self.ended.get(call).map(|ended| now.duration_since(*ended))
    }

    fn forget(&mut self, now: Instant) {
        while let Some((at, _)) = self.order.front()
            && (now.duration_since(*at) >= self.keep || self.order.len() > Self::CALLS_MAX)
        {
            if let Some((at, call)) = self.order.pop_front()
                && self.ended.get(&call) == Some(&at)
            {
                self.ended.remove(&call);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use call::name::{Guid, Namespace};

    use super::*;

    #[test]
    fn an_ended_call_is_remembered_for_a_while() {
        let guid = Guid::parse("CA1").unwrap();
        let (call, now) = (
            CallName {
                namespace: Namespace::Twilio,
                guid,
            },
            Instant::now(),
        );
        let mut remembered = Remembered::new(Duration::from_secs(10));
        remembered.add(call.clone(), now);
        let later = now + Duration::from_secs(9);
        assert_eq!(
            remembered.ended_ago(&call, later),
            Some(Duration::from_secs(9))
        );
        assert_eq!(
            remembered.ended_ago(&call, later + Duration::from_secs(1)),
            None
        );
        assert!(remembered.order.is_empty() && remembered.ended.is_empty());
    }
}
