use call::name::Role;
use call::start::Wish;
use upstream::guard::GuardConfig;
use upstream::routes::Plan;
use upstream::{assemblyai, deepgram};

use super::*;

const FOUR: &str = r#"
[upstream]
service = "assemblyai"
fallback = ["deepgram"]
[upstream.customer]
service = "deepgram"
fallback = []
[upstream.agent]
fallback = ["vosk", "autotranscribe"]
[upstream.assemblyai]
base_url = "wss://streaming.eu.assemblyai.com"
api_key = "one key"
encoding = "pcm_mulaw"
opens_per_minute = 5
[upstream.assemblyai.parameters]
max_turn_silence = 1280
vad_threshold = 0.4
keyterms_prompt = ["IEEE"]
[upstream.deepgram]
api_key = "another key"
parameters = { smart_format = true }
[upstream.vosk]
base_url = "ws://127.0.0.1:2700"
[upstream.guard]
retries_percent = 20
"#;

fn with(more: &str) -> Result<Config, ConfigError> {
    parse(&format!("{LEAST}{more}"))
}

fn names(all: &[&str]) -> Vec<String> {
    all.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_service_that_nothing_names_is_not_there() {
    let config = parse(LEAST).unwrap();
    let services: Vec<_> = config.upstream.services().collect();
    assert_eq!(services, [Service::AutoTranscribe]);
    let plan = Plan {
        any: names(&["autotranscribe"]),
        ..Plan::default()
    };
    assert_eq!(config.upstream.plan(), plan);
    assert_eq!(
        config.upstream.guard(Service::AutoTranscribe),
        GuardConfig::of("autotranscribe")
    );
    // A section makes it one that a start may ask for.
    let config = with("[upstream.vosk]\nbase_url = \"ws://127.0.0.1:2700\"").unwrap();
    assert_eq!(config.upstream.services().count(), 2);
    assert_eq!(config.upstream.plan(), plan);
}

#[test]
fn each_party_has_a_service_and_others_to_turn_to() {
    let config = with(
        &FOUR
            .replace("one key", "one-key")
            .replace("another key", "another-key"),
    );
    let upstream = config.unwrap().upstream;
    let plan = upstream.plan();
    assert_eq!(plan.any, names(&["assemblyai", "deepgram"]));
    assert_eq!(plan.customer, names(&["deepgram"]));
    let agent = names(&["assemblyai", "vosk", "autotranscribe"]);
    assert_eq!(plan.agent, agent);
    let assembly = upstream.assemblyai().unwrap();
    assert_eq!(assembly.encoding, assemblyai::Encoding::Mulaw);
    assert_eq!(assembly.chunk, Duration::from_millis(100));
    let given = [
        ("keyterms_prompt", "[\"IEEE\"]"),
        ("max_turn_silence", "1280"),
        ("vad_threshold", "0.4"),
    ];
    assert_eq!(
        assembly.parameters,
        assemblyai::read_parameters(given).unwrap()
    );
    let deep = upstream.deepgram().unwrap();
    assert_eq!(deep.base_url.as_str(), "wss://api.deepgram.com/");
    assert_eq!(
        deep.parameters,
        deepgram::read_parameters([("smart_format", "true")]).unwrap()
    );
    let guard = upstream.guard(Service::AssemblyAi);
    assert_eq!((guard.opens_per_minute, guard.retries_percent), (5, 20));
    let guard = upstream.guard(Service::Vosk);
    assert_eq!((guard.opens_per_minute, guard.retries_percent), (0, 20));
}

#[test]
fn the_services_are_put_together_as_configured() {
    let text = FOUR
        .replace("one key", "one-key")
        .replace("another key", "another-key");
    let upstream = with(&text).unwrap().upstream;
    let metrics = upstream::metrics::Metrics::register(&Registry::new()).unwrap();
    let trust = upstream::trust::Trust::new(None).unwrap();
    let routes = crate::services::routes(&upstream, &trust, &Arc::new(metrics));
    let routes = routes.map_err(|(_, error)| error).unwrap();
    let names = |role, wish: &Wish| -> Vec<&'static str> {
        let all = routes.of(role, wish);
        all.iter().map(|provider| provider.name()).collect()
    };
    let nothing = Wish::default();
    assert_eq!(names(Role::Customer, &nothing), ["deepgram"]);
    assert_eq!(
        names(Role::Agent, &nothing),
        ["assemblyai", "vosk", "autotranscribe"]
    );
    let vosk = Wish {
        service: Some("vosk".into()),
        parameters: Vec::new(),
    };
    assert_eq!(names(Role::Customer, &vosk), ["vosk", "deepgram"]);
    let chunk = |role, wish: &Wish| routes.limits(role, wish).chunk;
    assert_eq!(chunk(Role::Customer, &nothing), Duration::from_millis(100));
    assert_eq!(chunk(Role::Customer, &vosk), Duration::from_millis(200));
}

