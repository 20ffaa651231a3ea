//! The service as a program: its switches.

use std::time::Duration;

use super::{AutoTranscribe, Config, Rules, TokenRefusal, Tokens};
use crate::service::args::{self, SettingsArgs, duration};

/// Switches of `antiphon-sim service autotranscribe`.
#[derive(Clone, Debug, clap::Args)]
pub struct ServiceArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// The asapp-api-id that clients must send.
    #[arg(long, default_value = "sim-api-id")]
    api_id: String,
    /// The asapp-api-secret that clients must send.
    #[arg(long, default_value = "sim-api-secret")]
    api_secret: String,
    #[command(flatten)]
    rules: RuleArgs,
}

/// The service's limits.
#[derive(Clone, Debug, clap::Args)]
struct RuleArgs {
    /// How long a streaming URL is good.
    #[arg(long, default_value = "5m", value_parser = duration)]
    token_ttl: Duration,
    /// Let a streaming URL open any number of WebSockets.
    #[arg(long)]
    token_reusable: bool,
    /// Answer the upgrade with 401 when the token is bad, instead of closing with 1008.
    #[arg(long)]
    token_401: bool,
    /// 4083 after so long without a message.
    #[arg(long, default_value = "60s", value_parser = duration)]
    idle_timeout: Duration,
    /// 4090 after so long.
    #[arg(long, default_value = "3h", value_parser = duration)]
    duration_max: Duration,
    /// Refuse unredacted text with 4094.
    #[arg(long)]
    always_redact: bool,
    /// Refuse a bad vocabulary in the vocabularyResponse and go on.
    #[arg(long)]
    vocabulary_lenient: bool,
}

/// Runs the service and prints each stream's end, until `stop` is ready.
///
/// # Errors
/// The service cannot start, or nothing can be printed.
pub async fn run(args: ServiceArgs, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let json = args.settings.json;
    let running = AutoTranscribe::start(args.config()?).await?;
    args::print(running, json, stop).await
}

impl ServiceArgs {
    /// The configuration these switches stand for.
    ///
    /// # Errors
    /// The phrases cannot be read or heard.
    pub fn config(self) -> anyhow::Result<Config> {
        let refusal = TokenRefusal::told(self.rules.token_401);
        Ok(Config {
            api_id: self.api_id,
            api_secret: self.api_secret,
            tokens: Tokens {
                ttl: self.rules.token_ttl,
                single_use: !self.rules.token_reusable,
                refusal,
            },
            rules: Rules {
                idle_timeout: self.rules.idle_timeout,
                duration_max: self.rules.duration_max,
                always_redact: self.rules.always_redact,
                vocabulary_refusal_ends: !self.rules.vocabulary_lenient,
                ..Rules::default()
            },
            ..Config::from(self.settings.settings()?)
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        args: ServiceArgs,
    }

    fn config(switches: &str) -> Config {
        let words = std::iter::once("sim").chain(switches.split_whitespace());
        Program::parse_from(words).args.config().unwrap()
    }

    #[test]
    fn limits_are_those_of_the_guide_unless_told_otherwise() {
        let usual = config("--deaf");
        assert_eq!(usual.rules.idle_timeout, Duration::from_secs(60));
        assert_eq!(usual.rules.duration_max, Duration::from_secs(3 * 3600));
        assert_eq!(usual.tokens.ttl, Duration::from_secs(300));
        assert!(usual.tokens.single_use && usual.rules.vocabulary_refusal_ends);

        let hasty = config("--deaf --idle-timeout 800ms --token-reusable --vocabulary-lenient");
        assert_eq!(hasty.rules.idle_timeout, Duration::from_millis(800));
        assert!(!hasty.tokens.single_use && !hasty.rules.vocabulary_refusal_ends);
        assert_eq!(hasty.faults, crate::service::faults::Faults::default());
    }
}
