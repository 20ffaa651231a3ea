//! The per-frame path of one leg, piece by piece: what 50 frames a second cost.

#![expect(clippy::disallowed_methods, reason = "a benchmark has a clock")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use call::audio::{Codec, Frame};
use call::backlog::{Backlog, Taken};
use call::feed::{LineConfig, MediaClock, leg};
use call::leg::{Leg, LegConfig};
use criterion::{Criterion, criterion_group, criterion_main};

const FRAME: u64 = 160;

fn decoding(criterion: &mut Criterion) {
    let payload: Vec<u8> = (0..FRAME).map(|index| (index * 7) as u8).collect();
    for (name, codec) in [
        ("pcmu", Codec::Pcmu),
        ("pcma", Codec::Pcma),
        ("l16", Codec::L16),
    ] {
        let mut out = Vec::with_capacity(FRAME as usize);
        criterion.bench_function(&format!("decode a frame, {name}"), |bench| {
            bench.iter(|| {
                out.clear();
                codec.decode(black_box(&payload), &mut out);
                black_box(out.len())
            });
        });
    }
}

fn pipeline(criterion: &mut Criterion) {
    let now = Instant::now();
    let payload = [0x31; FRAME as usize];
    criterion.bench_function("leg: gate, order, decode, chunk", |bench| {
        let mut backlog = Backlog::new(800, 4);
        let mut leg = Leg::new(now, LegConfig::default());
        leg.open(0);
        let mut position = 0;
        bench.iter(|| {
            let frame = Frame {
                position,
                codec: Codec::Pcmu,
                payload: &payload,
            };
            if leg.push(now, frame, &mut backlog) {
                black_box(matches!(backlog.take(), Taken::Chunk(_)));
            }
            position += FRAME;
        });
    });
    criterion.bench_function("feed: the same behind its locks", |bench| {
        let (feed, control) = leg(now, LegConfig::default(), MediaClock::default());
        let line = LineConfig {
            chunk_samples: 800,
            chunks_max: 4,
        };
        let source = control.open(0, line);
        let mut position = 0;
        bench.iter(|| {
            feed.push(
                now,
                Frame {
                    position,
                    codec: Codec::Pcmu,
                    payload: &payload,
                },
            );
            position += FRAME;
        });
        drop(source);
    });
    criterion.bench_function("feed: behind a shut gate", |bench| {
        let (feed, _control) = leg(now, LegConfig::default(), MediaClock::default());
        let mut position = 0;
        bench.iter(|| {
            feed.withhold(now, position, FRAME);
            position += FRAME;
        });
    });
}

fn quick() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

criterion_group! {
    name = benches;
    config = quick();
    targets = decoding, pipeline
}
criterion_main!(benches);
