//! Whoever's messages they are, each party is heard as who it is, and the API says why.

use sim::caller::siprec::{Like, Options};
use sim::speech::Role;

use crate::scenes::{assert_heard, grounds, leg_of, trunk, until_legs};
use crate::support::{heard, over};
use crate::words::{GREETINGS, converse, recording, recording_with, say};

/// For equipment that does not say SIPREC.
const ANYBODY: &str = "accept_anyway = true";

/// A call whose parties are told apart for these reasons, the customer's first.
async fn told_apart(
    keys: &str,
    change: impl FnOnce(&mut Options),
    reasons: [&str; 2],
    confidence: &str,
) {
    let world = recording_with(&trunk(keys)).await;
    let mut call = world.record_with(change).await;
    let guid = call.guid();
    let idle = until_legs(&world, &guid, 2).await;
    world.start(&mut call).await;
    for shown in [idle, world.call(&guid).await] {
        for (role, reason) in ["customer", "agent"].into_iter().zip(reasons) {
            assert_eq!(
                grounds(leg_of(&shown, role)),
                (reason, confidence),
                "{shown:#}"
            );
        }
    }
    converse(&world, &mut call, GREETINGS).await;
    world.stop(&mut call).await;
    assert_heard(&world, &guid, &[GREETINGS]);
    over(&world, call).await;
}

/// Of equipment whose metadata says nothing but who sends what.
fn in_order(labels: [&str; 2]) -> [String; 2] {
    [
        format!(
            "the participant that sends label {} is named first",
            labels[0]
        ),
        format!(
            "the participant that sends label {} is not named first",
            labels[1]
        ),
    ]
}

async fn named_in_order(like: Like, labels: [&str; 2]) {
    let reasons = in_order(labels);
    let reasons = [&*reasons[0], &*reasons[1]];
    told_apart("", |options| options.like = like, reasons, "medium").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn audiocodes_names_the_caller_first() {
    named_in_order(Like::Audiocodes, ["1", "2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn avaya_names_the_caller_first() {
    named_in_order(Like::Avaya, ["10", "20"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cube_names_the_caller_first() {
    named_in_order(Like::Cube, ["1", "2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_metadata_names_the_caller_first() {
    named_in_order(Like::Plain, ["1", "2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twilio_names_the_caller_first() {
    named_in_order(Like::Twilio, ["1", "2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_s_two_forks_say_which_end_they_are_and_are_one_call() {
    let reasons = [
        "x-farend in the From header",
        "x-nearend in the From header",
    ];
    told_apart(
        ANYBODY,
        |options| options.like = Like::Bib,
        reasons,
        "medium",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broadworks_names_the_user_that_is_recorded_and_the_other_party() {
    let reasons = [
        "the other party of the user that is recorded sends label 1",
        "the other line has the other party",
    ];
    told_apart(
        ANYBODY,
        |options| options.like = Like::Broadworks,
        reasons,
        "high",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn network_based_recording_says_nothing_but_the_order_of_lines() {
    let order = "the order of the lines, the caller's first";
    told_apart(
        ANYBODY,
        |options| options.like = Like::Nbr,
        [order; 2],
        "low",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn netsapiens_names_the_calling_party() {
    let reasons = [
        "callingParty of the participant that sends label 1",
        "calledParty of the participant that sends label 2",
    ];
    told_apart(
        "",
        |options| options.like = Like::Netsapiens,
        reasons,
        "high",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opensips_without_streams_is_taken_by_order() {
    let reasons = [
        "the participant that is taken, by order, for label 0 is named first",
        "the participant that is taken, by order, for label 1 is not named first",
    ];
    told_apart("", |options| options.like = Like::Opensips, reasons, "low").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oracle_says_who_is_the_calling_party() {
    let reasons = [
        "apkt:callingParty of the participant that sends label 16777301",
        "apkt:callingParty of the participant that sends label 16777302",
    ];
    told_apart("", |options| options.like = Like::Oracle, reasons, "high").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ribbon_s_caller_is_on_the_second_line() {
    let reasons = [
        "callData fromhdr of the participant that sends label 2",
        "callData tohdr of the participant that sends label 1",
    ];
    told_apart("", |options| options.like = Like::Ribbon, reasons, "high").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_may_be_the_agent() {
    let reasons = [
        "apkt:callingParty of the participant that sends label 16777302",
        "apkt:callingParty of the participant that sends label 16777301",
    ];
    let outbound = |options: &mut Options| {
        options.like = Like::Oracle;
        options.customer_calls = false;
    };
    told_apart("caller = \"agent\"", outbound, reasons, "high").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metaswitch_s_only_line_is_both_parties_mixed() {
    let world = recording().await;
    let mut call = world
        .record_with(|options| options.like = Like::Metaswitch)
        .await;
    let guid = call.guid();
    world.start(&mut call).await;
    let shown = world.call(&guid).await;
    let expected = ("the stream of label 1 is said to be mixed", "high");
    assert_eq!(grounds(leg_of(&shown, "mixed")), expected, "{shown:#}");
    assert_eq!(shown["streams"][0]["role"], "mixed");
    for id in GREETINGS {
        say(&world, &mut call, id).await;
    }
    world.stop(&mut call).await;
    assert_eq!(heard(&world, &guid, Role::Customer), GREETINGS);
    assert_eq!(world.service.streams().len(), 1);
    over(&world, call).await;
}
