//! What may happen to the packets of a line: new sources, strangers, what comes too early or too
//! late, what is no sound at all.

use std::net::SocketAddr;
use std::time::Duration;

use rig::{World, eventually};
use sim::caller::siprec::{Edit, Event, Like, RawDialog, RawPacket, Sdp, Side, SiprecCall, Suite};
use sim::speech::Role;
use tokio::net::UdpSocket;

use crate::support::{
    PACKET, SIDE_NAMES, SIDES, UNHURRIED, compared, counters, deaf, heard, leg, noise, over,
    packets, passing, sound, transcribed, until_metric,
};
use crate::words::{recording, recording_with, say, word};

const MS: Duration = Duration::from_millis(1);

/// A packet of sound as any stranger can write one.
fn rtp(ssrc: u32, number: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend_from_slice(&number.to_be_bytes());
    packet.extend_from_slice(&(u32::from(number) * PACKET as u32).to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(&[0x11; PACKET]);
    packet
}

/// Where the gateway receives a call's lines.
fn ports(call: &SiprecCall) -> Vec<SocketAddr> {
    let answer = call.answer();
    answer
        .lines
        .iter()
        .map(|line| line.rtp().unwrap())
        .collect()
}

fn raw(side: Side, payload_type: Option<u8>, payload: &[u8]) -> RawPacket {
    RawPacket {
        side,
        sequence: None,
        timestamp: None,
        ssrc: None,
        payload_type,
        marker: false,
        payload: payload.to_vec(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_source_on_a_line_is_followed_without_a_word() {
    let world = recording().await;
    let mut call = transcribed(&world, |_| {}).await;
    let guid = call.guid();
    say(&world, &mut call, "customer-hello").await;
    call.new_source(Side::Customer);
    call.silence(300 * MS).await.unwrap();
    call.say(Side::Customer, &word("customer-bye").samples)
        .await
        .unwrap();
    call.silence(700 * MS).await.unwrap();
    world.stop(&mut call).await;
    let expected = ["customer-hello", "customer-bye"];
    assert_eq!(heard(&world, &guid, Role::Customer), expected);
    let restarts = "antiphon_siprec_stream_restarts_total";
    until_metric(&world, restarts, |count| count == 1.0).await;
    over(&world, call).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_cannot_speak_on_a_line() {
    let world = World::recording_to(deaf(), UNHURRIED).await;
    let mut call = transcribed(&world, |_| {}).await;
    let guid = call.guid();
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let [said, other] = [1, 2].map(|seed| noise(seed, 50 * PACKET));
    let ssrc = call.ssrc(Side::Customer);
    for (index, (said, other)) in said.chunks(PACKET).zip(other.chunks(PACKET)).enumerate() {
        call.converse(said, other).await.unwrap();
        for port in ports(&call) {
            // One of the line's own source, one of another.
            for ssrc in [ssrc, 7] {
                let packet = rtp(ssrc, 40_000 + index as u16);
                stranger.send_to(&packet, port).await.unwrap();
            }
        }
    }
    call.silence(100 * MS).await.unwrap();
    world.arrived(&call).await;
    let foreign = packets("foreign_address");
    call.silence_while(until_metric(&world, &foreign, |count| count == 200.0))
        .await
        .unwrap();
    world.stop(&mut call).await;
    for (side, role) in SIDES {
        let same = compared(call.sent(side), &sound(&world, &guid, role));
        assert!(same.length > 50 * PACKET);
    }
    over(&world, call).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_behind_address_translation_is_heard_from_where_it_sends() {
    let world = World::recording_to(deaf(), UNHURRIED).await;
    let mut call = transcribed(&world, |options| {
        options.edit = Some(Edit::new(|message| {
            // It believes that it is somewhere else.
            let body = String::from_utf8_lossy(&message.body);
            let body = body.replace("c=IN IP4 127.0.0.1", "c=IN IP4 127.0.0.9");
            message.body = body.into_bytes();
        }));
    })
    .await;
    let guid = call.guid();
    let changes = "antiphon_siprec_source_changes_total";
    call.silence_while(until_metric(&world, changes, |count| count == 2.0))
        .await
        .unwrap();
    // The packets before it was believed.
    assert_eq!(world.metric(&packets("foreign_address")).await, 4.0);
    call.converse(&noise(1, 8_000), &noise(2, 8_000))
        .await
        .unwrap();
    call.silence(100 * MS).await.unwrap();
    world.stop(&mut call).await;
    for (side, role) in SIDES {
        compared(call.sent(side), &sound(&world, &guid, role));
    }
    over(&world, call).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_that_comes_before_the_ack_is_received() {
    let world = recording().await;
    let options = world.recording_options();
    let mut raw = RawDialog::open(&options).await.unwrap();
    let rtp_socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = rtp_socket.local_addr().unwrap().port();
    let offer = format!(
        "v=0\r\no=src 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0\r\na=label:1\r\na=sendonly\r\n"
    );
    let invite = raw.invite("application/sdp", offer.as_bytes());
    raw.send(&invite).await.unwrap();
    let patience = Duration::from_secs(20);
    let answer = raw.answer(patience).await.unwrap();
    assert_eq!(answer.status(), 200);
    let to = Sdp::parse(&String::from_utf8_lossy(&answer.body)).lines[0]
        .rtp()
        .unwrap();
    for number in 0..5 {
        rtp_socket.send_to(&rtp(7, number), to).await.unwrap();
    }
    until_metric(&world, &packets("withheld"), |count| count == 5.0).await;
    let ack = raw.ack(&invite, &answer);
    raw.send(&ack).await.unwrap();
    let bye = raw.request("BYE", Some(&answer));
    let mut bye = bye;
    bye.set("To", answer.header("To").unwrap());
    raw.send(&bye).await.unwrap();
    assert_eq!(raw.answer(patience).await.unwrap().status(), 200);
    until_metric(&world, "antiphon_siprec_sessions", |count| count == 0.0).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_moves_is_followed_and_its_old_place_is_nobodys() {
    let world = World::recording_to(deaf(), UNHURRIED).await;
    let mut call = transcribed(&world, |_| {}).await;
    let guid = call.guid();
    call.converse(&noise(1, 8_000), &noise(2, 8_000))
        .await
        .unwrap();
    // What is read only after the move would come from a stranger.
    world.arrived(&call).await;
    call.move_ports().await.unwrap();
    call.converse(&noise(3, 8_000), &noise(4, 8_000))
        .await
        .unwrap();
    call.silence(100 * MS).await.unwrap();
    world.arrived(&call).await;
    let changes = "antiphon_siprec_source_changes_total";
    call.silence_while(until_metric(&world, changes, |count| count == 4.0))
        .await
        .unwrap();
    world.stop(&mut call).await;
    for (side, role) in SIDES {
        let same = compared(call.sent(side), &sound(&world, &guid, role));
        assert!(same.length > 16_000, "all of it was heard");
    }
    over(&world, call).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_still_sent_after_a_call_reaches_nobody() {
    let world = World::recording_to(deaf(), UNHURRIED).await;
    let call = world.record().await;
    let old = ports(&call);
    over(&world, call).await;
    let straggler = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut call = transcribed(&world, |_| {}).await;
    let guid = call.guid();
    assert!(
        ports(&call).iter().all(|port| !old.contains(port)),
        "ports rest"
    );
    for number in 0..50 {
        call.converse(&noise(number, PACKET), &noise(99 + number, PACKET))
            .await
            .unwrap();
        for port in &old {
            // Once nobody listens there any more the kernel may say so.
            drop(straggler.send_to(&rtp(7, number as u16), port).await);
        }
    }
    call.silence(100 * MS).await.unwrap();
    world.arrived(&call).await;
    world.stop(&mut call).await;
    for (side, role) in SIDES {
        compared(call.sent(side), &sound(&world, &guid, role));
    }
    for fate in ["foreign_address", "foreign_stream"] {
        assert_eq!(world.metric(&packets(fate)).await, 0.0, "{fate}");
    }
    over(&world, call).await;
    world.end().await;
}

/// Receiver reports reach the client on both lines, and they are right.
async fn reports_arrive(srtp: Option<Suite>, mux: bool) {
    let world = recording_with("[siprec]\nrtcp_interval = \"1s\"\n").await;
    let mut call = world
        .record_with(|options| {
            options.srtp = srtp;
            options.mux = mux;
            options.reports = Some(Duration::from_millis(500));
        })
        .await;
    eventually("reports on both lines", async {
        let reported = |call: &SiprecCall| {
            SIDES
                .iter()
                .all(|(side, _)| call.reports(*side).blocks >= 2)
        };
        while !reported(&call) {
            call.silence(100 * MS).await.unwrap();
        }
    })
    .await;
    for (side, _) in SIDES {
        let reports = call.reports(side);
        assert_eq!(
            (reports.bad, reports.lost, reports.goodbyes),
            (0, 0, 0),
            "{reports:?}"
        );
        assert!(!reports.cname.is_empty());
        // A millisecond is eight units; a busy machine is far from ten.
        assert!(reports.jitter < 800, "{reports:?}");
    }
    let kind = |kind| format!("antiphon_siprec_rtcp_received_total{{kind=\"{kind}\"}}");
    until_metric(&world, &kind("sender_report"), |count| count >= 2.0).await;
    // Said before the call is over, since then nobody may be left to hear it.
    call.say_goodbye().await.unwrap();
    until_metric(&world, &kind("bye"), |count| count == 2.0).await;
    let guid = call.guid();
    let call = call.hang_up().await.unwrap();
    // Our goodbye is told as the line ends, which the client may no longer hear.
    assert_eq!(call.packets_heard(), 0, "a recording server sends no sound");
    world.until_state(&guid, "gone").await;
    assert_eq!(world.metric(&kind("refused")).await, 0.0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receiver_reports_arrive() {
    reports_arrive(None, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receiver_reports_arrive_sealed_over_the_port_of_the_sound() {
    reports_arrive(Some(Suite::AesCm128HmacSha1_32), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_goodbye_the_next_source_is_heard_from_its_first_packet() {
    let world = World::recording_to(deaf(), UNHURRIED).await;
    let mut call = transcribed(&world, |_| {}).await;
    let guid = call.guid();
    call.converse(&noise(1, 8_000), &noise(2, 8_000))
        .await
        .unwrap();
    call.say_goodbye().await.unwrap();
    let bye = "antiphon_siprec_rtcp_received_total{kind=\"bye\"}";
    call.silence_while(until_metric(&world, bye, |count| count == 2.0))
        .await
        .unwrap();
    let sent = SIDES.map(|(side, _)| call.sent(side).samples);
    for (side, _) in SIDES {
        call.new_source(side);
    }
    let [customer, agent] = [3, 4].map(|seed| noise(seed, 8_000));
    call.converse(&customer, &agent).await.unwrap();
    call.silence(100 * MS).await.unwrap();
    world.arrived(&call).await;
    world.stop(&mut call).await;
    for ((side, role), before) in SIDES.into_iter().zip(sent) {
        let sound = sound(&world, &guid, role);
        let said = call.sent(side).heard();
        let first = &said[before as usize..before as usize + 8_000];
        assert!(
            sound.windows(first.len()).any(|window| window == first),
            "the {role}'s next source is incomplete"
        );
    }
    assert_eq!(world.metric(&packets("foreign_stream")).await, 0.0);
    over(&world, call).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn comfort_noise_is_silence_and_never_sound() {
    let world = World::recording_to(deaf(), UNHURRIED).await;
    // Its equipment offers comfort noise.
    let mut call = transcribed(&world, |options| options.like = Like::Cube).await;
    let guid = call.guid();
    let noised = packets("comfort_noise");
    call.converse(&noise(1, 8_000), &noise(2, 8_000))
        .await
        .unwrap();
    for _ in 0..10 {
        for (side, _) in SIDES {
            call.comfort_noise(side, 40).await.unwrap();
        }
        call.skip(60 * MS);
        call.silence(20 * MS).await.unwrap();
    }
    call.converse(&noise(3, 8_000), &noise(4, 8_000))
        .await
        .unwrap();
    call.silence(100 * MS).await.unwrap();
    world.arrived(&call).await;
    call.silence_while(until_metric(&world, &noised, |count| count == 20.0))
        .await
        .unwrap();
    world.stop(&mut call).await;
    for (side, role) in SIDES {
        let heard = sound(&world, &guid, role);
        let voiced = |samples: &[i16]| samples.iter().filter(|sample| **sample != 0).count();
        assert_eq!(voiced(&heard), voiced(&call.sent(side).heard()), "{role}");
    }
    over(&world, call).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_number_that_was_not_agreed_is_counted_and_not_heard() {
    let world = World::recording_to(deaf(), UNHURRIED).await;
    let mut call = transcribed(&world, |_| {}).await;
    let guid = call.guid();
    call.converse(&noise(1, 8_000), &noise(2, 8_000))
        .await
        .unwrap();
    let strange: Vec<u8> = (0..PACKET).map(|at| at as u8).collect();
    for number in [3, 18, 77, 127] {
        call.packet(raw(Side::Customer, Some(number), &strange))
            .await
            .unwrap();
        call.silence(20 * MS).await.unwrap();
    }
    call.converse(&noise(3, 8_000), &noise(4, 8_000))
        .await
        .unwrap();
    call.silence(100 * MS).await.unwrap();
    let wrong = packets("wrong_type");
    call.silence_while(until_metric(&world, &wrong, |count| count == 4.0))
        .await
        .unwrap();
    world.arrived(&call).await;
    let shown = world.call(&guid).await;
    // They have numbers all the same, so nothing is missing.
    assert_eq!(counters(&shown, "first")["filled"], 0);
    world.stop(&mut call).await;
    for (side, role) in SIDES {
        compared(call.sent(side), &sound(&world, &guid, role));
    }
    assert_eq!(
        world.metric("antiphon_siprec_packets_lost_total").await,
        0.0
    );
    over(&world, call).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_packet_is_counted_and_not_heard() {
    let world = World::recording_to(deaf(), UNHURRIED).await;
    let mut call = transcribed(&world, |_| {}).await;
    let guid = call.guid();
    let giant = [0x80; 4_000];
    let broken: [&[u8]; 5] = [b"", b"x", &[0x80; 11], &[0x00; 200], &giant];
    for bytes in broken {
        call.stray(Side::Agent, bytes).await.unwrap();
        call.converse(&noise(1, PACKET), &noise(2, PACKET))
            .await
            .unwrap();
    }
    call.silence(100 * MS).await.unwrap();
    let malformed = packets("malformed");
    call.silence_while(until_metric(&world, &malformed, |count| count == 5.0))
        .await
        .unwrap();
    world.arrived(&call).await;
    world.stop(&mut call).await;
    for (side, role) in SIDES {
        compared(call.sent(side), &sound(&world, &guid, role));
    }
    over(&world, call).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_media_is_ended_by_bye_where_that_is_wanted() {
    let world = recording_with("[siprec]\nmedia_timeout = \"1s\"\n").await;
    let mut held = world.record().await;
    held.silence(100 * MS).await.unwrap();
    held.hold().await.unwrap();
    let mut silent = world.record().await;
    silent.silence(200 * MS).await.unwrap();
    passing_idle(&world, &silent).await;
    assert!(silent.ended(Duration::from_secs(20)).await);
    assert_eq!(silent.events(), [Event::Bye]);
    world.until_state(&silent.guid(), "gone").await;
    // Nothing is expected of a call on hold.
    assert!(!held.is_over());
    assert_eq!(world.call(&held.guid()).await["state"], "idle");
    let ended = "antiphon_siprec_sessions_ended_total{reason=\"ours\"}";
    assert_eq!(world.metric(ended).await, 1.0);
    over(&world, held).await;
    world.end().await;
}

/// Both lines were heard.
async fn passing_idle(world: &World, call: &SiprecCall) {
    world.arrived(call).await;
    let shown = world.call(&call.guid()).await;
    for side in SIDE_NAMES {
        assert_eq!(leg(&shown, side)["gate"], "shut");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_line_does_not_end_a_session_of_which_the_other_speaks() {
    let world = recording_with("[siprec]\nmedia_timeout = \"600ms\"\n").await;
    let mut call = transcribed(&world, |_| {}).await;
    call.set_sides(&[Side::Customer]);
    call.silence(Duration::from_secs(2)).await.unwrap();
    assert_eq!(call.events(), []);
    call.set_sides(&[Side::Customer, Side::Agent]);
    passing(&world, &mut call).await;
    world.stop(&mut call).await;
    over(&world, call).await;
    world.end().await;
}
