//! Held against another implementation: rtc-srtp opens, refuses and seals the same.

use proptest::prelude::*;
use rtc_srtp::context::Context;
use rtc_srtp::crypto::providers::AwsLcRsCrypto;
use rtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use rtc_srtp::protection_profile::ProtectionProfile;

use super::*;

/// The other one, with the keys of seed 1.
fn theirs(suite: Suite) -> Context {
    let profile = match suite {
        Suite::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Suite::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
        Suite::AesCm128HmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
        Suite::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
    };
    let (key, salt) = Seal::master(suite, 1);
    let windows = (srtp_replay_protection(128), srtcp_replay_protection(128));
    let (rtp, rtcp) = (Some(windows.0), Some(windows.1));
    Context::new(&key, &salt, profile, rtp, rtcp, &AwsLcRsCrypto).unwrap()
}

/// What it makes of a packet, in our words.
fn opened<T: AsRef<[u8]>, E: ToString>(opened: Result<T, E>) -> Result<Vec<u8>, Refused> {
    match opened {
        Ok(plain) => Ok(plain.as_ref().to_vec()),
        Err(error) if error.to_string().contains("duplicated") => Err(Refused::Replayed),
        Err(_) => Err(Refused::Forged),
    }
}

/// The packet's place behind the newest or before it, and which bit of it changes on the way.
fn step() -> impl Strategy<Value = (i64, Option<prop::sample::Index>)> {
    let ahead = prop_oneof![
        8 => 1..4_i64,
        4 => -4..=0_i64,
        2 => -140..=0_i64,
        1 => 1..300_i64,
        1 => 1..20_000_i64,
    ];
    (
        ahead,
        prop::option::weighted(0.1, any::<prop::sample::Index>()),
    )
}

fn changed(mut sealed: Vec<u8>, at: Option<prop::sample::Index>) -> Vec<u8> {
    if let Some(at) = at {
        let bit = at.index(sealed.len() * 8);
        sealed[bit / 8] ^= 1 << (bit % 8);
    }
    sealed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_same_packets_are_opened_and_refused(
        suite in prop::sample::select(&SUITES[..]),
        first in 200..65_536_u64,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let (mut world, mut theirs) = (World::new(suite), theirs(suite));
        let mut newest = first;
        for (ahead, at) in iter::once((0, None)).chain(steps) {
            let index = newest.saturating_add_signed(ahead).max(first.saturating_sub(127));
            let sealed = world.seal.rtp(&plain(3, index), (index >> 16) as u32);
            let sealed = changed(sealed, at);
            let (ours, theirs) = (world.rtp(&sealed), opened(theirs.decrypt_rtp(&sealed)));
            match at {
                None => prop_assert_eq!(ours, theirs, "{} behind {}", index, newest),
                // They call it forged or replayed, we may call it malformed.
                Some(_) => prop_assert_eq!(ours.ok(), theirs.ok()),
            }
            if at.is_none() {
                newest = newest.max(index);
            }
        }
    }

    #[test]
    fn the_same_reports_are_opened_and_refused(
        suite in prop::sample::select(&SUITES[..]),
        first in 200..(1_u32 << 30),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let (mut world, mut theirs) = (World::new(suite), theirs(suite));
        let mut newest = first;
        for (ahead, at) in iter::once((0, None)).chain(steps) {
            let index = newest.saturating_add_signed(ahead as i32);
            let sealed = changed(world.seal.rtcp(&sealing::report(3), index), at);
            // Without looking at its tag they take what says that it is not encrypted.
            let ours = world.rtcp(&sealed);
            if ours != Err(Refused::Unencrypted) {
                let theirs = opened(theirs.decrypt_rtcp(&sealed));
                match at {
                    None => prop_assert_eq!(ours, theirs, "{} behind {}", index, newest),
                    Some(_) => prop_assert_eq!(ours.ok(), theirs.ok()),
                }
            }
            if at.is_none() {
                newest = newest.max(index);
            }
        }
    }

    #[test]
    fn the_same_reports_are_sealed_alike(
        suite in prop::sample::select(&SUITES[..]),
        texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 1..5),
    ) {
        let (mut sealer, mut theirs) = (Sealer::new(keys(suite, 1, None)), theirs(suite));
        for text in texts {
            let report = [&[0x80, 201, 0, 1, 0, 0, 0, 8], &text[..]].concat();
            let sealed = theirs.encrypt_rtcp(&report).unwrap();
            prop_assert_eq!(sealer.seal_rtcp(&report), Some(sealed.to_vec()));
        }
    }

    #[test]
    fn what_they_seal_we_open_over_many_rollovers(
        suite in prop::sample::select(&SUITES[..]),
        steps in prop::collection::vec(1..30_000_u64, 20..60),
    ) {
        let (mut world, mut theirs) = (World::new(suite), theirs(suite));
        let mut index = 0;
        for step in steps {
            index += step;
            let packet = plain(3, index);
            let sealed = theirs.encrypt_rtp(&packet).unwrap();
            prop_assert_eq!(world.rtp(&sealed), Ok(packet));
        }
        prop_assert!(index > 65_536);
    }
}
