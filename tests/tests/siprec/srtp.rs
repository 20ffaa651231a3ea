//! Lines that are sealed: new keys, counters that roll over unheard, packets of others.

use std::time::Duration;

use futures_util::future::join_all;
use rig::World;
use sim::caller::siprec::{First, Side, Suite};

use crate::support::{
    PACKET, SIDES, SUITES, UNHURRIED, compared, deaf, noise, over, packets, passing, sound,
    transcribed, until_metric,
};
use crate::words::recording_with;

const MS: Duration = Duration::from_millis(1);

#[tokio::test(flavor = "multi_thread")]
async fn keys_may_change_in_the_middle_of_a_call() {
    let owned = World::recording_to(deaf(), UNHURRIED).await;
    let world = &owned;
    let calls = SUITES.into_iter().flatten().map(|suite| async move {
        let mut call = transcribed(world, |options| options.srtp = Some(suite)).await;
        let guid = call.guid();
        call.converse(&noise(1, 8_000), &noise(2, 8_000))
            .await
            .unwrap();
        call.rekey().await.unwrap();
        call.converse(&noise(3, 8_000), &noise(4, 8_000))
            .await
            .unwrap();
        call.silence(100 * MS).await.unwrap();
        world.arrived(&call).await;
        world.stop(&mut call).await;
        for (side, role) in SIDES {
            let same = compared(call.sent(side), &sound(world, &guid, role));
            assert!(same.length > 16_000, "{suite:?}: all of it was heard");
        }
        assert_eq!(call.answer_faults(), [""; 0]);
        over(world, call).await;
    });
    join_all(calls).await;
    assert_eq!(world.metric(&packets("unauthentic")).await, 0.0);
    owned.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_that_rolls_over_behind_a_shut_gate_is_kept() {
    let owned = World::recording_to(deaf(), UNHURRIED).await;
    let world = &owned;
    let calls = SUITES.into_iter().flatten().map(|suite| async move {
        let first = First {
            sequence: Some(u16::MAX - 10),
            timestamp: Some(u32::MAX - 2_000),
            ssrc: None,
        };
        let mut call = world
            .record_with(|options| {
                options.srtp = Some(suite);
                options.first = [first; 3];
            })
            .await;
        let guid = call.guid();
        call.converse(&noise(1, 4_000), &noise(2, 4_000))
            .await
            .unwrap();
        call.silence(100 * MS).await.unwrap();
        world.arrived(&call).await;
        let before = SIDES.map(|(side, _)| call.sent(side).samples as usize);
        world.start(&mut call).await;
        passing(world, &mut call).await;
        call.converse(&noise(3, 8_000), &noise(4, 8_000))
            .await
            .unwrap();
        call.silence(100 * MS).await.unwrap();
        world.arrived(&call).await;
        world.stop(&mut call).await;
        for ((side, role), before) in SIDES.into_iter().zip(before) {
            let mut said = call.sent(side).clone();
            said.tape.drain(..before);
            let same = compared(&said, &sound(world, &guid, role));
            assert!(same.length > 8_000, "{suite:?}");
        }
        over(world, call).await;
    });
    join_all(calls).await;
    assert_eq!(world.metric(&packets("unauthentic")).await, 0.0);
    owned.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sealed_with_the_agreed_key_is_counted_and_not_heard() {
    let world = World::recording_to(deaf(), UNHURRIED).await;
    let suite = Some(Suite::AesCm128HmacSha1_80);
    let first = First {
        sequence: Some(1_000),
        ..First::default()
    };
    let mut call = transcribed(&world, |options| {
        options.srtp = suite;
        options.first = [first; 3];
    })
    .await;
    let guid = call.guid();
    let ssrc = call.ssrc(Side::Customer);
    for number in 0..50_u16 {
        let seed = u64::from(number);
        call.converse(&noise(seed, PACKET), &noise(seed + 99, PACKET))
            .await
            .unwrap();
        // In the clear, and with a seal that is none; from the right place, of the right source,
        // with numbers that are still to come.
        let mut packet = vec![0x80, 0];
        packet.extend_from_slice(&(20_000 + number).to_be_bytes());
        packet.extend_from_slice(&(u32::from(number) * 160).to_be_bytes());
        packet.extend_from_slice(&ssrc.to_be_bytes());
        packet.extend_from_slice(&[0x11; PACKET]);
        call.stray(Side::Customer, &packet).await.unwrap();
        packet.extend_from_slice(&[0x22; 10]);
        call.stray(Side::Customer, &packet).await.unwrap();
    }
    call.silence(100 * MS).await.unwrap();
    let unauthentic = packets("unauthentic");
    call.silence_while(until_metric(&world, &unauthentic, |count| count == 100.0))
        .await
        .unwrap();
    world.arrived(&call).await;
    world.stop(&mut call).await;
    for (side, role) in SIDES {
        let same = compared(call.sent(side), &sound(&world, &guid, role));
        assert!(same.length > 50 * PACKET);
    }
    over(&world, call).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_may_demand_seals_or_forbid_them() {
    let trunk = |rule: &str| {
        format!(
            "[[siprec.trunks]]\nname = \"{rule}\"\nsources = [\"127.0.0.0/8\"]\nsrtp = \"{rule}\"\n"
        )
    };
    let suite = Some(Suite::AeadAes256Gcm);
    for (rule, refused, taken) in [("require", None, suite), ("forbid", suite, None)] {
        let world = recording_with(&trunk(rule)).await;
        let error = world.try_record(|options| options.srtp = refused).await;
        let error = error.expect_err("the trunk's rule is broken");
        let refusal = error.refused().unwrap();
        assert_eq!(refusal.status, 488, "{refusal}");
        assert!(refusal.warning.is_some(), "it is said why");
        let call = world.record_with(|options| options.srtp = taken).await;
        assert_eq!(call.answer_faults(), [""; 0]);
        over(&world, call).await;
        world.end().await;
    }
}
