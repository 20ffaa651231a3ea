//! What SIGHUP changes in a gateway that runs, and what a bad file does not.

use rig::apart::Apart;
use rig::{World, config_text, eventually};
use sim::caller::twilio::{DialError, Signature, TwilioCall};
use sim::speech::Role;

use crate::GATEWAY;

/// Failed authentications are this story's business.
const MORE: &str = "[limits]\nauth_failures_burst = 1000000\n";
const ROTATED: &str = "[[api_keys]]\nid = \"next\"\nsecret = \"next-api-secret\"\n\
    [twilio]\nauth_tokens = [\"a-new-auth-token-of-thirty-two-ch\"]\n\
    token_secret = \"next-token-secret-of-thirty-two-bytes\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_tokens_are_read_again_and_a_running_call_does_not_notice() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Apart::new(rig::service_config(), MORE, GATEWAY, folder.path()).await;
    let world = &gateway.world;
    let mut call = world.dial().await;
    world.start(&call).await;
    let old = world.options().await;

    std::fs::write(&gateway.config, "[http]\nlisten = \"nowhere\"\n").unwrap();
    gateway.hang_up();
    is_logged(&gateway, "stay as they were").await;
    assert_eq!(world.api.get("/v1/health").await.unwrap().status, 200);

    let text = config_text(&world.service.url(), &format!("{ROTATED}{MORE}"));
    std::fs::write(&gateway.config, text).unwrap();
    gateway.hang_up();
    let next = world.api.with_key("next", "next-api-secret");
    eventually("the new key", async {
        while next.get("/v1/health").await.unwrap().status != 200 {}
    })
    .await;
    assert_eq!(world.api.get("/v1/health").await.unwrap().status, 401);

    let mut new = old.clone();
    is_refused(old).await;
    new.url = next.twilio_url().await.unwrap();
    is_refused(new.clone()).await;
    new.signature = Signature::AuthToken("a-new-auth-token-of-thirty-two-ch".to_owned());
    TwilioCall::dial(new)
        .await
        .unwrap()
        .hang_up()
        .await
        .unwrap();

    say(world, &mut call, "customer-greeting").await;
    assert!(next.stop(call.call_sid()).await.unwrap().is_ok());
    assert_eq!(world.heard(Role::Customer), ["customer-greeting"]);
    call.hang_up().await.unwrap();
    gateway.end().await;
}

async fn is_refused(options: sim::caller::twilio::Options) {
    let dialled = TwilioCall::dial(options).await;
    assert!(
        matches!(dialled, Err(DialError::Refused(_))),
        "it is not refused: {dialled:?}"
    );
}

/// As [`World::say`], without the API's help: the world's key is not good any more.
async fn say(world: &World, call: &mut TwilioCall, id: &str) {
    let phrase = rig::phrase(id);
    call.say(sim::caller::twilio::Side::Inbound, &phrase.samples)
        .await
        .unwrap();
    call.silence(std::time::Duration::from_millis(700))
        .await
        .unwrap();
    world
        .until_heard(|streams| streams.iter().any(|stream| !stream.transcripts.is_empty()))
        .await;
}

async fn is_logged(gateway: &Apart, what: &str) {
    eventually("a line in the log", async {
        while !std::fs::read_to_string(&gateway.log)
            .unwrap()
            .contains(what)
        {
            // Asking also gives the gateway time to write it.
            assert_eq!(
                gateway.world.api.get("/v1/health").await.unwrap().status,
                200
            );
        }
    })
    .await;
}
