use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::peer::{Call, Peer};
use super::world::{World, config, trunk};
use crate::siprec::config::{ClientCert, SiprecConfig, TlsSettings};
use crate::siprec::tally::ConnectionEnd;
use crate::siprec::tls::provider;

const UCID: &str = "0019001038F725B3";

/// An authority, and what it signed for the server.
struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self {
            folder: tempfile::tempdir().unwrap(),
            issuer,
        };
        let (cert, key) = authority.sign("srs.example");
        authority.write("tls.crt", &cert);
        authority.write("tls.key", &key);
        authority.write("ca.crt", &authority.issuer.pem());
        authority
    }

    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        (cert.pem(), key.serialize_pem())
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn settings(&self, client_cert: ClientCert) -> TlsSettings {
        let file = |name| Some(self.folder.path().join(name));
        TlsSettings {
            cert_file: file("tls.crt"),
            key_file: file("tls.key"),
            client_ca_file: file("ca.crt"),
            client_cert,
            ..TlsSettings::default()
        }
    }

    fn world(&self, client_cert: ClientCert, tls_names: &[&str], first: u16) -> World {
        let mut trunk = trunk();
        trunk.tls_names = tls_names.iter().map(|name| (*name).to_owned()).collect();
        World::new(SiprecConfig {
            tls: self.settings(client_cert),
            trunks: vec![trunk],
            ..config(&["tls:127.0.0.1:0"], first)
        })
    }

    /// A peer with a certificate of this name, or with none.
    async fn peer(&self, world: &World, name: Option<&str>) -> std::io::Result<Peer> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match name {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let (cert, key) = self.sign(name);
                let cert = CertificateDer::from_pem_slice(cert.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![cert], key).unwrap()
            }
        };
        let stream = TcpStream::connect(world.address()).await.unwrap();
        let local = stream.local_addr().unwrap();
        let name = ServerName::try_from("srs.example").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let stream: TlsStream<TcpStream> = connector.connect(name, stream).await?;
        Ok(Peer::over("TLS", local, stream))
    }
}

#[tokio::test]
async fn a_trunk_knows_its_peer_by_a_name_of_its_certificate() {
    let authority = Authority::new();
    let mut world = authority.world(ClientCert::Required, &["sbc.example"], 42_300);
    let mut peer = authority.peer(&world, Some("sbc.example")).await.unwrap();
    let mut call = Call::new("one", UCID, 1);
    peer.invite(&mut call).await;
    world.leg().await;
    peer.bye(&mut call).await;
    assert_eq!(world.ending().await, "stopped");
    world.siprec.close_all().await;
}

#[tokio::test]
async fn a_peer_of_another_name_is_no_peer_of_the_trunk() {
    let authority = Authority::new();
    let world = authority.world(ClientCert::Optional, &["sbc.example"], 42_320);
    for name in [Some("other.example"), None] {
        let mut peer = authority.peer(&world, name).await.unwrap();
        let invite = Call::new("one", UCID, 1).invite(&peer);
        peer.send(&invite).await;
        let answer = peer.hear().await;
        assert!(answer.starts_with("SIP/2.0 403"), "{answer}");
    }
    world.siprec.close_all().await;
}

#[tokio::test]
async fn where_a_certificate_is_required_a_handshake_without_one_fails() {
    let authority = Authority::new();
    let world = authority.world(ClientCert::Required, &[], 42_340);
    // In TLS 1.3 a client learns that it was refused only when it reads.
    if let Ok(mut peer) = authority.peer(&world, None).await {
        assert!(peer.is_closed().await);
    }
    world.siprec.close_all().await;
    let ended = world
        .metrics
        .siprec()
        .connections_ended_total(ConnectionEnd::Failed);
    assert_eq!(ended, 1);
}
