//! Whose certificates are trusted, for all connections to services.
//! The only file that names rustls.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tracing::warn;

/// The TLS settings that all connections to services share.
#[derive(Clone, Debug)]
pub struct Trust(Arc<ClientConfig>);

/// Why there is nobody to trust.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read or holds no PEM.
    #[error("the file with the service's CA certificates cannot be read: {0}")]
    File(rustls_pki_types::pem::Error),
    /// The file holds no certificate.
    #[error("the file with the service's CA certificates holds none")]
    Nobody,
    /// TLS itself refuses.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

impl Trust {
    /// Trusts the certificates of a PEM file, or without one those of the operating system.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        match ca_file {
            Some(path) => {
                for certificate in CertificateDer::pem_file_iter(path).map_err(TrustError::File)? {
                    roots.add(certificate.map_err(TrustError::File)?)?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        match ca_file {
            Some(_) if roots.is_empty() => return Err(TrustError::Nobody),
            // Enough for services on this machine; any other will be refused.
            None if roots.is_empty() => warn!("The operating system trusts no CA certificate."),
            _ => {}
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }
}
