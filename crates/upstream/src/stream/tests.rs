use std::time::Instant as StdInstant;

use call::audio::{Codec, Frame};
use call::backlog::GapReason;
use call::feed::{LegControl, LegFeed, LineConfig, MediaClock, leg};
use call::leg::LegConfig;
use call::name::{CallName, Guid, Namespace, Role, StreamId};
use call::start::{Phrase, StreamOptions};
use futures_util::future::BoxFuture;
use prometheus::Registry;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::*;
use crate::autotranscribe::{AutoTranscribe, AutoTranscribeConfig};
use crate::service::{Dialect, Limits, LocateError, Located, Retry};
use crate::trust::Trust;
use crate::wire::WireConfig;
use crate::wire::testing::{Peer, Said, Server};

const READY: &str =
    r#"{"message":"startResponse","streamID":"1","status":{"code":"1000","description":"OK"}}"#;

/// AutoTranscribe's dialect at an address that needs no asking.
struct Here {
    url: String,
    inner: AutoTranscribe,
    limits: Limits,
    fresh: bool,
    refusal: Option<LocateError>,
}

/// A leg, its stream and the service it speaks with.
struct World {
    server: Server,
    feed: Option<LegFeed>,
    control: LegControl,
    handle: StreamHandle,
    news: mpsc::Receiver<News>,
    stream: JoinSet<()>,
    registry: Registry,
    position: u64,
}

/// What a test may want otherwise.
struct Wish {
    config: StreamConfig,
    line: LineConfig,
    options: StreamOptions,
    limits: Limits,
    fresh: bool,
    refusal: Option<LocateError>,
}

struct Ears(mpsc::Sender<News>);

impl Listener for Ears {
    fn tell(&self, _stream: &StreamSpec, news: News) {
        // A test that has heard enough may be gone.
        self.0.try_send(news).ok();
    }
}

impl Service for Here {
    fn name(&self) -> &'static str {
        "here"
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn locate<'a>(&'a self, _: &'a StreamSpec) -> BoxFuture<'a, Result<Located, LocateError>> {
        Box::pin(async {
            match &self.refusal {
                Some(refusal) => Err(refusal.clone()),
                None => {
                    let request = http::Request::get(&self.url).body(()).unwrap();
                    Ok(Located {
                        request,
                        fresh: self.fresh,
                    })
                }
            }
        })
    }

    fn dialect(&self, spec: &StreamSpec) -> Box<dyn Dialect> {
        self.inner.dialect(spec)
    }
}

impl Default for Wish {
    fn default() -> Self {
        let mut config = StreamConfig::default();
        config.retry.backoff_base = Duration::from_millis(2);
        config.retry.backoff_max = Duration::from_millis(5);
        config.retry.backoff_min = Duration::from_millis(1);
        let burst = Duration::from_secs(60);
        Self {
            config,
            line: LineConfig {
                chunk_samples: 800,
                chunks_max: 100,
            },
            options: StreamOptions::default(),
            limits: Limits {
                chunk: Duration::from_millis(100),
                pace_percent: 120,
                burst,
            },
            fresh: true,
            refusal: None,
        }
    }
}

