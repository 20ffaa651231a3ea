//! RTP as a client sends it: one source's numbers, its packets, keys pressed, comfort noise.
//! RFC 3550 §5, RFC 3389, RFC 4733.

use uuid::Uuid;

use super::srtp::Context;

/// Numbers a source begins with; random where nothing is said. RFC 3550 §5.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct First {
    /// The first sequence number.
    pub sequence: Option<u16>,
    /// The first timestamp.
    pub timestamp: Option<u32>,
    /// The synchronisation source.
    pub ssrc: Option<u32>,
}

/// What one packet says beside its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) payload_type: u8,
    pub(super) marker: bool,
    pub(super) index: u64,
    pub(super) timestamp: u32,
    pub(super) ssrc: u32,
}

/// One source, from its first packet on.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) ssrc: u32,
    /// The sequence number of the next packet, with its rollovers above it.
    pub(super) index: u64,
    /// The timestamp at the beginning of the media clock.
    pub(super) zero: u32,
    /// The next packet of sound begins a talk spurt.
    pub(super) marker: bool,
    pub(super) packets: u32,
    pub(super) octets: u32,
}

impl Source {
    /// A source whose first timestamp belongs to this position of the media clock.
    pub(super) fn new(first: First, position: u64) -> Self {
        let (random, more) = Uuid::new_v4().as_u64_pair();
        let timestamp = first.timestamp.unwrap_or((random >> 32) as u32);
        Self {
            ssrc: first.ssrc.unwrap_or(random as u32),
            index: u64::from(first.sequence.unwrap_or(more as u16)),
            zero: timestamp.wrapping_sub(position as u32),
            marker: true,
            packets: 0,
            octets: 0,
        }
    }

    /// The timestamp of a position of the media clock, in samples.
    pub(super) fn timestamp(&self, position: u64) -> u32 {
        self.zero.wrapping_add(position as u32)
    }

    /// The next packet, in the clear.
    pub(super) fn next(&mut self, payload_type: u8, position: u64) -> Header {
        let header = Header {
            payload_type,
            marker: std::mem::take(&mut self.marker),
            index: self.index,
            timestamp: self.timestamp(position),
            ssrc: self.ssrc,
        };
        self.index += 1;
        header
    }

    /// Counts what a sender report tells.
    pub(super) fn count(&mut self, payload: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload as u32);
    }

    /// The index nearest to the next one with that sequence number.
    pub(super) fn index_of(&self, sequence: u16) -> u64 {
        let ahead = sequence.wrapping_sub(self.index as u16) as i16;
        self.index.saturating_add_signed(i64::from(ahead))
    }
}

impl Header {
    /// The packet, protected when there are keys.
    pub(super) fn packet(&self, payload: &[u8], keys: Option<&Context>) -> Vec<u8> {
        let mut packet = Vec::with_capacity(12 + payload.len() + 16);
        self.write(payload, keys, &mut packet);
        packet
    }

    /// The same into a buffer that is used again and again.
    pub(super) fn write(&self, payload: &[u8], keys: Option<&Context>, packet: &mut Vec<u8>) {
        packet.clear();
        packet.extend_from_slice(&[0x80, u8::from(self.marker) << 7 | self.payload_type & 0x7f]);
        packet.extend_from_slice(&(self.index as u16).to_be_bytes());
        packet.extend_from_slice(&self.timestamp.to_be_bytes());
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        packet.extend_from_slice(payload);
        if let Some(keys) = keys {
            keys.protect(packet, self.index);
        }
    }
}

/// The event of a key, `None` for what no telephone has. RFC 4733 §3.2.
pub fn event(key: char) -> Option<u8> {
    const KEYS: &str = "0123456789*#ABCD";
    KEYS.find(key.to_ascii_uppercase()).map(|at| at as u8)
}

/// The payload of an event packet; `duration` in samples since the key went down.
pub fn event_payload(event: u8, end: bool, duration: u16) -> [u8; 4] {
    const VOLUME: u8 = 10;
    let [high, low] = duration.to_be_bytes();
    [event, u8::from(end) << 7 | VOLUME, high, low]
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: First = First {
        sequence: Some(65_535),
        timestamp: Some(u32::MAX - 79),
        ssrc: Some(0x0102_0304),
    };

    #[test]
    fn numbers_wrap_and_rollovers_are_kept() {
        let mut source = Source::new(FIRST, 320);
        let packet = source.next(0, 320).packet(&[0xff; 2], None);
        let first = [
            0x80, 0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xb0, 1, 2, 3, 4, 0xff, 0xff,
        ];
        assert_eq!(packet, first);
        let header = source.next(8, 480);
        assert_eq!((header.index, header.timestamp), (65_536, 80));
        assert_eq!(header.packet(&[], None)[..4], [0x80, 8, 0, 0]);
        assert_eq!(source.index_of(65_530), 65_530);
        assert_eq!(source.index_of(5), 65_541);
    }

    #[test]
    fn a_key_is_an_event_and_its_end_is_marked() {
        assert_eq!(
            (event('#'), event('d'), event('x')),
            (Some(11), Some(15), None)
        );
        assert_eq!(event_payload(5, true, 800), [5, 0x8a, 3, 0x20]);
    }
}
