//! What the service's codes mean, in the control API's codes and in the classes of the retry table.
//!
//! The code of an `Error` is that of the close which follows; the close's own reason says no more
//! than that there was one. Some codes mean several things, which only the text tells apart.

use call::start::Status;

use crate::json;
use crate::service::{Final, Retry};

/// The reason of a close that came after an `Error`.
const SEE_ERROR: &str = "See Error message for details";

/// Texts that mean the same whatever their code: deployments differ in which code goes with which.
/// In small letters; the first that is found counts.
const TEXTS: [(&str, u16, Retry); 8] = [
    ("too many concurrent", 5002, Retry::Backoff),
    ("transmission rate", 4080, Retry::Backoff),
    ("duration violation", 4080, Retry::Session),
    ("inactivity", 4083, Retry::Sound),
    // A token: the next one is a fresh one.
    ("signature has expired", 1008, Retry::Few(2)),
    ("session expired", 4090, Retry::Rollover),
    ("unauthorized", 1008, Retry::Credential),
    ("not authorized", 1008, Retry::Credential),
];

/// Whether a text without a code is enough to know what it means.
pub(super) fn is_known(text: &str) -> bool {
    by_text(text).is_some()
}

/// How a socket ended that the service gave a code or a text for. `None` if they say nothing.
pub(super) fn last(code: Option<u16>, text: &str) -> Option<Final> {
    let text = match text.trim() {
        SEE_ERROR => "",
        text => text,
    };
    if text.is_empty() && matches!(code, None | Some(1000 | 1005 | 1006)) {
        return None;
    }
    let (own, retry) = by_text(text).unwrap_or_else(|| by_code(code.unwrap_or_default()));
    let said = match text {
        "" => name(own),
        text => text,
    };
    let description = match code {
        Some(code) => format!("{said} (AssemblyAI {code})"),
        None => said.to_owned(),
    };
    Some(Final {
        status: Status {
            code: own,
            description: json::description(&description),
        },
        retry,
        summary: None,
    })
}

fn by_text(text: &str) -> Option<(u16, Retry)> {
    let text = text.to_ascii_lowercase();
    let found = TEXTS.iter().find(|(part, ..)| text.contains(part));
    found.map(|&(_, code, retry)| (code, retry))
}

/// From 4000 on: those of the service's former API, which its clients still know.
fn by_code(code: u16) -> (u16, Retry) {
    match code {
        401..=403 | 1008 | 4001..=4003 => (1008, Retry::Credential),
        404 | 410 | 3006 | 4000 | 4100 | 4101 => (4040, Retry::Session),
        429 | 1013 | 3009 | 4102 => (5002, Retry::Backoff),
        1001 | 1012 => (5001, Retry::Now),
        500..=599 | 1011 | 3005 | 4004 => (5000, Retry::Backoff),
        3007 | 4032 | 4033 => (4080, Retry::Session),
        3008 | 4008 => (4090, Retry::Rollover),
        4010 | 4030 | 4103 => (4056, Retry::Backoff),
        4029 => (4080, Retry::Backoff),
        4031 => (4083, Retry::Sound),
        4034 => (4080, Retry::Few(1)),
        _ => (5000, Retry::Unknown),
    }
}

