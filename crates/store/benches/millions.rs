//! How fast, and how big: many utterances written as the recorder writes them, then looked up and
//! searched.
//!
//! `cargo bench -p antiphon-store --bench millions -- --utterances 10000000 [--encrypted]
//! [--file PATH]`. A file that is named is kept, and if it is there already only read.

#![expect(clippy::unwrap_used, reason = "a bench may fail by panic")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use call::name::{CallName, Guid, Namespace, Role, StreamId};
use call::transcript::{Alternative, Utterance};
use store::entry::{Batch, Entry, EventPlace, Said, What};
use store::key::Key;
use store::query::{ByName, Expiry, Export, Scope, Search};
use store::sqlite::{SqliteStore, StoreConfig};
use store::{Store, StoreError};
use ulid::Ulid;

const BEGIN: u64 = 1_700_000_000_000;
const BATCH: usize = 500;
const LIVE_CALLS: u64 = 500;
const UTTERANCES_PER_CALL: u64 = 100;
const VOCABULARY: usize = 50_000;
/// Every so many conversations share a word that nobody else says.
const RARE_IN: u64 = 1000;
/// Events are kept for so many utterances' time.
const EVENTS_KEPT: u64 = 1_000_000;
const LOOKUPS: usize = 2000;
const SEARCHES: usize = 500;

struct Options {
    utterances: u64,
    is_encrypted: bool,
    file: Option<PathBuf>,
}

/// xorshift64*: the same text in every run.
struct Chance(u64);

/// Words as speech has them: a few again and again, most hardly ever (Zipf, exponent 1.05).
struct Vocabulary {
    words: Vec<String>,
    shares: Vec<f64>,
}

struct Talk {
    call: CallName,
    number: u64,
    left: u64,
}

struct Writer {
    chance: Chance,
    vocabulary: Vocabulary,
    talks: Vec<Talk>,
    begun: u64,
    written: u64,
}

fn main() {
    let options = options();
    let directory = tempfile::tempdir().unwrap();
    let default = directory.path().join("millions.db");
    let path = options.file.clone().unwrap_or(default);
    let is_there = path.exists();
    let mut config = StoreConfig::at(path);
    config.key = options
        .is_encrypted
        .then(|| Key::parse(&[b'k'; 32]).unwrap());
    let (store, _) = SqliteStore::open(&config).unwrap();
    let sort = if options.is_encrypted {
        "encrypted"
    } else {
        "plain"
    };
    println!("{} utterances, {sort}", options.utterances);
    if !is_there {
        insert(&store, options.utterances);
    }
    read(&store, options.utterances / UTTERANCES_PER_CALL);
}

fn options() -> Options {
    let mut options = Options {
        utterances: 100_000,
        is_encrypted: false,
        file: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--utterances" => options.utterances = words.next().unwrap().parse().unwrap(),
            "--encrypted" => options.is_encrypted = true,
            "--file" => options.file = words.next().map(PathBuf::from),
            // Cargo's own.
            "--bench" => {}
            other => panic!("{other} is no option"),
        }
    }
    options
}

fn insert(store: &SqliteStore, utterances: u64) {
    let mut writer = Writer::new();
    let (begun, busy) = (Instant::now(), on_cpu());
    let mut writing = Vec::new();
    let mut expiring = Duration::ZERO;
    while writer.written < utterances {
        let batch = writer.batch();
        let now = Instant::now();
        store.write(&batch).unwrap();
        writing.push(now.elapsed());
        let now = Instant::now();
        expire(store, writer.written, batch.entries.len() * 2);
        expiring += now.elapsed();
        if writing.len() % 2000 == 0 {
            let alone = rate(writer.written, on_cpu() - busy);
            let rate = rate(writer.written, begun.elapsed());
            let written = writer.written;
            println!("  {written:>9} written, {rate:.0}/s, {alone:.0}/s if we were alone");
        }
    }
    let spent = begun.elapsed();
    let bytes = store.bytes();
    println!(
        "insert      {:>9.0} utterances/s, in batches of {BATCH}",
        rate(writer.written, spent)
    );
    println!(
        "  of it     {:>9.1} s writing, {:.1} s expiring events",
        total(&writing),
        secs(expiring)
    );
    let busy = on_cpu() - busy;
    println!(
        "  of it     {:>9.1} s on the processor: {:.0}/s if we were alone",
        secs(busy),
        rate(writer.written, busy)
    );
    tell("batch", writing);
    println!(
        "file        {:>9} bytes, {} an utterance",
        bytes,
        bytes / writer.written
    );
}

