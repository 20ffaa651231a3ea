use call::private::Private;

use super::*;

fn endpoint(url: &str) -> Endpoint {
    Endpoint::new("crm", Url::parse(url).unwrap())
}

fn problem(endpoint: &Endpoint) -> String {
    check(endpoint).unwrap_err().to_string()
}

fn good() -> Endpoint {
    endpoint("https://crm.example.com/hook?x=1")
}

#[test]
fn the_defaults_are_good() {
    check(&good()).unwrap();
}

#[test]
fn a_url_without_tls_needs_leave_and_none_has_user_or_fragment() {
    for url in [
        "http://crm.example.com/",
        "https://u:p@example.com/",
        "https://example.com/#x",
    ] {
        assert!(
            problem(&endpoint(url)).starts_with("url must begin with https://"),
            "{url}"
        );
    }
    let plain = Endpoint {
        allow_http: true,
        ..endpoint("http://crm.example.com/")
    };
    check(&plain).unwrap();
    assert!(
        problem(&Endpoint {
            url: "ftp://x/".parse().unwrap(),
            ..plain
        })
        .contains("https")
    );
}

#[test]
fn a_private_address_needs_leave_also_where_tokens_are_given() {
    let inside = endpoint("https://192.168.1.1/");
    assert!(problem(&inside).contains("not public"));
    check(&Endpoint {
        allow_private: true,
        ..inside
    })
    .unwrap();
    let oauth2 = OAuth2 {
        token_url: "https://169.254.169.254/token".parse().unwrap(),
        client_id: "a".to_owned(),
        client_secret: "b".to_owned().into(),
        scope: None,
        audience: None,
        secret_in_body: false,
    };
    let authentication = Authentication::OAuth2(oauth2);
    let problem = problem(&Endpoint {
        authentication,
        ..good()
    });
    assert!(problem.starts_with("token_url leads to"), "{problem}");
}

#[test]
fn asapps_format_is_for_transcripts_only_and_says_so() {
    let mut endpoint = good();
    endpoint.filter.kinds = vec!["transcript".to_owned(), "gap".to_owned()];
    let told = problem(&endpoint);
    assert!(told.contains("`asapp` is for final transcripts only") && told.contains("`gap`"));
    endpoint.format = Format::Envelope;
    check(&endpoint).unwrap();
}

#[test]
fn unknown_and_partial_events_are_refused() {
    let with = |kinds: &[&str]| {
        let mut endpoint = good();
        endpoint.format = Format::CloudEvents;
        endpoint.filter.kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        problem(&endpoint)
    };
    assert!(with(&[]).contains("no events"));
    assert!(with(&["gaps"]).contains("`gaps`"));
    assert!(with(&["partial"]).contains("partial transcripts are not sent"));
}

#[test]
fn a_header_of_ours_cannot_be_the_secrets() {
    let with = |name: &str, secret: &str| {
        let (name, secret) = (name.to_owned(), Private::new(secret.to_owned()));
        let authentication = Authentication::Header { name, secret };
        check(&Endpoint {
            authentication,
            ..good()
        })
    };
    with("Authorization", "Bearer x").unwrap();
    with("x-api-key", "x").unwrap();
    for name in ["Host", "content-type", "Webhook-Signature", "a b", ""] {
        assert!(matches!(with(name, "x"), Err(Problem::Header(_))), "{name}");
    }
    let error = with("x-api-key", "geheim\n").unwrap_err().to_string();
    assert!(!error.contains("geheim"));
}

#[test]
fn numbers_have_their_ranges() {
    let bad = [
        Endpoint {
            concurrency: 0,
            ..good()
        },
        Endpoint {
            batch_max: 0,
            ..good()
        },
        Endpoint {
            pending_max: 0,
            ..good()
        },
        Endpoint {
            timeout: Duration::ZERO,
            ..good()
        },
        Endpoint {
            retries: Retries::Schedule(Vec::new()),
            ..good()
        },
        Endpoint {
            retries: Retries::Schedule(vec![Duration::MAX]),
            ..good()
        },
        Endpoint {
            name: "a b".to_owned(),
            ..good()
        },
        Endpoint {
            name: String::new(),
            ..good()
        },
        Endpoint {
            proxy: Some("socks5://x".parse().unwrap()),
            ..good()
        },
    ];
    for endpoint in bad {
        assert!(check(&endpoint).is_err(), "{endpoint:?}");
    }
}

#[test]
fn an_endpoint_prints_neither_query_nor_secrets() {
    let mut endpoint = good();
    endpoint.secrets = vec![Private::new("whsec_geheim".to_owned())];
    let shown = format!("{endpoint:?}");
    assert!(
        shown.contains("crm.example.com") && !shown.contains("x=1"),
        "{shown}"
    );
    assert!(!shown.contains("geheim"));
}

#[test]
fn formats_are_read_as_they_are_written() {
    for format in Format::ALL {
        assert_eq!(Format::parse(format.as_str()), Some(format));
    }
    assert_eq!(Format::parse("xml"), None);
}
