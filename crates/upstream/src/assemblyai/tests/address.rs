use call::start::Phrase;
use futures_util::FutureExt;

use super::*;

/// Nothing waits where the key is shown in a header.
fn located(config: &AssemblyAiConfig, spec: &StreamSpec) -> Result<Located, LocateError> {
    let service = service(config);
    let located = service.locate(spec).now_or_never();
    located.expect("nothing to wait for")
}

fn address(config: &AssemblyAiConfig, spec: &StreamSpec) -> String {
    let located = located(config, spec).unwrap_or_else(|error| panic!("{error}"));
    assert!(located.fresh);
    located.request.uri().to_string()
}

fn query(config: &AssemblyAiConfig, spec: &StreamSpec) -> String {
    let address = address(config, spec);
    let rest = address.strip_prefix("wss://streaming.assemblyai.com/v3/ws?");
    rest.unwrap().to_owned()
}

fn vocabulary(phrases: &[&str]) -> StreamOptions {
    let phrases = phrases.iter().map(|phrase| Phrase {
        phrase: (*phrase).to_owned().into(),
        sounds_like: Vec::new(),
        category: None,
    });
    StreamOptions {
        vocabulary: phrases.collect(),
        ..options()
    }
}

#[test]
fn a_plain_stream_asks_for_formatted_turns_of_a_pinned_model() {
    assert_eq!(
        query(&config(), &spec(options())),
        "sample_rate=8000&encoding=pcm_s16le&speech_model=universal-streaming-english\
         &format_turns=true&session_heartbeat=true&include_partial_turns=false",
    );
}

#[test]
fn a_start_as_it_comes_from_the_control_api_is_redacted() {
    assert_eq!(
        query(&config(), &spec(StreamOptions::default())),
        "sample_rate=8000&encoding=pcm_s16le&speech_model=universal-streaming-english\
         &format_turns=true&redact_pii=true\
         &redact_pii_policies=%5B%22account_number%22%2C%22banking_information%22\
         %2C%22credit_card_cvv%22%2C%22credit_card_expiration%22%2C%22credit_card_number%22\
         %2C%22drivers_license%22%2C%22passport_number%22%2C%22password%22\
         %2C%22us_social_security_number%22%5D\
         &session_heartbeat=true&include_partial_turns=false",
    );
}

