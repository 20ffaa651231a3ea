//! RTCP as a client sends it, and the receiver reports it gets. RFC 3550 §6.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::rtp::Source;

/// From 1900, where NTP begins, to 1970.
const NTP_TO_UNIX: u64 = 2_208_988_800;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;

/// What a recording server has told of one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reports {
    /// Compound packets.
    pub packets: u64,
    /// Receiver reports with at least one block, all of them about this line's source.
    pub blocks: u64,
    /// Of the newest block: packets lost since the beginning.
    pub lost: i32,
    /// Of the newest block: the highest sequence number, with its cycles.
    pub highest: u32,
    /// Of the newest block: interarrival jitter in samples.
    pub jitter: u32,
    /// The newest canonical name.
    pub cname: String,
    /// Goodbyes.
    pub goodbyes: u64,
    /// Packets that are no RTCP, were not sealed with the agreed key, or report on a stranger.
    pub bad: u64,
}

/// Sender report and description, one compound packet.
pub(super) fn sender_report(
    source: &Source,
    position: u64,
    at: SystemTime,
    cname: &str,
) -> Vec<u8> {
    let mut packet = vec![0x80, SENDER_REPORT, 0, 6];
    packet.extend_from_slice(&source.ssrc.to_be_bytes());
    packet.extend_from_slice(&ntp(at).to_be_bytes());
    packet.extend_from_slice(&source.timestamp(position).to_be_bytes());
    packet.extend_from_slice(&source.packets.to_be_bytes());
    packet.extend_from_slice(&source.octets.to_be_bytes());
    let mut item = source.ssrc.to_be_bytes().to_vec();
    item.extend_from_slice(&[1, cname.len() as u8]);
    item.extend_from_slice(cname.as_bytes());
    // At least one byte of nought ends the list of items.
    item.resize((item.len() + 1).next_multiple_of(4), 0);
    packet.extend_from_slice(&[0x81, DESCRIPTION, 0, (item.len() / 4) as u8]);
    packet.extend_from_slice(&item);
    packet
}

/// The same and a goodbye behind it.
pub(super) fn goodbye(source: &Source, position: u64, at: SystemTime, cname: &str) -> Vec<u8> {
    let mut packet = sender_report(source, position, at, cname);
    packet.extend_from_slice(&[0x81, GOODBYE, 0, 1]);
    packet.extend_from_slice(&source.ssrc.to_be_bytes());
    packet
}

impl Reports {
    /// Takes a compound packet about this source, in the clear.
    pub(super) fn hear(&mut self, mut compound: &[u8], ssrc: u32) {
        self.packets += 1;
        let is_report = matches!(compound.get(1), Some(&SENDER_REPORT | &RECEIVER_REPORT));
        if !is_report {
            self.bad += 1;
        }
        while let [first, kind, high, low, ..] = *compound {
            let length = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
            let Some(packet) = compound.get(..length).filter(|_| first >> 6 == 2) else {
                self.bad += 1;
                return;
            };
            match kind {
                DESCRIPTION => self.describe(packet),
                GOODBYE => self.goodbyes += 1,
                RECEIVER_REPORT => self.block(packet.get(8..32), first & 0x1f, ssrc),
                _ => {}
            }
            compound = &compound[length..];
        }
    }

    fn block(&mut self, block: Option<&[u8]>, count: u8, ssrc: u32) {
        let Some(block) = block.filter(|_| count > 0) else {
            return;
        };
        let word = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| block[at + byte]));
        if word(0) != ssrc {
            self.bad += 1;
            return;
        }
        self.blocks += 1;
        // 24 bits with a sign.
        self.lost = (word(4) << 8) as i32 >> 8;
        self.highest = word(8);
        self.jitter = word(12);
    }

    fn describe(&mut self, packet: &[u8]) {
        if let Some([1, length, name @ ..]) = packet.get(8..)
            && let Some(name) = name.get(..usize::from(*length))
        {
            self.cname = String::from_utf8_lossy(name).into_owned();
        }
    }
}

fn ntp(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
    (since.as_secs() + NTP_TO_UNIX) << 32 | fraction
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::siprec::rtp::First;

    fn source() -> Source {
        let first = First {
            sequence: Some(0),
            timestamp: Some(1_000),
            ssrc: Some(7),
        };
        let mut source = Source::new(first, 0);
        source.count(160);
        source
    }

    #[test]
    fn a_sender_report_puts_both_clocks_side_by_side() {
        let at = UNIX_EPOCH + Duration::from_millis(1_500);
        let packet = goodbye(&source(), 8_000, at, "src@192.0.2.9");
        assert_eq!(packet.len() % 4, 0);
        assert_eq!(packet[..8], [0x80, 200, 0, 6, 0, 0, 0, 7]);
        assert_eq!(
            packet[8..16],
            (((NTP_TO_UNIX + 1) << 32) | 1 << 31).to_be_bytes()
        );
        assert_eq!(packet[16..28], [0, 0, 0x23, 0x28, 0, 0, 0, 1, 0, 0, 0, 160]);
        let mut reports = Reports::default();
        reports.hear(&packet, 7);
        assert_eq!(
            (reports.cname.as_str(), reports.goodbyes),
            ("src@192.0.2.9", 1)
        );
        assert_eq!(reports.bad, 0);
    }

    #[test]
    fn a_block_about_this_source_is_noted_and_one_about_another_is_bad() {
        let mut packet = vec![0x81, 201, 0, 7, 0, 0, 0, 9];
        let words: [u32; 6] = [7, 0x40ff_fffe, 65_600, 3, 0, 0];
        packet.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        let mut reports = Reports::default();
        reports.hear(&packet, 7);
        assert_eq!(
            (reports.blocks, reports.lost, reports.highest),
            (1, -2, 65_600)
        );
        reports.hear(&packet, 8);
        reports.hear(&packet[..20], 7);
        assert_eq!((reports.blocks, reports.bad), (1, 2));
    }
}