fn expire(store: &SqliteStore, written: u64, most: usize) {
    let expiry = Expiry {
        conversations_before_unix_ms: 0,
        events_before_unix_ms: BEGIN + written.saturating_sub(EVENTS_KEPT),
        dead_letters_before_unix_ms: 0,
        dead_letters_bytes_max: u64::MAX,
        bytes_max: u64::MAX,
    };
    if written.is_multiple_of(20 * BATCH as u64) {
        store.expire(&expiry, most * 20).unwrap();
    }
}

fn read(store: &SqliteStore, calls: u64) {
    let mut chance = Chance(7);
    let everybody = Scope::default();
    let messages = timed(LOOKUPS, || {
        let by = ByName::External(guid(chance.below(calls)));
        let found = store.messages(&by, &everybody, 1000).unwrap();
        found.map_or(0, |messages| messages.len())
    });
    tell("messages", messages);
    let whole = timed(SEARCHES, || {
        let by = ByName::External(guid(chance.below(calls)));
        usize::from(store.conversation(&by, &everybody).unwrap().is_some())
    });
    tell("conversation", whole);
    let page = timed(SEARCHES, || {
        let export = Export {
            from_unix_ms: BEGIN + chance.below(calls * UTTERANCES_PER_CALL),
            to_unix_ms: u64::MAX,
            after: None,
            most: 100,
        };
        store.export(&export, &everybody).unwrap().len()
    });
    tell("export of 100", page);
    let vocabulary = Vocabulary::new();
    let mut search = |what: &str, words: &mut dyn FnMut(&mut Chance) -> Vec<String>| {
        let found = timed(SEARCHES, || {
            let search = Search {
                words: words(&mut chance),
                most: 50,
                ..Search::default()
            };
            found(store.find(&search, &everybody))
        });
        tell(what, found);
    };
    search("rare word", &mut |chance| {
        vec![rare(chance.below(calls) / RARE_IN)]
    });
    let common = |chance: &mut Chance| vocabulary.words[chance.below(20) as usize].clone();
    search("common word", &mut |chance| vec![common(chance)]);
    let seldom =
        |chance: &mut Chance| vocabulary.words[5000 + chance.below(40_000) as usize].clone();
    search("two seldom", &mut |chance| {
        vec![seldom(chance), seldom(chance)]
    });
    search("common+rare", &mut |chance| {
        vec![common(chance), rare(chance.below(calls) / RARE_IN)]
    });
}

fn found(page: Result<store::query::Page, StoreError>) -> usize {
    page.unwrap().conversations.len()
}

/// How long each call takes; they must find something, on the whole.
fn timed(times: usize, mut work: impl FnMut() -> usize) -> Vec<Duration> {
    let mut found = 0;
    let spent = (0..times).map(|_| {
        let now = Instant::now();
        found += work();
        now.elapsed()
    });
    let spent = spent.collect();
    assert!(found > 0, "nothing was found");
    spent
}

fn tell(what: &str, mut spent: Vec<Duration>) {
    spent.sort_unstable();
    let at = |share: f64| secs(spent[((spent.len() - 1) as f64 * share) as usize]) * 1000.0;
    let (half, most, worst) = (at(0.5), at(0.99), at(1.0));
    println!("{what:<14}{half:>9.3} ms p50, {most:.3} ms p99, {worst:.3} ms at most");
}

/// How long this thread was on a processor (Linux): others may want the same one.
fn on_cpu() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let spent = told.split(' ').next().and_then(|spent| spent.parse().ok());
    Duration::from_nanos(spent.unwrap_or_default())
}

fn total(spent: &[Duration]) -> f64 {
    secs(spent.iter().sum())
}

fn secs(time: Duration) -> f64 {
    time.as_secs_f64()
}

fn rate(count: u64, spent: Duration) -> f64 {
    count as f64 / secs(spent)
}

fn guid(number: u64) -> String {
    format!("CA{number:032x}")
}

fn rare(group: u64) -> String {
    format!("rarely{group}")
}

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

impl Vocabulary {
    fn new() -> Self {
        let mut chance = Chance(42);
        let mut letter = move || char::from(b'a' + u8::try_from(chance.below(26)).unwrap());
        let mut word = |rank: usize| {
            let length = 2 + rank.ilog2() as usize / 2;
            let letters: String = (0..length).map(|_| letter()).collect();
            format!(
                "{letters}{}",
                if rank < 500 {
                    String::new()
                } else {
                    rank.to_string()
                }
            )
        };
        let words = (1..=VOCABULARY).map(&mut word).collect();
        let mut sum = 0.0;
        let shares = (1..=VOCABULARY).map(|rank| {
            sum += (rank as f64).powf(-1.05);
            sum
        });
        let shares = shares.collect();
        Self { words, shares }
    }

