//! The speech services, put together as they are configured.

use std::sync::Arc;

use prometheus::Registry;
use upstream::assemblyai::{AssemblyAi, AssemblyAiError};
use upstream::autotranscribe::{AutoTranscribe, AutoTranscribeError};
use upstream::deepgram::{Deepgram, DeepgramError};
use upstream::metrics::Metrics;
use upstream::routes::{Provider, Routes};
use upstream::service::Service as Client;
use upstream::trust::Trust;
use upstream::vosk::{Vosk, VoskError};

use crate::config::settings::upstream::Upstream;
use crate::config::words::Service;

/// Why a service cannot be used as configured. Its words begin with the key that is to blame.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// AssemblyAI.
    #[error(transparent)]
    AssemblyAi(#[from] AssemblyAiError),
    /// AutoTranscribe.
    #[error(transparent)]
    AutoTranscribe(#[from] AutoTranscribeError),
    /// Deepgram.
    #[error(transparent)]
    Deepgram(#[from] DeepgramError),
    /// It has no section.
    #[error("is not configured")]
    Missing,
    /// Vosk.
    #[error(transparent)]
    Vosk(#[from] VoskError),
}

/// The services that are configured, and the order in which streams turn to them.
pub(crate) fn routes(
    config: &Upstream,
    trust: &Trust,
    metrics: &Arc<Metrics>,
) -> Result<Routes, (Service, ServiceError)> {
    let mut providers = Vec::new();
    for service in config.services() {
        let client = client(config, service, trust, metrics).map_err(|error| (service, error))?;
        let provider = Provider::new(client, config.guard(service), metrics);
        providers.push(Arc::new(provider));
    }
    Ok(Routes::new(providers, config.plan()))
}

/// The services whose credentials are others than before, to take the place of those that had them.
/// The running configuration then has the credentials, if they can be used; if not all of them can,
/// it stays as it is.
pub(crate) fn renewed(
    running: &mut Upstream,
    now: &Upstream,
    trust: &Trust,
    metrics: &Arc<Metrics>,
) -> Result<Vec<Arc<dyn Client>>, (Service, ServiceError)> {
    let mut adopting = running.clone();
    let others = adopting.adopt_credentials(now).into_iter();
    let client =
        |service| client(&adopting, service, trust, metrics).map_err(|error| (service, error));
    let clients = others.map(client).collect::<Result<_, _>>()?;
    *running = adopting;
    Ok(clients)
}

/// What is wrong with a service's section and can only be told by its client. A section that lacks
/// something is not looked at: that has been told.
pub(crate) fn unusable(config: &Upstream) -> Vec<(Service, String)> {
    let wanted = config
        .services()
        .filter(|service| config.is_whole(*service));
    let wanted: Vec<_> = wanted.collect();
    // Most configurations have none but the one service whose keys say it all.
    if wanted
        .iter()
        .all(|service| *service == Service::AutoTranscribe)
    {
        return Vec::new();
    }
    let tools = (
        Trust::new(config.ca_file.as_deref()),
        Metrics::register(&Registry::new()),
    );
    let (Ok(trust), Ok(metrics)) = tools else {
        return Vec::new();
    };
    let metrics = Arc::new(metrics);
    let told = wanted.into_iter().filter_map(|service| {
        let error = client(config, service, &trust, &metrics).err()?;
        Some((service, error.to_string()))
    });
    told.collect()
}

fn client(
    config: &Upstream,
    service: Service,
    trust: &Trust,
    metrics: &Arc<Metrics>,
) -> Result<Arc<dyn Client>, ServiceError> {
    let missing = ServiceError::Missing;
    Ok(match service {
        Service::AssemblyAi => {
            let own = config.assemblyai().ok_or(missing)?;
            Arc::new(AssemblyAi::new(&own, trust)?)
        }
        Service::AutoTranscribe => {
            let own = config.autotranscribe().ok_or(missing)?;
            Arc::new(AutoTranscribe::new(&own, trust, Arc::clone(metrics))?)
        }
        Service::Deepgram => {
            let own = config.deepgram().ok_or(missing)?;
            Arc::new(Deepgram::new(&own, Arc::clone(metrics))?)
        }
        Service::Vosk => Arc::new(Vosk::new(&config.vosk().ok_or(missing)?)?),
    })
}
