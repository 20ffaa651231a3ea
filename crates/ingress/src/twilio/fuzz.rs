//! Bodies of fuzz targets: whatever the bytes are, no panic, no hang, and the books balance.

use std::time::{Duration, Instant};

use url::Url;

use call::audio::Chunk;
use call::backlog::Taken;
use call::feed::{ChunkSource, LegControl, LineConfig};
use call::leg::{Gate, LegConfig};
use call::name::Side;
use call::private::Private;

use crate::intake::{Arrival, Intake};
use crate::twilio::TwilioConfig;
use crate::twilio::feeds::Feeds;
use crate::twilio::message::{Event, Message};
use crate::twilio::payload::{self, Scratch};
use crate::twilio::session::{Session, Verdict};
use crate::twilio::signature::{Signed, Verifier};
use crate::twilio::token::Tokens;

/// Any text as a message; a payload that can be decoded has the length foretold.
pub fn message(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(Message {
        event: Event::Media(media),
        ..
    }) = Message::parse(text)
    {
        let payload = media.payload.as_str();
        if let Some(bytes) = Scratch::default().decode(payload) {
            assert_eq!(payload::decoded_len(payload), Some(bytes.len()));
        }
    }
}

/// A session's life spelled in bytes: messages of all kinds, raw texts, gates, and the time. Sound
/// that comes while a gate is not open is loud, all other is silence: nothing loud may come out.
pub fn session(data: &[u8]) {
    let (intake, mut arrivals) = Intake::new(LegConfig::default());
    let mut feeds = Feeds::new(intake);
    let mut now = Instant::now();
    let mut session = Session::new(now, TwilioConfig::default().session_limits());
    let mut controls: Vec<LegControl> = Vec::new();
    let mut sources: Vec<ChunkSource> = Vec::new();
    for step in data.chunks(4) {
        let &[act, a, b, c] = step else { break };
        let number = u64::from(a) << 16 | u64::from(b) << 8 | u64::from(c);
        let verdict = match act % 16 {
            0 => turn(&controls, &mut sources, number),
            1 => {
                now += Duration::from_millis(number);
                session.tick(now, &mut feeds)
            }
            2 => {
                session.retire(Side::BOTH[usize::from(a % 2)], &mut feeds);
                Verdict::Go
            }
            3 => session.text(now, &String::from_utf8_lossy(data), &mut feeds),
            4 => session.text(now, START, &mut feeds),
            5 if a == 0 => session.text(now, r#"{"event":"stop"}"#, &mut feeds),
            _ => {
                let text = media(act, number, &controls);
                session.text(now, &text, &mut feeds)
            }
        };
        if act & 0x80 != 0 {
            session.settle(now, &mut feeds);
        }
        while let Ok(arrival) = arrivals.try_recv() {
            if let Arrival::Opened(opened) = arrival {
                controls.push(opened.control);
            }
        }
        sources.iter_mut().for_each(listen);
        if verdict != Verdict::Go {
            break;
        }
    }
    session.lost(now, &mut feeds);
    sources.iter_mut().for_each(listen);
    assert!(Side::BOTH.iter().all(|side| feeds.stats(*side).is_none()));
}

/// Any bytes as the parts of a signed request.
pub fn signature(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let parts: Vec<&str> = text.splitn(4, '\n').collect();
    let part = |index: usize| parts.get(index).copied();
    let Ok(public_url) = Url::parse("https://gw.example.com") else {
        return;
    };
    let keys = [("k".to_owned(), Private::new("secret".to_owned()))];
    let verifier = Verifier::new(&public_url, &[Private::new("token".to_owned())], &keys);
    let signed = Signed {
        path: part(0).unwrap_or_default(),
        query: part(1),
        signature: part(2),
        settings: part(3),
    };
    assert!(
        verifier.verify(&signed).is_err(),
        "nobody can guess a signature"
    );
}

/// Any text as a token.
pub fn token(data: &[u8]) {
    let tokens = Tokens::new(
        &[Private::new("secret".to_owned())],
        Duration::from_secs(300),
    );
    let verdict = tokens.verify(&String::from_utf8_lossy(data), std::time::UNIX_EPOCH);
    assert!(verdict.is_err(), "nobody can guess a token");
}

const START: &str = r#"{"event":"start","start":{"callSid":"CA1","tracks":["inbound"]}}"#;

fn turn(controls: &[LegControl], sources: &mut Vec<ChunkSource>, number: u64) -> Verdict {
    for control in controls {
        match number % 5 {
            0 => control.shut(number & 0x100 != 0),
            1 => control.pause(number & 0x100 != 0),
            2 => {
                control.resume();
            }
            _ if sources.len() < 32 => {
                let line = LineConfig {
                    chunk_samples: 800,
                    chunks_max: 50,
                };
                sources.extend(control.open(control.clock().now(), line));
            }
            _ => {}
        }
    }
    Verdict::Go
}

/// A frame of 20 ms: loud unless a gate is open.
fn media(act: u8, number: u64, controls: &[LegControl]) -> String {
    let open = controls.iter().any(|control| control.gate() == Gate::Open);
    let payload = payload::encode(&[if open { 0xFF } else { 0x00 }; 160]);
    let track = if act & 0x10 == 0 {
        "inbound"
    } else {
        "outbound"
    };
    let timestamp = match act & 0x60 {
        0x00 => number.saturating_mul(1 << 40).to_string(),
        0x20 => "null".to_owned(),
        _ => (number % 60_000).to_string(),
    };
    let media = format!(r#"{{"track":"{track}","timestamp":{timestamp},"payload":"{payload}"}}"#);
    format!(r#"{{"event":"media","sequenceNumber":"{number}","media":{media}}}"#)
}

fn listen(source: &mut ChunkSource) {
    let context = std::task::Context::from_waker(std::task::Waker::noop());
    while let std::task::Poll::Ready(Taken::Chunk(Chunk { samples, .. })) =
        source.poll_take(&context)
    {
        assert!(
            samples.iter().all(|sample| *sample == 0),
            "gated sound came out"
        );
    }
    let counts = source.counts();
    assert_eq!(
        counts.appended,
        counts.taken + counts.dropped + source.waiting()
    );
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn messages(data in vec(any::<u8>(), 0..300)) {
            super::message(&data);
        }

        #[test]
        fn messages_that_look_right(
            event in "media|start|stop",
            part in "media|start|x",
            payload in r#""[A-Za-z0-9=+/\\]{0,40}"|[0-9\[\]null]{0,5}"#,
            timestamp in "[-0-9.\"e]{0,9}",
        ) {
            let part = format!(r#""{part}":{{"payload":{payload},"timestamp":{timestamp}}}"#);
            super::message(format!(r#"{{"event":"{event}",{part}}}"#).as_bytes());
        }

        #[test]
        fn sessions(data in vec(any::<u8>(), 0..800)) {
            super::session(&data);
        }

        #[test]
        fn signatures(data in vec(any::<u8>(), 0..300)) {
            super::signature(&data);
        }

        #[test]
        fn tokens(data in vec(any::<u8>(), 0..300)) {
            super::token(&data);
        }
    }
}
