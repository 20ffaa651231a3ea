//! The table of rules names tests that exist, and every conversation.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_test_in_the_table_exists_and_every_conversation_is_in_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap();
    let table = fs::read_to_string(root.join("docs/siprec-conformance.md")).unwrap();
    let sources: String = files(&root.join("crates"), "rs")
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let conversations = files(&root.join("crates/siprec/tests/conversations"), "txt");
    let conversations: Vec<String> = conversations
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    let named: Vec<&str> = table
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| !name.contains(['…', '/', ' ']))
        .collect();
    for name in &named {
        if name.ends_with(".txt") && *name != ".txt" {
            assert!(conversations.iter().any(|known| known == name), "{name}");
        } else if let Some((_, test)) = name.split_once("::") {
            assert!(sources.contains(&format!("fn {test}(")), "{name}");
        }
    }
    for conversation in &conversations {
        assert!(
            named.contains(&conversation.as_str()),
            "{conversation} is not in the table"
        );
    }
}

fn files(under: &Path, kind: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, kind));
        } else if path.extension().is_some_and(|found| found == kind) {
            found.push(path);
        }
    }
    found
}
