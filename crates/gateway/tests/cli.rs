//! The program from outside, as far as it reads its arguments and its configuration.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const GOOD: &str = r#"
[http]
listen = "127.0.0.1:1"
public_url = "https://voice.example.com"
[[api_keys]]
id = "desktop"
secret = "file:api-secret"
[twilio]
auth_tokens = ["an auth token of Twilio's"]
token_secret = "env:TOKEN_SECRET"
[upstream.autotranscribe]
base_url = "https://api.example.com"
api_id = "our-id"
api_secret = "our-secret"
"#;

const SECRETS: [&str; 5] = [
    "open sesame",
    "an auth token of Twilio's",
    "a secret of the variable",
    "our-id",
    "our-secret",
];

struct World(TempDir);

impl World {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("antiphon.toml"), text).unwrap();
        fs::write(folder.path().join("api-secret"), "open sesame\n").unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("antiphon.toml")
    }

    fn run(&self, command: &str) -> Output {
        self.run_with(&[command], &[])
    }

    /// Words before and after the configuration.
    fn run_with(&self, before: &[&str], after: &[&str]) -> Output {
        self.command(before, after).output().unwrap()
    }

    fn command(&self, before: &[&str], after: &[&str]) -> Command {
        let mut command = antiphon();
        command
            .args(before)
            .args([Path::new("--config"), &self.file()])
            .args(after)
            .current_dir(self.0.path())
            .env("TOKEN_SECRET", "a secret of the variable");
        command
    }
}

fn antiphon() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon"));
    command.env_clear();
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn check_prints_what_would_be_run_with_and_no_secret() {
    let world = World::new(GOOD);
    let output = world.run("check");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    assert!(
        printed.contains("[http]\nlisten = \"127.0.0.1:1\" # "),
        "{printed}"
    );
    assert!(printed.contains("chunk = \"100ms\"\n"), "{printed}");
    assert!(printed.contains("secret = \"•••\""), "{printed}");
    for secret in SECRETS {
        assert!(!printed.contains(secret), "{secret}");
    }
}

#[test]
fn the_log_tells_who_serves_and_where() {
    let world = World::new(&GOOD.replace("127.0.0.1:1\"", "127.0.0.1:0\""));
    let mut command = world.command(&["serve"], &[]);
    let mut serving = command.stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(serving.stderr.take().unwrap());
    let mut lines = log.lines().map(Result::unwrap);
    let line = lines.find(|line| line.contains("Serving.")).unwrap();
    serving.kill().unwrap();
    serving.wait().unwrap();
    let told = ["INFO", "version=", "http=127.0.0.1:", "siprec=[]"];
    assert!(told.iter().all(|part| line.contains(part)), "{line}");
}

#[test]
fn a_mistake_exits_with_64_before_anything_is_served() {
    let world = World::new(&GOOD.replace("listen", "lisen"));
    for command in ["check", "serve"] {
        let output = world.run(command);
        assert_eq!(output.status.code(), Some(64));
        assert_eq!(text(&output.stdout), "");
        let expected = format!(
            "{}:3: unknown key http.lisen; the nearest known is http.listen\n",
            world.file().display()
        );
        assert_eq!(text(&output.stderr), expected);
    }
}

#[test]
fn a_file_that_is_not_there_exits_with_64() {
    let output = antiphon()
        .args(["check", "--config", "/nowhere.toml"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).starts_with("/nowhere.toml: cannot be read: "));
}

#[test]
fn an_address_that_cannot_be_had_is_told_and_is_no_mistake_of_the_configuration() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let world = World::new(&GOOD.replace("127.0.0.1:1", &address));
    let output = world.run("serve");
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(
        told.contains(&format!("cannot listen on {address}")),
        "{told}"
    );
    for secret in SECRETS {
        assert!(!told.contains(secret), "{secret}");
    }
}

#[test]
fn an_export_without_a_store_names_the_file_that_is_missing() {
    let world = World::new(GOOD);
    let out = world.0.path().join("out.csv");
    let span = ["--from", "2026-01-31", "--to", "2026-02-01T09:00:00Z"];
    let file = ["--format", "csv", "--out", out.to_str().unwrap()];
    let output = world.run_with(&["export"], &[span, file].concat());
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("antiphon.db cannot be opened"), "{told}");
    assert!(!out.exists());
}

