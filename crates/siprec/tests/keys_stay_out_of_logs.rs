//! The parser underneath logs what it does not know. It must never be shown a key.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::sync::Mutex;

use log::{LevelFilter, Log, Metadata, Record};
use siprec::offer;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";

/// Keeps every record of every crate.
struct Everything(Mutex<String>);

static HEARD: Everything = Everything(Mutex::new(String::new()));

impl Log for Everything {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        self.0
            .lock()
            .unwrap()
            .push_str(&format!("{}\n", record.args()));
    }

    fn flush(&self) {}
}

#[test]
fn a_key_is_not_logged_at_any_level() {
    log::set_logger(&HEARD).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let crypto = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}");
    let unusable = format!("a=crypto:2 F8_128_HMAC_SHA1_80 inline:{KEY}\na=CRYPTO :3 x {KEY}");
    let text = format!(
        "v=0\no=- 1 2 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=3900000000 0\n{crypto}\n\
         k=clear:{KEY}\nm=image 4000 udptl t38\n{crypto}\n\
         m=audio 4002 RTP/SAVP 0\n{unusable}\n{crypto}\n{KEY}\na=sendonly\n"
    );
    let read = offer::parse(text.as_bytes()).unwrap();
    assert_eq!(read.lines[1].crypto.len(), 1);
    let heard = HEARD.0.lock().unwrap();
    assert!(
        heard.contains("3900000000"),
        "nothing is heard of the parser: {heard}"
    );
    assert!(!heard.contains(KEY), "{heard}");
}
