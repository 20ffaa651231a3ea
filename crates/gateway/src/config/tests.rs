use proptest::prelude::*;

use super::words::{LogFormat, Service};
use super::*;

mod kept;
mod services;
mod siprec;

const LEAST: &str = r#"
[http]
public_url = "https://voice.example.com"
[[api_keys]]
id = "desktop"
secret = "open sesame"
[twilio]
auth_tokens = ["12345678901234567890123456789012"]
token_secret = "0123456789abcdef0123456789abcdef"
[upstream.autotranscribe]
base_url = "https://api.example.com"
api_id = "our-id"
api_secret = "our-secret"
"#;

fn parse(text: &str) -> Result<Config, ConfigError> {
    parse_with(text, &[])
}

fn parse_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Config::parse(
        Path::new("antiphon.toml"),
        text,
        variables.iter().map(owned),
    )
}

/// What is told about the least configuration with more lines after it.
fn told(more: &str) -> String {
    parse(&format!("{LEAST}{more}")).unwrap_err().to_string()
}

fn text_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(name)
}

/// Compares a generated file with the one that is checked in; `UPDATE_DOCS` writes it.
#[track_caller]
fn assert_checked_in(name: &str, generated: &str) {
    let path = text_of(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, generated).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == generated,
        "{name} is stale: run the test again with UPDATE_DOCS=1"
    );
}

#[test]
fn the_least_configuration_has_the_documented_defaults() {
    let config = parse(LEAST).unwrap();
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(
        config.http.public_url.as_str(),
        "https://voice.example.com/"
    );
    assert_eq!(config.http.tls.files(), None);
    assert!(config.twilio.require_signature);
    assert_eq!(config.twilio.token_ttl, Duration::from_secs(300));
    assert_eq!(config.upstream.service, Service::AutoTranscribe);
    assert_eq!(config.upstream.backlog_max, Duration::from_secs(30));
    assert_eq!(config.patience().start_grace, Duration::from_secs(2));
    assert_eq!(
        config.patience().drain_timeout,
        config.upstream.drain_timeout
    );
    assert_eq!(config.twilio.leg(), call::leg::LegConfig::default());
    assert_eq!(
        config.upstream.autotranscribe().unwrap().chunk,
        Duration::from_millis(100)
    );
    assert_eq!(config.upstream.backlog_max, Duration::from_secs(30));
    assert_eq!(
        config.upstream.stream(),
        upstream::stream::StreamConfig::default()
    );
    let api = config.api();
    assert_eq!(api.key_requests, ApiSettings::default().key_requests);
    assert_eq!(api.auth_failures, ApiSettings::default().auth_failures);
    assert!(!config.pci.discard_backlog);
    assert_eq!(config.limits.body_bytes_max, 65_536);
    assert_eq!(config.log.format, LogFormat::Text);
    assert_eq!(config.shutdown.drain_timeout, Duration::from_secs(3_600));
    assert_eq!(config.warnings(), Vec::<String>::new());
}

#[test]
fn an_unknown_key_is_told_with_its_line_and_the_nearest_known_one() {
    assert_eq!(
        told("[control]\nstart_grase = \"2s\"\n"),
        "antiphon.toml:15: unknown key control.start_grase; the nearest known is \
         control.start_grace"
    );
    assert_eq!(
        told("[upstrem]\n"),
        "antiphon.toml:14: unknown key upstrem; the nearest known is upstream"
    );
    assert_eq!(
        told("[[api_keys]]\nid = \"two\"\nsecret = \"x\"\nsecrets = \"y\"\n"),
        "antiphon.toml:17: unknown key api_keys.1.secrets; the nearest known is \
         api_keys.1.secret"
    );
}

