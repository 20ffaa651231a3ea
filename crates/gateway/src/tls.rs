//! Our own certificate, read again when its files change. A bad new one never displaces a good old
//! one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem};
use thiserror::Error;

/// A certificate with its key, and the files they are from.
#[derive(Debug)]
pub struct Certificates {
    cert_file: PathBuf,
    key_file: PathBuf,
    check_interval: Duration,
    /// What the files looked like when they were last read, whether they were good or not.
    seen: [Option<Stamp>; 2],
    current: Arc<Current>,
}

/// Why files cannot be used. Says nothing of what is in them.
#[derive(Debug, Error)]
pub enum TlsError {
    /// It has no certificate.
    #[error("{} has no certificate", file.display())]
    Empty {
        /// Which file.
        file: PathBuf,
    },
    /// They do not fit, or are of a kind that is not known.
    #[error("certificate and key: {0}")]
    Pair(rustls::Error),
    /// It is not PEM, or cannot be read.
    #[error("{}: {error}", file.display())]
    Pem {
        /// Which file.
        file: PathBuf,
        /// Why not.
        error: pem::Error,
    },
    /// The TLS library refuses the settings.
    #[error(transparent)]
    Settings(rustls::Error),
}

/// What a file looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

/// What the next handshake shows.
struct Current(RwLock<Arc<CertifiedKey>>);

impl Certificates {
    /// Reads both files, and again every `check_interval` if they have changed.
    pub fn load(cert: &Path, key: &Path, check_interval: Duration) -> Result<Self, TlsError> {
        let (cert_file, key_file) = (cert.to_owned(), key.to_owned());
        // Looked at before they are read: what changes in between is read once more.
        let seen = [Stamp::of(cert), Stamp::of(key)];
        let current = Arc::new(Current(RwLock::new(Arc::new(read(cert, key)?))));
        Ok(Self {
            cert_file,
            key_file,
            check_interval,
            seen,
            current,
        })
    }

    /// For the acceptor: always shows the newest certificate.
    pub fn server_config(&self) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Settings)?
            .with_no_client_auth()
            .with_cert_resolver(self.current.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// Reads the files again if they have changed; `None` if they have not.
    pub fn refresh(&mut self) -> Option<Result<(), TlsError>> {
        let now = [Stamp::of(&self.cert_file), Stamp::of(&self.key_file)];
        if now == self.seen {
            return None;
        }
        self.seen = now;
        Some(read(&self.cert_file, &self.key_file).map(|pair| self.current.set(pair)))
    }

    /// Refreshes for ever, and tells each time whether the new files were good.
    pub async fn watch(mut self, told: impl Fn(bool)) {
        let mut ticks = tokio::time::interval(self.check_interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.refresh() {
                None => continue,
                Some(Ok(())) => {
                    tracing::info!("The certificate was read again.");
                    told(true);
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "The new certificate cannot be used; the old one stays.");
                    told(false);
                }
            }
        }
    }
}

impl Stamp {
    fn of(file: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(file).ok()?;
        let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
        Some(Self {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            inode,
        })
    }
}

impl Current {
    fn get(&self) -> Arc<CertifiedKey> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
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

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}

/// Reads a certificate with its chain, and its key, and sees whether they fit.
pub fn read(cert: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let chain = read_certificates(cert)?;
    let told = |error| TlsError::Pem {
        file: key.to_owned(),
        error,
    };
    let key = PrivateKeyDer::from_pem_file(key).map_err(told)?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(TlsError::Pair)
}

/// Reads certificates, at least one.
pub fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let told = |error| TlsError::Pem {
        file: file.to_owned(),
        error,
    };
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).map_err(told)?.collect();
    let found = found.map_err(told)?;
    if found.is_empty() {
        Err(TlsError::Empty {
            file: file.to_owned(),
        })
    } else {
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