#[test]
fn an_export_writes_what_the_store_has() {
    let world = World::new(GOOD);
    let config = store::sqlite::StoreConfig::at(world.0.path().join("antiphon.db"));
    // It stays open, as that of a gateway that runs.
    let (_store, _) = store::sqlite::SqliteStore::open(&config).unwrap();
    let out = world.0.path().join("out.csv");
    let wanted = [
        "--from",
        "2026-01-31",
        "--format",
        "csv",
        "--out",
        out.to_str().unwrap(),
    ];
    let output = world.run_with(&["export"], &wanted);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert_eq!(told, format!("0 utterances are in {}.\n", out.display()));
    assert!(
        fs::read_to_string(&out)
            .unwrap()
            .starts_with("conversationId,")
    );
}

#[test]
fn an_export_in_a_format_that_there_is_not_is_refused() {
    let world = World::new(GOOD);
    let output = world.run_with(
        &["export"],
        &["--from", "2026-01-31", "--format", "xml", "--out", "out"],
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("expected csv, jsonl or parquet"));
}

/// A configuration with a key, and a store that was made with it.
fn sealed() -> World {
    let world = World::new(&format!("{GOOD}[store]\nkey = \"file:store.key\"\n"));
    fs::write(world.0.path().join("store.key"), "1".repeat(64)).unwrap();
    fs::write(world.0.path().join("other.key"), "2".repeat(64)).unwrap();
    drop(opened(&world, '1').unwrap());
    world
}

fn opened(world: &World, digit: char) -> Result<store::sqlite::SqliteStore, store::StoreError> {
    let mut config = store::sqlite::StoreConfig::at(world.0.path().join("antiphon.db"));
    let digits = digit.to_string().repeat(64);
    config.key = Some(store::key::Key::parse(digits.as_bytes()).unwrap());
    Ok(store::sqlite::SqliteStore::open(&config)?.0)
}

#[test]
fn a_store_gets_another_key() {
    let world = sealed();
    let other = world.0.path().join("other.key");
    let to = ["--to", other.to_str().unwrap()];
    let output = world.run_with(&["store", "rekey"], &to);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(
        told.contains(&format!("\"file:{}\"", other.display())),
        "{told}"
    );
    assert!(!told.contains("2222"), "{told}");
    assert!(matches!(
        opened(&world, '1'),
        Err(store::StoreError::WrongKey)
    ));
    opened(&world, '2').unwrap();
    // The configuration has the former key still.
    let output = world.run_with(&["store", "rekey"], &to);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("another key"), "{told}");
}

#[test]
fn a_store_that_a_gateway_holds_gets_no_other_key() {
    let world = sealed();
    let held = opened(&world, '1').unwrap();
    let output = world.run_with(&["store", "rekey"], &["--without-key"]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("is in use; end the gateway first"), "{told}");
    drop(held);
    let output = world.run_with(&["store", "rekey"], &["--without-key"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let plain = store::sqlite::StoreConfig::at(world.0.path().join("antiphon.db"));
    store::sqlite::SqliteStore::open(&plain).unwrap();
}

#[test]
fn what_is_no_key_is_refused_before_the_store_is_touched() {
    let world = sealed();
    let output = world.run_with(&["store", "rekey"], &["--to", "/nowhere.key"]);
    assert!(text(&output.stderr).starts_with("/nowhere.key cannot be read"));
    let short = world.0.path().join("short.key");
    fs::write(&short, "secret").unwrap();
    let output = world.run_with(&["store", "rekey"], &["--to", short.to_str().unwrap()]);
    let told = text(&output.stderr);
    assert!(told.contains("is not a key of 32 bytes"), "{told}");
    assert_eq!(output.status.code(), Some(1));
    opened(&world, '1').unwrap();
}

#[test]
fn dead_letters_need_a_gateway_that_runs_and_a_key_that_may() {
    let world = World::new(GOOD);
    let output = world.run_with(&["dead-letters", "list"], &[]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(
        told.starts_with("the gateway at http://127.0.0.1:1/: "),
        "{told}"
    );
    let world = World::new(&GOOD.replace(
        "secret = \"file:api-secret\"",
        "secret = \"file:api-secret\"\nscopes = [\"control\"]",
    ));
    let output = world.run_with(&["dead-letters", "replay"], &["--webhook", "hook"]);
    let told = text(&output.stderr);
    assert!(
        told.contains("none without a tenant has the scope admin"),
        "{told}"
    );
}

#[test]
fn it_says_its_version() {
    let output = antiphon().arg("--version").output().unwrap();
    assert_eq!(
        text(&output.stdout),
        format!("antiphon {}\n", env!("CARGO_PKG_VERSION"))
    );
}