#[test]
fn a_wrong_value_is_told_with_its_line_its_key_and_what_was_expected() {
    let cases = [
        (
            "[log]\nformat = \"xml\"",
            "antiphon.toml:15: log.format = \"xml\": expected \"json\" or \"text\"",
        ),
        (
            "[control]\nstop_timeout = 5",
            "antiphon.toml:15: control.stop_timeout = 5: expected a duration, \"100ms\" to \"1m\"",
        ),
        (
            "[limits]\nconnections_max = 0",
            "antiphon.toml:15: limits.connections_max = 0: expected a whole number, 1 to 1000000",
        ),
        (
            "[limits]\nbody_bytes_max = \"64KB\"",
            "antiphon.toml:15: limits.body_bytes_max = \"64KB\": expected a number of bytes, \
             \"1KiB\" to \"16MiB\"",
        ),
        (
            "[pci]\ndiscard_backlog = \"yes\"",
            "antiphon.toml:15: pci.discard_backlog = \"yes\": expected true or false",
        ),
        (
            "[[pci]]",
            "antiphon.toml:14: pci = a list: expected a section",
        ),
        (
            "[[upstream.vocabulary]]\nphrase = \"IEEE\"\nsounds_like = [\"i triple e\", 3]",
            "antiphon.toml:16: upstream.vocabulary.0.sounds_like: item 1: expected a text of 1 to \
             40 characters",
        ),
        (
            "[log]\nfilter = \"hyper=loud\"",
            "antiphon.toml:15: log.filter is not a list of rules: error parsing level filter: \
             expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", or a \
             number 0-5",
        ),
    ];
    for (more, expected) in cases {
        assert_eq!(told(more), expected);
    }
    let wanted = "expected an http or https URL without user, query and fragment";
    let url = |url| parse(&LEAST.replace("https://voice.example.com", url)).unwrap_err();
    assert_eq!(
        url("voice").to_string(),
        format!("antiphon.toml:3: http.public_url = \"voice\": {wanted}")
    );
    for secret in [
        "ftp://x.example",
        "https://me:geheim@x.example",
        "https://x.example/?a=b",
    ] {
        assert_eq!(
            url(secret).to_string(),
            format!("antiphon.toml:3: http.public_url: {wanted}")
        );
    }
}

#[test]
fn everything_that_is_missing_is_told_at_once() {
    let told = parse("").unwrap_err().to_string();
    let expected = [
        "antiphon.toml: http.public_url is missing: expected an http or https URL without user, \
         query and fragment; it can be set as ANTIPHON__HTTP__PUBLIC_URL too",
        "antiphon.toml: twilio.token_secret is missing: expected a secret: the value itself, \
         `file:NAME` or `env:NAME`; it can be set as ANTIPHON__TWILIO__TOKEN_SECRET too",
        "antiphon.toml: twilio.auth_tokens is empty: while twilio.require_signature is true, \
         expected at least one",
        "antiphon.toml: upstream.autotranscribe.base_url is missing: expected an http or https \
         URL without user, query and fragment; it can be set as \
         ANTIPHON__UPSTREAM__AUTOTRANSCRIBE__BASE_URL too",
        "antiphon.toml: api_keys is missing: expected at least one [[api_keys]] section",
    ];
    for problem in expected {
        assert!(
            told.lines().any(|line| line == problem),
            "{problem}\nis not in\n{told}"
        );
    }
    assert_eq!(told.lines().count(), 7, "{told}");
}

#[test]
fn mistakes_are_told_in_the_order_of_the_file_and_then_the_environment() {
    let text = format!("{LEAST}[log]\nlevel = 1\n[control]\nstart_grace = \"2\"\n[log]\n");
    let error = parse_with(&text, &[("ANTIPHON__PCI__DISCARD_BACKLOG", "1")]).unwrap_err();
    let places: Vec<String> = error.problems.iter().map(|p| p.place.to_string()).collect();
    let expected = ["antiphon.toml:15", "antiphon.toml:17", "antiphon.toml:18"].map(str::to_owned);
    assert_eq!(places[..3], expected);
    assert_eq!(places[3], "ANTIPHON__PCI__DISCARD_BACKLOG");
}

