//! RTCP read and written: sender reports and goodbyes in, receiver reports with CNAME out.
//! RFC 3550 §6.

use std::time::Duration;

/// One thing that a compound packet says. What is not here is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A source description's canonical name. §6.5.1.
    Cname {
        /// Of whom.
        ssrc: u32,
        /// As it was sent; it may name a person or an address, so it is not for logs.
        cname: &'a [u8],
    },
    /// The source is gone. §6.6.
    Goodbye {
        /// Who.
        ssrc: u32,
    },
    /// A receiver report; we send nothing it could report on. §6.4.2.
    ReceiverReport {
        /// From whom.
        ssrc: u32,
    },
    /// A sender report. §6.4.1.
    SenderReport {
        /// From whom.
        ssrc: u32,
        /// 64-bit NTP time: seconds and fractions of 1/2^32.
        ntp: u64,
        /// The same instant on the media clock.
        timestamp: u32,
    },
}

/// What a receiver reports of one source. §6.4.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// Reported on.
    pub ssrc: u32,
    /// Lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Lost since the beginning; 24 bits with sign on the wire.
    pub lost: i32,
    /// Highest sequence number with its cycles.
    pub highest: u32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time; 0 if there was none.
    pub last_report: u32,
    /// Since that report came in, in 1/65536 s.
    pub delay: u32,
}

/// A report of ours: RR, SDES with CNAME, and BYE when we leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report<'a> {
    /// Our own synchronisation source.
    pub ssrc: u32,
    /// Our canonical name, at most 255 bytes of it.
    pub cname: &'a str,
    /// What we heard since the last one; none makes an empty RR. At most 31 are written.
    pub blocks: &'a [ReportBlock],
    /// Whether this is the last one.
    pub leaving: bool,
}

/// It is not RTCP version 2, or it breaks off within its first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RTCP packet")]
pub struct NotRtcp;

/// At most so many items are taken out of one datagram.
pub const ITEMS_MAX: usize = 64;

/// The least time between two reports. §6.2.
pub const INTERVAL: Duration = Duration::from_secs(5);

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;

/// The text of a source description that names the source.
const CNAME: u8 = 1;

/// Reads a compound packet. What follows a broken packet is left.
pub fn parse(bytes: &[u8]) -> Result<Vec<Item<'_>>, NotRtcp> {
    let mut items = Vec::new();
    let (mut packet, mut rest) = split(bytes).ok_or(NotRtcp)?;
    loop {
        read(&packet, &mut items);
        if items.len() >= ITEMS_MAX {
            items.truncate(ITEMS_MAX);
            return Ok(items);
        }
        let Some(next) = split(rest) else {
            return Ok(items);
        };
        (packet, rest) = next;
    }
}

/// How long to wait for the next report: `minimum`, half of it before the first, times a random
/// factor of 0.5 to 1.5, so that many sessions do not report at once. §6.2, §6.3.1.
///
/// `random` is any evenly spread number. With two members and 64 kbit/s the share of 5 % never
/// asks for more than the minimum, so the bandwidth is not looked at.
pub fn interval(minimum: Duration, is_first: bool, random: u32) -> Duration {
    let base = if is_first { minimum / 2 } else { minimum };
    base / 2 + base.mul_f64(f64::from(random) / (f64::from(u32::MAX) + 1.0))
}

/// One packet of a compound.
struct Part<'a> {
    kind: u8,
    count: usize,
    body: &'a [u8],
}

/// Takes the first packet off a compound.
fn split(bytes: &[u8]) -> Option<(Part<'_>, &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<4>()?;
    if header[0] >> 6 != 2 || !(192..=223).contains(&header[1]) {
        return None;
    }
    let words = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let (body, rest) = rest.split_at_checked(words * 4)?;
    let padding = match header[0] >> 5 & 1 {
        0 => 0,
        _ => usize::from(*body.last()?),
    };
    let body = &body[..body.len().checked_sub(padding)?];
    let part = Part {
        kind: header[1],
        count: usize::from(header[0] & 0x1f),
        body,
    };
    Some((part, rest))
}

fn read<'a>(part: &Part<'a>, items: &mut Vec<Item<'a>>) {
    let Some(ssrc) = word(part.body, 0) else {
        return;
    };
    match part.kind {
        SENDER_REPORT => {
            let read = |at| word(part.body, at);
            if let (Some(high), Some(low), Some(timestamp)) = (read(1), read(2), read(3)) {
                items.push(Item::SenderReport {
                    ssrc,
                    ntp: u64::from(high) << 32 | u64::from(low),
                    timestamp,
                });
            }
        }
        RECEIVER_REPORT => items.push(Item::ReceiverReport { ssrc }),
        SOURCE_DESCRIPTION => read_names(part, items),
        GOODBYE => {
            let gone = (0..part.count).map_while(|at| word(part.body, at));
            items.extend(gone.map(|ssrc| Item::Goodbye { ssrc }));
        }
        _ => {}
    }
}