impl World {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(adjust: impl FnOnce(&mut Wish)) -> Self {
        let mut wish = Wish::default();
        adjust(&mut wish);
        let (server, registry) = (Server::bind(), Registry::new());
        let metrics = Arc::new(Metrics::register(&registry).unwrap());
        let trust = Trust::new(None).unwrap();
        let base = url::Url::parse("http://localhost").unwrap();
        let config = AutoTranscribeConfig::new(base, "id".to_owned(), "x".to_owned().into());
        let inner = AutoTranscribe::new(&config, &trust, Arc::clone(&metrics)).unwrap();
        let Wish {
            config,
            line,
            options,
            limits,
            fresh,
            refusal,
        } = wish;
        let service = Arc::new(Here {
            url: server.url(),
            inner,
            limits,
            fresh,
            refusal,
        });
        let wire = Arc::new(Wire::new(WireConfig::default(), trust));
        let (ears, news) = mpsc::channel(10_000);
        let listener = Arc::new(Ears(ears));
        let deps = Arc::new(Deps {
            service,
            wire,
            listener,
            config,
            metrics,
        });
        let spec = StreamSpec {
            id: StreamId::new("s1"),
            call: CallName {
                namespace: Namespace::Twilio,
                guid: Guid::parse("CA1").unwrap(),
            },
            external: "CA1".into(),
            role: Role::Agent,
            sender: "BL2341334".to_owned().into(),
            options: Arc::new(options),
        };
        let (feed, control) = leg(
            StdInstant::now(),
            LegConfig::default(),
            MediaClock::default(),
        );
        let source = control.open(0, line).unwrap();
        let (handle, running) = Stream::new(deps, spec, source);
        let mut stream = JoinSet::new();
        let running = running.run();
        assert!(
            size_of_val(&running) < 4 << 10,
            "a stream takes {}",
            size_of_val(&running)
        );
        stream.spawn(running);
        Self {
            server,
            feed: Some(feed),
            control,
            handle,
            news,
            stream,
            registry,
            position: 0,
        }
    }

    /// The customer speaks for so many chunks of 100 ms; each chunk has a value of its own.
    fn speak(&mut self, chunks: u64) {
        for _ in 0..chunks {
            let value = (self.position / 800) as i16 + 1;
            let payload: Vec<u8> = (0..800).flat_map(|_| value.to_le_bytes()).collect();
            let frame = Frame {
                position: self.position,
                codec: Codec::L16,
                payload: &payload,
            };
            self.feed.as_ref().unwrap().push(StdInstant::now(), frame);
            self.position += 800;
        }
    }

    fn stop(&self) {
        self.control.shut(false);
    }

    /// An accepted socket that has been greeted.
    async fn greeted(&self) -> Peer {
        let mut peer = self.server.accept().await;
        assert!(
            peer.text()
                .await
                .starts_with(r#"{"message":"startStream","#)
        );
        peer
    }

    /// The same, and the service has agreed.
    async fn ready(&mut self) -> Peer {
        let mut peer = self.greeted().await;
        peer.say(READY).await;
        assert_eq!(self.told().await, News::Ready);
        peer
    }

    async fn told(&mut self) -> News {
        let news = timeout(Duration::from_secs(10), self.news.recv()).await;
        news.expect("nothing is told").expect("the stream is over")
    }

    async fn interrupted(&mut self) -> (u32, String) {
        match self.told().await {
            News::Interrupted { attempt, why } => (attempt, why),
            news => panic!("{news:?}"),
        }
    }

    async fn finished(&mut self) -> Report {
        match self.told().await {
            News::Finished(report) => report,
            news => panic!("{news:?}"),
        }
    }

    async fn failed(&mut self) -> Report {
        match self.told().await {
            News::Failed(report) => report,
            news => panic!("{news:?}"),
        }
    }

    /// The stream's task has ended and nothing was told after the last news.
    async fn over(mut self) {
        self.stream.join_next().await.unwrap().unwrap();
        assert_eq!(self.news.recv().await, None);
        assert!(self.has("antiphon_upstream_streams_open 0"));
    }

    fn has(&self, line: &str) -> bool {
        let families = self.registry.gather();
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&families)
            .unwrap();
        text.lines().any(|each| each == line)
    }
}

impl Peer {
    /// Hears so many chunks and tells which they are.
    async fn chunks(&mut self, count: usize) -> Vec<i16> {
        let mut values = Vec::new();
        for _ in 0..count {
            let sound = self.sound().await;
            let samples: Vec<_> = sound
                .chunks_exact(2)
                .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
                .collect();
            assert!(
                samples.iter().all(|sample| *sample == samples[0]),
                "a chunk is torn"
            );
            assert_eq!(samples.len(), 800);
            values.push(samples[0]);
        }
        values
    }

