//! TLS on both sides of the gateway, and a certificate that is replaced while it runs.

use std::path::Path;
use std::time::Duration;

use rig::secured::trusting;
use rig::{API_ID, API_SECRET, World, config};
use sim::control;
use sim::service::autotranscribe::{AutoTranscribe, Config, TlsFiles};
use sim::speech::Role;

/// Writes a certificate for this machine, and its key.
fn certify(folder: &Path) -> TlsFiles {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let files = TlsFiles {
        cert: folder.join("tls.crt"),
        key: folder.join("tls.key"),
    };
    // Beside and then over, so that nobody reads half a file.
    for (file, text) in [
        (&files.key, made.signing_key.serialize_pem()),
        (&files.cert, made.cert.pem()),
    ] {
        let beside = file.with_extension("new");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(&beside, file).unwrap();
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_over_tls_on_both_sides_and_a_new_certificate_in_the_middle() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (our_files, their_files) = (certify(ours.path()), certify(theirs.path()));
    let more = format!(
        "[http.tls]\ncert_file = {:?}\nkey_file = {:?}\ncheck_interval = \"20ms\"\n\
         [upstream]\nca_file = {:?}\n",
        our_files.cert, our_files.key, their_files.cert
    );
    let service = Config {
        tls: Some(their_files),
        ..rig::service_config()
    };
    let service = AutoTranscribe::start(service).await.unwrap();
    let config = config(&service.url(), &more);
    let world = World::secured(service, config, &our_files.cert).await;
    assert!(world.service.url().starts_with("https:") && world.base.starts_with("https:"));
    let old_ca = ours.path().join("old.crt");
    std::fs::copy(&our_files.cert, &old_ca).unwrap();
    let mut call = world.dial_with(|options| trusting(options, &old_ca)).await;
    world.start(&call).await;
    world.say(&mut call, "customer-greeting").await;

    certify(ours.path());
    let new = control::Gateway::new(&world.base, API_ID, API_SECRET, Some(&our_files.cert));
    new.unwrap().ready(Duration::from_secs(30)).await.unwrap();
    let old = control::Gateway::new(&world.base, API_ID, API_SECRET, Some(&old_ca)).unwrap();
    assert!(
        old.get("/health/ready").await.is_err(),
        "the old certificate is still shown"
    );

    world.say(&mut call, "customer-goodbye").await;
    world.stop(&call).await;
    assert_eq!(
        world.heard(Role::Customer),
        ["customer-greeting", "customer-goodbye"]
    );
    call.hang_up().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_with_a_certificate_that_is_not_trusted_is_not_spoken_to() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (trusted, their_files) = (certify(ours.path()).cert, certify(theirs.path()));
    let service = Config {
        tls: Some(their_files),
        ..rig::service_config()
    };
    let more = format!("[upstream]\nca_file = {trusted:?}\n[upstream.retry]\nretries_max = 0\n");
    let world = World::with_service(service, &more).await;
    let call = world.dial().await;
    world.until_state(call.call_sid(), "idle").await;
    let started = world.try_start(call.call_sid()).await;
    assert_eq!(
        (started.status, &started.body["isOk"]),
        (200, &false.into())
    );
    assert!(world.service.asked().is_empty() && world.service.streams().is_empty());
    call.hang_up().await.unwrap();
    world.end().await;
}
