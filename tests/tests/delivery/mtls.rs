//! Receivers that ask who we are: certificates of one's own authority, on both sides.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rig::World;
use rig::shown::until_metric;
use serde_json::Value;
use sim::service::TlsFiles;
use sim::webhook::Receiver;

use crate::scene::{conversation, delivered, finals_told, kept_in, receiver_with, webhook};

/// An authority, and the folder of what it has issued.
struct Authority<'f> {
    issuer: Issuer<'static, KeyPair>,
    folder: &'f Path,
    file: PathBuf,
}

impl<'f> Authority<'f> {
    fn new(folder: &'f Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let file = folder.join(format!("{name}.pem"));
        std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            folder,
            file,
        }
    }

    /// Certificate and key for a name.
    fn issue(&self, name: &str) -> TlsFiles {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = |kind: &str| self.folder.join(format!("{name}.{kind}"));
        let files = TlsFiles {
            cert: path("crt"),
            key: path("key"),
        };
        std::fs::write(&files.cert, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }
}

/// Takes deliveries only from whom `clients` has given a certificate.
async fn receiver(server: &Authority<'_>, clients: &Authority<'_>) -> Receiver {
    let (tls, client_ca) = (server.issue("127.0.0.1"), clients.file.clone());
    receiver_with(|settings| {
        settings.tls = Some(tls);
        settings.client_ca = Some(client_ca);
    })
    .await
}

fn trusting(server: &Authority<'_>) -> String {
    format!("ca_file = {:?}\n", server.file)
}

fn showing(files: &TlsFiles) -> String {
    let TlsFiles { cert, key } = files;
    format!("client_cert_file = {cert:?}\nclient_key_file = {key:?}\n")
}

/// What failed last, once something has.
async fn last_error(world: &World) -> String {
    let failed = async {
        let mut looks = tokio::time::interval(std::time::Duration::from_millis(10));
        loop {
            looks.tick().await;
            let shown = world.api.get("/v1/webhooks").await.unwrap().body;
            if let Value::String(why) = &shown["webhooks"][0]["lastError"]["why"] {
                return why.clone();
            }
        }
    };
    rig::eventually("a failure", failed).await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_show_certificates_and_a_call_is_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let server = Authority::new(folder.path(), "server-ca");
    let clients = Authority::new(folder.path(), "clients-ca");
    let receiver = receiver(&server, &clients).await;
    let own = trusting(&server) + &showing(&clients.issue("antiphon"));
    let more = kept_in(folder.path()) + &webhook("story", &receiver.url(), &own);
    let world = World::with(&more).await;
    let guid = conversation(&world, &["customer-greeting", "agent-greeting"]).await;
    let told = finals_told(&world, &guid).await;
    delivered(&receiver, &guid, &told).await;
    assert_eq!(receiver.counts().deliveries, 2);
    world.end().await;
}

/// What waits meanwhile is delivered once the gateway has a certificate that is taken.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_that_the_receiver_knows_everything_waits() {
    let folder = tempfile::tempdir().unwrap();
    let server = Authority::new(folder.path(), "server-ca");
    let clients = Authority::new(folder.path(), "clients-ca");
    let strangers = Authority::new(folder.path(), "strangers-ca");
    let receiver = receiver(&server, &clients).await;
    let with = |own: &str| kept_in(folder.path()) + &webhook("story", &receiver.url(), own);

    let nobody = World::with(&with(&trusting(&server))).await;
    let guid = conversation(&nobody, &["customer-greeting"]).await;
    let told = finals_told(&nobody, &guid).await;
    let why = last_error(&nobody).await;
    // The refusal may come behind our first bytes, as a connection that breaks.
    let refusals = ["it refused us at TLS", "the connection was lost"];
    assert!(refusals.contains(&&*why), "{why}");
    nobody.end().await;

    let stranger = trusting(&server) + &showing(&strangers.issue("a-stranger"));
    let stranger = World::with(&with(&stranger)).await;
    let why = last_error(&stranger).await;
    assert!(refusals.contains(&&*why), "{why}");
    stranger.end().await;

    // Nor does the gateway talk to whom it does not trust.
    let wary = World::with(&with(&showing(&clients.issue("antiphon")))).await;
    assert_eq!(last_error(&wary).await, "its certificate is not trusted");
    wary.end().await;
    assert_eq!(receiver.counts().deliveries, 0);

    let known = trusting(&server) + &showing(&clients.issue("antiphon"));
    let known = World::with(&with(&known)).await;
    delivered(&receiver, &guid, &told).await;
    let waiting = "antiphon_delivery_waiting{endpoint=\"story\"}";
    until_metric(&known, waiting, |waiting| waiting == 0.0).await;
    known.end().await;
}