    async fn finish_asked(&mut self) {
        assert_eq!(self.text().await, r#"{"message":"finishStream"}"#);
    }

    async fn sum_up(&mut self, bytes: u64) {
        self.say(&format!(
            r#"{{"message":"finalResponse","streamId":"1","status":{{"code":"1000",
                "description":"OK"}},"summary":{{"totalAudioBytes":{bytes},"audioDurationMs":{},
                "streamingSeconds":1,"transcripts":1}}}}"#,
            bytes / 16
        ))
        .await;
    }

    async fn end(&mut self, code: u16, summary: Option<u64>) {
        let summary = summary.map_or(String::new(), |bytes| {
            format!(r#","summary":{{"totalAudioBytes":{bytes}}}"#)
        });
        self.say(&format!(
            r#"{{"message":"finalResponse","status":{{"code":"{code}",
                "description":"because"}}{summary}}}"#
        ))
        .await;
    }

    async fn transcript(&mut self, start: u64, end: u64) {
        self.say(&format!(
            r#"{{"message":"transcript","start":{start},"end":{end},
                "utterance":[{{"text":"hello"}}]}}"#
        ))
        .await;
    }
}

fn heard_at(news: News) -> (u128, u128) {
    match news {
        News::Utterance(utterance) => (utterance.start.as_millis(), utterance.end.as_millis()),
        news => panic!("{news:?}"),
    }
}

fn outage(from: u64, to: u64) -> News {
    News::Gap(Gap {
        from,
        to,
        reason: GapReason::Outage,
    })
}

#[tokio::test]
async fn a_stream_is_greeted_heard_transcribed_and_finished() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    world.speak(3);
    assert_eq!(peer.chunks(3).await, [1, 2, 3]);
    peer.transcript(100, 300).await;
    assert_eq!(heard_at(world.told().await), (100, 300));
    world.stop();
    peer.finish_asked().await;
    peer.sum_up(4800).await;
    let report = world.finished().await;
    assert!(report.status.is_ok());
    assert_eq!(report.summary.unwrap().audio_bytes, 4800);
    let snapshot = world.handle.snapshot();
    let expected = Snapshot {
        state: "finished",
        sent_bytes: 4800,
        transcripts: 1,
        waiting: 0,
    };
    assert_eq!(snapshot, expected);
    assert!(world.has("antiphon_upstream_sent_bytes_total 4800"));
    assert!(world.has("antiphon_upstream_chunk_latency_seconds_count 3"));
    assert!(world.has("antiphon_upstream_streams_ended_total{outcome=\"finished\"} 1"));
    assert_eq!(peer.next().await, Said::Gone);
    drop(peer);
    world.over().await;
}

#[tokio::test]
async fn a_short_last_chunk_is_sent_as_it_is() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    let frame = Frame {
        position: 0,
        codec: Codec::L16,
        payload: &[7, 0, 8, 0],
    };
    world.feed.as_ref().unwrap().push(StdInstant::now(), frame);
    drop(world.feed.take());
    assert_eq!(peer.sound().await, [7, 0, 8, 0]);
    peer.finish_asked().await;
    peer.sum_up(4).await;
    assert_eq!(world.finished().await.summary.unwrap().audio_bytes, 4);
}

#[tokio::test]
async fn sound_does_not_wait_for_the_service_to_accept() {
    let mut world = World::new();
    let mut peer = world.greeted().await;
    world.speak(2);
    assert_eq!(peer.chunks(2).await, [1, 2]);
    assert_eq!(world.handle.snapshot().state, "opening");
    peer.say(READY).await;
    assert_eq!(world.told().await, News::Ready);
}

