use std::sync::Arc;
use std::time::Duration;

use call::name::{CallName, Guid, Namespace, Role, StreamId};
use call::transcript::{Alternative, Utterance};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use store::entry::{Batch, Entry, EventPlace, Said, What};
use store::sqlite::{SqliteStore, StoreConfig};
use tempfile::TempDir;

use super::*;

/// A store in which so many words were said, one each millisecond.
fn store(folder: &TempDir, words: u64) -> SqliteStore {
    let (store, _) = SqliteStore::open(&StoreConfig::at(folder.path().join("db"))).unwrap();
    let call = CallName {
        namespace: Namespace::Twilio,
        guid: Guid::parse("CA1").unwrap(),
    };
    let entry = |number: u64| Entry {
        place: EventPlace { boot: 1, number },
        seq: number,
        at_unix_ms: 1_000 + number,
        call: call.clone(),
        also: Arc::from([]),
        tenant: None,
        kind: "transcript",
        json: String::new().into(),
        what: What::Said(Said {
            message: format!("{number:026}"),
            utterance: Utterance {
                call: call.clone(),
                stream: StreamId::new("stream"),
                role: Role::Agent,
                sender: if number == 1 { "" } else { "a,b" }.to_owned().into(),
                alternatives: vec![Alternative {
                    text: format!("word {number}").into(),
                    tokens: Vec::new(),
                }],
                start: Duration::from_millis(number),
                end: Duration::from_millis(number + 1),
                is_final: true,
            },
            said_at_unix_ms: 900 + number,
        }),
    };
    let entries = (1..=words).map(entry).collect();
    let batch = Batch {
        entries,
        ..Batch::default()
    };
    store.write(&batch).unwrap();
    store
}

fn order(folder: &TempDir, format: Format) -> Order {
    Order {
        from_unix_ms: 1_002,
        to_unix_ms: 1_010,
        format,
        out: folder.path().join("out"),
        page: 3,
    }
}

#[test]
fn lines_are_written_page_by_page_and_progress_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder, 20);
    for (format, head) in [(Format::Csv, 1), (Format::Jsonl, 0)] {
        let order = order(&folder, format);
        let mut told = Vec::new();
        let done = export(&store, &order, |progress| told.push(progress.utterances)).unwrap();
        assert_eq!((done.utterances, done.at_unix_ms), (8, 1_009));
        assert_eq!(told, [3, 6, 8]);
        let text = std::fs::read_to_string(&order.out).unwrap();
        assert_eq!(text.lines().count(), 8 + head);
        assert!(text.contains("word 2") && text.contains("word 9") && !text.contains("word 10"));
    }
}

#[test]
fn parquet_is_read_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder, 5);
    let order = Order {
        from_unix_ms: 0,
        ..order(&folder, Format::Parquet)
    };
    export(&store, &order, |_| ()).unwrap();
    let reader = SerializedFileReader::new(File::open(&order.out).unwrap()).unwrap();
    assert_eq!(reader.metadata().num_row_groups(), 2);
    let rows: Vec<_> = reader
        .get_row_iter(None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(rows.len(), 5);
    assert_eq!(rows[1].get_string(2).unwrap(), "CA1");
    assert_eq!(rows[1].get_string(6).unwrap(), "a,b");
    assert!(rows[0].get_string(6).is_err(), "an empty sender is null");
    assert_eq!(rows[4].get_string(11).unwrap(), "word 5");
    assert_eq!(
        (rows[4].get_long(7).unwrap(), rows[4].get_long(8).unwrap()),
        (5, 6)
    );
    assert_eq!(rows[4].get_timestamp_millis(9).unwrap(), 1_005);
}

#[test]
fn a_file_that_cannot_be_written_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder, 5);
    let mut order = order(&folder, Format::Csv);
    std::fs::create_dir(&order.out).unwrap();
    assert!(matches!(
        export(&store, &order, |_| ()),
        Err(ExportError::File { .. })
    ));
    assert!(!beside(&order.out).exists());
    order.out = folder.path().join("nowhere/out");
    assert!(export(&store, &order, |_| ()).is_err());
}