#[test]
fn the_environment_overrides_the_file() {
    let config = parse_with(
        LEAST,
        &[
            ("ANTIPHON__HTTP__LISTEN", "[::1]:9000"),
            ("ANTIPHON__UPSTREAM__AUTOTRANSCRIBE__CHUNK", "20ms"),
            ("ANTIPHON__TWILIO__SOCKETS_MAX", "7"),
            ("ANTIPHON__PCI__DISCARD_BACKLOG", "true"),
            ("ANTIPHON__TWILIO__AUTH_TOKENS", "[\"one\", \"env:OTHER\"]"),
            ("ANTIPHON__TWILIO__TOKEN_SECRET", "12345"),
            ("ANTIPHON__API_KEYS__0__SECRET", "changed"),
            ("ANTIPHON__API_KEYS__1__ID", "second"),
            ("ANTIPHON__API_KEYS__1__SECRET", "env:OTHER"),
            ("OTHER", "two"),
            ("ANTIPHON_CONFIG", "not ours to read"),
        ],
    )
    .unwrap();
    assert_eq!(config.http.listen.port(), 9000);
    assert_eq!(
        config.upstream.autotranscribe().unwrap().chunk,
        Duration::from_millis(20)
    );
    assert_eq!(config.twilio.sockets_max, 7);
    assert!(config.pci.discard_backlog);
    assert_eq!(config.twilio.auth_tokens[1].reveal(), "two");
    assert_eq!(config.twilio.token_secret.reveal(), "12345");
    let keys: Vec<(&str, &str)> = config
        .api_keys
        .iter()
        .map(|key| (key.id.as_str(), key.secret.reveal().as_str()))
        .collect();
    assert_eq!(keys, [("desktop", "changed"), ("second", "two")]);
}

#[test]
fn the_environment_alone_is_enough() {
    let config = parse_with(
        "",
        &[
            ("ANTIPHON__HTTP__PUBLIC_URL", "https://voice.example.com"),
            (
                "ANTIPHON__API_KEYS",
                "[{ id = \"desktop\", secret = \"open sesame\" }]",
            ),
            (
                "ANTIPHON__TWILIO__AUTH_TOKENS__0",
                "12345678901234567890123456789012",
            ),
            (
                "ANTIPHON__TWILIO__TOKEN_SECRET",
                "0123456789abcdef0123456789abcdef",
            ),
            (
                "ANTIPHON__UPSTREAM__AUTOTRANSCRIBE__BASE_URL",
                "https://api.example.com",
            ),
            ("ANTIPHON__UPSTREAM__AUTOTRANSCRIBE__API_ID", "our-id"),
            (
                "ANTIPHON__UPSTREAM__AUTOTRANSCRIBE__API_SECRET",
                "our-secret",
            ),
        ],
    );
    assert_eq!(config.unwrap(), parse(LEAST).unwrap());
}

#[test]
fn mistakes_in_the_environment_are_told_with_the_variable() {
    let cases = [
        (
            "ANTIPHON__HTTP__LISTN",
            "ANTIPHON__HTTP__LISTN: unknown key http.listn; the nearest known is http.listen",
        ),
        (
            "ANTIPHON__LOG__LEVEL",
            "ANTIPHON__LOG__LEVEL: log.level = \"x\": expected \"debug\" or \"error\" or \"info\" \
             or \"trace\" or \"warn\"",
        ),
        (
            "ANTIPHON__API_KEYS__7__ID",
            "ANTIPHON__API_KEYS__7__ID: item 7 of a list that has 1: the next is 1",
        ),
        (
            "ANTIPHON__HTTP__PUBLIC_URL__MORE",
            "ANTIPHON__HTTP__PUBLIC_URL__MORE: `more` cannot be inside a value that is not a \
             section",
        ),
        (
            "ANTIPHON__HTTP__",
            "ANTIPHON__HTTP__: names no key: expected ANTIPHON__SECTION__KEY",
        ),
    ];
    for (variable, expected) in cases {
        assert_eq!(
            parse_with(LEAST, &[(variable, "x")])
                .unwrap_err()
                .to_string(),
            expected
        );
    }
}

