//! A world in which everything speaks TLS.

use std::path::Path;

use gateway::app::Gateway;
use gateway::config::Config;
use gateway::shutdown::Shutdown;
use sim::caller::twilio::Options;
use sim::control;
use sim::service::autotranscribe::Running;

use crate::{API_ID, API_SECRET, PATIENCE, World, install_crypto, tasks};

impl World {
    /// A gateway that speaks TLS with a certificate for `localhost` that `ca` vouches for.
    pub async fn secured(service: Running, config: Config, ca: &Path) -> Self {
        install_crypto();
        let transports = crate::transports(&config);
        let gateway = Gateway::bind(config).await.unwrap();
        let sip = gateway.addresses().siprec.clone();
        let base = format!("https://localhost:{}", gateway.addresses().http.port());
        let (trigger, shutdown) = Shutdown::manual();
        let running = tasks().spawn(async move { gateway.run(shutdown).await.unwrap() });
        let api = control::Gateway::new(&base, API_ID, API_SECRET, Some(ca)).unwrap();
        api.ready(PATIENCE).await.unwrap();
        Self {
            service,
            api,
            base,
            sip,
            transports,
            namespace: crate::TWILIO,
            shutdown: trigger,
            running,
        }
    }
}

/// Makes a caller trust `ca` and nobody else.
pub fn trusting(options: &mut Options, ca: &Path) {
    options.tls = sim::caller::tls::client_config(Some(ca)).unwrap();
}