#[test]
fn what_is_wished_goes_before_what_is_configured_and_both_before_what_we_would_choose() {
    let mut config = configured(&[
        ("speech_model", "universal-3-5-pro"),
        ("min_turn_silence", "300"),
        ("keyterms_prompt", r#"["Jon Snow","R&D"]"#),
        ("session_heartbeat", "false"),
    ]);
    config.encoding = Encoding::Mulaw;
    config.partials = true;
    let mut spec = spec(options());
    spec.wish = wish(
        Some("assemblyai"),
        &[("min_turn_silence", "500"), ("vad_threshold", "0.3")],
    );
    assert_eq!(
        query(&config, &spec),
        "sample_rate=8000&encoding=pcm_mulaw&min_turn_silence=500&vad_threshold=0.3\
         &speech_model=universal-3-5-pro&keyterms_prompt=%5B%22Jon+Snow%22%2C%22R%26D%22%5D\
         &session_heartbeat=false&language_codes=%5B%22en%22%5D",
    );
}

#[test]
fn what_was_wished_of_another_service_is_not_asked_of_this_one() {
    let plain = query(&config(), &spec(options()));
    let mut other = spec(options());
    other.wish = wish(Some("deepgram"), &[("format_turns", "false")]);
    assert_eq!(query(&config(), &other), plain);
    // It came here when no service was named, and the one it was meant for was out of order.
    other.wish = wish(None, &[("smart_format", "true")]);
    assert_eq!(query(&config(), &other), plain);
}

#[test]
fn the_language_chooses_the_model_or_is_told_to_it() {
    let spoken = |language: &str| {
        spec(StreamOptions {
            language: language.to_owned(),
            ..options()
        })
    };
    let spanish = query(&config(), &spoken("es-US"));
    assert!(
        spanish.contains("speech_model=universal-streaming-multilingual&format_turns=true"),
        "{spanish}"
    );
    let pro = configured(&[("speech_model", "universal-3-5-pro")]);
    let spanish = query(&pro, &spoken("es-US"));
    assert!(
        spanish.contains("language_codes=%5B%22es%22%5D"),
        "{spanish}"
    );
    assert!(!spanish.contains("format_turns"), "{spanish}");
    let both = configured(&[
        ("speech_model", "universal-3-5-pro"),
        ("language_codes", r#"["en","es"]"#),
    ]);
    let both = query(&both, &spoken("es-US"));
    assert!(
        both.contains("language_codes=%5B%22en%22%2C%22es%22%5D"),
        "{both}"
    );
    let whisper = configured(&[("speech_model", "whisper-rt")]);
    let whisper = query(&whisper, &spoken("cy-GB"));
    assert!(!whisper.contains("language_codes"), "{whisper}");
}

#[test]
fn a_language_the_model_does_not_understand_is_told_and_not_transcribed_as_another() {
    let english = configured(&[("speech_model", "universal-streaming-english")]);
    let pro = configured(&[("speech_model", "universal-3-5-pro")]);
    for (config, language) in [(english, "es-US"), (config(), "hi-IN"), (pro, "cy-GB")] {
        let spec = spec(StreamOptions {
            language: language.to_owned(),
            ..options()
        });
        let error = located(&config, &spec).err().unwrap();
        assert_eq!(error.retry, Retry::Session);
        assert!(error.reason.contains("does not understand"), "{error}");
    }
}

#[test]
fn redaction_is_switched_by_the_start_and_ruled_by_the_configuration() {
    let redacts = |config: &AssemblyAiConfig, redaction| {
        let query = query(
            config,
            &spec(StreamOptions {
                redaction,
                ..options()
            }),
        );
        let has = |part: &str| query.contains(part);
        assert_eq!(has("redact_pii=true"), has("redact_pii_policies"));
        (has("redact_pii=true"), has("%5B%22password%22%5D"))
    };
    let policies = configured(&[("redact_pii_policies", "password")]);
    assert_eq!(redacts(&policies, Redaction::Redacted), (true, true));
    let both = Redaction::RedactedAndUnredacted;
    assert_eq!(redacts(&policies, both), (true, true));
    assert_eq!(redacts(&policies, Redaction::Unredacted), (false, false));
    let always = configured(&[("redact_pii", "true")]);
    assert_eq!(redacts(&always, Redaction::Unredacted), (true, false));
    let never = configured(&[("redact_pii", "false"), ("redact_pii_policies", "password")]);
    assert_eq!(redacts(&never, Redaction::Redacted), (false, false));
}

#[test]
fn a_vocabulary_becomes_terms_as_far_as_they_fit() {
    let terms = query(
        &config(),
        &spec(vocabulary(&["IEEE", " IEEE ", "", "Zoë's"])),
    );
    assert!(
        terms.ends_with("&keyterms_prompt=%5B%22IEEE%22%2C%22Zo%C3%AB%27s%22%5D"),
        "{terms}"
    );

    let long = "x".repeat(51);
    let names: Vec<_> = (0..101).map(|index| format!("name {index}")).collect();
    let mut phrases: Vec<_> = names.iter().map(String::as_str).collect();
    phrases.insert(0, &long);
    let presets = Presets {
        parameters: read_parameters([("keyterms_prompt", "name 0")]).unwrap(),
        partials: false,
        vocabulary_bytes_max: 64 << 10,
    };
    let asked = Asked::of(&presets, &spec(vocabulary(&phrases)));
    // 100 of the 101 names fit, one of them configured.
    assert_eq!(asked.left_out, 2);

    let mut config = config();
    config.vocabulary_bytes_max = 34;
    let short = query(
        &config,
        &spec(vocabulary(&["a long name", "é", "b", "IEEE"])),
    );
    assert!(
        short.ends_with("&keyterms_prompt=%5B%22a+long+name%22%2C%22b%22%5D"),
        "{short}"
    );
}

#[test]
fn a_recording_at_the_service_is_for_the_start_to_allow() {
    let name = "customer_support_audio_capture";
    let told = error(&configured(&[(name, "true")]));
    assert!(
        told.contains(name) && told.contains("keeps the sound"),
        "{told}"
    );
    assert!(query(&configured(&[(name, "false")]), &spec(options())).contains("=false"));

    let mut spec = spec(options());
    spec.wish = wish(None, &[(name, "true")]);
    let refused = located(&config(), &spec).err().unwrap();
    assert_eq!(refused.retry, Retry::Session);
    assert!(refused.reason.contains(name), "{refused}");
    spec.options = Arc::new(StreamOptions {
        audio_recording_allowed: true,
        ..options()
    });
    assert!(query(&config(), &spec).contains("customer_support_audio_capture=true"));
}

#[test]
fn the_key_goes_into_a_header_by_itself() {
    let located = located(&config(), &spec(options())).unwrap_or_else(|error| panic!("{error}"));
    let headers = located.request.headers();
    assert_eq!(headers[header::AUTHORIZATION], "swordfish");
    assert!(headers[header::AUTHORIZATION].is_sensitive());
    let agent = headers[header::USER_AGENT].to_str().unwrap();
    assert!(
        agent.starts_with("AssemblyAI/1.0 (integration=Antiphon/"),
        "{agent}"
    );
    assert!(!format!("{:?} {:?}", config(), located.request).contains("swordfish"));
    for key in ["", "sword fish", "schlüssel", "sword\nfish"] {
        let config = AssemblyAiConfig::new(key.to_owned().into());
        assert!(error(&config).starts_with("api_key"), "{key}");
    }
}

#[test]
fn every_host_of_the_service_and_ones_own_will_do() {
    let at = |url: &str| {
        let mut config = config();
        config.base_url = Url::parse(url).unwrap();
        config
    };
    for (url, address_of) in [
        (
            "wss://streaming.eu.assemblyai.com",
            "wss://streaming.eu.assemblyai.com/v3/ws?",
        ),
        (
            "https://streaming.us.assemblyai.com/",
            "wss://streaming.us.assemblyai.com/v3/ws?",
        ),
        ("ws://127.0.0.1:8080", "ws://127.0.0.1:8080/v3/ws?"),
        ("http://localhost:8080", "ws://localhost:8080/v3/ws?"),
        ("wss://proxy.example/stt/", "wss://proxy.example/stt/v3/ws?"),
    ] {
        let address = address(&at(url), &spec(options()));
        assert!(address.starts_with(address_of), "{address}");
    }
    for url in [
        "ws://stt.example:8080",
        "ftp://streaming.assemblyai.com",
        "wss://user:hunter2@streaming.assemblyai.com",
        "wss://streaming.assemblyai.com?token=hunter2",
    ] {
        let told = error(&at(url));
        assert!(
            told.starts_with("base_url") && !told.contains("hunter2"),
            "{told}"
        );
    }
    let mut plain = at("ws://stt.example:8080");
    plain.allow_plain = true;
    assert!(address(&plain, &spec(options())).starts_with("ws://stt.example:8080/v3/ws?"));
}

#[test]
fn a_chunk_is_as_long_as_the_service_takes_it() {
    for (chunk, fits) in [(49, false), (50, true), (1000, true), (1001, false)] {
        let mut config = config();
        config.chunk = ms(chunk);
        let service = AssemblyAi::new(&config, &Trust::new(None).unwrap());
        assert_eq!(service.is_ok(), fits, "{chunk}");
    }
    let limits = service(&config()).limits();
    assert_eq!((limits.chunk_min, limits.chunk_max), (ms(50), ms(1000)));
    assert!(!limits.accepts_at_open && !limits.counts_bytes);
}

#[test]
fn a_socket_is_kept_alive_before_the_service_would_end_it() {
    let told = error(&configured(&[("inactivity_timeout", "20")]));
    assert!(
        told.contains("inactivity_timeout must be longer than `idle`"),
        "{told}"
    );
    let service = service(&configured(&[("inactivity_timeout", "21")]));
    let bad = service.check(&wish(None, &[("inactivity_timeout", "19")]));
    assert_eq!(bad.unwrap_err().name, "inactivity_timeout");
}

#[test]
fn an_http_refusal_is_the_keys_or_the_streams_doing() {
    let service = service(&config());
    for status in [401, 402, 403] {
        assert_eq!(service.refused(status), Retry::Credential);
    }
    for status in [400, 404, 410] {
        assert_eq!(service.refused(status), Retry::Session);
    }
}
