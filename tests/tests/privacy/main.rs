//! Whatever happens to a call, the log does not say what was said, by whom, or with which key.
//!
//! All stories of this binary log at level debug, as the program does, into one page that is read
//! line by line. What the default level shows is among it.

#![expect(clippy::unwrap_used, reason = "a story fails by panic")]

mod page;
mod recorded;
mod stories;

use page::{leak, lines};
use serde_json::json;

#[test]
fn a_leak_of_any_kind_would_be_found() {
    page::open();
    let leaks = [
        "My account number is 5527.",
        "the card was 4111 1111 1111 1111",
        "heard: lovely",
        "982",
        "customer +15551234567",
        "agent.smith",
        rig::API_SECRET,
        rig::AUTH_TOKEN,
        rig::TOKEN_SECRET,
        "sim-api-secret",
        "token eyJhbGciOiJIUzI1NiJ9.e30.x",
        "wss://127.0.0.1:1/?token=1",
        "wss://gateway.example.com/mg-twilio-autotranscribe/twilio-media/x",
        "digit 8",
    ];
    for text in leaks {
        for line in [
            json!({"level": "INFO", "message": text}),
            json!({"level": "DEBUG", "message": "Fine.", "span": {"why": text}}),
        ] {
            assert!(leak(&line.to_string()).is_some(), "{text}");
        }
    }
    let fine = json!({"level": "DEBUG", "stream": "0982", "message": "A call began.", "ms": 982});
    assert_eq!(leak(&fine.to_string()), None);
}

/// Nothing logged until now is private, and something was logged of this call.
fn nothing_private_is_logged(guid: &str) {
    let lines = lines();
    for line in &lines {
        if let Some(leak) = leak(line) {
            panic!("{leak} is in the log: {line}");
        }
    }
    assert!(
        lines.iter().any(|line| line.contains(guid)),
        "nothing is logged of {guid}"
    );
}
