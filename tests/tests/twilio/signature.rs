//! T11: who signed, and what.

use std::process::Command;

use gateway::config::Config;
use rig::{AUTH_TOKEN, World, config_text, service_config, tasks};
use sim::caller::twilio::{DialError, Options, Refusal, Signature, TwilioCall};
use sim::service::autotranscribe::AutoTranscribe;

use crate::support::{Witness, until_metric};

/// What the gateway says to a caller; `None` if it lets him in.
async fn answer(world: &World, change: impl FnOnce(&mut Options)) -> Option<Refusal> {
    let mut options = world.options().await;
    change(&mut options);
    match TwilioCall::dial(options).await {
        Ok(_) => None,
        Err(DialError::Refused(refusal)) => Some(refusal),
        Err(error) => panic!("{error}"),
    }
}

/// The status of that.
async fn status(world: &World, change: impl FnOnce(&mut Options)) -> u16 {
    answer(world, change)
        .await
        .map_or(101, |refusal| refusal.status)
}

/// The signature of another URL than the one that is dialled.
fn over(url: &str) -> Signature {
    let signed = Signature::AuthToken(AUTH_TOKEN.to_owned()).headers(url);
    Signature::Literal(signed[0].1.clone())
}

/// The status of a caller who signed his URL as it reads after a replacement.
async fn signed_as(world: &World, from: &str, to: &str) -> u16 {
    status(world, |options| {
        assert!(options.url.contains(from), "{}", options.url);
        options.signature = over(&options.url.replace(from, to));
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_url_may_be_signed_with_the_port_of_wss_and_with_no_other() {
    let world = World::new().await;
    let host = "wss://gateway.example.com";
    assert_eq!(signed_as(&world, host, host).await, 101);
    assert_eq!(
        signed_as(&world, host, "wss://gateway.example.com:443").await,
        101
    );
    for wrong in [
        "wss://gateway.example.com:80",
        "wss://gateway.example.com:8443",
        "https://gateway.example.com",
        "ws://gateway.example.com",
        "wss://gateway.example.org",
    ] {
        assert_eq!(signed_as(&world, host, wrong).await, 403, "{wrong}");
    }
    let slash = |options: &mut Options| options.signature = over(&format!("{}/", options.url));
    assert_eq!(status(&world, slash).await, 403);
    let refused = "antiphon_twilio_upgrades_total{result=\"bad_signature\"}";
    assert_eq!(world.metric(refused).await, 6.0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_of_ones_own_is_signed_as_it_is_configured() {
    let world = World::with("[http]\npublic_url = \"https://gateway.example.com:8443\"\n").await;
    let host = "wss://gateway.example.com:8443";
    assert_eq!(signed_as(&world, host, host).await, 101);
    assert_eq!(
        signed_as(&world, host, "wss://gateway.example.com").await,
        101
    );
    assert_eq!(
        signed_as(&world, host, "wss://gateway.example.com:443").await,
        403
    );
    assert_eq!(
        signed_as(&world, host, "wss://gateway.example.com:80").await,
        403
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_before_ours_is_signed_along() {
    let world = World::with("[http]\npublic_url = \"https://gateway.example.com/speech/\"\n").await;
    let signed = "wss://gateway.example.com/speech/";
    let url = world.api.twilio_url().await.unwrap();
    assert!(url.starts_with(signed), "{url}");
    // The proxy takes its own part of the path away again.
    let through_proxy = |options: &mut Options| {
        options.signature = over(&options.url);
        options.url = options.url.replace("/speech/", "/");
    };
    assert_eq!(status(&world, through_proxy).await, 101);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_signature_nobody_is_let_in_and_nobody_is_told_why() {
    let world = World::new().await;
    let witness = Witness::of(&world).await;
    let bad = [
        (Signature::None, "missing_signature"),
        (Signature::Literal(String::new()), "missing_signature"),
        (
            Signature::Literal("ggMmViUp0g9CYyRDmhN00z0Pc2E=".to_owned()),
            "bad_signature",
        ),
        (Signature::Literal("no base64!".to_owned()), "bad_signature"),
        (
            Signature::AuthToken("another-token".to_owned()),
            "bad_signature",
        ),
        (Signature::AuthToken(String::new()), "bad_signature"),
    ];
    let count = |result| format!("antiphon_twilio_upgrades_total{{result=\"{result}\"}}");
    let mut bodies = Vec::new();
    for (signature, result) in bad {
        let before = world.metric(&count(result)).await;
        let refusal = answer(&world, |options| options.signature = signature)
            .await
            .unwrap();
        assert_eq!(
            (refusal.status, world.metric(&count(result)).await),
            (403, before + 1.0)
        );
        let body: serde_json::Value = serde_json::from_str(&refusal.body).unwrap();
        assert_eq!(body["error"]["code"], "403-01");
        assert_eq!(
            body["error"]["requestId"],
            refusal.header("x-request-id").unwrap()
        );
        bodies.push(body["error"]["message"].clone());
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    witness.assert_unharmed(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_several_auth_tokens_is_good() {
    let tokens = "[twilio]\nauth_tokens = [\"main\", \"secondary\", \"subaccount\"]\n";
    let world = World::with(tokens).await;
    for token in ["main", "secondary", "subaccount"] {
        let signed = |options: &mut Options| {
            options.signature = Signature::AuthToken(token.to_owned());
        };
        assert_eq!(status(&world, signed).await, 101, "{token}");
    }
    assert_eq!(status(&world, |_| {}).await, 403);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_key_signs_with_sha_256_and_is_found_by_its_id() {
    let keys = "[[twilio.shared_keys]]\nid = \"SK1\"\nsecret = \"one\"\n\
                [[twilio.shared_keys]]\nid = \"SK2\"\nsecret = \"two\"\n";
    let world = World::with(keys).await;
    let key = |id: &str, secret: &str| {
        let (id, secret) = (id.to_owned(), secret.to_owned());
        move |options: &mut Options| options.signature = Signature::SharedKey { id, secret }
    };
    assert_eq!(status(&world, key("SK1", "one")).await, 101);
    assert_eq!(status(&world, key("SK2", "two")).await, 101);
    assert_eq!(status(&world, key("SK1", "two")).await, 403);
    assert_eq!(status(&world, key("SK3", "one")).await, 403);
    // The account's token signs with SHA-1 only, and a shared key with SHA-256 only.
    assert_eq!(status(&world, key("SK1", AUTH_TOKEN)).await, 403);
    for settings in [
        "key=SK1,algorithm=HMAC_MD5",
        "algorithm=HMAC_SHA256",
        "key=,algorithm=none",
    ] {
        let header = (
            "x-twilio-webhooks-signature-settings".to_owned(),
            settings.to_owned(),
        );
        let set = |options: &mut Options| options.headers.push(header);
        assert_eq!(status(&world, set).await, 403, "{settings}");
    }
    let unknown = "antiphon_twilio_upgrades_total{result=\"unknown_algorithm\"}";
    assert_eq!(world.metric(unknown).await, 4.0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_not_asked_for_where_it_is_switched_off() {
    let world = World::with("[twilio]\nrequire_signature = false\nauth_tokens = []\n").await;
    assert_eq!(
        status(&world, |options| options.signature = Signature::None).await,
        101
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_headers_of_a_proxy_change_nothing() {
    let world = World::new().await;
    let proxied = |options: &mut Options| {
        for (name, value) in [
            ("x-forwarded-host", "evil.example.com"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-for", "203.0.113.9"),
            ("origin", "https://evil.example.com"),
            ("accept-encoding", "gzip"),
            (
                "sec-websocket-extensions",
                "permessage-deflate; client_max_window_bits",
            ),
            ("sec-websocket-protocol", "audio.twilio.com"),
        ] {
            options.headers.push((name.to_owned(), value.to_owned()));
        }
    };
    // The caller fails the upgrade over any extension or subprotocol in the answer.
    assert_eq!(status(&world, proxied).await, 101);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_rotated_while_calls_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("antiphon.toml");
    let service = AutoTranscribe::start(service_config()).await.unwrap();
    let url = service.url();
    let write = |more: &str| std::fs::write(&file, config_text(&url, more)).unwrap();
    write("");
    let world = World::of(service, Config::load(&file).unwrap()).await;
    let witness = Witness::of(&world).await;
    let old_url = world.api.twilio_url().await.unwrap();
    let signed = |token: &'static str| {
        move |options: &mut Options| options.signature = Signature::AuthToken(token.to_owned())
    };
    assert_eq!(status(&world, signed("new")).await, 403);
    let secret = "another-token-secret-of-thirty-two-bytes";
    write(&format!(
        "[twilio]\nauth_tokens = [\"new\"]\ntoken_secret = \"{secret}\"\n"
    ));
    hang_up_the_terminal().await;
    let accepted = "antiphon_twilio_upgrades_total{result=\"accepted\"}";
    let retry = async { while status(&world, signed("new")).await != 101 {} };
    rig::eventually("the new token to be good", retry).await;
    assert_eq!(status(&world, signed(AUTH_TOKEN)).await, 403);
    // A URL from before the rotation is worth nothing any more.
    let with_old_url = |options: &mut Options| {
        options.url = old_url;
        options.signature = Signature::AuthToken("new".to_owned());
    };
    assert_eq!(status(&world, with_old_url).await, 401);
    until_metric(&world, accepted, |calls| calls == 2.0).await;
    // A file that cannot be used changes nothing.
    std::fs::write(&file, "[twilio]\nauth_tokens = [\"newest\"]\n").unwrap();
    hang_up_the_terminal().await;
    assert_eq!(status(&world, signed("new")).await, 101);
    witness.assert_unharmed(&world).await;
    world.end().await;
}

/// SIGHUP to this process: any gateway in it reads its own file again.
async fn hang_up_the_terminal() {
    let kill = || {
        let pid = std::process::id().to_string();
        Command::new("kill").args(["-HUP", &pid]).status().unwrap()
    };
    assert!(tasks().spawn_blocking(kill).await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_websocket_handshake_is_told_so() {
    let world = World::new().await;
    let url = world.api.twilio_url().await.unwrap();
    let path = url.strip_prefix("wss://gateway.example.com").unwrap();
    let signed = Signature::AuthToken(AUTH_TOKEN.to_owned()).headers(&url);
    let request = |method: &str, more: &str| {
        format!(
            "{method} {path} HTTP/1.1\r\nhost: gateway.example.com\r\nconnection: close\r\n\
             {}: {}\r\n{more}\r\n",
            signed[0].0, signed[0].1,
        )
    };
    let version = "upgrade: websocket\r\nsec-websocket-version: 12\r\nsec-websocket-key: eA==\r\n";
    for (method, more, status) in [
        ("GET", "", "400"),
        ("GET", version, "400"),
        ("POST", "", "405"),
    ] {
        let answer = crate::crowd::speak(&world, request(method, more).as_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
    }
    let refused = "antiphon_twilio_upgrades_total{result=\"not_websocket\"}";
    assert_eq!(world.metric(refused).await, 2.0);
    world.end().await;
}
