//! A leg, its stream, and one or two services that are played by hand.

use std::sync::Arc;
use std::time::{Duration, Instant as StdInstant};

use call::audio::{Chunk, Codec, Frame};
use call::backlog::{Gap, GapReason};
use call::budget::Budget;
use call::feed::{LegControl, LegFeed, LineConfig, MediaClock, leg};
use call::leg::LegConfig;
use call::name::{CallName, Guid, Namespace, Role, StreamId};
use call::start::{Report, StreamOptions, StreamSpec};
use call::transcript::Utterance;
use futures_util::future::BoxFuture;
use prometheus::Registry;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::autotranscribe::{AutoTranscribe, AutoTranscribeConfig};
use crate::guard::GuardConfig;
use crate::metrics::Metrics;
use crate::routes::{Plan, Provider, Routes};
use crate::service::{
    Dialect, Final, Gibberish, Heard, Limits, LocateError, Located, Message, Retry, Service,
};
use crate::stream::{Deps, Listener, News, Stream, StreamConfig, StreamHandle};
use crate::trust::Trust;
use crate::wire::testing::{Peer, Said, Server};
use crate::wire::{Wire, WireConfig};

pub(super) const READY: &str =
    r#"{"message":"startResponse","streamID":"1","status":{"code":"1000","description":"OK"}}"#;

/// What the service of a world is called, and the other one.
pub(super) const HERE: &str = "here";
pub(super) const THERE: &str = "there";

/// AutoTranscribe's dialect at an address that needs no asking.
struct Local {
    name: &'static str,
    url: String,
    inner: Arc<AutoTranscribe>,
    limits: Limits,
    fresh: bool,
    refusal: Option<LocateError>,
    manners: Manners,
}

/// What another service than AutoTranscribe may do.
#[derive(Clone, Default)]
pub(super) struct Manners {
    pub(super) endpoint: Option<&'static str>,
    pub(super) keep_alive: Option<&'static str>,
    /// What a close with this code means.
    pub(super) closed: Option<(u16, Final)>,
    /// What it meant to say once more.
    pub(super) leftover: Option<Utterance>,
    /// The message `now` means this.
    pub(super) now: Option<Heard>,
}

struct Polite {
    inner: Box<dyn Dialect>,
    manners: Manners,
}

/// A leg, its stream and the services it speaks with.
pub(super) struct World {
    pub(super) server: Server,
    /// Where the stream turns to if it has to, and may.
    pub(super) there: Server,
    pub(super) feed: Option<LegFeed>,
    pub(super) control: LegControl,
    pub(super) handle: StreamHandle,
    pub(super) news: mpsc::Receiver<News>,
    pub(super) stream: JoinSet<()>,
    pub(super) registry: Registry,
    pub(super) position: u64,
}

/// What a test may want otherwise.
pub(super) struct Wish {
    pub(super) config: StreamConfig,
    pub(super) line: LineConfig,
    pub(super) budget: Budget,
    pub(super) options: StreamOptions,
    pub(super) limits: Limits,
    /// Those of the other service; without it there is only one.
    pub(super) there: Option<Limits>,
    pub(super) guard: GuardConfig,
    pub(super) fresh: bool,
    pub(super) refusal: Option<LocateError>,
    pub(super) manners: Manners,
}

struct Ears(mpsc::Sender<News>);

impl Listener for Ears {
    fn tell(&self, _stream: &StreamSpec, news: News) {
        // A test that has heard enough may be gone.
        self.0.try_send(news).ok();
    }
}

impl Service for Local {
    fn name(&self) -> &'static str {
        self.name
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
        Box::new(Polite {
            inner: self.inner.dialect(spec),
            manners: self.manners.clone(),
        })
    }

    fn refused(&self, status: u16) -> Retry {
        self.inner.refused(status)
    }
}

impl Dialect for Polite {
    fn greet(&mut self) -> Vec<Message> {
        self.inner.greet()
    }

    fn say(&mut self, chunk: &Chunk) -> Message {
        self.inner.say(chunk)
    }

    fn endpoint(&mut self) -> Option<Message> {
        let text = self.manners.endpoint?;
        Some(Message::Text(text.to_owned()))
    }

    fn keep_alive(&mut self) -> Option<Message> {
        let text = self.manners.keep_alive?;
        Some(Message::Text(text.to_owned()))
    }

    fn finish(&mut self) -> Vec<Message> {
        self.inner.finish()
    }

    fn hear(&mut self, text: &str) -> Result<Heard, Gibberish> {
        match (text, &self.manners.now) {
            ("now", Some(heard)) => Ok(heard.clone()),
            _ => self.inner.hear(text),
        }
    }

    fn closed(&mut self, code: Option<u16>, _reason: &str) -> Option<Final> {
        let (meant, last) = self.manners.closed.clone()?;
        (code == Some(meant)).then_some(last)
    }

    fn leftover(&mut self) -> Option<Utterance> {
        self.manners.leftover.take()
    }
}