#[tokio::test]
async fn what_was_sent_before_the_service_accepted_is_sent_again() {
    let mut world = World::new();
    let mut peer = world.greeted().await;
    world.speak(3);
    assert_eq!(peer.chunks(3).await, [1, 2, 3]);
    peer.reset();
    assert_eq!(world.interrupted().await.0, 1);
    let mut peer = world.ready().await;
    world.speak(1);
    assert_eq!(peer.chunks(4).await, [1, 2, 3, 4]);
    peer.transcript(0, 400).await;
    assert_eq!(heard_at(world.told().await), (0, 400));
    world.stop();
    peer.finish_asked().await;
    peer.sum_up(6400).await;
    // Nothing is missing: what was taken back does not count as sent.
    world.finished().await;
}

#[tokio::test]
async fn no_more_than_may_be_kept_is_sent_before_the_service_accepts() {
    let mut world = World::with(|wish| wish.config.unaccepted_max = Duration::from_millis(200));
    let mut peer = world.greeted().await;
    world.speak(5);
    assert_eq!(peer.chunks(2).await, [1, 2]);
    assert_eq!(world.handle.snapshot().waiting, 2400);
    peer.say(READY).await;
    assert_eq!(peer.chunks(3).await, [3, 4, 5]);
}

#[tokio::test]
async fn a_stream_that_is_refused_for_good_fails_at_once() {
    let mut world = World::new();
    let mut peer = world.greeted().await;
    world.speak(1);
    assert_eq!(peer.chunks(1).await, [1]);
    peer.end(4050, None).await;
    assert_eq!(world.told().await, outage(0, 800));
    let report = world.failed().await;
    assert_eq!(
        (report.status.code, &*report.status.description),
        (4050, "because")
    );
    assert_eq!(report.summary, None);
    world.over().await;
}

#[tokio::test]
async fn words_of_refusal_are_heard_even_if_the_socket_closes_behind_them() {
    let mut world = World::new();
    let mut peer = world.greeted().await;
    peer.end(4094, None).await;
    peer.close(1000).await;
    world.speak(20);
    loop {
        match world.told().await {
            News::Gap(_) => {}
            News::Failed(report) => break assert_eq!(report.status.code, 4094),
            news => panic!("{news:?}"),
        }
    }
}

#[tokio::test]
async fn a_lost_socket_is_replaced_on_the_same_clock() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    world.speak(10);
    peer.chunks(10).await;
    peer.reset();
    let (attempt, why) = world.interrupted().await;
    assert_eq!(attempt, 1);
    assert!(!why.contains("hunter2"), "{why}");
    world.speak(10);
    let mut peer = world.ready().await;
    assert_eq!(peer.chunks(10).await, (11..=20).collect::<Vec<_>>());
    peer.transcript(0, 500).await;
    assert_eq!(heard_at(world.told().await), (1000, 1500));
    assert!(world.has("antiphon_upstream_retries_total{class=\"backoff\"} 1"));
}

#[tokio::test]
async fn what_an_outage_makes_overflow_is_told_as_an_outage() {
    let mut world = World::with(|wish| wish.line.chunks_max = 3);
    let mut peer = world.ready().await;
    world.speak(2);
    peer.chunks(2).await;
    peer.reset();
    world.interrupted().await;
    world.speak(10);
    let mut peer = world.greeted().await;
    // Three chunks were kept, and perhaps some more went out while the rest came in.
    peer.say(READY).await;
    let News::Gap(gap) = world.told().await else {
        panic!()
    };
    assert_eq!((gap.from, gap.reason), (1600, GapReason::Outage));
    assert_eq!(world.told().await, News::Ready);
    let first = peer.chunks(1).await[0];
    assert_eq!(gap.to, 800 * (first as u64 - 1));
    peer.transcript(0, 100).await;
    let at = u128::from(gap.to / 8);
    assert_eq!(heard_at(world.told().await), (at, at + 100));
    let seconds = (gap.to - gap.from) as f64 / 8000.0;
    assert!(world.has(&format!(
        "antiphon_upstream_gap_seconds_total{{reason=\"outage\"}} {seconds}"
    )));
}

