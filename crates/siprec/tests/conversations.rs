//! Conversations between a recording client and the server, in virtual time, from text files.
//!
//! `conversations/*.txt`, one behaviour each. The first lines of a file are comments; one of them
//! begins with `# rules:` and names what is proved. Then, line by line:
//!
//! - `set <key> <value>`: a setting, before anything is sent.
//! - `> INVITE [uri]` sends a request, `> 200` answers the last request of the server,
//!   `> again` repeats the last bytes sent. Indented lines below change it: `Name: value` replaces
//!   a header, `+Name: value` adds one, `-Name` removes one, `| line` is a line of the body,
//!   `sdp two` and `meta two` are bodies with names (see `client::body`).
//! - `< SIP/2.0 200` expects what the server sends next (a 100 is passed over). Indented lines:
//!   `Name: glob` must be among its headers, `!Name: glob` must not, `| glob` must be a line of
//!   its body, `!| glob` must not. `< nothing` expects that nothing was sent, `< rest` passes
//!   over whatever else was.
//! - `! glob` expects news: see `world::told`. `! nothing glob` expects none like it.
//! - `+500ms`, `+32s`: time passes.
//! - `do <what>`: something else happens: `wanted true`, `end words`, `drain`, `snapshot`,
//!   `ports none|later|now`, `closed`.
//! - `over tcp|tls|udp`, `from address:port`, `certificate name`: how the client sends.
//! - `dialog name`: speaks in another dialog from now on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "conversations/run/client.rs"]
mod client;
#[path = "conversations/run/script.rs"]
mod script;
#[path = "conversations/run/world.rs"]
mod world;

use std::fs;
use std::path::{Path, PathBuf};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conversations");
    let mut files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "txt"))
        .collect::<Vec<_>>();
    files.sort();
    files
}

#[test]
fn every_conversation_goes_as_written() {
    let only = option_env!("CONVERSATION").unwrap_or_default();
    let mut failures = Vec::new();
    let mut count = 0;
    for file in files() {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        if !name.contains(only) {
            continue;
        }
        count += 1;
        if let Err(why) = script::run(&fs::read_to_string(&file).unwrap()) {
            failures.push(format!("{name}.txt: {why}"));
        }
    }
    assert!(count > 0, "no conversation was found");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn every_conversation_names_the_rules_it_proves() {
    for file in files() {
        let text = fs::read_to_string(&file).unwrap();
        let rules = text.lines().find_map(|line| line.strip_prefix("# rules: "));
        assert!(
            rules.is_some_and(|rules| !rules.is_empty()),
            "{}",
            file.display()
        );
    }
}
