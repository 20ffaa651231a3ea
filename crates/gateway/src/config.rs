//! The configuration: one TOML file and the environment over it, read once into types that cannot
//! be wrong.
//!
//! Reading it opens no port and prints nothing. All mistakes are told at once, each with its place;
//! none is passed over, and no secret is ever part of one.

mod duration;
mod fuzz;
mod kind;
pub mod parameters;
mod print;
mod problem;
mod section;
pub mod settings;
mod size;
mod tree;
pub mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use call::name::Namespace;
use call::private::Private;
use call::switchboard::Patience;
use delivery::Endpoint;
use ingress::siprec::config::{SiprecConfig, Trunk};
use ingress::twilio::TwilioConfig;
use prometheus::Registry;

pub use fuzz::fuzz;
pub use problem::{ConfigError, Place, Problem};

use kind::Around;
use section::{Field, Reading, Section, Settings};
use settings::api::Api;
use settings::delivery::{Delivery, Webhook};
use settings::overload::Overload;
use settings::siprec::Siprec;
use settings::store::Store;
use settings::twilio::Twilio;
use settings::upstream::Upstream;
use settings::{ApiKey, Control, Http, Limits, Log, Pci, Shutdown};

use crate::api::ApiSettings;
use crate::api::limits::Rate;
use crate::server::ServerConfig;

/// Everything that can be configured. `docs/config.md` explains each key.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[http]`
    pub http: Http,
    /// `[[api_keys]]`; at least one, no id twice.
    pub api_keys: Vec<ApiKey>,
    /// `[api]`
    pub api: Api,
    /// `[siprec]`
    pub siprec: Siprec,
    /// `[twilio]`
    pub twilio: Twilio,
    /// `[upstream]`
    pub upstream: Upstream,
    /// `[control]`
    pub control: Control,
    /// `[pci]`
    pub pci: Pci,
    /// `[store]`
    pub store: Store,
    /// `[[webhooks]]`; no name twice.
    pub webhooks: Vec<Webhook>,
    /// `[delivery]`
    pub delivery: Delivery,
    /// `[limits]`
    pub limits: Limits,
    /// `[overload]`
    pub overload: Overload,
    /// `[log]`
    pub log: Log,
    /// `[shutdown]`
    pub shutdown: Shutdown,
    /// The file it was read from, to be read again on SIGHUP.
    pub file: PathBuf,
}

/// What SIGHUP changes in a running gateway.
#[derive(Clone, Debug)]
pub struct Reloadable {
    /// `api_keys`
    pub api_keys: Vec<ApiKey>,
    /// `twilio.auth_tokens`
    pub auth_tokens: Vec<Private<String>>,
    /// `twilio.shared_keys`: id and secret.
    pub shared_keys: Vec<(String, Private<String>)>,
    /// `twilio.token_secret`, by which new tokens are signed, and then those accepted besides.
    pub token_secrets: Vec<Private<String>>,
    /// `siprec.trunks`, of which the credentials are taken over.
    pub trunks: Vec<Trunk>,
    /// `webhooks`, of which the secrets are taken over.
    pub endpoints: Vec<Endpoint>,
    /// `upstream`, of which the services' credentials are taken over.
    pub upstream: Upstream,
}