#[tokio::test]
async fn a_close_without_a_final_message_finishes_without_a_summary() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    world.speak(1);
    world.stop();
    peer.chunks(1).await;
    peer.finish_asked().await;
    peer.close(1000).await;
    let report = world.finished().await;
    assert_eq!((report.status.code, report.summary), (5000, None));
    assert_eq!(
        report.status.description,
        "the service closed the connection with code 1000"
    );
}

#[tokio::test]
async fn a_final_message_that_does_not_come_is_not_waited_for_for_ever() {
    let mut world = World::with(|wish| wish.config.drain_timeout = Duration::from_millis(50));
    let mut peer = world.ready().await;
    world.stop();
    peer.finish_asked().await;
    let report = world.finished().await;
    assert_eq!((report.status.code, report.summary), (5000, None));
    assert_eq!(
        report.status.description,
        "the service sent no final message in time"
    );
}

#[tokio::test]
async fn transcripts_still_count_after_the_sound_has_ended() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    world.speak(1);
    world.stop();
    peer.chunks(1).await;
    peer.finish_asked().await;
    assert_eq!(world.handle.snapshot().state, "finishing");
    peer.transcript(0, 100).await;
    assert_eq!(heard_at(world.told().await), (0, 100));
    peer.sum_up(1600).await;
    assert!(world.finished().await.status.is_ok());
}

#[tokio::test]
async fn a_wrong_byte_count_is_told() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    world.speak(2);
    world.stop();
    peer.chunks(2).await;
    peer.finish_asked().await;
    peer.sum_up(3198).await;
    let expected = News::Mismatch {
        sent_bytes: 3200,
        confirmed_bytes: 3198,
    };
    assert_eq!(world.told().await, expected);
    assert_eq!(world.finished().await.summary.unwrap().audio_bytes, 3198);
    assert!(world.has("antiphon_upstream_byte_mismatches_total 1"));
}

#[tokio::test]
async fn what_several_sockets_counted_is_summed_up() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    world.speak(2);
    peer.chunks(2).await;
    peer.end(5001, Some(3200)).await;
    let (_, why) = world.interrupted().await;
    assert_eq!(
        why,
        "the service ended the stream with status 5001: because"
    );
    let mut peer = world.ready().await;
    world.speak(1);
    world.stop();
    peer.chunks(1).await;
    peer.finish_asked().await;
    peer.sum_up(1600).await;
    assert_eq!(world.finished().await.summary.unwrap().audio_bytes, 4800);
}

#[tokio::test]
async fn what_a_dead_socket_took_with_it_is_a_mismatch() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    world.speak(2);
    peer.chunks(2).await;
    peer.reset();
    world.interrupted().await;
    let mut peer = world.ready().await;
    world.stop();
    peer.finish_asked().await;
    peer.sum_up(0).await;
    let expected = News::Mismatch {
        sent_bytes: 3200,
        confirmed_bytes: 0,
    };
    assert_eq!(world.told().await, expected);
    world.finished().await;
}

#[tokio::test]
async fn an_end_that_nobody_asked_for_is_a_loss_even_if_all_is_well() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    peer.sum_up(0).await;
    assert!(world.interrupted().await.1.contains("status 1000"));
    world.ready().await;
}

#[tokio::test]
async fn an_idle_service_is_opened_again_when_there_is_sound() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    peer.end(4083, Some(0)).await;
    assert_eq!(world.interrupted().await.0, 1);
    world.speak(1);
    let mut peer = world.ready().await;
    assert_eq!(peer.chunks(1).await, [1]);
}

#[tokio::test]
async fn an_idle_service_is_not_opened_again_for_nothing() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    peer.end(4083, Some(0)).await;
    world.interrupted().await;
    world.stop();
    let report = world.finished().await;
    assert_eq!(
        (report.status.code, report.summary.unwrap().audio_bytes),
        (4083, 0)
    );
    world.over().await;
}

