//! TLS: whom we trust, and who we are.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::endpoint::Tls;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for a name, and its key.
fn issued(by: &Authority, name: &str) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (parameters.signed_by(&key, by).unwrap(), key)
}

fn file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

/// Serves one request, from a client that shows a certificate if one is asked for.
struct Server {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Server {
    async fn new(authority: &Authority, asks: bool) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = match asks {
            true => builder.with_client_cert_verifier(verifier.build().unwrap()),
            false => builder.with_no_client_auth(),
        };
        let (certificate, key) = issued(authority, "localhost");
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = builder
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Self {
            listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }

    async fn serve(&self) {
        let (socket, _) = self.listener.accept().await.unwrap();
        let Ok(mut socket) = self.acceptor.accept(socket).await else {
            return;
        };
        let mut request = [0; 4096];
        if socket.read(&mut request).await.is_ok() {
            socket
                .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                .await
                .ok();
            socket.shutdown().await.ok();
        }
    }

    fn endpoint(&self, tls: Tls) -> Endpoint {
        let port = self.listener.local_addr().unwrap().port();
        Endpoint {
            tls,
            allow_private: true,
            ..Endpoint::new("crm", format!("https://localhost:{port}/").parse().unwrap())
        }
    }

    async fn outcome(&self, tls: Tls) -> Outcome {
        let endpoint = self.endpoint(tls);
        let (outcome, ()) = tokio::join!(post(&endpoint), self.serve());
        outcome
    }
}

#[tokio::test]
async fn a_receiver_of_ones_own_authority_is_trusted_if_its_file_is_named() {
    let authority = authority();
    let server = Server::new(&authority, false).await;
    let ca = file(&authority.pem());
    let trusting = Tls {
        ca_file: Some(ca.path().to_owned()),
        ..Tls::default()
    };
    assert_eq!(server.outcome(trusting).await.class, Class::Delivered);
    let untrusted = Outcome::new(Class::Failed, "its certificate is not trusted");
    assert_eq!(server.outcome(Tls::default()).await, untrusted);
    let stranger = file(&self::authority().pem());
    let wrong = Tls {
        ca_file: Some(stranger.path().to_owned()),
        ..Tls::default()
    };
    assert_eq!(server.outcome(wrong).await, untrusted);
}

#[tokio::test]
async fn a_receiver_that_asks_who_we_are_is_shown_our_certificate() {
    let authority = authority();
    let server = Server::new(&authority, true).await;
    let (certificate, key) = issued(&authority, "antiphon");
    let files = [
        file(&authority.pem()),
        file(&certificate.pem()),
        file(&key.serialize_pem()),
    ];
    let [ca, cert, key] = files.each_ref().map(|file| Some(file.path().to_owned()));
    let nobody = Tls {
        ca_file: ca,
        ..Tls::default()
    };
    let known = Tls {
        client_cert_file: cert,
        client_key_file: key,
        ..nobody.clone()
    };
    assert_eq!(server.outcome(known).await.class, Class::Delivered);
    assert_eq!(server.outcome(nobody).await.class, Class::Failed);
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let authority = authority();
    let (certificate, _) = issued(&authority, "antiphon");
    let cert = file(&certificate.pem());
    let other = file(&KeyPair::generate().unwrap().serialize_pem());
    let empty = file("");
    let path = |file: &NamedTempFile| Some(file.path().to_owned());
    let cases = [
        (
            Tls {
                ca_file: Some("/nonexistent".into()),
                ..Tls::default()
            },
            "ca_file",
        ),
        (
            Tls {
                ca_file: path(&empty),
                ..Tls::default()
            },
            "ca_file: it holds no certificate",
        ),
        (
            Tls {
                client_cert_file: path(&cert),
                ..Tls::default()
            },
            "go together",
        ),
        (
            Tls {
                client_cert_file: path(&cert),
                client_key_file: path(&empty),
                ..Tls::default()
            },
            "client_key_file",
        ),
        (
            Tls {
                client_cert_file: path(&cert),
                client_key_file: path(&other),
                ..Tls::default()
            },
            "client_cert_file",
        ),
    ];
    for (tls, expected) in cases {
        let told = tls::config(&tls).err().unwrap().to_string();
        assert!(told.contains(expected), "{told}");
    }
}
