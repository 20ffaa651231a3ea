//! Keys pressed, as RFC 4733 events: three end packets are one key.

use std::fmt;
use std::time::Duration;

use crate::packet::{Header, Packet};

/// Puts the packets of events together to keys. One a line; to be asked behind an open gate only,
/// for a key is as private as what is said: one that began while the gate was not open is none.
#[derive(Clone, Debug, Default)]
pub struct Keypad {
    /// The key that is held down, or was the last.
    held: Option<Held>,
    /// The newest event that is to stay unknown: its source, and when it began.
    hidden: Option<(u32, u32)>,
    /// No event was heard since the keypad was last made to forget.
    is_fresh: bool,
}

/// One key that was pressed and let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pressed {
    /// Which.
    pub key: Key,
    /// How long.
    pub duration: Duration,
}

/// A key: `0`–`9`, `*`, `#`, `A`–`D`. Never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key(char);

#[derive(Clone, Copy, Debug)]
struct Held {
    key: Key,
    ssrc: u32,
    clock_rate: u32,
    /// Of the present segment: a key held for longer than 65,535 units is sent in several.
    timestamp: u32,
    /// In the segments before, and in the present one.
    before: u64,
    units: u16,
    is_over: bool,
}

/// The first four bytes of a payload. §2.3.
#[derive(Clone, Copy)]
struct Event {
    key: Key,
    is_end: bool,
    units: u16,
}

/// What stands before the newest by less is late; by more, the source counts anew.
const LATE_SECONDS: u32 = 5;

impl Key {
    /// What is written on it.
    pub fn as_char(self) -> char {
        self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(·)")
    }
}

impl Keypad {
    /// Hears one packet of events, whose timestamps count at `clock_rate`; what it ended, oldest
    /// first. A key whose end packets were all lost ends with the next one. `is_next` says that no
    /// packet is missing before this one.
    pub fn hear(
        &mut self,
        packet: &Packet<'_>,
        clock_rate: u32,
        is_next: bool,
    ) -> [Option<Pressed>; 2] {
        let Some(event) = Event::read(packet.payload) else {
            return [None, None];
        };
        if self.is_hidden(packet, clock_rate, is_next) {
            return [None, None];
        }
        let Some(held) = &mut self.held else {
            return [None, self.press(packet, clock_rate, event)];
        };
        if held.ssrc == packet.ssrc && held.clock_rate == clock_rate {
            if is_late(held.timestamp, packet.timestamp, clock_rate) {
                return [None, None];
            }
            if held.is_continued_by(packet.timestamp, event) {
                return [None, held.go_on(packet.timestamp, event)];
            }
        }
        let lost_end = held.let_go();
        [lost_end, self.press(packet, clock_rate, event)]
    }

    /// Forgets a key half heard: the gate is not open, or was not since.
    pub fn forget(&mut self) {
        if let Some(held) = self.held.take() {
            self.hidden = Some((held.ssrc, held.timestamp));
        }
        self.is_fresh = true;
    }

    /// A packet of events that was not opened, because the gate is not open. What is still heard of
    /// that key once it is says nothing.
    pub fn withhold(&mut self, header: &Header, clock_rate: u32) {
        self.forget();
        let newest = self.hidden_of(header.ssrc);
        if newest.is_none_or(|newest| !is_late(newest, header.timestamp, clock_rate)) {
            self.hidden = Some((header.ssrc, header.timestamp));
        }
    }

    fn hidden_of(&self, ssrc: u32) -> Option<u32> {
        let of_source = self.hidden.filter(|(source, _)| *source == ssrc);
        of_source.map(|(_, timestamp)| timestamp)
    }

    /// Whether the key began before the keypad was last made to forget, or may have: of the first
    /// one since, the beginning may be lost.
    fn is_hidden(&mut self, packet: &Packet<'_>, clock_rate: u32, is_next: bool) -> bool {
        let is_first = std::mem::take(&mut self.is_fresh);
        let may_have_begun_before = is_first && !packet.marker && !is_next;
        let goes_on = self.hidden_of(packet.ssrc).is_some_and(|hidden| {
            let ahead = packet.timestamp.wrapping_sub(hidden);
            let is_next_segment = !packet.marker && ahead == u32::from(u16::MAX);
            ahead == 0 || is_next_segment || is_late(hidden, packet.timestamp, clock_rate)
        });
        if may_have_begun_before || goes_on {
            self.withhold(&packet.header(), clock_rate);
            self.is_fresh = false;
        }
        may_have_begun_before || goes_on
    }