#[test]
fn what_a_named_service_needs_is_told_when_it_is_missing() {
    let key = "antiphon.toml: upstream.deepgram.api_key is missing: expected a secret: the value \
               itself, `file:NAME` or `env:NAME`; it can be set as \
               ANTIPHON__UPSTREAM__DEEPGRAM__API_KEY too";
    for naming in [
        "[upstream]\nservice = \"deepgram\"",
        "[upstream]\nfallback = [\"deepgram\"]",
        "[upstream.agent]\nservice = \"deepgram\"",
        "[upstream.customer]\nfallback = [\"deepgram\"]",
        "[upstream.deepgram]",
        "[[siprec.trunks]]\nname = \"sbc\"\nservice = \"deepgram\"",
    ] {
        assert_eq!(told(naming), key, "{naming}");
    }
    let variables = [
        ("ANTIPHON__UPSTREAM__SERVICE", "deepgram"),
        ("ANTIPHON__UPSTREAM__DEEPGRAM__API_KEY", "env:KEY"),
        (
            "ANTIPHON__UPSTREAM__DEEPGRAM__PARAMETERS__SMART_FORMAT",
            "true",
        ),
        ("KEY", "hush"),
    ];
    let deep = parse_with(LEAST, &variables).unwrap().upstream.deepgram();
    let deep = deep.unwrap();
    assert_eq!(deep.api_key.reveal(), "hush");
    assert!(deep.parameters.has("smart_format"));
}

#[test]
fn a_parameter_that_a_service_does_not_have_is_told_with_its_line() {
    let cases = [
        (
            "[upstream.assemblyai]\napi_key = \"k\"\n[upstream.assemblyai.parameters]\n\
             format_turns = true\nmax_silence = 7\nvad_threshold = 4",
            "antiphon.toml:18: upstream.assemblyai.parameters.max_silence is no parameter of \
             assemblyai; the nearest is max_turn_silence\n\
             antiphon.toml:19: upstream.assemblyai.parameters.vad_threshold must be a number from \
             0 to 1",
        ),
        (
            "[upstream.deepgram]\napi_key = \"k\"\nparameters = { modl = \"nova-3\" }",
            "antiphon.toml:16: upstream.deepgram.parameters.modl is no parameter of deepgram; the \
             nearest is model",
        ),
        (
            "[[siprec.trunks]]\nname = \"sbc\"\nservice = \"autotranscribe\"\n\
             [siprec.trunks.parameters]\nlanguage = \"en\"",
            "antiphon.toml:18: siprec.trunks.0.parameters.language is no parameter of \
             autotranscribe",
        ),
        (
            "[[siprec.trunks]]\nname = \"sbc\"\nparameters = { language = \"en\" }",
            "antiphon.toml:16: siprec.trunks.0.parameters needs a service beside it",
        ),
        (
            "[upstream.deepgram]\napi_key = \"k\"\nparameters = 7",
            "antiphon.toml:16: upstream.deepgram.parameters = 7: expected a table of the service's \
             own parameters",
        ),
    ];
    for (more, expected) in cases {
        assert_eq!(told(more), expected);
    }
}

