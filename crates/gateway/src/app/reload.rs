//! What SIGHUP does: keys, tokens and secrets are read again.

use std::sync::Arc;

use delivery::Delivery;
use ingress::siprec::Siprec;
use ingress::twilio::Twilio;

use crate::api::auth::{ApiKey, ApiKeys};
use crate::config::{Config, settings};
use crate::shutdown::Hangups;

/// Whose keys and secrets they are.
pub(super) struct Holders {
    pub(super) keys: ApiKeys,
    pub(super) twilio: Arc<Twilio>,
    pub(super) siprec: Option<Arc<Siprec>>,
    pub(super) delivery: Arc<Delivery>,
}

/// Reads keys and tokens again at each SIGHUP. A file that cannot be used changes nothing.
pub(super) async fn reload(config: Config, mut hangups: Hangups, holders: Holders) {
    let Holders {
        keys,
        twilio,
        siprec,
        delivery,
    } = holders;
    loop {
        hangups.next().await;
        match Config::reload(&config.file) {
            Ok(now) => {
                keys.replace(&keys_of(&now.api_keys));
                twilio.reload(&now.auth_tokens, &now.shared_keys, &now.token_secrets);
                if let Some(siprec) = &siprec {
                    siprec.reload(&now.trunks);
                }
                delivery.replace_secrets(&now.endpoints);
                tracing::info!("Keys and tokens were read again.");
            }
            Err(error) => tracing::error!(%error, "Keys and tokens stay as they were."),
        }
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
