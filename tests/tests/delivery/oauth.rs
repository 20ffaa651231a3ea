//! Receivers that want a bearer token: fetched once for many deliveries, fetched anew when it is
//! refused; while none is to be had everything waits.

use rig::apart::Apart;
use rig::eventually;
use rig::shown::until_metric;
use sim::webhook::{Client, Receiver};

use crate::GATEWAY;
use crate::scene::{conversation, delivered, finals_told, kept_in, receiver_with, webhook};

const ID: &str = "anti phon";
const OAUTH_SECRET: &str = "client:secret of the story";
const PHRASES: [&str; 2] = ["customer-greeting", "agent-greeting"];

async fn receiver() -> Receiver {
    receiver_with(|settings| {
        settings.oauth2 = Some(Client {
            id: ID.to_owned(),
            secret: OAUTH_SECRET.to_owned(),
        });
    })
    .await
}

fn section(receiver: &Receiver, secret: &str, more: &str) -> String {
    let own = format!(
        "oauth2_token_url = \"{}\"\noauth2_client_id = \"{ID}\"\n\
         oauth2_client_secret = \"{secret}\"\noauth2_scope = \"transcripts.write\"\n{more}",
        receiver.token_url()
    );
    webhook("story", &receiver.url(), &own)
}

async fn is_delivered(gateway: &Apart, receiver: &Receiver) {
    let guid = conversation(&gateway.world, &PHRASES).await;
    let told = finals_told(&gateway.world, &guid).await;
    delivered(receiver, &guid, &told).await;
}

async fn fetches(gateway: &Apart, outcome: &str) -> f64 {
    let series = format!(
        "antiphon_delivery_token_fetches_total{{endpoint=\"story\",outcome=\"{outcome}\"}}"
    );
    gateway.world.metric(&series).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_serves_until_it_is_refused_and_nothing_is_lost_while_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = receiver().await;
    let more = kept_in(folder.path()) + &section(&receiver, OAUTH_SECRET, "");
    let gateway = Apart::new(rig::service_config(), &more, GATEWAY, folder.path()).await;
    is_delivered(&gateway, &receiver).await;
    is_delivered(&gateway, &receiver).await;
    assert_eq!(
        (receiver.counts().tokens, receiver.counts().deliveries),
        (1, 4)
    );

    receiver.revoke_tokens();
    is_delivered(&gateway, &receiver).await;
    let counts = receiver.counts();
    assert_eq!((counts.tokens, counts.revoked), (2, 1));
    assert_eq!(fetches(&gateway, "ok").await, 2.0);
    assert_eq!(fetches(&gateway, "failed").await, 0.0);

    receiver.fail_tokens(3);
    receiver.revoke_tokens();
    is_delivered(&gateway, &receiver).await;
    let counts = receiver.counts();
    assert_eq!((counts.tokens, counts.tokens_refused), (3, 3));
    assert_eq!(fetches(&gateway, "failed").await, 3.0);
    assert_eq!(counts.twice, 0);
    nothing_secret_is_logged(gateway).await;
}

/// The secret of the client is read again as every other is.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_s_secret_is_rotated_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = receiver().await;
    let with = |secret: &str| kept_in(folder.path()) + &section(&receiver, secret, "");
    let former = with("the former secret");
    let gateway = Apart::new(rig::service_config(), &former, GATEWAY, folder.path()).await;
    let guid = conversation(&gateway.world, &PHRASES).await;
    let told = finals_told(&gateway.world, &guid).await;
    let refused = receiver.wait_for_counts(|counts| counts.tokens_refused >= 3);
    eventually("the former secret to be refused", refused).await;
    assert_eq!(receiver.counts().deliveries, 0);

    let text = rig::config_text(&gateway.world.service.url(), &with(OAUTH_SECRET));
    std::fs::write(&gateway.config, text).unwrap();
    gateway.hang_up();
    let taken = "antiphon_reloads_total{outcome=\"taken\"}";
    until_metric(&gateway.world, taken, |taken| taken == 1.0).await;
    delivered(&receiver, &guid, &told).await;
    assert_eq!(receiver.counts().tokens, 1);
    nothing_secret_is_logged(gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_prove_itself_in_the_body() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = receiver().await;
    let own = section(&receiver, OAUTH_SECRET, "oauth2_secret_in_body = true\n");
    let more = kept_in(folder.path()) + &own;
    let gateway = Apart::new(rig::service_config(), &more, GATEWAY, folder.path()).await;
    is_delivered(&gateway, &receiver).await;
    assert_eq!(receiver.counts().tokens, 1);
    nothing_secret_is_logged(gateway).await;
}

async fn nothing_secret_is_logged(gateway: Apart) {
    let log = gateway.log.clone();
    gateway.end().await;
    let log = std::fs::read_to_string(log).unwrap();
    for secret in [OAUTH_SECRET, "the former secret", "bearer-of-the-sim"] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}
