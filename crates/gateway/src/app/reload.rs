//! What SIGHUP does: keys, tokens and secrets are read again.

use std::sync::Arc;

use delivery::Delivery;
use ingress::siprec::Siprec;
use ingress::twilio::Twilio;
use upstream::stream::Deps;

use super::StartError;
use crate::api::auth::{ApiKey, ApiKeys};
use crate::config::{Config, Reloadable, settings};
use crate::metrics::Metrics;
use crate::services;
use crate::shutdown::Hangups;

/// Whose keys and secrets they are.
pub(super) struct Holders {
    pub(super) keys: ApiKeys,
    pub(super) twilio: Arc<Twilio>,
    pub(super) siprec: Option<Arc<Siprec>>,
    pub(super) delivery: Arc<Delivery>,
    pub(super) upstream: Arc<Deps>,
    pub(super) metrics: Arc<Metrics>,
}

/// Reads keys and tokens again at each SIGHUP. A file that cannot be used changes nothing.
pub(super) async fn reload(mut config: Config, mut hangups: Hangups, holders: Holders) {
    loop {
        hangups.next().await;
        let read = Config::reload(&config.file).map_err(|error| one_line(&error));
        let taken = read.and_then(|now| {
            let taken = holders.take(&mut config.upstream, &now);
            taken.map_err(|error| one_line(&error))
        });
        holders.metrics.reloaded(taken.is_ok());
        match taken {
            Ok(()) => tracing::info!("Keys and tokens were read again."),
            Err(error) => tracing::error!(error, "Keys and tokens stay as they were."),
        }
    }
}

impl Holders {
    /// What may fail comes first.
    fn take(
        &self,
        running: &mut settings::upstream::Upstream,
        now: &Reloadable,
    ) -> Result<(), StartError> {
        let (trust, metrics) = (self.upstream.wire.trust(), &self.upstream.metrics);
        let renewed = services::renewed(running, &now.upstream, trust, metrics);
        let renewed = renewed.map_err(|(service, error)| StartError::Service { service, error })?;
        for service in &renewed {
            tracing::info!(
                service = service.name(),
                "A speech service has a new credential."
            );
        }
        self.upstream.routes.renew(renewed);
        self.keys.replace(&keys_of(&now.api_keys));
        self.twilio
            .reload(&now.auth_tokens, &now.shared_keys, &now.token_secrets);
        if let Some(siprec) = &self.siprec {
            siprec.reload(&now.trunks);
        }
        self.delivery.replace_secrets(&now.endpoints);
        Ok(())
    }
}

pub(super) fn keys_of(keys: &[settings::ApiKey]) -> Vec<ApiKey> {
    keys.iter()
        .map(|key| ApiKey {
            id: key.id.clone(),
            secret: key.secret.clone(),
            scopes: key.scopes.iter().copied().collect(),
            tenant: key.tenant.as_deref().map(Arc::from),
        })
        .collect()
}

/// All that is wrong, for one line of the log.
fn one_line(error: &impl std::error::Error) -> String {
    error.to_string().replace('\n', "; ")
}
