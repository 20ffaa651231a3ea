//! What callers and control clients trust: the system's roots, or one CA file.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// A TLS client that trusts the certificates of a PEM file, or the system's without one.
///
/// # Errors
/// When the file cannot be read, holds no certificate, or no crypto provider is installed.
pub fn client_config(ca_file: Option<&Path>) -> anyhow::Result<Arc<ClientConfig>> {
    client_config_as(ca_file, None)
}

/// The same for a client that shows a certificate of its own: files with certificate and key.
///
/// # Errors
/// As [`client_config`], and when certificate and key cannot be used together.
pub fn client_config_as(
    ca_file: Option<&Path>,
    identity: Option<(&Path, &Path)>,
) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
        Some(path) => {
            let pem = std::fs::read(path)
                .with_context(|| format!("cannot read the CA file {}", path.display()))?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                roots.add(certificate.context("bad certificate in the CA file")?)?;
            }
            ensure!(!roots.is_empty(), "no certificate in {}", path.display());
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let Some((certificate, key)) = identity else {
        return Ok(Arc::new(config.with_no_client_auth()));
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .with_context(|| format!("cannot read the certificate {}", certificate.display()))?;
    let key = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("cannot read the key {}", key.display()))?;
    Ok(Arc::new(config.with_client_auth_cert(chain, key)?))
}
