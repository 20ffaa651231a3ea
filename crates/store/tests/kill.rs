//! What was kept survives the end of the process, at whatever moment it comes: this binary starts
//! itself as another process, which writes numbered batches and says each number when it is kept.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use call::name::{CallName, Guid, Namespace, Role, StreamId};
use call::transcript::{Alternative, Utterance};
use store::entry::{Batch, Entry, EventPlace, Said, What};
use store::key::Key;
use store::outbox::{Outbox, Parcel, Settled};
use store::query::{ByName, EventSearch, Scope, Search};
use store::sqlite::{Opened, SqliteStore, StoreConfig};
use store::{Store, StoreError};
use tempfile::TempDir;

const KILLS: u64 = 36;
const CALLS: u64 = 5;
const ENTRIES: u64 = 7;
const PATH: &str = "STORE_WRITES_TO";
const FROM: &str = "STORE_WRITES_FROM";
const UNTIL_FULL: &str = "STORE_WRITES_UNTIL_FULL";
const BEGIN: u64 = 1_700_000_000_000;

fn config(path: &Path) -> StoreConfig {
    let mut config = StoreConfig::at(path);
    config.key = Some(Key::parse(&[3; 32]).unwrap());
    // So that the log is carried into the file every now and then.
    config.log_bytes = 200 << 10;
    config
}

fn call(number: u64) -> CallName {
    CallName {
        namespace: Namespace::Siprec,
        guid: Guid::parse(&format!("guid{}", number % CALLS)).unwrap(),
    }
}

fn text(number: u64, part: u64) -> String {
    format!("batch{number} part{part}")
}

fn batch(number: u64) -> Batch {
    let entry = |part: u64| {
        let place = number * ENTRIES + part + 1;
        let alternative = Alternative {
            text: text(number, part).into(),
            tokens: Vec::new(),
        };
        let utterance = Utterance {
            call: call(number),
            stream: StreamId::new("stream"),
            role: Role::Agent,
            sender: "agent".to_owned().into(),
            alternatives: vec![alternative],
            start: Duration::ZERO,
            end: Duration::ZERO,
            is_final: true,
        };
        Entry {
            place: EventPlace {
                boot: BEGIN,
                number: place,
            },
            seq: place,
            at_unix_ms: BEGIN + place,
            call: call(number),
            also: Arc::new([]),
            tenant: None,
            kind: "transcript",
            json: format!("{{\"number\":{place}}}").into(),
            what: What::Said(Said {
                message: format!("message-{place:09}"),
                utterance,
                said_at_unix_ms: BEGIN + place,
            }),
        }
    };
    let parcel = |part: u64| Parcel {
        endpoint: "crm".into(),
        lane: call(number).to_string().into(),
        id: format!("msg_{number}_{part}"),
        kind: "transcript",
        content_type: "application/json",
        body: text(number, part).into_bytes().into(),
        at_unix_ms: BEGIN,
    };
    Batch {
        entries: (0..ENTRIES).map(entry).collect(),
        parcels: (0..2).map(parcel).collect(),
    }
}

/// The other process: it does nothing unless it is told where to write.
#[test]
fn the_other_process_writes_numbered_batches() {
    let Ok(path) = std::env::var(PATH) else {
        return;
    };
    let from: u64 = std::env::var(FROM).unwrap().parse().unwrap();
    let is_until_full = std::env::var(UNTIL_FULL).is_ok();
    let (store, opened) = SqliteStore::open(&config(Path::new(&path))).unwrap();
    assert_eq!(opened, Opened::default());
    for number in from..from + 1_000_000 {
        match store.write(&batch(number)) {
            Ok(()) => {
                let mut told = std::io::stdout().lock();
                writeln!(told, "kept {number}").unwrap();
                told.flush().unwrap();
            }
            Err(StoreError::Full) if is_until_full => {
                assert!(matches!(store.write(&batch(number)), Err(StoreError::Full)));
                let by = ByName::Call(call(from));
                assert!(store.messages(&by, &Scope::default(), 9).unwrap().is_some());
                println!("full");
                return;
            }
            Err(error) => panic!("{error}"),
        }
        // Every other batch is delivered at once.
        if number % 2 == 1 {
            let waiting = store.waiting("crm", 0, 100).unwrap();
            let of_it = |id: &str| id.starts_with(&format!("msg_{number}_"));
            let taken = waiting.iter().filter(|one| of_it(&one.id));
            let settled = taken.map(|one| Settled::Delivered { number: one.number });
            store.settle(&settled.collect::<Vec<_>>()).unwrap();
        }
    }
}

fn start(mut command: Command, path: &Path, from: u64) -> (Child, Receiver<String>) {
    let mut child = command
        .env(PATH, path)
        .env(FROM, from.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let told = BufReader::new(child.stdout.take().unwrap());
    let (tell, heard) = channel();
    std::thread::spawn(move || {
        for line in told.lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                break;
            }
        }
    });
    (child, heard)
}