#[test]
fn secrets_are_values_or_files_or_variables() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret.txt"), "from a file\n").unwrap();
    std::fs::write(folder.path().join("empty.txt"), "\n").unwrap();
    let file = folder.path().join("antiphon.toml");
    let secret = |given: &str| {
        let text = LEAST.replace("open sesame", given);
        let variables = [("NAME".to_owned(), "from a variable".to_owned())];
        let config = Config::parse(&file, &text, variables);
        config
            .map(|config| config.api_keys[0].secret.reveal().clone())
            .map_err(|error| {
                let [problem] = &error.problems[..] else {
                    panic!("{error}")
                };
                problem
                    .what
                    .replace(&*folder.path().to_string_lossy(), "FOLDER")
            })
    };
    assert_eq!(secret("a value").unwrap(), "a value");
    assert_eq!(secret("file:secret.txt").unwrap(), "from a file");
    assert_eq!(secret("env:NAME").unwrap(), "from a variable");
    assert_eq!(
        secret("env:NOBODY").unwrap_err(),
        "api_keys.0.secret: the environment variable NOBODY is not set"
    );
    assert_eq!(
        secret("file:empty.txt").unwrap_err(),
        "api_keys.0.secret: FOLDER/empty.txt is empty"
    );
    assert_eq!(
        secret("file:nothing.txt").unwrap_err(),
        "api_keys.0.secret: cannot read FOLDER/nothing.txt: No such file or directory (os error 2)"
    );
    assert_eq!(
        secret("").unwrap_err(),
        "api_keys.0.secret: the secret is empty"
    );
}

#[test]
fn certificate_and_key_come_together_and_are_read_before_anything_is_served() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tls.crt"), "nothing of the kind").unwrap();
    let file = folder.path().join("antiphon.toml");
    let told = |more: &str| {
        let told = Config::parse(&file, &format!("{LEAST}[http.tls]\n{more}"), []).unwrap_err();
        told.to_string()
            .replace(&*folder.path().to_string_lossy(), "FOLDER")
    };
    assert_eq!(
        told("cert_file = \"tls.crt\""),
        "FOLDER/antiphon.toml:15: http.tls.cert_file needs http.tls.key_file beside it"
    );
    assert_eq!(
        told("cert_file = \"tls.crt\"\nkey_file = \"tls.crt\""),
        "FOLDER/antiphon.toml:15: http.tls.cert_file cannot be used: FOLDER/tls.crt has no \
         certificate"
    );
}

#[test]
fn an_api_key_has_an_id_of_its_own() {
    let told = told("[[api_keys]]\nid = \"desktop\"\nsecret = \"x\"\n");
    assert_eq!(told, "antiphon.toml: api_keys has the id \"desktop\" twice");
}

#[test]
fn what_is_unwise_is_a_warning() {
    let text = LEAST
        .replace("https://", "http://")
        .replace("0123456789abcdef0123456789abcdef", "short")
        .replace("[twilio]", "[twilio]\nrequire_signature = false");
    let told = parse(&text).unwrap_err().to_string();
    let expected = "antiphon.toml: upstream.allow_plain is false, and \
        upstream.autotranscribe.base_url is http: on another machine";
    assert_eq!(told, expected);
    let text = format!("{text}[upstream]\nallow_plain = true\n");
    assert_eq!(parse(&text).unwrap().warnings().len(), 3);
    let local = LEAST.replace("https://voice.example.com", "http://127.0.0.1:8080");
    assert_eq!(parse(&local).unwrap().warnings(), Vec::<String>::new());
}

