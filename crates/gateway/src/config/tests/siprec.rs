use ingress::siprec::config::{BeforeStart, Codec, ServerLimits, SrtpPolicy};

use super::*;

const SIPREC: &str = r#"[siprec]
listen = ["udp:0.0.0.0:5060", "tls:[::]:5061"]
answer = "inactive"
[siprec.tls]
cert_file = "tls.crt"
key_file = "tls.key"
[[siprec.trunks]]
name = "oracle"
sources = ["192.0.2.0/24", "2001:db8::7/128"]
listeners = ["tls:[::]:5061"]
identifiers = ["apkt:ucid"]
media_line_order = "agent_first"
caller = "agent"
codecs = ["pcma"]
srtp = "require"
mixed = "refuse"
username = "antiphon"
password = "a digest password"
keep = ["name"]
[[siprec.trunks]]
name = "cucm"
sources = ["198.51.100.0/28"]
accept_anyway = true
answer = "recvonly"
pause_on_stop = true
sessions_max = 7
"#;

/// As if it stood beside a certificate and its key.
fn parse_siprec(text: &str) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["sip.example.com".to_owned()]).unwrap();
    std::fs::write(folder.path().join("tls.crt"), made.cert.pem()).unwrap();
    std::fs::write(
        folder.path().join("tls.key"),
        made.signing_key.serialize_pem(),
    )
    .unwrap();
    let file = folder.path().join("antiphon.toml");
    Config::parse(&file, &format!("{LEAST}{text}"), [])
}

#[test]
fn without_listeners_there_is_no_recording_server() {
    let config = parse(LEAST).unwrap();
    assert!(config.siprec().is_none());
    assert_eq!(config.api().namespaces, [Namespace::Twilio]);
    let listens = format!("{LEAST}[siprec]\nlisten = [\"udp:127.0.0.1:5060\"]\n");
    let config = parse(&listens).unwrap();
    assert_eq!(
        config.api().namespaces,
        [Namespace::Siprec, Namespace::Twilio]
    );
    assert_eq!(
        config.warnings(),
        ["siprec.listen is set and there are no siprec.trunks: nobody may record."]
    );
}

#[test]
fn the_recording_server_has_the_ingresss_defaults() {
    let listens = format!("{LEAST}[siprec]\nlisten = [\"udp:0.0.0.0:5060\", \"tcp:0.0.0.0:5060\"]");
    let config = parse(&listens).unwrap().siprec().unwrap();
    let defaults = SiprecConfig {
        retry_after: config.retry_after,
        limits: ServerLimits {
            // Less than a start waits.
            grant_wait: Duration::from_secs(4),
            ..ServerLimits::default()
        },
        ..SiprecConfig::default()
    };
    assert_eq!(format!("{config:?}"), format!("{defaults:?}"));
}

#[test]
fn a_trunk_has_rules_of_its_own_and_else_those_of_all() {
    let config = parse_siprec(SIPREC).unwrap();
    assert_eq!(config.warnings(), Vec::<String>::new());
    let config = config.siprec().unwrap();
    let [oracle, cucm] = &config.trunks[..] else {
        panic!("two trunks")
    };
    assert_eq!(oracle.sources[1].to_string(), "2001:db8::7/128");
    assert_eq!(oracle.listeners, ["tls:[::]:5061"]);
    assert_eq!(oracle.roles.customer_first, Some(false));
    assert!(!oracle.roles.caller_is_customer && !oracle.accept_mixed);
    assert_eq!(
        (oracle.answer, cucm.answer),
        (BeforeStart::Inactive, BeforeStart::RecvOnly)
    );
    assert_eq!((oracle.pause_on_stop, cucm.pause_on_stop), (false, true));
    assert_eq!((oracle.sessions_max, cucm.sessions_max), (1_000, 7));
    assert_eq!((oracle.accept_anyway, cucm.accept_anyway), (false, true));
    assert_eq!(oracle.media.codecs, [Codec::Pcma]);
    assert_eq!(
        (oracle.media.srtp, oracle.media.lines_max),
        (SrtpPolicy::Require, 2)
    );
    let credentials = oracle.credentials.as_ref().unwrap();
    assert_eq!(
        (&*credentials.user, &*credentials.password),
        ("antiphon", "a digest password")
    );
    assert!(cucm.credentials.is_none());
    assert_eq!((oracle.keep.len(), &*oracle.keep[0]), (1, "name"));
    assert_eq!((cucm.roles.customer_first, cucm.keep.len()), (None, 0));
}

