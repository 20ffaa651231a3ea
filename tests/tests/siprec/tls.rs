//! SIP over TLS: who has no good certificate is not spoken to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rig::World;
use sim::caller::siprec::{Options, SiprecCall};
use sim::caller::tls::client_config_as;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::scenes::{assert_heard, refusal};
use crate::support::{over, until_metric};
use crate::words::{GOODBYES, GREETINGS, converse, recording_with};

/// An authority and what it has signed, as files.
struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.crt"), certificate.pem()).unwrap();
        Self {
            folder,
            issuer: Issuer::new(params, key),
        }
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// Certificate and key of that name.
    fn certify(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let file = |kind: &str| self.folder.path().join(format!("{name}.{kind}"));
        let (cert_file, key_file) = (file("crt"), file("key"));
        std::fs::write(&cert_file, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        (cert_file, key_file)
    }
}

/// A gateway that speaks TLS to whoever this authority has certified, with a trunk for one name.
async fn secured(authority: &Authority, demand: &str) -> World {
    let (cert, key) = authority.certify("localhost");
    let more = format!(
        "[siprec]\nlisten = [\"tls:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]\n\
         [siprec.tls]\ncert_file = {cert:?}\nkey_file = {key:?}\nclient_ca_file = {:?}\n\
         client_cert = \"{demand}\"\n\
         [[siprec.trunks]]\nname = \"by-certificate\"\ntls_names = [\"sbc1.example.com\"]\n",
        authority.ca()
    );
    recording_with(&more).await
}

/// A caller that trusts the authority and shows this.
fn showing(world: &World, authority: &Authority, identity: Option<(&Path, &Path)>) -> Options {
    let mut options = world.recording_options();
    options.target = world.target("tls");
    options.tls = Arc::clone(&client_config_as(Some(&authority.ca()), identity).unwrap());
    options
}

const FAILED: &str = "antiphon_siprec_connections_ended_total{reason=\"failed\"}";

#[tokio::test(flavor = "multi_thread")]
async fn an_sbc_is_known_by_its_certificate_and_garbage_beside_it_harms_nothing() {
    let authority = Authority::new();
    let world = secured(&authority, "required").await;
    let (cert, key) = authority.certify("sbc1.example.com");
    let options = showing(&world, &authority, Some((&cert, &key)));
    let mut call = SiprecCall::dial(options).await.unwrap();
    let guid = call.guid();
    world.start(&mut call).await;
    converse(&world, &mut call, GREETINGS).await;
    let target = world.sip_address("tls");
    let trouble = async {
        for bytes in [
            &b"INVITE sip:srs@127.0.0.1 SIP/2.0\r\n\r\n"[..],
            &[22, 3, 1, 255],
            &[0; 99],
        ] {
            let mut stream = TcpStream::connect(target).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut said = Vec::new();
            drop(stream.read_to_end(&mut said).await);
        }
        until_metric(&world, FAILED, |count| count >= 3.0).await;
    };
    call.silence_while(trouble).await.unwrap();
    // Half-open handshakes.
    let waiting = [
        TcpStream::connect(target).await,
        TcpStream::connect(target).await,
    ];
    converse(&world, &mut call, GOODBYES).await;
    drop(waiting);
    world.stop(&mut call).await;
    assert_heard(&world, &guid, &[GREETINGS, GOODBYES]);
    over(&world, call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_certificate_nobody_is_spoken_to() {
    let (authority, other) = (Authority::new(), Authority::new());
    let world = secured(&authority, "required").await;
    let (cert, key) = other.certify("sbc1.example.com");
    for identity in [None, Some((&*cert, &*key))] {
        let options = showing(&world, &authority, identity);
        assert!(SiprecCall::dial(options).await.is_err());
    }
    until_metric(&world, FAILED, |count| count >= 2.0).await;
    assert_eq!(world.metric("antiphon_siprec_sessions").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_name_is_on_no_trunk() {
    let authority = Authority::new();
    let world = secured(&authority, "optional").await;
    let (cert, key) = authority.certify("sbc2.example.com");
    for identity in [None, Some((&*cert, &*key))] {
        let options = showing(&world, &authority, identity);
        assert_eq!(refusal(SiprecCall::dial(options).await).status, 403);
    }
    let plain = world.try_record(|_| {}).await;
    assert_eq!(refusal(plain).status, 403);
}
