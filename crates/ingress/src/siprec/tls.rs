//! TLS of SIP connections: who we are, whom we believe, and by which of its names a peer is known.
//!
//! Certificate and key are read again when their files change; a bad new one never displaces a good
//! old one. RFC 5922, RFC 7866 §12.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::client::{self, ResolvesClientCert};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use thiserror::Error;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::siprec::config::{ClientCert, TlsSettings};
use crate::siprec::trust::Chain;

/// Both ends of TLS, for our listeners and for connections that we open.
pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    /// None without authorities to check a peer's certificate against.
    pub(crate) connector: Option<TlsConnector>,
    files: [PathBuf; 2],
    /// What they looked like when they were last read, whether they were good or not.
    seen: [Option<Stamp>; 2],
    current: Arc<Current>,
}

/// Why certificates cannot be used. Says nothing of what is in them.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The library refuses the authorities or the settings.
    #[error("{0}")]
    Authorities(String),
    /// It has no certificate.
    #[error("{} has no certificate", .0.display())]
    Empty(PathBuf),
    /// There is a TLS listener, or a peer must show a certificate, and a file is not named.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Certificate and key do not fit, or are of a kind that is not known.
    #[error("certificate and key: {0}")]
    Pair(rustls::Error),
    /// A file is not PEM, or cannot be read.
    #[error("{}: {error}", file.display())]
    Pem {
        /// Which one.
        file: PathBuf,
        /// Why not.
        error: rustls_pki_types::pem::Error,
    },
}

/// What a file looks like from outside.
type Stamp = (Option<SystemTime>, u64);

/// What the next handshake shows.
struct Current(RwLock<Arc<CertifiedKey>>);

impl Tls {
    /// Reads all files. `names` are those that trunks know peers by.
    pub(crate) fn load(settings: &TlsSettings, names: &[String]) -> Result<Self, TlsError> {
        let needed = |file: &Option<PathBuf>, key| file.clone().ok_or(TlsError::Missing(key));
        let files = [
            needed(&settings.cert_file, "cert_file")?,
            needed(&settings.key_file, "key_file")?,
        ];
        let seen = stamps(&files);
        let current = Arc::new(Current(RwLock::new(Arc::new(read(&files)?))));
        let roots = match &settings.client_ca_file {
            None if settings.client_cert != ClientCert::None => {
                return Err(TlsError::Missing("client_ca_file"));
            }
            None => None,
            Some(file) => Some(Arc::new(authorities(file)?)),
        };
        let server = server_config(settings.client_cert, roots.as_ref(), &current)?;
        let connector = roots
            .map(|roots| client_config(roots, names, &current))
            .transpose()?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector: connector.map(|config| TlsConnector::from(Arc::new(config))),
            files,
            seen,
            current,
        })
    }

    /// Reads certificate and key again if they have changed; `None` if they have not.
    pub(crate) fn refresh(&mut self) -> Option<Result<(), TlsError>> {
        let now = stamps(&self.files);
        if now == self.seen {
            return None;
        }
        self.seen = now;
        Some(read(&self.files).map(|pair| self.current.set(pair)))
    }
}

/// Those of `names` that the peer's certificate is valid for. Wildcards are the library's business.
pub(crate) fn names_of(
    certificates: Option<&[CertificateDer<'_>]>,
    names: &[String],
) -> Arc<[String]> {
    let first = certificates.and_then(|chain| chain.first());
    let parsed = first.and_then(|first| ParsedCertificate::try_from(first).ok());
    let Some(parsed) = parsed else {
        return Arc::from([]);
    };
    let is_valid = |name: &&String| {
        ServerName::try_from(name.as_str())
            .is_ok_and(|name| client::verify_server_name(&parsed, &name).is_ok())
    };
    names.iter().filter(is_valid).cloned().collect()
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn server_config(
    client_cert: ClientCert,
    roots: Option<&Arc<RootCertStore>>,
    current: &Arc<Current>,
) -> Result<ServerConfig, TlsError> {
    let refused = |error: &dyn fmt::Display| TlsError::Authorities(error.to_string());
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(&error))?;
    let builder = match (client_cert, roots) {
        (ClientCert::None, _) | (_, None) => builder.with_no_client_auth(),
        (wish, Some(roots)) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider());
            let verifier = match wish {
                ClientCert::Optional => verifier.allow_unauthenticated(),
                ClientCert::None | ClientCert::Required => verifier,
            };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| refused(&error))?)
        }
    };
    Ok(builder.with_cert_resolver(Arc::clone(current) as Arc<dyn ResolvesServerCert>))
}

fn client_config(
    roots: Arc<RootCertStore>,
    names: &[String],
    current: &Arc<Current>,
) -> Result<ClientConfig, TlsError> {
    let refused = |error: rustls::Error| TlsError::Authorities(error.to_string());
    Ok(ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Chain::new(roots, names)))
        .with_client_cert_resolver(Arc::clone(current) as Arc<dyn ResolvesClientCert>))
}

fn authorities(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots
            .add(certificate)
            .map_err(|error| TlsError::Authorities(error.to_string()))?;
    }
    Ok(roots)
}

fn read([cert, key]: &[PathBuf; 2]) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(cert)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, error))?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(TlsError::Pair)
}

/// At least one.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let told = |error| unreadable(file, error);
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).map_err(told)?.collect();
    let found = found.map_err(told)?;
    if found.is_empty() {
        return Err(TlsError::Empty(file.to_owned()));
    }
    Ok(found)
}

fn unreadable(file: &Path, error: rustls_pki_types::pem::Error) -> TlsError {
    let file = file.to_owned();
    TlsError::Pem { file, error }
}

fn stamps(files: &[PathBuf; 2]) -> [Option<Stamp>; 2] {
    files.each_ref().map(|file| {
        let metadata = std::fs::metadata(file).ok()?;
        Some((metadata.modified().ok(), metadata.len()))
    })
}

impl Current {
    fn get(&self) -> Arc<CertifiedKey> {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    fn set(&self, pair: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.get())
    }
}

impl ResolvesClientCert for Current {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.get())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

#[cfg(test)]
mod tests;
