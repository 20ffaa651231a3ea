//! What a line's sender reports say, and what we report of the line. RFC 3550 §6.4.

use super::ReceiverConfig;
use super::timeline::samples;

/// Where a session's clock stands on the senders' NTP clock, in samples at 8 kHz. One line's is
/// given to the others, so that all are put right by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NtpReference(i64);

/// The newest sender report and the reference it is read by.
#[derive(Clone, Debug, Default)]
pub(super) struct Reports {
    newest: Option<SenderReport>,
    reference: Option<NtpReference>,
}

#[derive(Clone, Copy, Debug)]
struct SenderReport {
    ssrc: u32,
    ntp: u64,
    timestamp: u32,
    wall: i64,
}

/// Interarrival jitter, times 16. RFC 3550 appendix A.8.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Jitter {
    transit: Option<u32>,
    sixteenths: u32,
}

impl Reports {
    pub(super) fn hear(&mut self, ssrc: u32, ntp: u64, timestamp: u32, wall: i64) {
        // A sender without a clock says 0.
        if ntp == 0 {
            return;
        }
        let report = SenderReport {
            ssrc,
            ntp,
            timestamp,
            wall,
        };
        self.newest = Some(report);
        self.reference
            .get_or_insert_with(|| NtpReference(wall - report.ntp_samples()));
    }

    pub(super) fn reference(&self) -> Option<NtpReference> {
        self.reference
    }

    pub(super) fn refer_to(&mut self, reference: NtpReference) {
        self.reference = Some(reference);
    }

    /// Where a timestamp of a source belongs on the session's clock. Lines whose senders have
    /// clocks of their own are told by a report that comes at a time it does not name.
    pub(super) fn position(
        &self,
        config: &ReceiverConfig,
        ssrc: u32,
        timestamp: u32,
    ) -> Option<i64> {
        let report = self.newest.filter(|report| report.ssrc == ssrc)?;
        let NtpReference(reference) = self.reference?;
        let named = report.ntp_samples() + reference;
        let since = i64::from(timestamp.wrapping_sub(report.timestamp) as i32);
        let agrees = (named - report.wall).abs() <= samples(config.ntp_agreement);
        agrees.then_some(named + since)
    }

    /// The middle of the newest report's NTP time, and how long ago it came in 1/65536 s.
    pub(super) fn last(&self, ssrc: u32, wall: i64) -> (u32, u32) {
        self.newest
            .filter(|report| report.ssrc == ssrc)
            .map_or((0, 0), |report| {
                let samples = (wall - report.wall).clamp(0, 8000 * 0xffff);
                ((report.ntp >> 16) as u32, (samples * 1024 / 125) as u32)
            })
    }
}

impl SenderReport {
    fn ntp_samples(&self) -> i64 {
        let fraction = ((self.ntp & 0xffff_ffff) * 8000) >> 32;
        ((self.ntp >> 32) * 8000 + fraction) as i64
    }
}

impl Jitter {
    pub(super) fn hear(&mut self, timestamp: u32, wall: i64) {
        let transit = (wall as u32).wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let difference = (transit.wrapping_sub(before) as i32).unsigned_abs();
            let decayed = self.sixteenths - (self.sixteenths.saturating_add(8) >> 4);
            self.sixteenths = decayed.saturating_add(difference);
        }
    }

    /// Transit times before and after a jump have nothing to do with each other.
    pub(super) fn part(&mut self) {
        self.transit = None;
    }

    pub(super) fn units(self) -> u32 {
        self.sixteenths >> 4
    }
}
