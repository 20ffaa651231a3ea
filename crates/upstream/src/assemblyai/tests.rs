mod address;
mod dialect;
mod table;
mod token;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use call::start::{Redaction, StreamOptions};

use super::*;
use crate::example;

/// A start that wants nothing but text.
fn options() -> StreamOptions {
    StreamOptions {
        redaction: Redaction::Unredacted,
        ..StreamOptions::default()
    }
}

fn spec(options: StreamOptions) -> StreamSpec {
    example::stream(options).unwrap()
}

fn wish(service: Option<&str>, parameters: &[(&str, &str)]) -> Wish {
    let parameters = parameters.iter();
    Wish {
        service: service.map(Into::into),
        parameters: parameters
            .map(|(name, text)| ((*name).into(), (*text).to_owned().into()))
            .collect(),
    }
}

fn config() -> AssemblyAiConfig {
    AssemblyAiConfig::new("swordfish".to_owned().into())
}

fn configured(parameters: &[(&str, &str)]) -> AssemblyAiConfig {
    let mut config = config();
    config.parameters = read_parameters(parameters.iter().copied()).unwrap();
    config
}

fn service(config: &AssemblyAiConfig) -> AssemblyAi {
    AssemblyAi::new(config, &Trust::new(None).unwrap()).unwrap()
}

fn error(config: &AssemblyAiConfig) -> String {
    let refused = AssemblyAi::new(config, &Trust::new(None).unwrap()).err();
    refused.expect("it is refused").to_string()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
