//! Sequence numbers of one source: cycles, duplicates, loss. RFC 3550 appendix A.1, A.3.

/// So many numbers behind the newest are remembered one by one.
const WINDOW: u64 = 512;

/// A larger step forward is no loss but another beginning. RFC 3550 appendix A.1.
const DROPOUT: u64 = 3000;

/// Which numbers of one source have come.
#[derive(Clone, Debug)]
pub(super) struct Sequence {
    /// Lowest and highest number with its cycles; the first stands in cycle 1, so that what was
    /// overtaken by it has a number too.
    lowest: u64,
    highest: u64,
    /// Different numbers heard.
    heard: u64,
    /// Bit `n`: whether `highest - n` has come.
    window: [u64; (WINDOW / 64) as usize],
    /// Expected and heard when the last report was made.
    reported: (u64, u64),
}

/// Where a number stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Newer than all before.
    Ahead(u64),
    /// It was overtaken, and is missed.
    Behind(u64),
    /// It has come already.
    Duplicate,
    /// So far off that it is another beginning, a long outage, or a stray. The number it has if
    /// this is an outage.
    Far(u64),
    /// Older than is remembered.
    Old,
}

impl Sequence {
    pub(super) fn begin(number: u16) -> Self {
        let first = (1 << 16) + u64::from(number);
        let mut window = [0; (WINDOW / 64) as usize];
        window[0] = 1;
        Self {
            lowest: first,
            highest: first,
            heard: 1,
            window,
            reported: (0, 0),
        }
    }

    pub(super) fn judge(&self, number: u16) -> Standing {
        let ahead = u64::from(number.wrapping_sub(self.highest as u16));
        let behind = (1 << 16) - ahead;
        match ahead {
            0 => Standing::Duplicate,
            1..=DROPOUT => Standing::Ahead(self.highest + ahead),
            _ if behind < WINDOW && self.has(behind) => Standing::Duplicate,
            _ if behind < WINDOW => Standing::Behind(self.highest - behind),
            _ if behind <= DROPOUT => Standing::Old,
            _ => Standing::Far(self.highest + ahead),
        }
    }

    /// Takes a number that [`Sequence::judge`] made of one that is not a duplicate.
    pub(super) fn take(&mut self, number: u64) {
        if number > self.highest {
            self.shift(number - self.highest);
            self.highest = number;
        }
        self.lowest = self.lowest.min(number);
        let behind = self.highest - number;
        self.window[(behind / 64) as usize] |= 1 << (behind % 64);
        self.heard += 1;
    }

    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    /// Numbers between the lowest and the highest that have not come.
    pub(super) fn lost(&self) -> u64 {
        self.expected() - self.heard
    }

    /// Those of them that are so new that they may only have been overtaken.
    pub(super) fn pending(&self) -> u64 {
        let newest = self.expected().min(u64::from(u64::BITS));
        newest - u64::from(self.window[0].count_ones())
    }

    /// Lost since the last report in 1/256. RFC 3550 appendix A.3.
    pub(super) fn fraction_lost(&mut self) -> u8 {
        let now = (self.expected(), self.heard);
        let expected = now.0 - self.reported.0;
        let heard = now.1 - self.reported.1;
        self.reported = now;
        let lost = expected.saturating_sub(heard);
        (lost * 256)
            .checked_div(expected)
            .map_or(0, |fraction| fraction.min(255) as u8)
    }

    fn expected(&self) -> u64 {
        self.highest - self.lowest + 1
    }

    fn has(&self, behind: u64) -> bool {
        self.window[(behind / 64) as usize] >> (behind % 64) & 1 == 1
    }

    fn shift(&mut self, by: u64) {
        let (words, bits) = ((by / 64) as usize, by % 64);
        for at in (0..self.window.len()).rev() {
            let word = |back: usize| at.checked_sub(back).map_or(0, |from| self.window[from]);
            let carried = match bits {
                0 => 0,
                _ => word(words + 1) >> (64 - bits),
            };
            self.window[at] = word(words) << bits | carried;
        }
    }
}