/// Each change of [`SIPREC`] is told with these words.
fn each_is_told<const N: usize>(cases: [(&str, &str, &str); N]) {
    for (from, to, expected) in cases {
        let text = SIPREC.replace(from, to);
        assert_ne!(text, SIPREC, "{from}");
        let told = parse_siprec(&text).unwrap_err().problems;
        let told: Vec<_> = told.into_iter().map(|problem| problem.what).collect();
        let told = told.join("\n");
        assert!(told.contains(expected), "{expected}\nis not in\n{told}");
    }
}

#[test]
fn what_cannot_be_with_the_recording_server_is_told() {
    each_is_told([
        (
            "udp:0",
            "sctp:0",
            "siprec.listen: item 0: \"sctp:0.0.0.0:5060\" cannot be used (does not begin with udp:, \
             tcp: or tls:)",
        ),
        (
            "udp:0.0.0.0:5060",
            "tls:[::]:5061",
            "siprec.listen has tls:[::]:5061 twice",
        ),
        (
            "cert_file = \"tls.crt\"\nkey_file = \"tls.key\"\n",
            "",
            "siprec.listen has one for TLS, which needs siprec.tls.cert_file",
        ),
        (
            "key_file",
            "client_cert = \"required\"\nkey_file",
            "siprec.tls.client_cert needs siprec.tls.client_ca_file",
        ),
        (
            "answer = \"inactive\"",
            "rtp_ports = \"1000-2000\"",
            "siprec.rtp_ports: \"1000-2000\" cannot be used (has ports below 1024)",
        ),
        (
            "answer = \"inactive\"",
            "session_expires = \"30s\"",
            "siprec.session_expires is less than siprec.min_se",
        ),
        (
            "answer = \"inactive\"",
            "public_addresses = [\"192.0.2.1\", \"192.0.2.2\"]",
            "siprec.public_addresses has two of one kind",
        ),
    ]);
}

#[test]
fn what_cannot_be_with_a_trunk_is_told() {
    each_is_told([
        (
            "192.0.2.0/24",
            "192.0.2.0/33",
            "siprec.trunks.0.sources: item 0: \"192.0.2.0/33\"",
        ),
        (
            "\"cucm\"",
            "\"oracle\"",
            "siprec.trunks has the name \"oracle\" twice",
        ),
        (
            "listeners = [\"tls:[::]:5061\"]",
            "listeners = [\"udp:[::]:5061\"]",
            "siprec.trunks has \"oracle\" with a listener udp:[::]:5061 that siprec.listen has not",
        ),
        (
            "\"agent_first\"",
            "\"agent\"",
            "siprec.trunks.0.media_line_order = \"agent\": expected",
        ),
        ("[\"pcma\"]", "[]", "siprec.trunks.0.codecs is empty"),
        (
            "[\"pcma\"]",
            "[\"g729\"]",
            "siprec.trunks.0.codecs: item 0: expected \"l16\" or",
        ),
        (
            "username = \"antiphon\"",
            "contact = \"<sip:x>\"",
            "siprec.trunks.0.password needs",
        ),
        (
            "keep",
            "contact = \"<sip:x>\"\nkeep",
            "siprec.trunks.0.contact is not a host",
        ),
    ]);
}

#[test]
fn a_trunk_for_anybody_is_a_warning() {
    let text = SIPREC.replace("sources = [\"198.51.100.0/28\"]\n", "");
    let config = parse_siprec(&text).unwrap();
    let warnings = config.warnings();
    assert_eq!(warnings, ["siprec.trunks: anybody may record as \"cucm\"."]);
    assert!(!format!("{config:?}{:?}", config.siprec()).contains("a digest password"));
}
