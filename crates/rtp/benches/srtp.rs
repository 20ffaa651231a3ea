//! SRTP packets opened: of one line, and of a thousand lines in turn, whose state has left the
//! cache each time.

#![expect(clippy::disallowed_methods, reason = "a benchmark has a clock")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rtc_srtp::context::Context;
use rtc_srtp::crypto::providers::AwsLcRsCrypto;
use rtc_srtp::protection_profile::ProtectionProfile;
use rtp::srtp::{Keys, Opener, OpenerConfig, Suite};

/// So often each line is heard before all begin anew.
const ROUNDS: u16 = 50;
/// More than a cache holds.
const CACHE_BYTES: usize = 64 << 20;

/// Packets of many lines, sealed.
struct World {
    suite: Suite,
    lines: u16,
    /// Those of one round behind each other.
    packets: Vec<Vec<u8>>,
}

impl World {
    fn new(suite: Suite, lines: u16) -> Self {
        let profile = match suite {
            Suite::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
            _ => ProtectionProfile::Aes128CmHmacSha1_80,
        };
        let mut senders: Vec<Context> = (0..lines)
            .map(|line| {
                let (key, salt) = master(suite, line);
                Context::new(&key, &salt, profile, None, None, &AwsLcRsCrypto)
                    .expect("the right lengths")
            })
            .collect();
        let mut packets = Vec::new();
        for sequence in 0..ROUNDS {
            for sender in &mut senders {
                // 20 ms of G.711.
                let mut packet = vec![0x80, 0];
                packet.extend(sequence.to_be_bytes());
                packet.extend([0, 0, 0, 0, 0, 0, 0, 7]);
                packet.extend([0x31; 160]);
                packets.push(sender.encrypt_rtp(&packet).expect("a packet").to_vec());
            }
        }
        Self {
            suite,
            lines,
            packets,
        }
    }

    fn openers(&self) -> Vec<Opener> {
        let opener = |line| {
            let (key, salt) = master(self.suite, line);
            let keys = Keys::new(self.suite, &key, &salt, None).expect("the right lengths");
            Opener::new(OpenerConfig::default(), vec![keys]).expect("one key is a set")
        };
        (0..self.lines).map(opener).collect()
    }

    /// How long so many packets take, in the mean of rounds of all lines. `between` is called
    /// before each round and not counted.
    fn open(&self, packets: u64, is_open: bool, mut between: impl FnMut()) -> Duration {
        let now = Instant::now();
        let (mut spent, mut left) = (Duration::ZERO, packets as usize);
        let mut read = [0; 256];
        while left > 0 {
            let mut openers = self.openers();
            for round in self.packets.chunks(openers.len()).take(left) {
                between();
                let begun = Instant::now();
                for (opener, packet) in openers.iter_mut().zip(round) {
                    // As the kernel does it.
                    let bytes = &mut read[..packet.len()];
                    bytes.copy_from_slice(packet);
                    if is_open {
                        black_box(opener.open_rtp(now, bytes).expect("authentic").len());
                    } else {
                        black_box(opener.check_rtp(now, bytes).expect("authentic"));
                    }
                }
                spent += begun.elapsed();
            }
            left = left.saturating_sub(ROUNDS.into());
        }
        spent / self.lines.into()
    }
}

/// A line's key and salt.
fn master(suite: Suite, line: u16) -> (Vec<u8>, Vec<u8>) {
    let (key, salt) = suite.key_bytes();
    let (mut key, salt) = (vec![7; key], vec![9; salt]);
    key[..2].copy_from_slice(&line.to_be_bytes());
    (key, salt)
}

fn packets(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("srtp");
    group.throughput(Throughput::Elements(1));
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AeadAes128Gcm] {
        let (one, many) = (World::new(suite, 1), World::new(suite, 1000));
        let mut other = vec![1_u8; CACHE_BYTES];
        for (gate, is_open) in [("open", true), ("shut", false)] {
            group.bench_function(format!("{suite:?}, {gate} gate, one line"), |bench| {
                bench.iter_custom(|packets| one.open(packets, is_open, || {}));
            });
            group.bench_function(format!("{suite:?}, {gate} gate, 1000 lines"), |bench| {
                bench.iter_custom(|packets| {
                    many.open(packets, is_open, || {
                        for byte in other.iter_mut().step_by(64) {
                            *byte = byte.wrapping_add(1);
                        }
                    })
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, packets);
criterion_main!(benches);
