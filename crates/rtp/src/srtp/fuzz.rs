//! What holds of an opener whatever comes in.

use std::time::Instant;

use super::{Keys, Opener, OpenerConfig, Refused, Sealer, Suite};

const SUITES: [Suite; 4] = [
    Suite::AeadAes128Gcm,
    Suite::AeadAes256Gcm,
    Suite::AesCm128HmacSha1_32,
    Suite::AesCm128HmacSha1_80,
];

/// Nobody who has not the key gets anything opened; what is sealed is opened once and is the same;
/// a flipped bit is noticed; and what is refused leaves nothing behind.
#[expect(clippy::disallowed_methods, reason = "a walk begins at some time")]
pub fn fuzz(data: &[u8]) {
    let (Some((&choice, data)), now) = (data.split_first(), Instant::now()) else {
        return;
    };
    let suite = SUITES[usize::from(choice & 3)];
    let mki = (choice & 4 != 0).then_some((0x0102, 2 + choice % 9));
    let (key, salt) = suite.key_bytes();
    let keys = Keys::new(suite, &[7; 32][..key], &[9; 14][..salt], mki).expect("the right lengths");
    let mut opener =
        Opener::new(OpenerConfig::default(), vec![keys.clone()]).expect("one key is a set");
    let mut sealer = Sealer::new(keys);
    // A tag of 4 bytes can be guessed, by whoever has the time.
    if suite != Suite::AesCm128HmacSha1_32 {
        assert!(opener.open_rtp(now, &mut data.to_vec()).is_err());
        assert!(opener.check_rtp(now, &mut data.to_vec()).is_err());
    }
    assert!(opener.open_rtcp(now, &mut data.to_vec()).is_err());
    let plain = [&[0x80, 201, 0, 1, 0, 0, 0, 1], data].concat();
    let Some(mut sealed) = sealer.seal_rtcp(&plain) else {
        return;
    };
    let at = usize::from(choice) % sealed.len();
    sealed[at] ^= 1;
    assert!(opener.open_rtcp(now, &mut sealed.clone()).is_err());
    sealed[at] ^= 1;
    let opened = opener
        .open_rtcp(now, &mut sealed.clone())
        .map(|opened| opened.to_vec());
    assert_eq!(opened, Ok(plain));
    let again = opener.open_rtcp(now, &mut sealed).map(|_| ());
    assert_eq!(again, Err(Refused::Replayed));
}
