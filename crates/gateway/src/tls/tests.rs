use std::fs;

use tempfile::TempDir;

use super::*;

const NEVER: Duration = Duration::from_secs(3_600);

/// A folder with a certificate and its key.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        files.renew();
        files
    }

    fn cert(&self) -> PathBuf {
        self.folder.path().join("tls.crt")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("tls.key")
    }

    /// New ones, as those who renew them do it: beside, and then renamed.
    fn renew(&self) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        self.replace(&self.cert(), &made.cert.pem());
        self.replace(&self.key(), &made.signing_key.serialize_pem());
        made.cert.der().clone()
    }

    fn replace(&self, file: &Path, text: &str) {
        let beside = self.folder.path().join("beside");
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, file).unwrap();
    }

    fn load(&self) -> Certificates {
        Certificates::load(&self.cert(), &self.key(), NEVER).unwrap()
    }
}

fn shown(certificates: &Certificates) -> CertificateDer<'static> {
    certificates.current.get().cert[0].clone()
}

#[test]
fn files_that_did_not_change_are_not_read_again() {
    let files = Files::new();
    let mut certificates = files.load();
    assert!(certificates.refresh().is_none());
}

#[test]
fn a_renewed_certificate_is_shown_without_a_restart() {
    let files = Files::new();
    let mut certificates = files.load();
    let before = shown(&certificates);
    let renewed = files.renew();
    assert!(certificates.refresh().unwrap().is_ok());
    assert_eq!(shown(&certificates), renewed);
    assert_ne!(renewed, before);
    assert!(certificates.refresh().is_none());
}

#[test]
fn a_bad_new_certificate_is_told_once_and_the_old_one_stays() {
    let files = Files::new();
    let mut certificates = files.load();
    let before = shown(&certificates);
    files.replace(&files.cert(), "nothing of the kind");
    assert!(matches!(
        certificates.refresh(),
        Some(Err(TlsError::Empty { .. }))
    ));
    assert!(certificates.refresh().is_none());
    fs::remove_file(files.cert()).unwrap();
    assert!(matches!(
        certificates.refresh(),
        Some(Err(TlsError::Pem { .. }))
    ));
    assert_eq!(shown(&certificates), before);
    let renewed = files.renew();
    assert!(certificates.refresh().unwrap().is_ok());
    assert_eq!(shown(&certificates), renewed);
}

#[test]
fn a_certificate_whose_key_is_not_there_yet_waits_for_it() {
    let files = Files::new();
    let mut certificates = files.load();
    let before = shown(&certificates);
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    files.replace(&files.cert(), &made.cert.pem());
    assert!(matches!(
        certificates.refresh(),
        Some(Err(TlsError::Pair(_)))
    ));
    assert_eq!(shown(&certificates), before);
    files.replace(&files.key(), &made.signing_key.serialize_pem());
    assert!(certificates.refresh().unwrap().is_ok());
    assert_eq!(shown(&certificates), *made.cert.der());
}

#[tokio::test(start_paused = true)]
async fn the_files_are_watched() {
    let files = Files::new();
    let certificates = files.load();
    let renewed = files.renew();
    let current = certificates.current.clone();
    let (told, mut heard) = tokio::sync::mpsc::channel(1);
    let watch = certificates.watch(move |good| told.try_send(good).unwrap());
    tokio::select! {
        () = watch => unreachable!("it watches for ever"),
        good = heard.recv() => assert_eq!(good, Some(true)),
    }
    assert_eq!(current.get().cert[0], renewed);
}