#[test]
fn a_reload_brings_keys_tokens_and_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("antiphon.toml");
    let text = LEAST.replace(
        "[twilio]",
        "[twilio]\ntoken_secrets_accepted = [\"former\"]",
    ) + "[[twilio.shared_keys]]\nid = \"SK1\"\nsecret = \"shared\"\n";
    std::fs::write(&file, &text).unwrap();
    let before = Config::load(&file).unwrap();
    assert_eq!(before.file, file);
    std::fs::write(&file, text.replace("open sesame", "another")).unwrap();
    let after = Config::reload(&file).unwrap();
    assert_eq!(after.api_keys[0].secret.reveal(), "another");
    assert_eq!(after.token_secrets[1].reveal(), "former");
    assert_eq!(after.shared_keys[0].0, "SK1");
    assert_eq!(after.auth_tokens, before.twilio.auth_tokens);
    std::fs::write(&file, "nonsense").unwrap();
    assert!(Config::reload(&file).is_err());
}

#[test]
fn a_file_that_is_not_there_is_told() {
    assert_eq!(
        Config::load(Path::new("/nowhere/antiphon.toml"))
            .unwrap_err()
            .to_string(),
        "/nowhere/antiphon.toml: cannot be read: No such file or directory (os error 2)"
    );
}

#[test]
fn what_is_printed_says_where_each_value_is_from_and_can_be_read_again() {
    let variables = [("ANTIPHON__TWILIO__SOCKETS_MAX".to_owned(), "7".to_owned())];
    let text = format!("{LEAST}[[upstream.vocabulary]]\nphrase = \"IEEE\"\n");
    let (config, reading) = read(
        Path::new("antiphon.toml"),
        &text,
        variables.clone().into(),
        false,
    );
    let printed = print::effective(&reading.outline, &config.warnings());
    for line in [
        "public_url = \"https://voice.example.com/\" # antiphon.toml:3",
        "secret = \"•••\" # antiphon.toml:6",
        "auth_tokens = [\"•••\"] # antiphon.toml:8",
        "listen = \"127.0.0.1:8080\"",
        "# cert_file is not set",
        "sockets_max = 7 # ANTIPHON__TWILIO__SOCKETS_MAX",
        "[[api_keys]]",
        "[[upstream.vocabulary]]",
    ] {
        assert!(
            printed.lines().any(|printed| printed == line),
            "{line}\nis not in\n{printed}"
        );
    }
    let again = Config::parse(Path::new("antiphon.toml"), &printed, []).unwrap();
    assert_eq!(again.limits, config.limits);
    assert_eq!(again.twilio.sockets_max, 7);
    assert_eq!(again.upstream.vocabulary, config.upstream.vocabulary);
    assert_eq!(again.warnings().len(), 1, "dots are a short secret");
}

#[test]
fn the_sample_file_is_generated_from_the_declarations() {
    assert_checked_in("deploy/antiphon.toml", &Config::sample());
}

#[test]
fn the_manual_is_generated_from_the_declarations() {
    assert_checked_in("docs/config.md", &Config::manual());
}