    fn press(&mut self, packet: &Packet<'_>, clock_rate: u32, event: Event) -> Option<Pressed> {
        let held = self.held.insert(Held {
            key: event.key,
            ssrc: packet.ssrc,
            clock_rate,
            timestamp: packet.timestamp,
            before: 0,
            units: 0,
            is_over: false,
        });
        held.go_on(packet.timestamp, event)
    }
}

impl Held {
    /// The same packet grown longer, a repeated end, or the next segment. §2.5.1.3.
    fn is_continued_by(&self, timestamp: u32, event: Event) -> bool {
        let ahead = timestamp.wrapping_sub(self.timestamp);
        let is_next_segment =
            !self.is_over && (ahead == u32::from(self.units) || ahead == u32::from(u16::MAX));
        self.key == event.key && (ahead == 0 || is_next_segment)
    }

    fn go_on(&mut self, timestamp: u32, event: Event) -> Option<Pressed> {
        if timestamp != self.timestamp {
            self.before += u64::from(timestamp.wrapping_sub(self.timestamp));
            self.timestamp = timestamp;
            self.units = 0;
        }
        if self.is_over {
            return None;
        }
        self.units = self.units.max(event.units);
        event.is_end.then(|| self.let_go()).flatten()
    }

    /// The key, unless it was let go already.
    fn let_go(&mut self) -> Option<Pressed> {
        let was_over = std::mem::replace(&mut self.is_over, true);
        let units = self.before + u64::from(self.units);
        let micros = units.saturating_mul(1_000_000) / u64::from(self.clock_rate.max(1));
        (!was_over).then_some(Pressed {
            key: self.key,
            duration: Duration::from_micros(micros),
        })
    }
}

impl Event {
    /// The reserved bit and the volume are not looked at; tones that are no keys are none.
    fn read(payload: &[u8]) -> Option<Self> {
        let &[code, flags, high, low] = payload.first_chunk::<4>()?;
        let key = b"0123456789*#ABCD".get(usize::from(code))?;
        Some(Self {
            key: Key(char::from(*key)),
            is_end: flags & 0x80 != 0,
            units: u16::from_be_bytes([high, low]),
        })
    }
}

fn is_late(newest: u32, timestamp: u32, clock_rate: u32) -> bool {
    let before = newest.wrapping_sub(timestamp);
    (1..clock_rate.saturating_mul(LATE_SECONDS)).contains(&before)
}

/// Whatever comes in: there are no more keys than packets that could have begun one, and no key is
/// printed.
pub fn fuzz(data: &[u8]) {
    let mut keypad = Keypad::default();
    let mut packets = 0;
    let mut keys = 0;
    for step in data.chunks_exact(8) {
        let packet = Packet {
            payload_type: 101,
            sequence: 0,
            timestamp: u32::from(u16::from_be_bytes([step[0], step[1]])) << (step[2] >> 4),
            ssrc: u32::from(step[2] & 1),
            marker: step[7] & 0x40 != 0,
            payload: &step[3..3 + usize::from(step[7] % 5)],
        };
        packets += 1;
        let rate = [0, 8000, 16_000, 48_000][usize::from(step[2] >> 1 & 3)];
        let is_next = step[7] & 0x80 == 0;
        for pressed in keypad.hear(&packet, rate, is_next).into_iter().flatten() {
            keys += 1;
            assert!("0123456789*#ABCD".contains(pressed.key.as_char()));
            assert_eq!(format!("{:?}", pressed.key), "Key(·)");
        }
        match step[7] {
            0xfe => keypad.withhold(&packet.header(), rate),
            0xff => keypad.forget(),
            _ => {}
        }
    }
    assert!(keys <= packets);
}

#[cfg(test)]
mod tests;
