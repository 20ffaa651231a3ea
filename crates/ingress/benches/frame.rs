//! What one frame of 20 ms costs on its way from a text to a stream's chunk, piece by piece.

use std::hint::black_box;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use base64::prelude::{BASE64_STANDARD, Engine};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use call::audio::{Codec, Frame};
use call::backlog::Taken;
use call::feed::{ChunkSource, LegControl, LineConfig, MediaClock};
use call::leg::LegConfig;
use call::name::{CallName, Guid, Namespace, Side};
use ingress::intake::{Arrival, Intake, Introduction};
use ingress::twilio::TwilioConfig;
use ingress::twilio::feeds::Feeds;
use ingress::twilio::message::Message;
use ingress::twilio::payload::{Scratch, decoded_len};
use ingress::twilio::session::{Session, Verdict};

const FRAME: u64 = 160;

fn payload() -> String {
    let sound: Vec<u8> = (0..FRAME).map(|index| (index * 37 % 251) as u8).collect();
    BASE64_STANDARD.encode(sound)
}

fn media(index: u64) -> String {
    let (sequence, timestamp) = (index + 2, 52 + index * 20);
    let payload = payload();
    let media = format!(
        r#"{{"track":"inbound","chunk":"{index}","timestamp":"{timestamp}","payload":"{payload}"}}"#
    );
    let sid = "MZ0123456789abcdef0123456789abcdef";
    format!(
        r#"{{"event":"media","sequenceNumber":"{sequence}","media":{media},"streamSid":"{sid}"}}"#
    )
}

fn open(control: &LegControl) -> ChunkSource {
    let line = LineConfig {
        chunk_samples: 800,
        chunks_max: 100,
    };
    control
        .open(control.clock().now(), line)
        .expect("the leg is fed")
}

fn drain(source: &mut ChunkSource) {
    let context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Taken::Chunk(chunk)) = source.poll_take(&context) {
        black_box(chunk);
    }
}

fn pieces(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame");
    group.throughput(Throughput::Elements(1));
    let text = media(7);
    group.bench_function("parse", |bench| {
        bench.iter(|| black_box(Message::parse(black_box(&text))))
    });
    let payload = payload();
    group.bench_function("measure", |bench| {
        bench.iter(|| decoded_len(black_box(&payload)))
    });
    let mut scratch = Scratch::default();
    group.bench_function("base64", |bench| {
        bench.iter(|| black_box(scratch.decode(black_box(&payload))).map(<[u8]>::len));
    });
    group.bench_function("gate, decode, chunk", |bench| {
        let (intake, mut arrivals) = Intake::new(LegConfig::default());
        let guid = Guid::parse("CA1").expect("it is a guid");
        let call = CallName {
            namespace: Namespace::Twilio,
            guid,
        };
        let now = Instant::now();
        let introduction = Introduction::new(call, Side::First, Vec::new());
        let feed = intake.open(now, &MediaClock::default(), introduction);
        let Ok(Arrival::Opened(opened)) = arrivals.try_recv() else {
            panic!("no leg")
        };
        let mut source = open(&opened.control);
        let sound = [0x5A; FRAME as usize];
        let mut position = 0;
        bench.iter(|| {
            black_box(feed.gate());
            feed.push(
                now,
                Frame {
                    position,
                    codec: Codec::Pcmu,
                    payload: &sound,
                },
            );
            position += FRAME;
            drain(&mut source);
        });
    });
    group.finish();
}

fn whole(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("session");
    group.throughput(Throughput::Elements(1));
    for (name, is_open) in [("open gate", true), ("shut gate", false)] {
        group.bench_function(name, |bench| {
            let (intake, mut arrivals) = Intake::new(LegConfig::default());
            let mut feeds = Feeds::new(intake);
            let now = Instant::now();
            let mut session = Session::new(now, TwilioConfig::default().session_limits());
            let start = r#"{"event":"start","start":{"callSid":"CA1","tracks":["inbound"]}}"#;
            assert_eq!(session.text(now, start, &mut feeds), Verdict::Go);
            let Ok(Arrival::Opened(opened)) = arrivals.try_recv() else {
                panic!("no leg")
            };
            let mut source = open(&opened.control);
            if !is_open {
                opened.control.shut(false);
            }
            let texts: Vec<String> = (0..10_000).map(media).collect();
            let mut next = texts.iter().cycle();
            bench.iter(|| {
                let text = next.next().expect("it goes round");
                assert_eq!(session.text(now, text, &mut feeds), Verdict::Go);
                session.settle(now, &mut feeds);
                drain(&mut source);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, pieces, whole);
criterion_main!(benches);
