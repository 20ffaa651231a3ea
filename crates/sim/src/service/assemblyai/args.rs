//! The service as a program: its switches.

use std::time::Duration;

use super::{AssemblyAi, Config, Rules};
use crate::service::args::{self, SettingsArgs, duration};
use crate::service::tokens::{TokenRefusal, Tokens};

/// Switches of `antiphon-sim service assemblyai`.
#[derive(Clone, Debug, clap::Args)]
pub struct ServiceArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// The API key that clients must send.
    #[arg(long, default_value = "sim-api-key")]
    api_key: String,
    #[command(flatten)]
    rules: RuleArgs,
}

/// The service's limits.
#[derive(Clone, Debug, clap::Args)]
struct RuleArgs {
    /// Let a temporary token open any number of sessions.
    #[arg(long)]
    token_reusable: bool,
    /// Answer the upgrade with 401 when the key or token is bad, instead of Error and 1008.
    #[arg(long)]
    token_401: bool,
    /// 3008 after so long; Begin tells when.
    #[arg(long, default_value = "3h", value_parser = duration)]
    duration_max: Duration,
    /// End a session after so long without a message, whatever it asks for.
    #[arg(long, value_parser = duration)]
    inactivity_timeout: Option<Duration>,
    /// Refuse more sessions at once.
    #[arg(long)]
    sessions_max: Option<usize>,
    /// Refuse more new sessions in a minute.
    #[arg(long)]
    opens_per_minute: Option<usize>,
    /// The close code of these two refusals: 1008 or 3009.
    #[arg(long, default_value_t = 3009)]
    refusal_code: u16,
    /// 3007 when sound comes faster than this, in percent of the clock.
    #[arg(long, default_value_t = 125)]
    rate_max_percent: u32,
    /// So much sound may come at once before that.
    #[arg(long, default_value = "5m", value_parser = duration)]
    burst: Duration,
    /// The time between two Heartbeats.
    #[arg(long, default_value = "5s", value_parser = duration)]
    heartbeat: Duration,
}

/// Runs the service and prints each session's end, until `stop` is ready.
///
/// # Errors
/// The service cannot start, or nothing can be printed.
pub async fn run(args: ServiceArgs, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let json = args.settings.json;
    let running = AssemblyAi::start(args.config()?).await?;
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
            settings: self.settings.settings()?,
            key: self.api_key,
            tokens: Tokens {
                single_use: !self.rules.token_reusable,
                refusal,
                ..Tokens::default()
            },
            rules: Rules {
                duration_max: self.rules.duration_max,
                inactivity_timeout: self.rules.inactivity_timeout,
                sessions_max: self.rules.sessions_max,
                opens_per_minute: self.rules.opens_per_minute,
                refusal_code: self.rules.refusal_code,
                rate_max_percent: self.rules.rate_max_percent,
                burst: self.rules.burst,
                heartbeat: self.rules.heartbeat,
                ..Rules::default()
            },
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
    fn limits_are_those_of_the_documents_unless_told_otherwise() {
        let usual = config("--deaf");
        assert_eq!(usual.rules, Rules::default());
        assert!(usual.tokens.single_use);

        let strict = config(
            "--deaf --duration-max 3s --inactivity-timeout 200ms --sessions-max 2 \
             --opens-per-minute 5 --refusal-code 1008 --rate-max-percent 120 --burst 1s \
             --heartbeat 100ms --token-401 --token-reusable",
        );
        let expected = Rules {
            duration_max: Duration::from_secs(3),
            inactivity_timeout: Some(Duration::from_millis(200)),
            sessions_max: Some(2),
            opens_per_minute: Some(5),
            refusal_code: 1008,
            rate_max_percent: 120,
            burst: Duration::from_secs(1),
            heartbeat: Duration::from_millis(100),
            ..Rules::default()
        };
        assert_eq!(strict.rules, expected);
        assert_eq!(strict.tokens.refusal, TokenRefusal::Http401);
        assert!(!strict.tokens.single_use);
    }
}
