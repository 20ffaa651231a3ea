//! SRTP against a sealing of our own, which is itself held against the vectors of the RFCs.

use proptest::prelude::*;

use super::*;

mod library;
mod sealing;
use sealing::Seal;

const SUITES: [Suite; 4] = [
    Suite::AeadAes128Gcm,
    Suite::AeadAes256Gcm,
    Suite::AesCm128HmacSha1_32,
    Suite::AesCm128HmacSha1_80,
];
const CM: Suite = Suite::AesCm128HmacSha1_80;

struct World {
    seal: Seal,
    opener: Opener,
    now: Instant,
}

impl World {
    fn new(suite: Suite) -> Self {
        Self::with(suite, None)
    }

    #[expect(clippy::disallowed_methods, reason = "a test begins at some time")]
    fn with(suite: Suite, mki: Option<(u64, u8)>) -> Self {
        Self {
            seal: Seal::new(suite, 1, keys(suite, 1, mki).mki()),
            opener: Opener::new(OpenerConfig::default(), vec![keys(suite, 1, mki)]).unwrap(),
            now: Instant::now(),
        }
    }

    /// Opens the packet of this index: rollover counter and sequence number.
    fn open(&mut self, index: u64) -> Result<(), Refused> {
        self.open_sealed(&self.seal.clone(), index)
    }

    fn open_sealed(&mut self, seal: &Seal, index: u64) -> Result<(), Refused> {
        let plain = plain(3, index);
        let sealed = seal.rtp(&plain, (index >> 16) as u32);
        let opened = self.rtp(&sealed)?;
        assert_eq!(opened, plain);
        Ok(())
    }

    fn rtp(&mut self, sealed: &[u8]) -> Result<Vec<u8>, Refused> {
        let mut bytes = sealed.to_vec();
        let opened = self.opener.open_rtp(self.now, &mut bytes);
        opened.map(|opened| opened.to_vec())
    }

    fn rtcp(&mut self, sealed: &[u8]) -> Result<Vec<u8>, Refused> {
        let mut bytes = sealed.to_vec();
        let opened = self.opener.open_rtcp(self.now, &mut bytes);
        opened.map(|opened| opened.to_vec())
    }
}

/// Keys of which every byte follows from `seed`.
fn keys(suite: Suite, seed: u8, mki: Option<(u64, u8)>) -> Keys {
    let (key, salt) = Seal::master(suite, seed);
    Keys::new(suite, &key, &salt, mki).unwrap()
}