#[tokio::test]
async fn a_service_that_does_not_accept_in_time_is_left() {
    let mut world = World::with(|wish| wish.config.response_timeout = Duration::from_millis(50));
    let _silent = world.greeted().await;
    assert_eq!(
        world.interrupted().await.1,
        "the service did not accept the stream in time"
    );
    world.ready().await;
}

#[tokio::test]
async fn a_service_that_no_longer_reads_is_still_heard_and_then_left() {
    let mut world = World::with(|wish| {
        wish.config.stall_timeout = Duration::from_millis(300);
        wish.limits.burst = Duration::from_secs(100_000);
        wish.line = LineConfig {
            chunk_samples: 8000,
            chunks_max: 10_000,
        };
    });
    let mut peer = world.ready().await;
    // Far more than the buffers between us hold.
    world.speak(10_000);
    while world.handle.snapshot().sent_bytes == 0 {
        tokio::task::yield_now().await;
    }
    peer.transcript(0, 100).await;
    assert_eq!(heard_at(world.told().await), (0, 100));
    assert_eq!(world.interrupted().await.1, "the service no longer reads");
    assert!(world.handle.snapshot().waiting > 0);
    drop(peer);
    // What was not written goes to the next socket, in order and whole.
    let unwritten = world.handle.snapshot().sent_bytes;
    let mut peer = world.ready().await;
    let sound = peer.sound().await;
    let first = i16::from_le_bytes([sound[0], sound[1]]);
    assert_eq!(u64::try_from(first).unwrap(), unwritten / 1600 + 1);
}

#[tokio::test]
async fn a_half_open_socket_is_noticed() {
    let mut world = World::with(|wish| {
        wish.config.ping_interval = Duration::from_millis(50);
        wish.config.pong_timeout = Duration::from_millis(50);
    });
    let _deaf = world.ready().await;
    assert_eq!(world.interrupted().await.1, "the service no longer answers");
}

#[tokio::test]
async fn a_silent_service_that_answers_pings_is_kept() {
    let mut world = World::with(|wish| {
        wish.config.ping_interval = Duration::from_millis(20);
        wish.config.pong_timeout = Duration::from_secs(5);
    });
    let mut peer = world.ready().await;
    let listening = timeout(Duration::from_millis(300), peer.next()).await;
    assert!(listening.is_err(), "{listening:?}");
    world.speak(1);
    assert_eq!(peer.chunks(1).await, [1]);
    assert!(world.news.try_recv().is_err());
}

#[tokio::test]
async fn a_refused_credential_fails_at_once() {
    let mut world = World::new();
    world.server.refuse("401 Unauthorized").await;
    let report = world.failed().await;
    assert_eq!(report.status.code, 5000);
    assert_eq!(
        report.status.description,
        "the service refused the connection with HTTP status 401"
    );
}

#[tokio::test]
async fn a_stored_address_that_is_refused_is_replaced_at_once() {
    let mut world = World::with(|wish| wish.fresh = false);
    world.server.refuse("401 Unauthorized").await;
    world.interrupted().await;
    let mut peer = world.greeted().await;
    peer.end(1008, None).await;
    assert_eq!(world.failed().await.status.code, 1008);
}

#[tokio::test]
async fn a_service_without_an_address_is_given_up_after_its_retries() {
    let mut world = World::with(|wish| {
        let reason = "the service cannot be reached".to_owned();
        wish.refusal = Some(LocateError {
            reason,
            retry: Retry::Backoff,
        });
        wish.config.retry.retries_max = 3;
    });
    world.speak(2);
    for attempt in 1..=3 {
        let expected = (attempt, "the service cannot be reached".to_owned());
        assert_eq!(world.interrupted().await, expected);
    }
    assert_eq!(world.told().await, outage(0, 1600));
    assert_eq!(
        world.failed().await.status.description,
        "the service cannot be reached"
    );
    assert_eq!(world.handle.snapshot().state, "failed");
    world.over().await;
}

