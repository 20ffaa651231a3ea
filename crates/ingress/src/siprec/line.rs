//! One media line: what becomes of each packet of it. It has no socket and never waits.
//!
//! The gate is asked before a packet is opened. Behind a gate that is not open a packet is a header
//! and a length, and what SRTP has to decrypt to tell that it is authentic is wiped at once.

mod reports;

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Context;
use std::time::{Duration, Instant};

use call::audio::{Codec, Frame};
use call::private::Private;
use rtp::dtmf::{self, Keypad};
use rtp::packet::{self, Header, Packet};
use rtp::receiver::{Discarded, PayloadKind, Placed, Receiver, ReceiverStats};
use rtp::srtp::Refused;
use siprec::server::MediaLine;

use crate::intake::{Feed, Pressed};
use crate::siprec::clock::SessionClock;
use crate::siprec::formats::{Formats, Meaning};
use crate::siprec::seal::Seal;
use crate::siprec::source::{Source, Sourced};
use crate::siprec::tally::{Fate, LineEnd, LineTally};

/// What one line knows of its settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineLimits {
    pub(crate) source_packets: u32,
    pub(crate) source_timeout: Duration,
}

/// One line's state.
#[derive(Debug)]
pub(crate) struct Line {
    /// None once newer media took the leg's place: packets are then read and forgotten.
    feed: Option<Feed>,
    clock: Arc<SessionClock>,
    receiver: Receiver,
    formats: Formats,
    source: Source,
    protection: Protection,
    keypad: Keypad,
    /// L16 in our byte order. Empty but while a packet is unpacked.
    scratch: Vec<u8>,
    media: MediaLine,
    /// Where the peer's reports come from.
    reports_from: Option<SocketAddr>,
    /// Our synchronisation source, which is never heard, only reported with.
    ssrc: u32,
    /// When a packet last came from the source; at first, when the line began.
    heard: Instant,
    tally: LineTally,
    /// What of the receiver's counts is in a tally already.
    told: ReceiverStats,
    /// Nothing comes any more.
    is_over: bool,
    /// Of the leg's counts: filled and concealed.
    told_of_leg: (u64, u64),
    /// The newest packet's sequence number.
    sequence: Option<u16>,
    /// The opening of the gate whose sound may pass: all that had arrived before it was put aside.
    passes: Option<u64>,
}

#[derive(Debug)]
enum Protection {
    /// The keys that were agreed cannot be used: nothing is taken.
    Broken,
    Plain,
    Srtp(Box<Seal>),
}

impl Line {
    /// From now on `media` is received for `feed`. `ssrc` is any number.
    pub(crate) fn new(
        (now, ssrc): (Instant, u32),
        feed: Feed,
        clock: Arc<SessionClock>,
        media: MediaLine,
        limits: LineLimits,
    ) -> Self {
        let source = Source::new(media.remote, limits.source_packets, limits.source_timeout);
        let mut line = Self {
            feed: Some(feed),
            clock,
            receiver: Receiver::new(),
            formats: Formats::new(&media.formats),
            source,
            protection: Protection::Plain,
            keypad: Keypad::default(),
            scratch: Vec::new(),
            media,
            reports_from: None,
            ssrc,
            heard: now,
            tally: LineTally::default(),
            told: ReceiverStats::default(),
            is_over: false,
            told_of_leg: (0, 0),
            sequence: None,
            passes: None,
        };
        line.protect(now);
        line
    }

    /// A re-INVITE changed the line. The leg lives on.
    pub(crate) fn change(&mut self, now: Instant, media: MediaLine) {
        if self.media == media {
            return;
        }
        self.formats = Formats::new(&media.formats);
        self.source.signal(media.remote);
        if self.media.remote_rtcp != media.remote_rtcp {
            self.reports_from = None;
        }
        // A hold, its end, a transfer: the peer may go on with another stream.
        self.receiver.renew();
        self.heard = now;
        self.media = media;
        self.protect(now);
    }