    fn word(&self, chance: &mut Chance) -> &str {
        let all = self.shares[VOCABULARY - 1];
        let share = (chance.next() >> 11) as f64 / (1_u64 << 53) as f64 * all;
        let at = self.shares.partition_point(|sum| *sum < share);
        &self.words[at.min(VOCABULARY - 1)]
    }

    fn sentence(&self, chance: &mut Chance) -> String {
        let length = 4 + chance.below(15);
        let words: Vec<&str> = (0..length).map(|_| self.word(chance)).collect();
        words.join(" ")
    }
}

impl Writer {
    fn new() -> Self {
        Self {
            chance: Chance(1),
            vocabulary: Vocabulary::new(),
            talks: Vec::new(),
            begun: 0,
            written: 0,
        }
    }

    fn batch(&mut self) -> Batch {
        let mut batch = Batch::default();
        let mut said = 0;
        while said < BATCH {
            if (self.talks.len() as u64) < LIVE_CALLS {
                let number = self.begun;
                self.begun += 1;
                let call = CallName {
                    namespace: Namespace::Twilio,
                    guid: Guid::parse(&guid(number)).unwrap(),
                };
                // The first calls are at different points of their course.
                let left = match number {
                    early if early < LIVE_CALLS => 1 + early * UTTERANCES_PER_CALL / LIVE_CALLS,
                    _ => UTTERANCES_PER_CALL,
                };
                let talk = Talk { call, number, left };
                batch.entries.push(self.entry(&talk, What::Started));
                self.talks.push(talk);
                continue;
            }
            let at = self.chance.below(LIVE_CALLS) as usize;
            self.talks[at].left -= 1;
            let talk = if self.talks[at].left == 0 {
                self.talks.swap_remove(at)
            } else {
                let Talk { call, number, left } = &self.talks[at];
                Talk {
                    call: call.clone(),
                    number: *number,
                    left: *left,
                }
            };
            let utterance = self.said(&talk);
            batch.entries.push(self.entry(&talk, utterance));
            said += 1;
            if talk.left == 0 {
                let ended = What::Ended {
                    fault: "nobody",
                    reason: "stopped",
                };
                batch.entries.push(self.entry(&talk, ended));
            }
        }
        batch
    }

    fn said(&mut self, talk: &Talk) -> What {
        self.written += 1;
        let mut text = self.vocabulary.sentence(&mut self.chance);
        if talk.number.is_multiple_of(RARE_IN / 100) && talk.left == 1 {
            text = format!("{text} {}", rare(talk.number / RARE_IN));
        }
        let role = Role::BOTH[(talk.left % 2) as usize];
        let at = self.written;
        What::Said(Said {
            message: Ulid::from_parts(BEGIN + at, at.into()).to_string(),
            utterance: Utterance {
                call: talk.call.clone(),
                stream: StreamId::new(&format!("{}-{role}", talk.number)),
                role,
                sender: format!("{role}-{}", talk.number % 5000).into(),
                alternatives: vec![Alternative {
                    text: text.into(),
                    tokens: Vec::new(),
                }],
                start: Duration::from_millis(at % 600_000),
                end: Duration::from_millis(at % 600_000 + 2500),
                is_final: true,
            },
            said_at_unix_ms: BEGIN + at,
        })
    }

    fn entry(&self, talk: &Talk, what: What) -> Entry {
        let (kind, json) = match &what {
            What::Said(said) => {
                let text = said.utterance.alternatives[0].text.reveal();
                let json = format!(
                    r#"{{"call":"{}","role":"{}","streamId":"{}","text":"{text}","isFinal":true}}"#,
                    talk.call, said.utterance.role, said.utterance.stream
                );
                ("transcript", json)
            }
            _ => ("call", format!(r#"{{"call":"{}"}}"#, talk.call)),
        };
        Entry {
            place: EventPlace {
                boot: BEGIN,
                number: self.written * 4 + u64::from(kind == "call") + u64::from(talk.left == 0),
            },
            seq: 1,
            at_unix_ms: BEGIN + self.written,
            call: talk.call.clone(),
            also: Arc::new([]),
            tenant: None,
            kind,
            json: json.into(),
            what,
        }
    }
}