fn plain(ssrc: u32, index: u64) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend((index as u16).to_be_bytes());
    packet.extend((index as u32).wrapping_mul(160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend([index as u8; 20]);
    packet
}

#[test]
fn what_others_seal_is_opened_in_every_suite() {
    for suite in SUITES {
        let mut world = World::new(suite);
        for index in [100, 101, 103, 102] {
            assert_eq!(world.open(index), Ok(()), "{suite:?}");
        }
    }
}

#[test]
fn contributing_sources_extensions_and_padding_come_through() {
    for suite in SUITES {
        let mut world = World::new(suite);
        let mut packet = plain(3, 7)[..12].to_vec();
        packet[0] = 0xb1;
        packet.extend([0, 0, 0, 9, 0xbe, 0xde, 0, 2, 0x10, 7, 0, 0x21, 8, 8, 0, 0]);
        packet.extend([1, 2, 3, 4, 0, 0, 0, 4]);
        let sealed = world.seal.rtp(&packet, 0);
        let opened = world.rtp(&sealed).unwrap();
        assert_eq!(opened, packet, "{suite:?}");
        assert_eq!(packet::parse(&opened).unwrap().payload, [1, 2, 3, 4]);
    }
}

#[test]
fn an_extension_is_measured_by_its_length_whatever_its_elements_are() {
    for suite in SUITES {
        let mut world = World::new(suite);
        // The reserved element, one that is longer than the extension, one without its length.
        for (number, extension) in [
            (7, [0xbe, 0xde, 0, 1, 0xf0, 0, 0, 0]),
            (8, [0xbe, 0xde, 0, 1, 0x17, 0, 0, 0]),
            (9, [0x10, 0x00, 0, 1, 0, 0, 0, 1]),
        ] {
            let mut packet = plain(3, number)[..12].to_vec();
            packet[0] = 0x90;
            packet.extend(extension);
            packet.extend([5; 40]);
            let sealed = world.seal.rtp(&packet, 0);
            assert_eq!(world.rtp(&sealed), Ok(packet), "{suite:?} {extension:?}");
        }
    }
}

#[test]
fn an_extension_that_is_longer_than_its_packet_is_refused() {
    let mut world = World::new(CM);
    // So that it ends in the tag, and behind it.
    for words in [10, 11, 99, 0xffff_u16] {
        let mut packet = plain(3, 7)[..12].to_vec();
        packet[0] = 0x90;
        packet.extend([0xbe, 0xde]);
        packet.extend(words.to_be_bytes());
        packet.extend([0; 36]);
        let sealed = world.seal.tagged(&packet, 0);
        assert_eq!(world.rtp(&sealed), Err(Refused::Malformed), "{words}");
    }
    assert_eq!(world.open(8), Ok(()));
}

#[test]
fn the_rollover_counter_lives_through_loss_reorder_shut_gates_and_the_same_key_again() {
    for suite in [CM, Suite::AeadAes128Gcm] {
        let mut world = World::new(suite);
        let mut index = 60_000;
        let mut step = 1;
        let mut refused = 0;
        while index < 4 * 65_536 {
            step = (step * 5 + 3) % 17;
            // Every other stretch the gate is shut.
            if index / 30_000 % 2 == 0 {
                refused += u32::from(world.open(index + 2).is_err());
                refused += u32::from(world.open(index).is_err());
            } else {
                let sealed = world.seal.rtp(&plain(3, index), (index >> 16) as u32);
                let header = world.opener.check_rtp(world.now, &mut sealed.clone());
                assert_eq!(header.unwrap().sequence, index as u16);
            }
            if step == 0 {
                let again = vec![keys(suite, 1, None)];
                assert_eq!(world.opener.rekey(world.now, again), Ok(false));
            }
            index += 3 + step;
        }
        assert_eq!(refused, 0, "{suite:?}");
    }
}

#[test]
fn a_packet_that_comes_again_or_too_late_is_told_as_replayed() {
    for suite in SUITES {
        let mut world = World::new(suite);
        for index in 1000..1200 {
            assert_eq!(world.open(index), Ok(()));
        }
        for index in [1199, 1150, 1073, 1000] {
            assert_eq!(world.open(index), Err(Refused::Replayed), "{suite:?}");
        }
        let report = sealing::report(3);
        let sealed = world.seal.rtcp(&report, 5);
        let opened = world.rtcp(&sealed).unwrap();
        assert_eq!(opened, report);
        let again = world.rtcp(&sealed).map(drop);
        assert_eq!(again, Err(Refused::Replayed), "{suite:?}");
    }
}

#[test]
fn forged_packets_neither_open_nor_stand_in_the_way_of_the_true_ones() {
    for suite in SUITES {
        let mut world = World::new(suite);
        let forger = Seal::new(suite, 2, &[]);
        for index in [30_000, 60_000, 5000] {
            let forged = world.open_sealed(&forger, index);
            assert_eq!(forged, Err(Refused::Forged), "{suite:?}");
        }
        let forged = forger.rtcp(&sealing::report(3), 0x4000_0000);
        let opened = world.rtcp(&forged).map(drop);
        assert_eq!(opened, Err(Refused::Forged));
        for index in 10..20 {
            assert_eq!(world.open(index), Ok(()), "{suite:?}");
        }
        let sealed = world.seal.rtcp(&sealing::report(3), 1);
        assert!(world.rtcp(&sealed).is_ok());
    }
}

#[test]
fn a_flood_of_made_up_sources_leaves_nothing_behind() {
    let mut world = World::new(CM);
    let forger = Seal::new(CM, 2, &[]);
    for ssrc in 0..2000 {
        let sealed = forger.rtp(&plain(ssrc, 1), 0);
        assert!(world.rtp(&sealed).is_err());
        let sealed = forger.rtcp(&sealing::report(ssrc), 1);
        assert!(world.rtcp(&sealed).is_err());
    }
    let master = &world.opener.present.first;
    assert!(master.rtp_sources.ssrcs().is_empty());
    assert!(master.rtcp_sources.ssrcs().is_empty());
}

#[test]
fn the_source_heard_least_recently_is_the_one_that_is_forgotten() {
    let mut world = World::new(CM);
    for (index, ssrc) in [1, 2, 3, 4, 5, 6, 7, 8, 1, 9].into_iter().enumerate() {
        let sealed = world.seal.rtp(&plain(ssrc, index as u64), 0);
        assert!(world.rtp(&sealed).is_ok());
    }
    let kept = world.opener.present.first.rtp_sources.ssrcs();
    assert_eq!(kept, [3, 4, 5, 6, 7, 8, 1, 9]);
}

#[test]
fn a_source_that_comes_back_after_another_has_its_counter_still() {
    let mut world = World::new(CM);
    for index in 65_500..65_600 {
        assert_eq!(world.open(index), Ok(()));
    }
    let other = world.seal.rtp(&plain(4, 9), 0);
    assert!(world.rtp(&other).is_ok());
    assert_eq!(world.open(65_700), Ok(()));
}

#[test]
fn rtcp_that_says_it_is_not_encrypted_is_refused() {
    for suite in SUITES {
        let mut world = World::new(suite);
        let goodbye = [0x81, 203, 0, 1, 0, 0, 0, 3];
        let bytes = [&goodbye[..], &[0; 4], &[0; 16]].concat();
        let opened = world.rtcp(&bytes).map(drop);
        assert_eq!(opened, Err(Refused::Unencrypted), "{suite:?}");
    }
}

#[test]
fn a_key_identifier_chooses_the_key_and_is_taken_off() {
    for suite in SUITES {
        for length in [1, 4, 12] {
            let mut world = World::with(suite, Some((1, length)));
            let set = vec![
                keys(suite, 1, Some((1, length))),
                keys(suite, 2, Some((2, length))),
            ];
            let second = Seal::new(suite, 2, set[1].mki());
            let third = Seal::new(suite, 2, keys(suite, 2, Some((3, length))).mki());
            assert_eq!(world.opener.rekey(world.now, set), Ok(true));
            world.now += Duration::from_secs(10);
            assert_eq!(world.open(5), Ok(()), "{suite:?} {length}");
            assert_eq!(world.open_sealed(&second, 6), Ok(()));
            assert_eq!(world.open_sealed(&third, 7), Err(Refused::UnknownKey));
            let sealed = second.rtcp(&sealing::report(3), 1);
            assert!(world.rtcp(&sealed).is_ok());
        }
    }
}

#[test]
fn a_new_key_is_taken_at_once_and_the_old_one_for_a_short_while() {
    let mut world = World::new(CM);
    let next = Seal::new(CM, 2, &[]);
    assert_eq!(world.open(1), Ok(()));
    let rekeyed = world.opener.rekey(world.now, vec![keys(CM, 2, None)]);
    assert_eq!(rekeyed, Ok(true));
    assert_eq!(world.open_sealed(&next, 3), Ok(()));
    assert_eq!(world.open(2), Ok(()));
    assert_eq!(
        world.open(1),
        Err(Refused::Forged),
        "the present key's word"
    );
    world.now += Duration::from_secs(3);
    assert_eq!(world.open(4), Err(Refused::Forged));
    assert_eq!(world.open_sealed(&next, 5), Ok(()));
}

#[test]
fn going_back_to_the_key_before_finds_its_counter() {
    let mut world = World::new(CM);
    for index in 65_530..65_550 {
        assert_eq!(world.open(index), Ok(()));
    }
    for seed in [2, 1] {
        let keys = vec![keys(CM, seed, None)];
        assert_eq!(world.opener.rekey(world.now, keys), Ok(true));
        world.now += Duration::from_secs(60);
    }
    assert_eq!(world.open(65_551), Ok(()));
}

#[test]
fn what_is_too_short_or_no_rtp_is_malformed() {
    for suite in SUITES {
        let mut world = World::with(suite, Some((1, 4)));
        let sealed = world.seal.rtp(&plain(3, 1), 0);
        for length in [0, 1, 11, 12, 16] {
            let opened = world.rtp(&sealed[..length]);
            assert_eq!(opened.map(drop), Err(Refused::Malformed));
        }
        let sip = [b'O'; 80];
        let opened = world.rtp(&sip).map(drop);
        assert_eq!(opened, Err(Refused::Malformed));
        let opened = world.rtcp(&sealed[..12]);
        assert_eq!(opened.map(drop), Err(Refused::Malformed));
    }
}

#[test]
fn behind_a_shut_gate_a_packet_is_its_header() {
    let mut world = World::new(CM);
    let mut packet = plain(3, 9);
    packet[0] |= 0x20;
    *packet.last_mut().unwrap() = 5;
    let sealed = world.seal.rtp(&packet, 0);
    let header = world
        .opener
        .check_rtp(world.now, &mut sealed.clone())
        .unwrap();
    assert_eq!((header.sequence, header.ssrc), (9, 3));
    assert_eq!(header.payload_len, 15, "padding is no payload");
    let again = world.rtp(&sealed).map(drop);
    assert_eq!(again, Err(Refused::Replayed));
}

#[test]
fn our_reports_are_sealed_as_others_would() {
    for suite in SUITES {
        for mki in [None, Some((7, 2))] {
            let seal = Seal::new(suite, 1, keys(suite, 1, mki).mki());
            let mut sealer = Sealer::new(keys(suite, 1, mki));
            let report = sealing::report(8);
            for index in 1..4 {
                assert_eq!(sealer.seal_rtcp(&report), Some(seal.rtcp(&report, index)));
                // The same key again does not begin anew.
                sealer.rekey(keys(suite, 1, mki));
            }
            sealer.rekey(keys(suite, 2, mki));
            let seal = Seal::new(suite, 2, keys(suite, 2, mki).mki());
            assert_eq!(sealer.seal_rtcp(&report), Some(seal.rtcp(&report, 1)));
            assert_eq!(sealer.seal_rtcp(&[0x80, 201]), None);
        }
    }
}

#[test]
fn keys_that_cannot_be_are_refused() {
    let new = |key: usize, mki| Keys::new(CM, &vec![0; key], &[0; 14], mki).map(drop);
    assert_eq!(new(16, None), Ok(()));
    assert_eq!(new(32, None), Err(BadKeys::Length));
    assert_eq!(new(16, Some((256, 1))), Err(BadKeys::Length));
    assert_eq!(new(16, Some((1, 0))), Err(BadKeys::Length));
    assert_eq!(new(16, Some((1, 129))), Err(BadKeys::Length));
    let set = |keys| Opener::new(OpenerConfig::default(), keys).map(drop);
    let (one, two) = (Some((1, 1)), Some((2, 2)));
    assert_eq!(set(vec![]), Err(BadKeys::Set));
    assert_eq!(set(vec![keys(CM, 1, None); 2]), Err(BadKeys::Set));
    assert_eq!(set(vec![keys(CM, 1, one); 5]), Err(BadKeys::Set));
    assert_eq!(
        set(vec![keys(CM, 1, one), keys(CM, 2, two)]),
        Err(BadKeys::Set)
    );
}

#[test]
fn no_key_and_no_plain_text_is_printed() {
    let mut world = World::new(CM);
    let sealed = world.seal.rtp(&plain(3, 77), 0);
    let mut bytes = sealed.clone();
    let opened = world.opener.open_rtp(world.now, &mut bytes).unwrap();
    let sealer = Sealer::new(keys(CM, 1, None));
    let printed = format!("{:?}", (&opened, &sealer, keys(CM, 1, None)));
    assert_eq!(
        printed,
        "(Plain(32 bytes), Sealer(..), Keys(AesCm128HmacSha1_80))"
    );
    drop(opened);
    assert_eq!(format!("{:?}", world.opener), "Opener(..)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_changed_bit_is_noticed_wherever_it_is(
        suite in prop::sample::select(&[CM, Suite::AeadAes128Gcm, Suite::AeadAes256Gcm][..]),
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let mut world = World::new(suite);
        let mut sealed = world.seal.rtp(&plain(3, 1), 0);
        let at = at.index(sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert!(world.rtp(&sealed).is_err());
        prop_assert_eq!(world.open(1), Ok(()));
    }

    #[test]
    fn whatever_comes_in_is_not_opened(data in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz(&data);
    }
}
