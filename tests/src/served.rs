//! A world whose speech service is any of those that can be spoken with.

use sim::service::{Protocol, Running, Settings};

use crate::World;

/// The key that all services want that want one.
const KEY: &str = "sim-api-key";

impl World {
    /// A service that speaks this protocol, and a gateway with it as upstream.
    pub async fn served_by(protocol: Protocol, settings: Settings, more: &str) -> Self {
        crate::install_crypto();
        let service = protocol.start(settings).await.unwrap();
        Self::serving(protocol, service, more).await
    }

    /// The same with a service that runs already.
    pub async fn serving(protocol: Protocol, service: Running, more: &str) -> Self {
        let url = service.url();
        let more = extended(&section(protocol, &url), more);
        let more = extended(
            &format!("[upstream]\nservice = \"{}\"\n", name(protocol)),
            &more,
        );
        // What the rig has of AutoTranscribe leads nowhere unless it is that.
        Self::of(service, crate::config(&url, &more)).await
    }
}

/// What a service is called in the configuration, in events and in metrics.
pub fn name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::AssemblyAi => "assemblyai",
        Protocol::AutoTranscribe => "autotranscribe",
        Protocol::Deepgram => "deepgram",
        Protocol::Vosk => "vosk",
    }
}

/// The section of a service that is at this `http` URL and takes sound as fast as it comes.
pub fn section(protocol: Protocol, url: &str) -> String {
    let name = name(protocol);
    let (scheme, own) = match protocol {
        Protocol::AssemblyAi => ("ws", format!("api_key = \"{KEY}\"\nopens_per_minute = 0\n")),
        Protocol::AutoTranscribe => (
            "http",
            "api_id = \"sim-api-id\"\napi_secret = \"sim-api-secret\"\nurls_per_call = 0\n"
                .to_owned(),
        ),
        Protocol::Deepgram => ("ws", format!("api_key = \"{KEY}\"\n")),
        Protocol::Vosk => ("ws", String::new()),
    };
    let url = url.replacen("http", scheme, 1);
    format!("[upstream.{name}]\nbase_url = \"{url}\"\nburst = \"60s\"\n{own}")
}

/// TOML with more TOML, whose sections replace or extend it.
pub fn extended(base: &str, more: &str) -> String {
    let mut base: toml::Table = base.parse().unwrap();
    crate::merge(&mut base, more.parse().unwrap());
    toml::to_string(&base).unwrap()
}