/// The CNAME of each chunk of a source description. §6.5.
fn read_names<'a>(part: &Part<'a>, items: &mut Vec<Item<'a>>) {
    let mut rest = part.body;
    for _ in 0..part.count {
        let Some((ssrc, mut texts)) = rest.split_first_chunk::<4>() else {
            return;
        };
        let ssrc = u32::from_be_bytes(*ssrc);
        while let Some((kind, text, after)) = text(texts) {
            if kind == CNAME {
                items.push(Item::Cname { ssrc, cname: text });
            }
            texts = after;
        }
        // A chunk ends with at least one zero, on a word.
        let used = part.body.len() - texts.len();
        let Some(next) = part.body.get((used / 4 + 1) * 4..) else {
            return;
        };
        rest = next;
    }
}

/// The first text of a chunk: kind, text, what follows.
fn text(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[kind, length], rest) = bytes.split_first_chunk::<2>()?;
    let (text, rest) = rest.split_at_checked(usize::from(length))?;
    (kind != 0).then_some((kind, text, rest))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at * 4..at * 4 + 4)?;
    Some(u32::from_be_bytes(word.try_into().ok()?))
}

impl Report<'_> {
    /// The datagram.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.cname.len());
        self.write_blocks(&mut out);
        self.write_cname(&mut out);
        if self.leaving {
            begin(&mut out, GOODBYE, 1, 1);
            out.extend(self.ssrc.to_be_bytes());
        }
        out
    }

    fn write_blocks(&self, out: &mut Vec<u8>) {
        let blocks = &self.blocks[..self.blocks.len().min(31)];
        begin(out, RECEIVER_REPORT, blocks.len(), 1 + 6 * blocks.len());
        out.extend(self.ssrc.to_be_bytes());
        for block in blocks {
            let lost = block.lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
            let words = [
                block.ssrc,
                u32::from(block.fraction_lost) << 24 | lost,
                block.highest,
                block.jitter,
                block.last_report,
                block.delay,
            ];
            out.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        }
    }

    fn write_cname(&self, out: &mut Vec<u8>) {
        let cname = &self.cname.as_bytes()[..self.cname.len().min(255)];
        // SSRC, kind, length, name, and one to four zeros up to a word.
        let words = (4 + 2 + cname.len()) / 4 + 1;
        begin(out, SOURCE_DESCRIPTION, 1, words);
        out.extend(self.ssrc.to_be_bytes());
        out.extend([CNAME, cname.len() as u8]);
        out.extend(cname);
        out.resize(out.len() + words * 4 - 6 - cname.len(), 0);
    }
}

fn begin(out: &mut Vec<u8>, kind: u8, count: usize, words: usize) {
    out.extend([2 << 6 | count as u8, kind]);
    out.extend((words as u16).to_be_bytes());
}

/// Whatever comes in: few items, nothing beyond the packet, and the same again from what is left
/// after them; and what we write is read as it was meant.
pub fn fuzz(data: &[u8]) {
    if let Ok(items) = parse(data) {
        assert!(items.len() <= ITEMS_MAX && data.len() >= 4);
        for item in items {
            if let Item::Cname { cname, .. } = item {
                assert!(cname.len() <= 255);
                assert!(cname.is_empty() || data.as_ptr_range().contains(&cname.as_ptr()));
            }
        }
    }
    let Some((seed, name)) = data.split_first_chunk::<12>() else {
        return;
    };
    let number =
        |at: usize| u32::from_be_bytes([seed[at], seed[at + 1], seed[at + 2], seed[at + 3]]);
    let name = String::from_utf8_lossy(name);
    let block = ReportBlock {
        ssrc: number(0),
        fraction_lost: seed[4],
        lost: number(4) as i32,
        ..ReportBlock::default()
    };
    let written = Report {
        ssrc: number(8),
        cname: &name,
        blocks: &[block][..usize::from(seed[0] & 1)],
        leaving: seed[1] & 1 == 1,
    };
    let bytes = written.write();
    let ssrc = written.ssrc;
    let cname = &name.as_bytes()[..name.len().min(255)];
    let mut expected = vec![Item::ReceiverReport { ssrc }, Item::Cname { ssrc, cname }];
    expected.extend(written.leaving.then_some(Item::Goodbye { ssrc }));
    assert_eq!(parse(&bytes), Ok(expected));
    assert!(bytes.len().is_multiple_of(4) && crate::packet::is_rtcp(&bytes));
}

#[cfg(test)]
mod tests;
