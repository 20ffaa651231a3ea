//! Whom an endpoint's connections trust, and who we are to them.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::endpoint::{Problem, Tls};

/// TLS 1.2 and later, with the operating system's roots and the endpoint's own.
pub(super) fn config(tls: &Tls) -> Result<ClientConfig, Problem> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = &tls.ca_file {
        for certificate in certificates("ca_file", path)? {
            let unusable = |error: rustls::Error| Problem::File("ca_file", error.to_string());
            roots.add(certificate).map_err(unusable)?;
        }
    }
    let unusable = |error: rustls::Error| Problem::Client(error.to_string());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(roots);
    match (&tls.client_cert_file, &tls.client_key_file) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(chain), Some(key)) => {
            let chain = certificates("client_cert_file", chain)?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| unreadable("client_key_file", &error))?;
            let mismatch =
                |error: rustls::Error| Problem::File("client_cert_file", error.to_string());
            builder.with_client_auth_cert(chain, key).map_err(mismatch)
        }
        _ => Err(Problem::Range(
            "client_cert_file and client_key_file go together",
        )),
    }
}

/// What TLS says, if this is the cause. `io::Error` holds others without being caused by them.
pub(super) fn words(cause: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        let within = error.get_ref()?;
        return words(within);
    }
    let words = match cause.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(_) => "its certificate is not trusted",
        rustls::Error::AlertReceived(_) => "it refused us at TLS",
        _ => "TLS failed",
    };
    Some(words.to_owned())
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let found = CertificateDer::pem_file_iter(path).map_err(|error| unreadable(what, &error))?;
    let found: Result<Vec<_>, pem::Error> = found.collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err(Problem::File(what, "it holds no certificate".to_owned()))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(unreadable(what, &error)),
    }
}

fn unreadable(what: &'static str, error: &pem::Error) -> Problem {
    Problem::File(what, error.to_string())
}
