//! What holds of a receiver whatever comes in.

use std::time::{Duration, Instant};

use super::{PayloadKind, Placed, Receiver};
use crate::packet::Header;

/// Twelve bytes are one packet, report or silence. Every packet is counted once, positions stay
/// near the session's clock, and a report says what it may say.
#[expect(clippy::disallowed_methods, reason = "a walk begins at some time")]
pub fn fuzz(data: &[u8]) {
    let began = Instant::now();
    let mut receiver = Receiver::new();
    let (mut wall, mut packets, mut sound) = (0, 0, 0);
    for step in data.chunks_exact(12) {
        let word = |at: usize| u16::from_be_bytes([step[at], step[at + 1]]);
        let ssrc = u32::from(step[1] % 4);
        let timestamp = u32::from(word(4)) << (step[1] >> 4) | u32::from(word(6));
        wall += u64::from(word(8));
        let now = began + Duration::from_micros(wall * 125);
        match step[0] {
            0 => receiver.goodbye(ssrc),
            1 => receiver.renew(),
            2..8 => receiver.sender_report(ssrc, u64::from(timestamp) << 20, timestamp, wall),
            8..16 => {
                let Some(report) = receiver.report(wall) else {
                    continue;
                };
                assert!((0..=0x7f_ffff).contains(&report.lost));
                assert_eq!(Some(report.ssrc), receiver.ssrc());
            }
            kind => {
                let header = Header {
                    payload_type: 0,
                    sequence: word(2),
                    timestamp,
                    ssrc,
                    payload_len: usize::from(step[10]),
                };
                packets += 1;
                sound += u64::from(step[10]);
                let placed = receiver.place_header(now, wall, &header, kind_of(kind));
                check(placed, wall, sound);
            }
        }
    }
    let stats = receiver.stats();
    let counted = stats.received + stats.duplicates + stats.late + stats.discarded;
    assert_eq!(counted, packets);
    assert!(stats.reordered <= stats.received);
    assert!(stats.sources + stats.jumps <= packets);
}

/// A line may run ahead of the session's clock by ten times the agreement, and by what it brought.
fn check(placed: Placed, wall: u64, sound: u64) {
    if let Placed::Sound { position } | Placed::Restarted { position } = placed {
        assert!(position <= wall + sound + 11 * 8000);
    }
}

fn kind_of(byte: u8) -> Option<PayloadKind> {
    match byte {
        16..24 => None,
        24..40 => Some(PayloadKind::Events(8000)),
        40..48 => Some(PayloadKind::ComfortNoise),
        _ => Some(PayloadKind::Sound {
            bytes_per_sample: 1 + byte % 2,
        }),
    }
}