#[test]
fn what_only_a_services_client_can_tell_is_told_with_its_line() {
    let cases = [
        (
            "[upstream.assemblyai]\napi_key = \"two words\"",
            "antiphon.toml:15: upstream.assemblyai.api_key must be visible ASCII",
        ),
        (
            "[upstream.assemblyai]\napi_key = \"k\"\n\
             parameters = { inactivity_timeout = 10 }",
            "antiphon.toml:16: upstream.assemblyai.parameters.inactivity_timeout must be longer",
        ),
        (
            "[upstream.deepgram]\napi_key = \"k\"\nmodel = \"a b\"",
            "antiphon.toml:16: upstream.deepgram.model must be letters",
        ),
        (
            "[upstream.deepgram]\napi_key = \"k\"\nparameters = { model = \"nova-3\" }",
            "antiphon.toml:16: upstream.deepgram.parameters.model has a setting of its own",
        ),
    ];
    for (more, expected) in cases {
        let told = told(more);
        assert!(told.starts_with(expected), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

#[test]
fn services_do_not_contradict_themselves() {
    let deep = "[upstream.deepgram]\napi_key = \"k\"\n";
    let cases = [
        (
            "[upstream]\nfallback = [\"autotranscribe\"]",
            "antiphon.toml:15: upstream.fallback would turn to \"autotranscribe\" twice",
        ),
        (
            "[upstream.agent]\nfallback = [\"deepgram\", \"deepgram\"]",
            "antiphon.toml:15: upstream.agent.fallback would turn to \"deepgram\" twice",
        ),
        (
            "[upstream.vosk]\nbase_url = \"ws://asr.example.com\"",
            "antiphon.toml: upstream.allow_plain is false, and upstream.vosk.base_url is ws: on \
             another machine",
        ),
        (
            "[upstream.guard]\nprobe_after_min = \"2m\"",
            "antiphon.toml:15: upstream.guard.probe_after_min is more than \
             upstream.guard.probe_after_max",
        ),
        (
            "[upstream.assemblyai]\napi_key = \"k\"\nauth = \"token\"\nsession_max = \"10s\"",
            "antiphon.toml:17: upstream.assemblyai.session_max is less than 60s, which no token \
             allows",
        ),
        (
            "[upstream]\nservice = \"asapp\"",
            "antiphon.toml:15: upstream.service = \"asapp\": expected \"assemblyai\" or \
             \"autotranscribe\" or \"deepgram\" or \"vosk\"",
        ),
    ];
    for (more, expected) in cases {
        assert_eq!(told(&format!("{more}\n{deep}")), expected);
    }
}

#[test]
fn replay_can_be_off() {
    let replay = |value| with(&format!("[upstream]\nreplay = {value}"));
    assert_eq!(
        replay("\"off\"").unwrap().upstream.stream().replay,
        Duration::ZERO
    );
    let some = replay("\"7s\"").unwrap().upstream.stream().replay;
    assert_eq!(some, Duration::from_secs(7));
    assert_eq!(
        replay("\"on\"").unwrap_err().to_string(),
        "antiphon.toml:15: upstream.replay = \"on\": expected \"off\" or a duration, \"100ms\" to \
         \"2m\""
    );
}

#[test]
fn a_trunk_wishes_for_a_service() {
    let text = "[upstream.deepgram]\napi_key = \"k\"\n[siprec]\nlisten = [\"udp:127.0.0.1:5060\"]\n\
                [[siprec.trunks]]\nname = \"plain\"\n[[siprec.trunks]]\nname = \"sbc\"\n\
                service = \"deepgram\"\nparameters = { model = \"nova-2\", smart_format = true }";
    let siprec = with(text).unwrap().siprec().unwrap();
    assert_eq!(siprec.wishes.len(), 1);
    let wish = &siprec.wishes["sbc"];
    assert_eq!(wish.service.as_deref(), Some("deepgram"));
    let parameters = wish.parameters.iter();
    let told: Vec<_> = parameters
        .map(|(name, value)| (&**name, value.reveal().as_str()))
        .collect();
    assert_eq!(told, [("model", "\"nova-2\""), ("smart_format", "true")]);
}

#[test]
fn what_is_printed_has_the_services_that_are_there_and_their_parameters() {
    let text = FOUR
        .replace("one key", "one-key")
        .replace("another key", "another-key");
    let text = format!("{LEAST}{text}");
    let (config, reading) = read(Path::new("antiphon.toml"), &text, BTreeMap::new(), false);
    let printed = print::effective(&reading.outline, &config.warnings());
    for line in [
        "[upstream.assemblyai]",
        "api_key = \"•••\" # antiphon.toml:25",
        "parameters = { keyterms_prompt = [\"IEEE\"], max_turn_silence = 1280, \
         vad_threshold = 0.4 } # antiphon.toml:28",
        "parameters = { smart_format = true } # antiphon.toml:34",
        "replay = \"15s\"",
    ] {
        assert!(
            printed.lines().any(|one| one == line),
            "{line}\nis not in\n{printed}"
        );
    }
    let nothing = parse(LEAST).map(|config| config.upstream.services().count());
    assert_eq!(nothing.unwrap(), 1);
    // Dots are no credential, and all else is as it was.
    let printed = printed.replace("•••", "dots");
    let again = Config::parse(Path::new("antiphon.toml"), &printed, []).unwrap();
    assert_eq!(again.upstream.plan(), config.upstream.plan());
    assert_eq!(
        again.upstream.assemblyai().unwrap().parameters,
        config.upstream.assemblyai().unwrap().parameters
    );
}

#[test]
fn credentials_are_taken_over_and_nothing_else() {
    let text =
        format!("{LEAST}[upstream.deepgram]\napi_key = \"one\"\nidle = \"4s\"\n[upstream.vosk]\n");
    let mut running = parse(&text).unwrap().upstream;
    let same = running.clone();
    assert_eq!(running.adopt_credentials(&same), []);
    let now = text
        .replace("\"one\"", "\"other\"")
        .replace("4s", "5s")
        .replace("our-id", "their-id");
    let now = format!("{now}[upstream.assemblyai]\napi_key = \"new\"\n");
    let now = parse(&now).unwrap().upstream;
    let others = running.adopt_credentials(&now);
    assert_eq!(others, [Service::AutoTranscribe, Service::Deepgram]);
    let deepgram = running.deepgram().unwrap();
    assert_eq!(deepgram.api_key.reveal(), "other");
    assert_eq!(deepgram.idle, Duration::from_secs(4));
    assert_eq!(running.autotranscribe().unwrap().api_id, "their-id");
    assert!(
        running.assemblyai().is_none(),
        "a new service needs a restart"
    );
}

#[test]
fn a_credential_that_cannot_be_sent_changes_none() {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let mut running = parse(LEAST).unwrap().upstream;
    let now = LEAST.replace("our-secret", "our\\u0001secret");
    let now = parse(&now).unwrap().upstream;
    let trust = upstream::trust::Trust::new(None).unwrap();
    let metrics = upstream::metrics::Metrics::register(&Registry::new()).unwrap();
    let metrics = Arc::new(metrics);
    let refused = crate::services::renewed(&mut running, &now, &trust, &metrics);
    assert!(matches!(refused, Err((Service::AutoTranscribe, _))));
    let own = running.autotranscribe().unwrap();
    assert_eq!(own.api_secret.reveal(), "our-secret");
}