    /// Reads a word of each place that the next packet needs, for the processor to fetch them all
    /// at once; of no meaning.
    pub(crate) fn prefetch(&self) -> u64 {
        let received = self.receiver.stats();
        let words = [
            self.feed.as_ref().map_or(0, Feed::prefetch),
            self.formats.meaning(0).is_some().into(),
            self.passes.unwrap_or(0),
            self.sequence.unwrap_or(0).into(),
            self.source.locked().is_some().into(),
            self.ssrc.into(),
            self.tally.lost,
            self.tally.packets[0],
            self.told.jumps,
            self.told.lost,
            self.told_of_leg.0,
            received.jitter.into(),
            received.lost,
            received.received,
            match &self.protection {
                Protection::Srtp(seal) => seal.prefetch(),
                Protection::Broken | Protection::Plain => 0,
            },
        ];
        words.iter().fold(0, |all, word| all ^ word)
    }

    /// Whether RTCP comes to the RTP port.
    pub(crate) fn is_muxed(&self) -> bool {
        self.media.rtcp_mux
    }

    /// For how long nothing has come although something may; `None` on hold.
    pub(crate) fn silent_for(&self, now: Instant) -> Option<Duration> {
        let silent = now.saturating_duration_since(self.heard);
        (self.media.is_active && self.feed.is_some()).then_some(silent)
    }

    /// The gate was opened since this was last asked, if it says so: what waits in the socket may
    /// have arrived before that. Until [`Line::emptied`] all that comes is withheld. The task is
    /// woken at the next opening.
    pub(crate) fn opened(&mut self, context: &Context<'_>) -> Option<u64> {
        let opening = self.feed.as_ref()?.watch_opening(context);
        if opening == self.passes {
            return None;
        }
        self.passes = None;
        opening
    }

    /// All that had arrived before this opening was put aside.
    pub(crate) fn emptied(&mut self, opening: u64) {
        self.keypad.forget();
        self.passes = Some(opening);
    }

    /// A datagram came to the RTP port. What is sealed is opened where it lies.
    pub(crate) fn rtp(&mut self, now: Instant, from: SocketAddr, bytes: &mut [u8]) {
        if packet::is_rtcp(bytes) && self.media.rtcp_mux {
            return self.rtcp(now, from, bytes);
        }
        let fate = self.fate(now, from, bytes);
        self.tally.packet(fate);
    }

    /// More than a packet can be came to a port.
    pub(crate) fn oversized(&mut self) {
        self.tally.packet(Fate::Malformed);
    }

    /// All that had arrived was taken.
    pub(crate) fn settle(&mut self, now: Instant) {
        if self.heard == now {
            self.clock.sounded(now);
        }
    }