#[tokio::test]
async fn an_abandoned_stream_ends_at_once() {
    let mut world = World::new();
    let mut peer = world.greeted().await;
    world.handle.abandon();
    assert_eq!(
        world.failed().await.status.description,
        "the stream was abandoned"
    );
    assert_eq!(peer.next().await, Said::Gone);
    assert!(world.has("antiphon_upstream_streams_ended_total{outcome=\"abandoned\"} 1"));
    world.over().await;
}

#[tokio::test]
async fn a_stream_can_be_abandoned_while_it_waits() {
    let mut world = World::with(|wish| wish.config.retry.backoff_min = Duration::from_secs(9));
    world.server.refuse("503 Service Unavailable").await;
    world.interrupted().await;
    world.handle.abandon();
    world.failed().await;
    world.over().await;
}

#[tokio::test]
async fn a_stream_whose_task_is_ended_has_failed() {
    let mut world = World::new();
    let _peer = world.greeted().await;
    world.stream.abort_all();
    assert_eq!(
        world.failed().await.status.description,
        "the stream's task was ended"
    );
}

#[tokio::test]
async fn the_vocabulary_is_given_before_the_sound_and_on_every_socket() {
    let mut world = World::with(|wish| {
        wish.options.vocabulary = vec![Phrase {
            phrase: "IEEE".to_owned().into(),
            sounds_like: Vec::new(),
            category: None,
        }];
    });
    world.speak(1);
    let mut peer = world.greeted().await;
    let vocabulary = r#"{"message":"updateVocabulary","phrases":[{"phrase":"IEEE"}]}"#;
    assert_eq!(peer.text().await, vocabulary);
    assert_eq!(peer.chunks(1).await, [1]);
    peer.reset();
    world.interrupted().await;
    let mut peer = world.greeted().await;
    assert_eq!(peer.text().await, vocabulary);
    peer.say(READY).await;
    peer.say(r#"{"message":"vocabularyResponse","status":{"code":"4091","description":"no"}}"#)
        .await;
    peer.transcript(0, 100).await;
    assert_eq!(world.told().await, News::Ready);
    assert_eq!(heard_at(world.told().await), (0, 100));
    assert!(world.has("antiphon_upstream_vocabulary_refusals_total 1"));
}

#[tokio::test]
async fn what_is_not_understood_is_counted_and_passed_over() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    peer.say(r#"{"message":"weather","sky":"blue"}"#).await;
    peer.say("{").await;
    peer.say_binary(vec![1, 2, 3]).await;
    world.speak(1);
    peer.chunks(1).await;
    peer.transcript(0, 50).await;
    assert_eq!(heard_at(world.told().await), (0, 50));
    for kind in ["binary", "gibberish", "kind"] {
        let line = format!("antiphon_upstream_unknown_messages_total{{kind=\"{kind}\"}} 1");
        assert!(world.has(&line), "{kind}");
    }
}

#[tokio::test]
async fn a_pause_in_the_platforms_sound_is_told_and_keeps_the_times_right() {
    let mut world = World::new();
    let mut peer = world.ready().await;
    world.speak(1);
    world.position += 80_000;
    world.speak(1);
    assert_eq!(peer.chunks(1).await, [1]);
    let second = peer.sound().await;
    assert_eq!(second.len(), 1600);
    let News::Gap(gap) = world.told().await else {
        panic!()
    };
    assert_eq!(
        (gap.from, gap.to, gap.reason),
        (800, 80_800, GapReason::Discontinuity)
    );
    peer.transcript(100, 200).await;
    assert_eq!(heard_at(world.told().await), (10_100, 10_200));
}

#[tokio::test]
async fn a_backlog_is_sent_no_faster_than_the_service_allows() {
    let mut world = World::with(|wish| wish.limits.burst = Duration::from_millis(100));
    let mut peer = world.ready().await;
    let start = Instant::now();
    world.speak(6);
    peer.chunks(6).await;
    // The first two are the burst; each of the others takes 100 ms at 1.2 times real time.
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(4 * 83 - 20), "{took:?}");
}
