use super::*;
use tempfile::TempDir;

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.renew();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn renew(&self) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(vec!["srs.example".to_owned()]).unwrap();
        self.write("tls.crt", &made.cert.pem());
        self.write("tls.key", &made.signing_key.serialize_pem());
        made.cert.der().clone()
    }

    /// Files are told apart by time or length, so a new one is a little longer.
    fn write(&self, name: &str, text: &str) {
        let before = std::fs::metadata(self.path(name)).map_or(0, |known| known.len() as usize);
        let padding = "\n".repeat((before + 1).saturating_sub(text.len()));
        std::fs::write(self.path(name), format!("{text}{padding}")).unwrap();
    }

    fn settings(&self) -> TlsSettings {
        TlsSettings {
            cert_file: Some(self.path("tls.crt")),
            key_file: Some(self.path("tls.key")),
            ..TlsSettings::default()
        }
    }
}

#[test]
fn a_new_certificate_is_shown_and_a_bad_one_is_not() {
    let files = Files::new();
    let mut tls = Tls::load(&files.settings(), &[]).unwrap();
    assert!(tls.refresh().is_none());
    let renewed = files.renew();
    assert!(tls.refresh().unwrap().is_ok());
    assert_eq!(tls.current.get().cert[0], renewed);
    files.write("tls.key", "nothing");
    assert!(tls.refresh().unwrap().is_err());
    assert_eq!(tls.current.get().cert[0], renewed);
}

#[test]
fn what_is_missing_is_named() {
    let files = Files::new();
    let missing = |settings: TlsSettings| Tls::load(&settings, &[]).unwrap_err().to_string();
    let without_key = TlsSettings {
        key_file: None,
        ..files.settings()
    };
    assert_eq!(missing(without_key), "key_file is missing");
    let without_authorities = TlsSettings {
        client_cert: ClientCert::Required,
        ..files.settings()
    };
    assert_eq!(missing(without_authorities), "client_ca_file is missing");
    files.write("empty.crt", "");
    let empty = TlsSettings {
        cert_file: Some(files.path("empty.crt")),
        ..files.settings()
    };
    assert!(missing(empty).ends_with("empty.crt has no certificate"));
}

#[test]
fn a_peer_has_those_of_the_trunks_names_that_its_certificate_has() {
    let made = rcgen::generate_simple_self_signed(vec![
        "sbc.example".to_owned(),
        "*.pool.example".to_owned(),
    ])
    .unwrap();
    let chain = [made.cert.der().clone()];
    let names = [
        "sbc.example",
        "SBC.example",
        "a.pool.example",
        "pool.example",
        "no name",
    ];
    let names: Vec<String> = names.map(str::to_owned).to_vec();
    let known = names_of(Some(&chain), &names);
    assert_eq!(*known, ["sbc.example", "SBC.example", "a.pool.example"]);
    assert!(names_of(None, &names).is_empty());
}
