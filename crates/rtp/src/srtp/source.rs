//! What has come from one source: how often its sequence number has rolled over, and which of the
//! newest packets were here already. RFC 3711 §3.3.

use std::num::NonZero;

use super::{OpenerConfig, Refused};

/// One authenticated source, of SRTP or of SRTCP.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    pub(super) ssrc: u32,
    /// The highest index: rollover counter and sequence number, or the index of SRTCP.
    newest: u64,
    /// Bit n: the packet that is n behind the newest has come.
    seen: NonZero<u128>,
}

/// The sources that have used one key, without those that were forgotten.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Sources {
    /// The one heard last. It is nearly always the only one.
    latest: Option<Source>,
    /// Least recently heard first.
    earlier: Vec<Source>,
}

impl Source {
    /// With its first packet.
    pub(super) fn begin(ssrc: u32, index: u64) -> Self {
        Self {
            ssrc,
            newest: index,
            seen: NonZero::<u128>::MIN,
        }
    }

    /// The index of the packet with this sequence number: the one nearest to the newest. What would
    /// lie before the first of all is too old. RFC 3711 §3.3.1.
    pub(super) fn index(&self, sequence: u16) -> Result<u64, Refused> {
        let ahead = sequence.wrapping_sub(self.newest as u16) as i16;
        self.newest
            .checked_add_signed(ahead.into())
            .ok_or(Refused::Replayed)
    }

    /// Refuses what was here already and what is older than the window. RFC 3711 §3.3.2.
    pub(super) fn check(&self, index: u64, config: &OpenerConfig) -> Result<(), Refused> {
        let Some(behind) = self.newest.checked_sub(index) else {
            return Ok(());
        };
        let window = config.replay_window.clamp(64, u128::BITS);
        if behind >= window.into() || self.seen.get() >> behind & 1 == 1 {
            return Err(Refused::Replayed);
        }
        Ok(())
    }

    /// With a packet that was checked and is authentic.
    pub(super) fn with(self, index: u64) -> Self {
        let (newest, seen) = match index.checked_sub(self.newest) {
            Some(ahead) => (index, shifted(self.seen.get(), ahead) | 1),
            None => {
                let late = shifted(1, self.newest - index);
                (self.newest, self.seen.get() | late)
            }
        };
        Self {
            newest,
            seen: NonZero::<u128>::MIN | seen,
            ..self
        }
    }
}

impl Sources {
    /// The index of the newest packet of the source heard last.
    pub(super) fn newest(&self) -> Option<u64> {
        self.latest.map(|latest| latest.newest)
    }

    pub(super) fn find(&self, ssrc: u32) -> Option<Source> {
        let latest = self.latest.as_ref().filter(|latest| latest.ssrc == ssrc);
        latest
            .or_else(|| self.earlier.iter().find(|source| source.ssrc == ssrc))
            .copied()
    }

    /// What has become of a source that was just heard. If they are too many then, the one heard
    /// least recently is forgotten.
    pub(super) fn hear(&mut self, source: Source, config: &OpenerConfig) {
        let before = self.latest.replace(source);
        let Some(before) = before.filter(|before| before.ssrc != source.ssrc) else {
            return;
        };
        self.earlier.retain(|earlier| earlier.ssrc != source.ssrc);
        self.earlier.push(before);
        if self.earlier.len() >= config.sources_max.max(1) {
            self.earlier.remove(0);
        }
    }

    #[cfg(test)]
    pub(super) fn ssrcs(&self) -> Vec<u32> {
        let all = self.earlier.iter().chain(&self.latest);
        all.map(|source| source.ssrc).collect()
    }
}

fn shifted(bits: u128, places: u64) -> u128 {
    let places = u32::try_from(places).ok();
    places.and_then(|it| bits.checked_shl(it)).unwrap_or(0)
}
