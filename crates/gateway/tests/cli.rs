//! The program from outside, as far as it reads its arguments and its configuration.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

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
        antiphon()
            .args([Path::new(command), Path::new("--config"), &self.file()])
            .env("TOKEN_SECRET", "a secret of the variable")
            .output()
            .unwrap()
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
fn it_says_its_version() {
    let output = antiphon().arg("--version").output().unwrap();
    assert_eq!(
        text(&output.stdout),
        format!("antiphon {}\n", env!("CARGO_PKG_VERSION"))
    );
}