const OTHER: [&str; 3] = [
    "--exact",
    "the_other_process_writes_numbered_batches",
    "--nocapture",
];

fn number_in(line: &str) -> Option<u64> {
    line.rsplit_once("kept ")?.1.parse().ok()
}

/// Batches are there whole or not at all, and all up to `kept` are. How many there are.
fn check(store: &SqliteStore, kept: u64) -> u64 {
    let mut texts = Vec::new();
    for number in 0..CALLS {
        let by = ByName::Call(call(number));
        let messages = store.messages(&by, &Scope::default(), 1_000_000).unwrap();
        let messages = messages.unwrap_or_default();
        texts.extend(
            messages
                .into_iter()
                .map(|message| message.text.into_revealed()),
        );
    }
    texts.sort_unstable();
    let there = texts.len() as u64 / ENTRIES;
    let mut expected: Vec<String> = (0..there)
        .flat_map(|number| (0..ENTRIES).map(move |part| text(number, part)))
        .collect();
    expected.sort_unstable();
    assert_eq!(texts, expected, "batches that are not whole");
    assert!(
        there >= kept,
        "{kept} batches were kept, and {there} are there"
    );
    let search = EventSearch {
        after: EventPlace { boot: 0, number: 0 },
        until: None,
        call: None,
        kinds: Vec::new(),
        most: 1_000_000,
    };
    let events = store.events(&search, &Scope::default()).unwrap();
    let events: Vec<u64> = events.iter().map(|event| event.place.number).collect();
    assert_eq!(events, (1..=there * ENTRIES).collect::<Vec<_>>());
    let waiting = store.waiting("crm", 0, 1_000_000).unwrap();
    for number in (0..there).step_by(2) {
        let of_it = |id: &str| id.starts_with(&format!("msg_{number}_"));
        assert_eq!(
            waiting.iter().filter(|one| of_it(&one.id)).count(),
            2,
            "parcels of {number}"
        );
    }
    if let Some(last) = there.checked_sub(1) {
        let search = Search {
            words: vec![format!("batch{last}")],
            most: 9,
            ..Search::default()
        };
        let found = store
            .find(&search, &Scope::default())
            .unwrap()
            .conversations;
        assert_eq!((found.len(), &found[0].call), (1, &call(last)));
    }
    there
}

#[test]
fn what_was_kept_survives_a_kill_at_any_moment() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("antiphon.db");
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
    let mut there = 0;
    for round in 0..KILLS {
        let mut other = Command::new(std::env::current_exe().unwrap());
        other.args(OTHER);
        let (mut child, heard) = start(other, &path, there);
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695);
        // The first rounds end before or while the file is made, the others while it is written.
        let mut lines: Vec<String> = Vec::new();
        while round >= 6 && !lines.iter().any(|line| number_in(line).is_some()) {
            lines.push(heard.recv_timeout(Duration::from_secs(60)).unwrap());
        }
        let until = Instant::now() + Duration::from_micros((chance >> 40) % 120_000);
        let more = std::iter::from_fn(|| {
            heard
                .recv_timeout(until.saturating_duration_since(Instant::now()))
                .ok()
        });
        lines.extend(more);
        child.kill().unwrap();
        child.wait().unwrap();
        lines.extend(heard.iter());
        let kept = lines.iter().filter_map(|line| number_in(line)).next_back();
        let kept = kept.map_or(there, |last| last + 1);
        let (store, opened) = SqliteStore::open(&config(&path)).unwrap();
        assert_eq!(opened, Opened::default(), "round {round}");
        there = check(&store, kept);
    }
    assert!(there > KILLS, "{there} batches in all");
}

#[test]
fn a_limit_on_the_size_of_files_is_lack_of_room() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("antiphon.db");
    let mut other = Command::new("sh");
    let limited = "trap '' XFSZ; ulimit -f 600; exec \"$0\" \"$@\"";
    other
        .args(["-c", limited])
        .arg(std::env::current_exe().unwrap())
        .args(OTHER);
    other.env(UNTIL_FULL, "yes");
    let (mut child, heard) = start(other, &path, 0);
    let lines: Vec<String> = heard.iter().collect();
    assert!(child.wait().unwrap().success(), "{lines:?}");
    assert!(lines.iter().any(|line| line.ends_with("full")), "{lines:?}");
    let kept = lines
        .iter()
        .filter_map(|line| number_in(line))
        .next_back()
        .unwrap()
        + 1;
    let (store, opened) = SqliteStore::open(&config(&path)).unwrap();
    assert_eq!(opened, Opened::default());
    assert_eq!(check(&store, kept), kept);
    store.write(&batch(kept)).unwrap();
    assert_eq!(check(&store, kept + 1), kept + 1);
}