pub(super) fn limits() -> Limits {
    Limits {
        chunk: ms(100),
        chunk_min: Duration::ZERO,
        chunk_max: ms(1000),
        pace_percent: 120,
        burst: ms(60_000),
        idle: ms(20_000),
        session_max: Duration::ZERO,
        accepts_at_open: false,
        counts_bytes: true,
    }
}

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Default for Wish {
    fn default() -> Self {
        let mut config = StreamConfig::default();
        config.retry.backoff_base = ms(2);
        config.retry.backoff_max = ms(5);
        config.retry.backoff_min = ms(1);
        // Most stories are shorter when nothing is said twice.
        config.replay = Duration::ZERO;
        Self {
            config,
            line: LineConfig {
                chunk_samples: 800,
                chunks_max: 100,
            },
            budget: Budget::unlimited(),
            options: StreamOptions::default(),
            limits: limits(),
            there: None,
            guard: GuardConfig::default(),
            fresh: true,
            refusal: None,
            manners: Manners::default(),
        }
    }
}

impl Wish {
    fn routes(&self, metrics: &Arc<Metrics>, trust: &Trust, servers: [&Server; 2]) -> Routes {
        let base = url::Url::parse("http://localhost").unwrap();
        let config = AutoTranscribeConfig::new(base, "id".to_owned(), "x".to_owned().into());
        let inner = AutoTranscribe::new(&config, trust, Arc::clone(metrics)).unwrap();
        let inner = Arc::new(inner);
        let all = [
            Some((HERE, self.limits)),
            self.there.map(|there| (THERE, there)),
        ];
        let mut plan = Plan::default();
        let mut providers = Vec::new();
        for ((name, limits), server) in all.into_iter().flatten().zip(servers) {
            let service = Local {
                name,
                url: server.url(),
                inner: Arc::clone(&inner),
                limits,
                fresh: self.fresh,
                refusal: self.refusal.clone().filter(|_| name == HERE),
                manners: self.manners.clone(),
            };
            let provider = Provider::new(Arc::new(service), self.guard, metrics);
            providers.push(Arc::new(provider));
            plan.any.push(name.to_owned());
        }
        Routes::new(providers, plan)
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(adjust: impl FnOnce(&mut Wish)) -> Self {
        let mut wish = Wish::default();
        adjust(&mut wish);
        let (server, there, registry) = (Server::bind(), Server::bind(), Registry::new());
        let metrics = Arc::new(Metrics::register(&registry).unwrap());
        let trust = Trust::new(None).unwrap();
        let routes = wish.routes(&metrics, &trust, [&server, &there]);
        let wire = Arc::new(Wire::new(WireConfig::default(), trust));
        let (ears, news) = mpsc::channel(10_000);
        let deps = Arc::new(Deps {
            routes,
            wire,
            listener: Arc::new(Ears(ears)),
            config: wish.config,
            metrics,
        });
        let clock = MediaClock::default();
        let (feed, control) = leg(StdInstant::now(), LegConfig::default(), clock);
        let source = control.open_within(0, wish.line, &wish.budget).unwrap();
        let (handle, running) = Stream::new(deps, spec(wish.options), source);
        let mut stream = JoinSet::new();
        let running = running.run();
        let size = size_of_val(&running);
        assert!(size < 4 << 10, "a stream takes {size}");
        stream.spawn(running);
        Self {
            server,
            there,
            feed: Some(feed),
            control,
            handle,
            news,
            stream,
            registry,
            position: 0,
        }
    }

    /// The customer is heard for so many chunks of 100 ms, softly; each chunk has a value of its
    /// own, from 1.
    pub(super) fn speak(&mut self, chunks: u64) {
        self.sound(chunks, 1);
    }

    /// The same, loud enough to be missed; values go from 1001.
    pub(super) fn shout(&mut self, chunks: u64) {
        self.sound(chunks, 1001);
    }

    fn sound(&mut self, chunks: u64, first: i16) {
        for _ in 0..chunks {
            let value = (self.position / 800) as i16 + first;
            let payload: Vec<u8> = (0..800).flat_map(|_| value.to_le_bytes()).collect();
            self.push(&payload);
        }
    }

    /// L16 as it is.
    pub(super) fn push(&mut self, payload: &[u8]) {
        let frame = Frame {
            position: self.position,
            codec: Codec::L16,
            payload,
        };
        self.feed.as_ref().unwrap().push(StdInstant::now(), frame);
        self.position += payload.len() as u64 / 2;
    }

    pub(super) fn stop(&self) {
        self.control.shut(false);
    }

    /// An accepted socket that has been greeted.
    pub(super) async fn greeted(&self) -> Peer {
        greeted(&self.server).await
    }

    /// The same, and the service has agreed.
    pub(super) async fn ready(&mut self) -> Peer {
        let mut peer = self.greeted().await;
        peer.say(READY).await;
        assert_eq!(self.told().await, ready(HERE));
        peer
    }

    /// The same at the other service.
    pub(super) async fn ready_there(&mut self) -> Peer {
        let mut peer = greeted(&self.there).await;
        peer.say(READY).await;
        assert_eq!(self.told().await, ready(THERE));
        peer
    }

    pub(super) async fn told(&mut self) -> News {
        let news = timeout(Duration::from_secs(10), self.news.recv()).await;
        news.expect("nothing is told").expect("the stream is over")
    }

    pub(super) async fn interrupted(&mut self) -> (u32, String) {
        match self.told().await {
            News::Interrupted { attempt, why } => (attempt, why),
            news => panic!("{news:?}"),
        }
    }

    pub(super) async fn finished(&mut self) -> Report {
        match self.told().await {
            News::Finished(report) => report,
            news => panic!("{news:?}"),
        }
    }

    pub(super) async fn failed(&mut self) -> Report {
        match self.told().await {
            News::Failed(report) => report,
            news => panic!("{news:?}"),
        }
    }

    /// The stream's task has ended and nothing was told after the last news.
    pub(super) async fn over(mut self) {
        self.stream.join_next().await.unwrap().unwrap();
        assert_eq!(self.news.recv().await, None);
        assert!(self.has("antiphon_upstream_streams_open 0"));
    }

    pub(super) fn has(&self, line: &str) -> bool {
        let families = self.registry.gather();
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&families)
            .unwrap();
        text.lines().any(|each| each == line)
    }
}