impl Config {
    /// Reads a file and the process's environment.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        read_file(file).and_then(|(config, reading)| reading.judge(config))
    }

    /// Reads a text as if it were the file's, and the given environment.
    pub fn parse(
        file: &Path,
        text: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let (config, reading) = read(file, text, variables.into_iter().collect(), false);
        reading.judge(config)
    }

    /// Reads a file and the environment as [`Config::load`] does, and says in TOML what the gateway
    /// would run with and where each value is from. Secrets are dots.
    pub fn check(file: &Path) -> Result<String, ConfigError> {
        let (config, reading) = read_file(file)?;
        let printed = print::effective(&reading.outline, &config.warnings());
        reading.judge(printed)
    }

    /// Reads again what a running gateway can change.
    pub fn reload(file: &Path) -> Result<Reloadable, ConfigError> {
        Self::load(file).map(|config| config.reloadable())
    }

    /// What a running gateway can change.
    pub fn reloadable(&self) -> Reloadable {
        let accepted = self.twilio.token_secrets_accepted.iter().cloned();
        Reloadable {
            api_keys: self.api_keys.clone(),
            auth_tokens: self.twilio.auth_tokens.clone(),
            shared_keys: self.twilio.shared_keys_by_id(),
            token_secrets: std::iter::once(self.twilio.token_secret.clone())
                .chain(accepted)
                .collect(),
            trunks: self.siprec().map_or_else(Vec::new, |siprec| siprec.trunks),
            endpoints: self.endpoints(),
            upstream: self.upstream.clone(),
        }
    }

    /// What is allowed and still unwise, in sentences for the log.
    pub fn warnings(&self) -> Vec<String> {
        let unwise = [
            (
                settings::is_bare(&self.http.public_url),
                "http.public_url is not https: Twilio will not connect.",
            ),
            (
                !self.twilio.require_signature,
                "twilio.require_signature is false: anybody with a \
             media stream URL may send sound.",
            ),
            (
                self.twilio.token_secret.reveal().len() < 32,
                "twilio.token_secret is shorter than 32 \
             bytes: it can be guessed.",
            ),
        ];
        unwise
            .into_iter()
            .filter(|(is, _)| *is)
            .map(|(_, why)| why.to_owned())
            .chain(self.siprec.warnings(&self.control))
            .collect()
    }

    /// How the switchboard waits.
    pub fn patience(&self) -> Patience {
        Patience {
            start_grace: self.control.start_grace,
            start_timeout: self.control.start_timeout,
            stop_timeout: self.control.stop_timeout,
            gate_timeout: self.control.gate_timeout,
            drain_timeout: self.upstream.drain_timeout,
            awaited_max: self.limits.awaited_starts_max,
        }
    }

    /// What the HTTP server is told.
    pub fn server(&self) -> ServerConfig {
        ServerConfig {
            listen: self.http.listen,
            connections_max: self.limits.connections_max,
            connections_per_address_max: self.limits.connections_per_address_max,
            header_bytes_max: self.limits.header_bytes_max,
            headers_max: self.limits.headers_max,
            headers_timeout: self.limits.headers_timeout,
            handshake_timeout: self.limits.handshake_timeout,
            goodbye_timeout: self.shutdown.goodbye_timeout,
        }
    }

    /// What the API is told.
    pub fn api(&self) -> ApiSettings {
        let limits = &self.limits;
        ApiSettings {
            body_bytes_max: limits.body_bytes_max,
            body_timeout: limits.body_timeout,
            json_depth_max: limits.json_depth_max,
            key_requests: Rate {
                burst: limits.requests_burst,
                allowed: limits.requests_per_second,
                per: Duration::from_secs(1),
            },
            auth_failures: Rate {
                burst: limits.auth_failures_burst,
                allowed: limits.auth_failures_per_minute,
                per: Duration::from_secs(60),
            },
            addresses_max: limits.addresses_max,
            trust_forwarded_for: self.http.trust_forwarded_for,
            retry_after: limits.retry_after,
            vocabulary: self.upstream.vocabulary(),
            namespaces: self.namespaces(),
            subscribers_max: limits.event_subscribers_max,
            subscriber_stall: limits.event_subscriber_stall,
            heartbeat: limits.event_heartbeat,
            messages_max: self.api.messages_max,
            store_questions_max: self.api.store_questions_max,
            store_timeout: self.api.store_timeout,
            store_page: self.api.store_page,
            signing_key: self.api.signing_key.clone(),
            token_ttl: self.api.token_ttl,
            file_url_ttl: self.api.file_url_ttl,
            public_url: self.http.public_url.clone(),
            cors_origins: self.api.cors_origins.clone(),
        }
    }

    /// Platforms with an ingress.
    fn namespaces(&self) -> Vec<Namespace> {
        let siprec = self.siprec.is_on().then_some(Namespace::Siprec);
        siprec.into_iter().chain([Namespace::Twilio]).collect()
    }

    /// What the SIPREC recording server is told, if there is to be one.
    pub fn siprec(&self) -> Option<SiprecConfig> {
        let is_on = self.siprec.is_on();
        is_on.then(|| self.siprec.ingress(&self.limits))
    }

    /// What the ingress for Twilio is told.
    pub fn twilio(&self) -> TwilioConfig {
        self.twilio.ingress(&self.http, &self.limits)
    }

    /// Where events are delivered.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.webhooks.iter().map(Webhook::endpoint).collect()
    }

    /// What is wrong with webhooks is told by those who use them.
    fn webhooks_are_usable(&self, s: &mut Section<'_>) {
        if self.webhooks.is_empty() {
            return;
        }
        let Ok(metrics) = ::delivery::metrics::Metrics::register(&Registry::new()) else {
            return;
        };
        let limits = self.delivery.limits();
        if let Err(error) = ::delivery::Delivery::new(self.endpoints(), limits, Arc::new(metrics)) {
            s.refuse("webhooks", &format!("cannot be used: {error}"));
        }
    }

    /// How many files may be open at once if all limits are reached: each call has its own socket
    /// and one to the service for each side.
    pub fn open_files_max(&self) -> u64 {
        const OTHERS: usize = 64;
        let twilio = self.limits.connections_max + 2 * self.twilio.sockets_max;
        // Each attempt may have a connection that idles beside the one it uses.
        let webhooks: usize = self.webhooks.iter().map(|one| 2 * one.concurrency).sum();
        let store = self.store.open_files_max();
        (twilio + self.siprec.open_files_max() + webhooks + store + OTHERS) as u64
    }

    /// `docs/config.md`.
    pub fn manual() -> String {
        print::manual(&reading_of_nothing().outline)
    }

    /// `deploy/antiphon.toml`.
    pub fn sample() -> String {
        print::sample(&reading_of_nothing().outline)
    }
}

