//! Datagrams under way: some are lost, some come twice, each takes its own time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::chance::Chance;

/// Who shall hear it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    Server,
    Source,
}

pub(crate) struct Network {
    pub(crate) loss_percent: u64,
    pub(crate) copies_percent: u64,
    pub(crate) delay_max: Duration,
    under_way: BTreeMap<(Instant, u64), (To, Vec<u8>)>,
    count: u64,
}

impl Network {
    pub(crate) fn new(chance: &mut Chance) -> Self {
        Self {
            loss_percent: *chance.one(&[0, 5, 20, 50]),
            copies_percent: *chance.one(&[0, 5, 30]),
            delay_max: Duration::from_millis(*chance.one(&[1, 40, 700])),
            under_way: BTreeMap::new(),
            count: 0,
        }
    }

    pub(crate) fn send(&mut self, now: Instant, chance: &mut Chance, to: To, bytes: &[u8]) {
        let copies = 1 + u64::from(chance.percent(self.copies_percent));
        for _ in 0..copies {
            if chance.percent(self.loss_percent) {
                continue;
            }
            let delay = chance.below(u64::try_from(self.delay_max.as_millis()).unwrap() + 1);
            self.count += 1;
            let at = now + Duration::from_millis(delay);
            self.under_way
                .insert((at, self.count), (to, bytes.to_vec()));
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.under_way.first_key_value().map(|((at, _), _)| *at)
    }

    pub(crate) fn arrived(&mut self, now: Instant) -> Option<(To, Vec<u8>)> {
        let first = self.under_way.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}
