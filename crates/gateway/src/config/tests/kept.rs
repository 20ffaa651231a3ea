//! `[store]`, `[[webhooks]]`, `[delivery]`, and what keys may do.

use ::delivery::{Authentication, Format, Retries};

use super::*;
use crate::api::auth::Scope;

const WEBHOOK: &str = "[[webhooks]]\nname = \"crm\"\nurl = \"https://crm.example.com/in\"\n";

fn with(more: &str) -> Config {
    parse(&format!("{LEAST}{more}")).unwrap()
}

#[test]
fn a_store_lies_beside_the_configuration_unless_it_is_told_otherwise() {
    let file = |more: &str| with(more).store.sqlite(Path::new("/etc/antiphon")).path;
    assert_eq!(file(""), Path::new("/etc/antiphon/antiphon.db"));
    let more = "[store]\npath = \"/var/lib/antiphon/kept.db\"\n";
    assert_eq!(file(more), Path::new("/var/lib/antiphon/kept.db"));
    assert!(with("").store.enabled && !with("[store]\nenabled = false\n").store.enabled);
}

#[test]
fn a_key_that_is_none_is_refused_and_not_shown() {
    let told = told("[store]\nkey = \"geheim\"\n");
    assert!(
        told.contains("store.key is not a key of 32 bytes"),
        "{told}"
    );
    assert!(!told.contains("geheim"), "{told}");
    let whole = with(&format!("[store]\nkey = \"{}\"\n", "0f".repeat(32)));
    assert!(whole.store.sqlite(Path::new("")).key.is_some());
}

#[test]
fn a_webhook_needs_a_name_and_a_url() {
    let endpoint = with(WEBHOOK).endpoints().remove(0);
    assert_eq!((&*endpoint.name, endpoint.format), ("crm", Format::Asapp));
    assert_eq!(endpoint.filter.kinds, ["transcript"]);
    assert_eq!(endpoint.authentication, Authentication::None);
    assert!(matches!(endpoint.retries, Retries::Schedule(times) if times.len() == 12));
    let once = with(&format!("{WEBHOOK}retry = false\n"));
    assert_eq!(once.endpoints()[0].retries, Retries::Off);
}

#[test]
fn what_a_webhook_lacks_or_has_too_much_of_is_told() {
    for (more, what) in [
        (
            "header = \"x-key\"\n",
            "webhooks.0.header needs header_secret beside it",
        ),
        (
            "parameter_secret = \"s\"\n",
            "webhooks.0.parameter_secret needs parameter beside it",
        ),
        (
            "header = \"x\"\nheader_secret = \"s\"\nparameter = \"y\"\nparameter_secret = \"s\"\n",
            "webhooks.0.parameter cannot be used together with header",
        ),
        (
            "events = [\"gap\"]\n",
            "webhooks cannot be used: webhook `crm`: format `asapp`",
        ),
        (
            "secrets = [\"whsec_short\"]\n",
            "webhooks cannot be used: webhook `crm`: secret 1",
        ),
        (WEBHOOK, "there are two of this name"),
    ] {
        let told = told(&format!("\n{WEBHOOK}{more}"));
        assert!(told.contains(what), "{more}: {told}");
        assert!(!told.contains("whsec_short"), "{told}");
    }
    let bare = told("[[webhooks]]\nname = \"crm\"\nurl = \"http://crm.example.com\"\n");
    assert!(bare.contains("allow_http"), "{bare}");
}

#[test]
fn what_a_url_asks_for_is_not_printed() {
    let text = format!(
        "{LEAST}{}?code=geheim\"\n",
        WEBHOOK.trim_end().trim_end_matches('"')
    );
    let (config, reading) = read(Path::new("antiphon.toml"), &text, BTreeMap::new(), false);
    let printed = print::effective(&reading.outline, &config.warnings());
    assert!(
        printed.contains("https://crm.example.com/in?•••"),
        "{printed}"
    );
    let debugged = format!("{config:?}{:?}", config.endpoints());
    assert!(
        !printed.contains("geheim") && !debugged.contains("geheim"),
        "{debugged}"
    );
}

#[test]
fn a_key_may_do_everything_unless_it_is_told_what() {
    let keys = |more: &str| with(more).api_keys;
    assert_eq!(keys("")[0].scopes, Scope::ALL);
    let more = "[[api_keys]]\nid = \"crm\"\nsecret = \"x\"\nscopes = [\"export\"]\n\
                tenant = \"north\"\n";
    let key = keys(more).remove(1);
    assert_eq!(
        (key.scopes, key.tenant.as_deref()),
        (vec![Scope::Export], Some("north"))
    );
    let told = told("[[api_keys]]\nid = \"crm\"\nsecret = \"x\"\nscopes = []\n");
    assert!(told.contains("api_keys.1.scopes is empty"), "{told}");
}

#[test]
fn limits_that_contradict_each_other_are_refused() {
    let told = told(
        "[store]\nbytes_max = \"2GiB\"\nfile_bytes_max = \"1GiB\"\n\
                     [delivery]\nrest_min = \"2m\"\nrest_max = \"1m\"\n",
    );
    assert!(
        told.contains("store.bytes_max is more than store.file_bytes_max"),
        "{told}"
    );
    assert!(
        told.contains("delivery.rest_min is more than delivery.rest_max"),
        "{told}"
    );
}