impl Settings for Config {
    const ABOUT: &'static str = "";

    fn read(s: &mut Section<'_>) -> Self {
        let config = Self {
            http: section::section().read(s, "http", ""),
            api_keys: section::tables(1_000).read(s, "api_keys", ""),
            api: section::section().read(s, "api", ""),
            siprec: section::section().read(s, "siprec", ""),
            twilio: section::section().read(s, "twilio", ""),
            upstream: section::section().read(s, "upstream", ""),
            control: section::section().read(s, "control", ""),
            pci: section::section().read(s, "pci", ""),
            store: section::section().read(s, "store", ""),
            webhooks: section::tables(100).read(s, "webhooks", ""),
            delivery: section::section().read(s, "delivery", ""),
            limits: section::section().read(s, "limits", ""),
            overload: section::section().read(s, "overload", ""),
            log: section::section().read(s, "log", ""),
            shutdown: section::section().read(s, "shutdown", ""),
            file: PathBuf::new(),
        };
        if config.api_keys.is_empty() {
            s.refuse(
                "api_keys",
                "is missing: expected at least one [[api_keys]] section",
            );
        }
        for (index, key) in config.api_keys.iter().enumerate() {
            if config.api_keys[..index]
                .iter()
                .any(|other| other.id == key.id)
            {
                s.refuse("api_keys", &format!("has the id {:?} twice", key.id));
            }
        }
        config.webhooks_are_usable(s);
        config
    }
}

impl Reading {
    fn judge<T>(mut self, value: T) -> Result<T, ConfigError> {
        self.problems.sort_by(|a, b| a.place.cmp(&b.place));
        if self.problems.is_empty() {
            Ok(value)
        } else {
            Err(ConfigError {
                problems: self.problems,
            })
        }
    }
}

fn read_file(file: &Path) -> Result<(Config, Reading), ConfigError> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        let place = Place::File(file.display().to_string().into(), 0);
        let what = format!("cannot be read: {error}");
        ConfigError {
            problems: vec![Problem { place, what }],
        }
    })?;
    let text_only = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    Ok(read(
        file,
        &text,
        std::env::vars_os().filter_map(text_only).collect(),
        false,
    ))
}

/// Reads everything, right or wrong; the value may be used only if there is no problem.
fn read(
    file: &Path,
    text: &str,
    variables: BTreeMap<String, String>,
    exhaustive: bool,
) -> (Config, Reading) {
    let name: Arc<str> = file.display().to_string().into();
    let (mut table, mut problems) = tree::parse(&name, text);
    problems.extend(tree::overlay(&mut table, variables.clone()));
    let folder = file.parent().unwrap_or_else(|| Path::new("")).to_owned();
    let around = Around { folder, variables };
    let place = Place::File(name, 0);
    let mut reading = Reading {
        around,
        outline: Vec::new(),
        problems,
        file: place,
        exhaustive,
        named: Vec::new(),
    };
    let config = Config {
        file: file.to_owned(),
        ..reading.root(table)
    };
    (config, reading)
}

/// The record of every key with its default.
fn reading_of_nothing() -> Reading {
    read(Path::new(""), "", BTreeMap::new(), true).1
}

#[cfg(test)]
mod tests;