impl Peer {
    /// Hears so many chunks and tells which they are.
    pub(super) async fn chunks(&mut self, count: usize) -> Vec<i16> {
        let mut values = Vec::new();
        for _ in 0..count {
            let (value, samples) = self.chunk().await;
            assert_eq!(samples, 800);
            values.push(value);
        }
        values
    }

    /// Hears one chunk of one value; tells both.
    pub(super) async fn chunk(&mut self) -> (i16, usize) {
        let samples = self.samples().await;
        let value = samples[0];
        let is_whole = samples.iter().all(|sample| *sample == value);
        assert!(is_whole, "a chunk is torn");
        (value, samples.len())
    }

    pub(super) async fn samples(&mut self) -> Vec<i16> {
        let sound = self.sound().await;
        let pairs = sound.chunks_exact(2);
        pairs
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect()
    }

    pub(super) async fn finish_asked(&mut self) {
        assert_eq!(self.text().await, r#"{"message":"finishStream"}"#);
    }

    pub(super) async fn sum_up(&mut self, bytes: u64) {
        self.say(&format!(
            r#"{{"message":"finalResponse","streamId":"1","status":{{"code":"1000",
                "description":"OK"}},"summary":{{"totalAudioBytes":{bytes},"audioDurationMs":{},
                "streamingSeconds":1,"transcripts":1}}}}"#,
            bytes / 16
        ))
        .await;
    }

    pub(super) async fn end(&mut self, code: u16, summary: Option<u64>) {
        let summary = summary.map_or(String::new(), |bytes| {
            format!(r#","summary":{{"totalAudioBytes":{bytes}}}"#)
        });
        self.say(&format!(
            r#"{{"message":"finalResponse","status":{{"code":"{code}",
                "description":"because"}}{summary}}}"#
        ))
        .await;
    }

    pub(super) async fn transcript(&mut self, start: u64, end: u64) {
        self.say(&format!(
            r#"{{"message":"transcript","start":{start},"end":{end},
                "utterance":[{{"text":"hello"}}]}}"#
        ))
        .await;
    }

    pub(super) async fn gone(&mut self) {
        assert_eq!(self.next().await, Said::Gone);
    }
}

pub(super) async fn greeted(server: &Server) -> Peer {
    let mut peer = server.accept().await;
    let greeting = peer.text().await;
    assert!(greeting.starts_with(r#"{"message":"startStream","#));
    peer
}

pub(super) fn spec(options: StreamOptions) -> StreamSpec {
    StreamSpec {
        id: StreamId::new("s1"),
        call: CallName {
            namespace: Namespace::Twilio,
            guid: Guid::parse("CA1").unwrap(),
        },
        external: "CA1".into(),
        role: Role::Agent,
        sender: "BL2341334".to_owned().into(),
        options: Arc::new(options),
        wish: call::start::Wish::default(),
    }
}

pub(super) fn ready(service: &'static str) -> News {
    News::Ready { service }
}

pub(super) fn heard_at(news: News) -> (u128, u128) {
    match news {
        News::Utterance(utterance) => (utterance.start.as_millis(), utterance.end.as_millis()),
        news => panic!("{news:?}"),
    }
}

pub(super) fn gap(from: u64, to: u64, reason: GapReason) -> News {
    News::Gap(Gap { from, to, reason })
}

pub(super) fn outage(from: u64, to: u64) -> News {
    gap(from, to, GapReason::Outage)
}

pub(super) fn unconfirmed(from: u64, to: u64) -> News {
    gap(from, to, GapReason::Unconfirmed)
}