#[test]
fn the_sample_file_equals_the_defaults_and_has_every_key() {
    let text = std::fs::read_to_string(text_of("deploy/antiphon.toml")).unwrap();
    let file = Path::new("antiphon.toml");
    let (sample, reading) = read(file, &text, BTreeMap::new(), false);
    let (defaults, nothing) = read(file, "", BTreeMap::new(), false);
    assert_eq!(sample, defaults);
    let told = |reading: &Reading| -> Vec<String> {
        reading
            .problems
            .iter()
            .map(|problem| problem.what.clone())
            .collect()
    };
    assert_eq!(
        told(&reading),
        told(&nothing),
        "what is required is commented out"
    );
    // With nothing commented out it is a whole configuration, but for files that are not here and
    // for ways to authenticate of which a webhook has one.
    let other_ways = ["header", "header_secret", "parameter", "parameter_secret"];
    let assignment = |line: &str| {
        let line = line.strip_prefix("# ").unwrap_or(line);
        let key = line.split(" = ").next().unwrap_or_default();
        let named = key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let given = line.starts_with('[') || line.contains(" = ") && named;
        let fits = !line.contains("_file = ") && !other_ways.contains(&key);
        (given && fits).then(|| format!("{line}\n"))
    };
    let whole: String = text.lines().filter_map(assignment).collect();
    let names = ["API_SECRET", "SIGNING_KEY", "STORE_KEY", "TOKEN_SECRET"];
    let names = names.map(|name| format!("ANTIPHON_{name}"));
    let others = [
        "ASAPP_API_ID",
        "ASAPP_API_SECRET",
        "ASSEMBLYAI_API_KEY",
        "DEEPGRAM_API_KEY",
        "SIPREC_TRUNK_PASSWORD",
        "TWILIO_SHARED_KEY",
    ];
    let others = others.map(str::to_owned);
    let variables = names
        .into_iter()
        .chain(others)
        .map(|name| (name, "x".repeat(32)));
    let config = Config::parse(file, &whole, variables).unwrap();
    assert_eq!(config.upstream.vocabulary.len(), 1);
    for outlined in &reading_of_nothing().outline {
        if let section::Outlined::Key(row) = outlined {
            let line = format!("{} = ", row.key);
            let has = |found: &str| found.trim_start_matches("# ").starts_with(&line);
            assert!(text.lines().any(has), "{} is missing", row.key);
        }
    }
}

#[test]
fn a_mistake_of_syntax_does_not_quote_the_line() {
    let told = told("[twilio.x]\nsecret = \"geheim\n");
    assert!(
        told.contains("antiphon.toml:15: this is not TOML"),
        "{told}"
    );
    assert!(!told.contains("geheim"), "{told}");
}

proptest! {
    #[test]
    fn no_secret_is_ever_printed(secrets in proptest::collection::vec("[A-Za-z0-9]{16,40}", 7)) {
        let text = LEAST
            .replace("open sesame", &secrets[0])
            .replace("12345678901234567890123456789012", &secrets[1])
            .replace("0123456789abcdef0123456789abcdef", &secrets[2])
            .replace("our-id", &secrets[3])
            .replace("our-secret", "env:SECRET")
            .replace("[twilio]", &format!("[twilio]\ntoken_secrets_accepted = [{:?}]", secrets[5]));
        let text =
            format!("{text}[[twilio.shared_keys]]\nid = \"SK1\"\nsecret = {:?}\n", secrets[6]);
        let variables = BTreeMap::from([("SECRET".to_owned(), secrets[4].clone())]);
        let file = Path::new("antiphon.toml");
        let (config, reading) = read(file, &text, variables.clone(), false);
        prop_assert_eq!(&reading.problems, &[]);
        let printed = print::effective(&reading.outline, &config.warnings());
        let reloadable = config.reloadable();
        let broken = text
            .replace("auth_tokens = [", "auth_tokens = [[], ")
            .replace("secret = ", "secret = [1, ")
            .replace("api_id = ", "api_idd = ")
            .replace("token_secret = ", "token_secret = 7 # ");
        let told = Config::parse(file, &broken, variables).unwrap_err().to_string();
        let everything = format!("{config:?}{reloadable:?}{printed}{told}");
        for secret in &secrets {
            prop_assert!(!everything.contains(secret), "{secret} is in {everything}");
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[\\[\\]a-z_.=\" \n0-9]{0,80}", value in ".{0,20}") {
        let variables = [("ANTIPHON__API_KEYS__0__ID".to_owned(), value)];
        prop_assert!(Config::parse(Path::new("x"), &text, variables).is_err());
    }
}
