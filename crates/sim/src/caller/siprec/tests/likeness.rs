//! Each dialect's messages, and what each call is called.

use super::*;

async fn placed(like: Like) -> (Fake, SiprecCall) {
    let fake = Fake::start(POLITE).await;
    let call = fake.dial(|options| options.like = like).await;
    (fake, call)
}

#[tokio::test]
async fn every_dialect_places_a_call_and_talks() {
    for like in Like::ALL {
        let (fake, mut call) = placed(like).await;
        call.converse(&[4_000; 160], &[-4_000; 160]).await.unwrap();
        let lines = match like {
            Like::Metaswitch => 1,
            _ => 2,
        };
        assert_eq!(call.answer().lines.len(), lines, "{like:?}");
        assert_eq!(fake.packets(lines).await.len(), lines, "{like:?}");
        assert!(!call.guid().is_empty());
        call.hang_up().await.unwrap();
        let dialogs = if like == Like::Bib { 2 } else { 1 };
        assert_eq!(fake.requests("BYE").len(), dialogs, "{like:?}");
    }
}

#[tokio::test]
async fn metadata_names_each_label_of_the_description() {
    for like in Like::ALL {
        let (fake, call) = placed(like).await;
        let invite = &fake.requests("INVITE")[0];
        let body = String::from_utf8_lossy(&invite.body).into_owned();
        if matches!(like, Like::Nbr | Like::Bib) {
            assert!(!body.contains("<?xml"), "{like:?}");
            continue;
        }
        let sdp = Sdp::parse(&invite.sdp().unwrap());
        for line in &sdp.lines {
            let label = line.label.as_ref().unwrap();
            let told = body.contains(&format!("label>{label}</"));
            assert_eq!(told, like != Like::Opensips, "{like:?} {label}");
        }
        assert!(
            body.contains("5550100") && body.contains("5550199"),
            "{like:?}"
        );
        assert_eq!(body.matches("<?xml").count(), 1, "{like:?}");
        call.hang_up().await.unwrap();
    }
}

#[tokio::test]
async fn the_guid_is_in_the_invite_in_some_form() {
    for like in Like::ALL {
        let (fake, call) = placed(like).await;
        let invite = String::from_utf8_lossy(&fake.requests("INVITE")[0].to_bytes()).into_owned();
        let ids = &call.options.identifiers;
        let forms = [call.guid(), ids.ucid.hex(), ids.guid_decimal()];
        assert!(forms.iter().any(|form| invite.contains(form)), "{like:?}");
    }
}

#[tokio::test]
async fn tags_and_requirements_are_spelt_as_each_does() {
    let spelt = [
        (Like::Oracle, Some("siprec"), ">;+sip.src"),
        (Like::Avaya, Some("siprec"), ";+sip.src>"),
        (Like::Audiocodes, Some("siprec"), ">;src"),
        (Like::Broadworks, None, ">;src"),
        (Like::Cube, Some("100rel,siprec"), ">;+sip.src"),
        (Like::Opensips, Some("siprec"), ">; +sip.src"),
        (Like::Nbr, None, ">"),
    ];
    for (like, require, tag) in spelt {
        let (fake, _call) = placed(like).await;
        let invite = &fake.requests("INVITE")[0];
        assert_eq!(invite.header("Require"), require, "{like:?}");
        assert!(invite.header("Contact").unwrap().ends_with(tag), "{like:?}");
    }
}

#[tokio::test]
async fn bib_has_two_dialogs_whose_descriptions_come_in_the_ack() {
    let (fake, call) = placed(Like::Bib).await;
    fake.until(|seen| seen.requests.len() >= 4).await;
    let (invites, acks) = (fake.requests("INVITE"), fake.requests("ACK"));
    assert_eq!((invites.len(), acks.len()), (2, 2));
    assert_ne!(invites[0].call_id(), invites[1].call_id());
    assert!(invites.iter().all(|invite| invite.body.is_empty()));
    assert!(
        acks.iter()
            .all(|ack| ack.sdp().unwrap().contains("a=sendonly"))
    );
    assert!(invites[0].header("From").unwrap().contains(";x-nearend;"));
    assert!(invites[1].header("From").unwrap().contains(";x-farend;"));
    call.hang_up().await.unwrap();
}

#[tokio::test]
async fn early_calls_get_their_second_half_when_the_callee_answers() {
    for (like, lines) in [(Like::Cube, 2), (Like::Avaya, 1), (Like::Oracle, 2)] {
        let fake = Fake::start(POLITE).await;
        let mut call = fake
            .dial(|options| {
                options.like = like;
                options.early = true;
            })
            .await;
        assert_eq!(call.answer().lines.len(), lines);
        assert_eq!(call.is_open(Side::Customer), like != Like::Cube);
        call.callee_answers().await.unwrap();
        assert!(call.is_open(Side::Customer) && call.is_open(Side::Agent));
        let bodies: Vec<String> = fake
            .requests("INVITE")
            .iter()
            .map(|invite| String::from_utf8_lossy(&invite.body).into_owned())
            .collect();
        assert!(bodies[0].len() < bodies[1].len(), "{like:?}");
        assert_eq!(bodies[0].contains("ASBCE"), like == Like::Avaya);
        call.hang_up().await.unwrap();
    }
}

#[tokio::test]
async fn netsapiens_transfers_by_a_new_session_of_the_same_group() {
    let (fake, mut call) = placed(Like::Netsapiens).await;
    let guid = call.guid();
    call.transfer().await.unwrap();
    assert_eq!(call.guid(), guid);
    let invites = fake.requests("INVITE");
    assert_ne!(invites[0].call_id(), invites[1].call_id());
    assert_eq!(fake.requests("BYE")[0].call_id(), invites[0].call_id());
    let body = String::from_utf8_lossy(&invites[1].body).into_owned();
    assert!(body.contains("<groupSeq>1</groupSeq>") && body.contains("5550177"));
    call.hang_up().await.unwrap();
}

#[tokio::test]
async fn ribbon_has_the_caller_on_the_second_line_and_an_agent_may_call() {
    let (_fake, call) = placed(Like::Ribbon).await;
    assert_eq!(
        (call.line_of(Side::Agent), call.line_of(Side::Customer)),
        (0, 1)
    );
    let fake = Fake::start(POLITE).await;
    let outbound = fake.dial(|options| options.customer_calls = false).await;
    assert_eq!(outbound.line_of(Side::Agent), 0);
}
