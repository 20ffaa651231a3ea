//! T12: the token in a streaming URL.

use rig::{TOKEN_SECRET, World};
use sim::caller::twilio::{DialError, Greeting, Options, Signature, TwilioCall};
use sim::speech::Role;

use crate::support::{Witness, until_metric};

/// `{"alg":"HS256","typ":"JWT"}`, `{"alg":"none"}`
const HEADERS: [&str; 2] = [
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
    "eyJhbGciOiJub25lIn0",
];

/// `{"iat":1,"exp":2}`
const EXPIRED: &str = "eyJpYXQiOjEsImV4cCI6Mn0";

/// `{"iat":1,"exp":9999999999}`
const LASTING: &str = "eyJpYXQiOjEsImV4cCI6OTk5OTk5OTk5OX0";

/// A token that we signed ourselves.
fn token(claims: &str, secret: &str) -> String {
    let signed = format!("{}.{claims}", HEADERS[0]);
    let key = Signature::SharedKey {
        id: String::new(),
        secret: secret.to_owned(),
    };
    let mac = key.headers(&signed)[0]
        .1
        .replace('+', "-")
        .replace('/', "_");
    format!("{signed}.{}", mac.trim_end_matches('='))
}

/// The status of a caller with this token.
async fn status(world: &World, token: &str) -> u16 {
    dialled(world, |options| {
        let (base, _) = options.url.rsplit_once('/').unwrap();
        options.url = format!("{base}/{token}");
    })
    .await
}

async fn dialled(world: &World, change: impl FnOnce(&mut Options)) -> u16 {
    let mut options = world.options().await;
    options.greeting = Greeting::None;
    change(&mut options);
    match TwilioCall::dial(options).await {
        Ok(_) => 101,
        Err(DialError::Refused(refusal)) => {
            if refusal.status == 401 {
                assert!(refusal.body.contains("\"401-01\""), "{}", refusal.body);
            }
            refusal.status
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_url_opens_three_hundred_calls() {
    let world = World::new().await;
    let mut options = world.options().await;
    options.greeting = Greeting::None;
    for _ in 0..300 {
        TwilioCall::dial(options.clone()).await.unwrap();
    }
    let accepted = "antiphon_twilio_upgrades_total{result=\"accepted\"}";
    assert_eq!(world.metric(accepted).await, 300.0);
    // They were hung up as abruptly as can be, and leave nothing behind.
    until_metric(&world, "antiphon_twilio_sockets", |sockets| sockets == 0.0).await;
    until_metric(&world, "antiphon_http_connections", |open| open <= 5.0).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_ours_or_not_in_time_opens_nothing() {
    let world = World::new().await;
    let witness = Witness::of(&world).await;
    let good = token(LASTING, TOKEN_SECRET);
    assert_eq!(status(&world, &good).await, 101);
    assert_eq!(status(&world, &token(EXPIRED, TOKEN_SECRET)).await, 401);
    let [head, claims, mac] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let forged = [
        token(LASTING, "another-secret"),
        format!("{head}.{EXPIRED}.{mac}"),
        format!("{}.{claims}.{mac}", HEADERS[1]),
        format!("{}.{claims}.", HEADERS[1]),
        format!("{head}.{claims}."),
        format!("{head}.{claims}"),
        format!("{head}.{claims}.{mac}.{mac}"),
        "x".to_owned(),
        "%00".to_owned(),
        "%FF%FE".to_owned(),
        "a".repeat(4_000),
    ];
    for token in &forged {
        let status = status(&world, token).await;
        assert!([400, 401].contains(&status), "{status} {token}");
    }
    let count = |result| format!("antiphon_twilio_upgrades_total{{result=\"{result}\"}}");
    assert_eq!(world.metric(&count("expired_token")).await, 1.0);
    assert!(world.metric(&count("bad_token")).await >= 9.0);
    witness.assert_unharmed(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_the_query_is_as_good_as_one_in_the_path() {
    let world = World::new().await;
    let in_query = |path: &'static str| {
        move |options: &mut Options| {
            let (_, token) = options.url.rsplit_once('/').unwrap();
            options.url = format!("wss://gateway.example.com{path}?token={token}");
            options.keep_query = true;
        }
    };
    let path = "/mg-twilio-autotranscribe/twilio-media";
    assert_eq!(dialled(&world, in_query(path)).await, 101);
    assert_eq!(dialled(&world, in_query("/twilio-media")).await, 101);
    // Signed without the query, as the request that Twilio makes of it would be.
    let signed_without = |options: &mut Options| {
        in_query(path)(options);
        let url = format!("wss://gateway.example.com{path}");
        let signature = options.signature.headers(&url)[0].1.clone();
        options.signature = Signature::Literal(signature);
    };
    assert_eq!(dialled(&world, signed_without).await, 101);
    // Twilio takes the query away.
    let stripped = |options: &mut Options| {
        in_query(path)(options);
        options.keep_query = false;
    };
    assert_eq!(dialled(&world, stripped).await, 401);
    let missing = "antiphon_twilio_upgrades_total{result=\"missing_token\"}";
    assert_eq!(world.metric(missing).await, 1.0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_being_replaced_still_opens_sockets() {
    let world = World::with("[twilio]\ntoken_secrets_accepted = [\"former\"]\n").await;
    assert_eq!(status(&world, &token(LASTING, "former")).await, 101);
    assert_eq!(status(&world, &token(LASTING, "older")).await, 401);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_socket_outlives_its_token() {
    let world = World::with("[twilio]\ntoken_ttl = \"1s\"\n").await;
    let options = world.options().await;
    let mut call = TwilioCall::dial(options.clone()).await.unwrap();
    world.start(&call).await;
    let expired = async {
        let mut looks = tokio::time::interval(std::time::Duration::from_millis(50));
        let again = Options {
            greeting: Greeting::None,
            ..options
        };
        while TwilioCall::dial(again.clone()).await.is_ok() {
            looks.tick().await;
        }
    };
    rig::eventually("the token to expire", expired).await;
    world.say(&mut call, "customer-greeting").await;
    world.stop(&call).await;
    assert_eq!(world.heard(Role::Customer), ["customer-greeting"]);
    call.hang_up().await.unwrap();
    world.end().await;
}
