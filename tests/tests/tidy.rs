//! Style that is not tested is a wish: the source tree, read as text.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const CODE_LINES_MAX: usize = 500;

const BANNED_IN_NAMES: [&str; 9] = [
    "Manager", "Helper", "Util", "Common", "Misc", "Enhanced", "Legacy", "do_", "process_",
];

/// Foreign protocol crates, each with the only files that may name it.
const NAMED_ONCE: [(&str, &[&str]); 14] = [
    ("audio_codec_algorithms", &["call/src/audio.rs"]),
    ("parquet", &["gateway/src/export/columns.rs"]),
    ("roxmltree", &["siprec/src/metadata"]),
    ("rsip", &["siprec/src/message/typed.rs"]),
    ("ctr", &["rtp/src/srtp/session.rs"]),
    ("rtc_srtp", &[]),
    ("rtp_rs", &["rtp/src/packet.rs"]),
    ("rusqlite", &["store/src/sqlite"]),
    ("webrtc_sdp", &["siprec/src/offer"]),
    (
        "tokio_tungstenite",
        &["upstream/src/wire", "ingress/src/twilio/socket.rs", "sim/"],
    ),
    ("jsonwebtoken", &["ingress/src/twilio/token.rs"]),
    ("utoipa", &["gateway/src/api/"]),
    ("governor", &["gateway/src/api/"]),
    (
        "reqwest",
        &[
            "delivery/src/client",
            "gateway/src/remote.rs",
            "upstream/src/ask.rs",
            "sim/",
        ],
    ),
];

struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Without the tests at its bottom.
    fn code(&self) -> &str {
        self.text.split("#[cfg(test)]\nmod tests").next().unwrap()
    }

    fn is_test(&self) -> bool {
        ["/tests.rs", "/tests/", "/benches/", "/fuzz"]
            .iter()
            .any(|mark| self.path.contains(mark))
    }
}

#[test]
fn no_file_is_longer_than_one_can_read_in_one_go() {
    let long = |source: &Source| {
        let lines = source.code().lines().count();
        (!source.is_test() && lines > CODE_LINES_MAX).then(|| format!("{}: {lines}", source.path))
    };
    assert_none(sources().iter().filter_map(long), "files over 500 lines");
}

#[test]
fn every_file_says_what_it_is() {
    let silent = |source: &Source| {
        let speaks = source.is_test() || source.text.starts_with("//!");
        (!speaks).then(|| source.path.clone())
    };
    assert_none(
        sources().iter().filter_map(silent),
        "files without a //! line",
    );
}

#[test]
fn no_line_is_longer_than_a_hundred_columns() {
    let wide = |source: &Source| {
        let long = |(number, line): (usize, &str)| {
            let too_long = line.chars().count() > 100 && !line.contains("\"");
            too_long.then(|| format!("{}:{}", source.path, number + 1))
        };
        source
            .text
            .lines()
            .enumerate()
            .filter_map(long)
            .collect::<Vec<_>>()
    };
    assert_none(sources().iter().flat_map(wide), "lines over 100 columns");
}

#[test]
fn names_say_what_a_thing_is() {
    let vague = |source: &Source| {
        let keywords = ["struct ", "enum ", "trait ", "fn ", "mod ", "type "];
        let named = |line: &str| {
            let rest = keywords.iter().find_map(|keyword| {
                let at = line.find(keyword)?;
                let before = line[..at].trim();
                let is_item = before.is_empty() || before.ends_with(')') || before.ends_with("pub");
                is_item.then(|| &line[at + keyword.len()..])
            })?;
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
            let name = &rest[..end];
            let bad = BANNED_IN_NAMES
                .iter()
                .any(|word| match word.strip_suffix('_') {
                    Some(_) => name.starts_with(word),
                    None => name.contains(word),
                });
            bad.then(|| format!("{}: {name}", source.path))
        };
        source.code().lines().filter_map(named).collect::<Vec<_>>()
    };
    assert_none(sources().iter().flat_map(vague), "vague names");
}

#[test]
fn nothing_is_left_for_later() {
    let marks = ["todo!(", "unimplemented!(", "FIXME", "XXX", "dbg!("];
    let left = |source: &Source| {
        let found = |mark: &&str| source.text.contains(*mark);
        let this_file = source.path.ends_with("tidy.rs");
        (!this_file && marks.iter().any(found)).then(|| source.path.clone())
    };
    assert_none(sources().iter().filter_map(left), "files with a stub");
}

#[test]
fn a_foreign_crate_is_named_in_one_place() {
    let strays = |source: &Source| {
        let stray = |(name, places): &(&str, &[&str])| {
            let named = source.code().contains(&format!("{name}::"));
            let allowed = places.iter().any(|place| source.path.contains(place));
            (named && !allowed && !source.is_test() && !source.path.starts_with("tests/"))
                .then(|| format!("{} names {name}", source.path))
        };
        NAMED_ONCE.iter().filter_map(stray).collect::<Vec<_>>()
    };
    assert_none(
        sources().iter().flat_map(strays),
        "foreign crates named elsewhere",
    );
}

#[test]
fn the_arrows_between_crates_are_those_of_the_architecture() {
    let document = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let declared: BTreeMap<String, String> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split_once("` | depends on: "))
        .map(|(name, rest)| {
            (
                name.to_owned(),
                rest.trim_end_matches([' ', '|']).to_owned(),
            )
        })
        .collect();
    for name in [
        "call", "gateway", "ingress", "rtp", "sim", "siprec", "upstream",
    ] {
        let manifest =
            fs::read_to_string(root().join(format!("crates/{name}/Cargo.toml"))).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let ours: Vec<&str> = manifest["dependencies"]
            .as_table()
            .unwrap()
            .keys()
            .filter_map(|key| key.strip_prefix("antiphon-"))
            .collect();
        let ours = if ours.is_empty() {
            "nothing".to_owned()
        } else {
            ours.join(", ")
        };
        assert_eq!(declared.get(name), Some(&ours), "dependencies of {name}");
    }
}

#[test]
fn no_document_names_a_path_of_somebodys_machine() {
    let bad = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let marks = [
            concat!("/wo", "rk/"),
            concat!("/ro", "ot/"),
            concat!("/ho", "me/"),
        ];
        marks
            .iter()
            .any(|mark| text.contains(mark))
            .then(|| path.display().to_string())
    };
    let documents = files(&root(), &["md", "toml", "json", "rs", "py", "sh"]);
    assert_none(documents.iter().filter_map(bad), "paths of a machine");
}

fn assert_none(found: impl Iterator<Item = String>, what: &str) {
    let found: Vec<String> = found.collect();
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

fn sources() -> Vec<Source> {
    let root = root();
    let read = |path: PathBuf| Source {
        text: fs::read_to_string(&path).unwrap(),
        path: path.strip_prefix(&root).unwrap().display().to_string(),
    };
    let sources: Vec<Source> = files(&root, &["rs"]).into_iter().map(read).collect();
    assert!(sources.len() > 20, "the sources were not found");
    sources
}

fn files(under: &Path, kinds: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            found.extend(files(&path, kinds));
        } else if path
            .extension()
            .is_some_and(|kind| kinds.iter().any(|k| kind == *k))
        {
            found.push(path);
        }
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_path_buf()
}