/// As the contract names our codes.
fn name(code: u16) -> &'static str {
    match code {
        1008 => "Invalid or expired access token",
        4040 => "Message format incorrect",
        4056 => "Wrong message order or missing required message",
        4080 => "Unable to transcribe the audio",
        4083 => "Connection idle timeout",
        4090 => "Streaming duration over limit",
        5001 => "Service shutting down",
        5002 => "No instances available",
        _ => "Internal service error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(code: u16, text: &str) -> (u16, Retry) {
        let ended = last(Some(code), text).unwrap();
        (ended.status.code, ended.retry)
    }

    #[test]
    fn every_code_of_the_service_is_one_of_the_contracts_and_has_its_class() {
        let codes = [
            (1008, 1008, Retry::Credential),
            (1011, 5000, Retry::Backoff),
            (1012, 5001, Retry::Now),
            (1013, 5002, Retry::Backoff),
            (3005, 5000, Retry::Backoff),
            (3006, 4040, Retry::Session),
            (3007, 4080, Retry::Session),
            (3008, 4090, Retry::Rollover),
            (3009, 5002, Retry::Backoff),
            (410, 4040, Retry::Session),
            (4000, 4040, Retry::Session),
            (4001, 1008, Retry::Credential),
            (4002, 1008, Retry::Credential),
            (4003, 1008, Retry::Credential),
            (4004, 5000, Retry::Backoff),
            (4008, 4090, Retry::Rollover),
            (4010, 4056, Retry::Backoff),
            (4029, 4080, Retry::Backoff),
            (4030, 4056, Retry::Backoff),
            (4031, 4083, Retry::Sound),
            (4032, 4080, Retry::Session),
            (4033, 4080, Retry::Session),
            (4034, 4080, Retry::Few(1)),
            (4100, 4040, Retry::Session),
            (4101, 4040, Retry::Session),
            (4102, 5002, Retry::Backoff),
            (4103, 4056, Retry::Backoff),
            (4104, 5000, Retry::Unknown),
            (2999, 5000, Retry::Unknown),
        ];
        for (theirs, ours, retry) in codes {
            assert_eq!(ended(theirs, ""), (ours, retry), "{theirs}");
            assert_eq!(ended(theirs, SEE_ERROR), (ours, retry), "{theirs}");
        }
    }

    #[test]
    fn a_text_says_more_than_its_code() {
        let texts = [
            (
                1008,
                "Unauthorized connection: Too many concurrent sessions",
                5002,
                Retry::Backoff,
            ),
            (
                3009,
                "Unauthorized Connection: Too many concurrent sessions",
                5002,
                Retry::Backoff,
            ),
            (
                1008,
                "Unauthorized Connection: Missing Authorization header",
                1008,
                Retry::Credential,
            ),
            (
                1008,
                "Unauthorized Connection: Signature has expired",
                1008,
                Retry::Few(2),
            ),
            (
                3007,
                "Audio Transmission Rate Exceeded: Received 9 sec. audio in 2 sec",
                4080,
                Retry::Backoff,
            ),
            (
                3005,
                "Input Duration Error: Input Duration Violation: 25.0 ms.",
                4080,
                Retry::Session,
            ),
            (
                3006,
                "Session terminated due to inactivity: No messages received for 5 seconds",
                4083,
                Retry::Sound,
            ),
            (
                3006,
                "User Input Validation Error: Invalid 'speech_model'",
                4040,
                Retry::Session,
            ),
            (
                3008,
                "Session Expired: Maximum session duration exceeded",
                4090,
                Retry::Rollover,
            ),
            (
                3005,
                "Session Cancelled: An error occurred",
                5000,
                Retry::Backoff,
            ),
        ];
        for (code, text, ours, retry) in texts {
            assert_eq!(ended(code, text), (ours, retry), "{text}");
        }
    }

    #[test]
    fn the_services_words_and_code_are_passed_on_but_not_all_of_them() {
        let ended = last(Some(3008), "Session Expired: enough").unwrap();
        assert_eq!(
            ended.status.description,
            "Session Expired: enough (AssemblyAI 3008)"
        );
        let ended = last(Some(3009), SEE_ERROR).unwrap();
        assert_eq!(
            ended.status.description,
            "No instances available (AssemblyAI 3009)"
        );
        let ended = last(None, &"é".repeat(10_000)).unwrap();
        assert_eq!(ended.status.description.chars().count(), 256);
    }

    #[test]
    fn a_close_that_says_nothing_means_nothing() {
        for code in [None, Some(1000), Some(1005), Some(1006)] {
            assert_eq!(last(code, ""), None);
            assert_eq!(last(code, SEE_ERROR), None);
        }
        assert!(last(Some(1000), "Session Expired: Maximum session duration").is_some());
    }
}
