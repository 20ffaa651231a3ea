//! The configuration of a gateway under test: the sections that every run needs, and what a run
//! adds.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use uuid::Uuid;

use super::service::Upstream;
use crate::load::spawn::Facts;

/// Sections in alphabetical order, tables of arrays behind them; a key that is set again is the
/// later one.
#[derive(Clone, Debug, Default)]
pub(super) struct Toml {
    sections: BTreeMap<String, BTreeMap<String, String>>,
}

impl Toml {
    /// A gateway for callers of both platforms and one speech service, whose limits are out of the
    /// way and whose other settings are the product's.
    pub(super) fn gateway(upstream: &Upstream) -> Self {
        let mut toml = Self::default();
        toml.number("limits", "requests_per_second", 100_000)
            .number("limits", "requests_burst", 100_000)
            .number("limits", "events_ring_max", 1_000_000)
            .text("log", "level", "error")
            // Callers, service and gateway are on one machine: that it is busy says nothing.
            .text("overload", "lag_max", "0s")
            .text("upstream", "service", upstream.name);
        let section = format!("upstream.{}", upstream.name);
        for (key, value) in &upstream.keys {
            toml.text(&section, key, value);
        }
        // How many sockets a minute an account may open is not what a run is about.
        toml.number(&section, "opens_per_minute", 0);
        // Nor is what is kept: `antiphon-sim load --store` measures that.
        toml.raw("store", "enabled", "false".to_owned());
        toml
    }

    /// What depends on where the gateway is, behind what was set.
    pub(super) fn at(&self, address: SocketAddr, facts: &Facts) -> String {
        let mut toml = self.clone();
        let secret = Uuid::new_v4().simple().to_string();
        toml.text("http", "listen", &address.to_string())
            .text("http", "public_url", &facts.base)
            .text("twilio", "token_secret", &secret)
            .raw("twilio", "auth_tokens", format!("[{:?}]", facts.auth_token))
            .raw("siprec", "listen", format!("[\"{}\"]", facts.siprec));
        let (id, secret) = &facts.api_key;
        format!(
            "{toml}[[api_keys]]\nid = \"{id}\"\nsecret = \"{secret}\"\n\
             [[siprec.trunks]]\nname = \"run\"\nsources = [\"127.0.0.0/8\"]\n"
        )
    }

    /// Sets a string, or what is written like one.
    pub(super) fn text(&mut self, section: &str, key: &str, value: &str) -> &mut Self {
        // JSON's strings are TOML's.
        self.raw(section, key, serde_json::Value::from(value).to_string())
    }

    /// Sets a number.
    pub(super) fn number(&mut self, section: &str, key: &str, value: usize) -> &mut Self {
        self.raw(section, key, value.to_string())
    }

    /// Sets a value as it is written.
    pub(super) fn raw(&mut self, section: &str, key: &str, value: String) -> &mut Self {
        let section = self.sections.entry(section.to_owned()).or_default();
        section.insert(key.to_owned(), value);
        self
    }
}

impl fmt::Display for Toml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (section, keys) in &self.sections {
            writeln!(f, "[{section}]")?;
            for (key, value) in keys {
                writeln!(f, "{key} = {value}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::caller::siprec::Target;
    use crate::service::Protocol;

    /// Every run's own keys, for every service that the gateway knows.
    #[test]
    fn the_gateway_itself_accepts_the_configuration() {
        let facts = Facts {
            base: "http://127.0.0.1:8080".to_owned(),
            api_key: ("run".to_owned(), "secret".to_owned()),
            auth_token: "token".to_owned(),
            siprec: Target::udp(([127, 0, 0, 1], 5060).into()),
        };
        for protocol in Protocol::ALL {
            let mut toml = Toml::gateway(&Upstream::of(protocol, "127.0.0.1:9100"));
            toml.text("shutdown", "drain_timeout", "10s");
            let text = toml.at(([127, 0, 0, 1], 8080).into(), &facts);
            let read = gateway::config::Config::parse(Path::new("run.toml"), &text, []);
            let config = read.unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(config.limits.events_ring_max, 1_000_000);
            assert!(text.contains("listen = [\"udp:127.0.0.1:5060\"]"));
        }
    }
}
