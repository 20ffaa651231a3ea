//! `[overload]`: what keeps running calls from harm when there is too much of everything.

use std::time::Duration;

use call::budget::Budget;
use ingress::admission::AdmissionLimits;

use super::{ms, s};
use crate::admission::Bounds;
use crate::config::kind::{Count, Period, Size};
use crate::config::section::{Field, Section, Settings, preset};

const MIB: usize = 1 << 20;
const TIB: usize = 1 << 40;

settings! {
    /// When new calls are refused so that running ones do not suffer: SIP with 503 and Retry-After,
    /// OPTIONS too, media streams with HTTP 503, and readiness says why. Commands for running calls
    /// are always carried out. 0 is no limit.
    pub struct Overload {
        /// Calls at a time over all platforms: Twilio's sockets and SIPREC's sessions.
        calls_max: usize = preset(Count(0..=1_000_000), 5_000);
        /// Tracks and media lines at a time. A call that has none yet counts for two.
        legs_max: usize = preset(Count(0..=1_000_000), 12_000);
        /// Resident memory of the process; three quarters of what it may have is a good value. New
        /// calls are taken again when it is a tenth less.
        memory_max: usize = preset(Size(0..=TIB), 0);
        /// Sound that waits for speech services, over all streams. From three quarters of it new
        /// calls are refused, until it is half; above it the streams that hold more than
        /// `backlog_floor` lose their oldest, which is counted and told as an overflow. What is
        /// kept to be sent again has the room that is left.
        backlog_bytes_max: usize = preset(Size(0..=TIB), 256 * MIB);
        /// What a stream's backlog may hold whatever the others do.
        backlog_floor: Duration = preset(Period(ms(100)..=s(60)), s(2));
        /// How late the program may come to what is due, in the worst tenth of the last five
        /// seconds: a processor that cannot keep up. New calls are taken again when it is half.
        lag_max: Duration = preset(Period(s(0)..=s(60)), ms(500));
    }
}

impl Overload {
    /// What every adapter asks before it takes a call.
    pub fn admission(&self) -> AdmissionLimits {
        AdmissionLimits {
            calls_max: self.calls_max,
            legs_max: self.legs_max,
        }
    }

    /// What all streams' backlogs share.
    pub fn backlogs(&self) -> Budget {
        Budget::new(self.backlog_bytes_max as u64, self.backlog_floor)
    }

    /// What is measured against.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            admission: self.admission(),
            backlog_bytes_max: self.backlog_bytes_max as u64,
            lag_max: self.lag_max,
            memory_bytes_max: self.memory_max as u64,
        }
    }
}