    /// Time has passed: silence keeps its place on the clock.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.clock.tick(now);
        if let Some(feed) = &self.feed {
            feed.catch_up(now);
        }
        if let Some(reference) = self.clock.reference(self.receiver.ntp_reference()) {
            self.receiver.refer_to(reference);
        }
    }

    /// What was counted since this was last asked.
    pub(crate) fn take_tally(&mut self) -> LineTally {
        let stats = self.receiver.stats();
        self.count_filled();
        let told = &mut self.told;
        // What was overtaken is not lost, and a counter cannot go back.
        let pending = if self.is_over { 0 } else { stats.pending };
        self.tally.lost = rise(&mut told.lost, stats.lost.saturating_sub(pending));
        self.tally.reordered = rise(&mut told.reordered, stats.reordered);
        self.tally.restarts =
            rise(&mut told.sources, stats.sources) + rise(&mut told.jumps, stats.jumps);
        std::mem::take(&mut self.tally)
    }

    /// Interarrival jitter as it is now; none before the first packet.
    pub(crate) fn jitter(&self) -> Option<Duration> {
        let stats = self.receiver.stats();
        (stats.received > 0).then(|| call::audio::duration(u64::from(stats.jitter)))
    }

    /// Newer media took the leg's place, or the line is over: the leg ends.
    pub(crate) fn end(&mut self, end: LineEnd) {
        self.count_filled();
        self.is_over = true;
        if let Some(feed) = self.feed.take() {
            feed.end(end.ending());
        }
    }

    fn count_filled(&mut self) {
        if let Some(leg) = self.feed.as_ref().map(Feed::stats) {
            let (filled, concealed) = &mut self.told_of_leg;
            self.tally.filled += rise(filled, leg.filled);
            self.tally.concealed += rise(concealed, leg.concealed);
        }
    }

    fn fate(&mut self, now: Instant, from: SocketAddr, bytes: &mut [u8]) -> Fate {
        let Some(feed) = &self.feed else {
            return Fate::Retired;
        };
        let opening = feed.opening();
        let passes = opening.is_some() && opening == self.passes;
        match &mut self.protection {
            Protection::Broken => Fate::Unauthentic,
            Protection::Plain => match packet::parse(bytes) {
                Err(_) => Fate::Malformed,
                Ok(packet) => match self.admit(now, from) {
                    false => Fate::ForeignAddress,
                    true if passes => self.take(now, &packet),
                    true => self.withhold(now, &packet.header()),
                },
            },
            // Who can seal for us is who we listen to, so the seal is looked at first.
            Protection::Srtp(seal) if passes => match seal.open_rtp(now, bytes) {
                Err(refused) => fate_of(refused),
                Ok(plain) => match packet::parse(&plain) {
                    Err(_) => Fate::Malformed,
                    Ok(packet) if self.admit(now, from) => self.take(now, &packet),
                    Ok(_) => Fate::ForeignAddress,
                },
            },
            Protection::Srtp(seal) => match seal.check_rtp(now, bytes) {
                Err(refused) => fate_of(refused),
                Ok(header) if self.admit(now, from) => self.withhold(now, &header),
                Ok(_) => Fate::ForeignAddress,
            },
        }
    }

    fn admit(&mut self, now: Instant, from: SocketAddr) -> bool {
        match self.source.admit(now, from) {
            Sourced::Changed => {
                self.tally.source_changes += 1;
                self.receiver.renew();
            }
            Sourced::Foreign => return false,
            Sourced::Known => {}
        }
        self.heard = now;
        true
    }

    /// A packet for an open gate.
    fn take(&mut self, now: Instant, packet: &Packet<'_>) -> Fate {
        let meaning = self.formats.meaning(packet.payload_type);
        let kind = meaning.map(|meaning| meaning.kind);
        let wall = self.wall(now, meaning, packet.payload.len());
        let placed = self.receiver.place(now, wall, packet, kind);
        let is_next = self.is_next(packet.sequence, placed);
        match placed {
            Placed::Discarded(why) => discarded(why),
            Placed::Event => match kind {
                Some(PayloadKind::Events(clock_rate)) => {
                    let pressed = self.keypad.hear(packet, clock_rate, is_next);
                    pressed
                        .into_iter()
                        .flatten()
                        .for_each(|key| self.press(now, key));
                    Fate::Event
                }
                _ => Fate::ComfortNoise,
            },
            Placed::Restarted { position } | Placed::Sound { position } => {
                let Some(codec) = meaning.and_then(|meaning| meaning.codec) else {
                    return Fate::WrongType;
                };
                if is_next && let Some(feed) = &self.feed {
                    feed.quiet_until(now, position);
                }
                self.push(now, position, codec, packet.payload);
                Fate::Passed
            }
        }
    }

    fn press(&mut self, now: Instant, pressed: dtmf::Pressed) {
        let Some(feed) = &mut self.feed else { return };
        let pressed = Pressed {
            key: Private::new(pressed.key.as_char()),
            duration: Some(pressed.duration),
        };
        self.tally.keys += 1;
        self.tally.keys_untold += u64::from(!feed.press(now, pressed));
    }

    /// Whether no packet is missing before this one, so that what lies between it and the one
    /// before was never sent: silence suppressed, or a stream that began anew.
    fn is_next(&mut self, sequence: u16, placed: Placed) -> bool {
        match placed {
            Placed::Discarded(_) => false,
            Placed::Restarted { .. } => {
                self.sequence = Some(sequence);
                true
            }
            Placed::Event | Placed::Sound { .. } => {
                let ahead = self.sequence.map(|newest| sequence.wrapping_sub(newest));
                if ahead.is_none_or(|ahead| ahead < 0x8000) {
                    self.sequence = Some(sequence);
                }
                ahead.is_none_or(|ahead| ahead == 1)
            }
        }
    }

    /// A packet that a gate keeps out: a header and a length.
    fn withhold(&mut self, now: Instant, header: &Header) -> Fate {
        let meaning = self.formats.meaning(header.payload_type);
        let kind = meaning.map(|meaning| meaning.kind);
        match kind {
            Some(PayloadKind::Events(clock_rate)) => self.keypad.withhold(header, clock_rate),
            _ => self.keypad.forget(),
        }
        let wall = self.wall(now, meaning, header.payload_len);
        let placed = self.receiver.place_header(now, wall, header, kind);
        self.is_next(header.sequence, placed);
        match placed {
            Placed::Discarded(why) => discarded(why),
            Placed::Event => Fate::Withheld,
            Placed::Restarted { position } | Placed::Sound { position } => {
                let samples = samples(meaning, header.payload_len);
                if let Some(feed) = &self.feed {
                    feed.withhold(now, position, samples);
                }
                Fate::Withheld
            }
        }
    }

    fn push(&mut self, now: Instant, position: u64, codec: Codec, payload: &[u8]) {
        let Some(feed) = &self.feed else { return };
        let payload = if codec == Codec::L16 {
            // The network's byte order, RFC 3551 §4.5.11; ours is the other.
            let pairs = payload.chunks_exact(2);
            self.scratch
                .extend(pairs.flat_map(|pair| [pair[1], pair[0]]));
            self.scratch.as_slice()
        } else {
            payload
        };
        feed.push(
            now,
            Frame {
                position,
                codec,
                payload,
            },
        );
        self.scratch.clear();
    }

    /// The session's clock where the packet begins, if it came without delay.
    fn wall(&self, now: Instant, meaning: Option<Meaning>, payload_len: usize) -> u64 {
        let length = samples(meaning, payload_len);
        self.clock.wall(now).saturating_sub(length)
    }

    /// Takes over what was agreed on keys.
    fn protect(&mut self, now: Instant) {
        let ours = self.media.our_crypto.as_ref();
        let Some(theirs) = &self.media.crypto else {
            self.protection = Protection::Plain;
            return;
        };
        let sealed = match &mut self.protection {
            Protection::Srtp(seal) => seal.rekey(now, theirs, ours),
            Protection::Broken | Protection::Plain => Seal::new(theirs, ours)
                .map(|seal| self.protection = Protection::Srtp(Box::new(seal))),
        };
        if let Err(error) = sealed {
            tracing::warn!(%error, "The keys of a media line cannot be used.");
            self.protection = Protection::Broken;
        }
    }
}

fn samples(meaning: Option<Meaning>, payload_len: usize) -> u64 {
    let codec = meaning.and_then(|meaning| meaning.codec);
    codec.map_or(0, |codec| codec.samples(payload_len))
}

fn discarded(why: Discarded) -> Fate {
    match why {
        Discarded::Duplicate => Fate::Duplicate,
        Discarded::Foreign => Fate::ForeignStream,
        Discarded::Late => Fate::Late,
        Discarded::WrongType => Fate::WrongType,
    }
}

fn fate_of(refused: Refused) -> Fate {
    match refused {
        Refused::Forged | Refused::UnknownKey | Refused::Unencrypted => Fate::Unauthentic,
        Refused::Malformed => Fate::Malformed,
        Refused::Replayed => Fate::Replayed,
    }
}

/// By how much a count rose above what was told, which it is then.
fn rise(told: &mut u64, now: u64) -> u64 {
    let rise = now.saturating_sub(*told);
    *told += rise;
    rise
}

#[cfg(test)]
mod tests;
