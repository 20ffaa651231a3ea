//! What the server notices of its connections.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::server::Noticed;

/// Counters of the HTTP server's sockets.
#[derive(Debug)]
pub struct ConnectionMetrics {
    open: IntGauge,
    refused: IntCounterVec,
    accepted: IntCounter,
    certificates: IntCounterVec,
}

impl ConnectionMetrics {
    /// Makes them and registers them.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let open = IntGauge::new("antiphon_http_connections", "Open connections.")?;
        let accepted = IntCounter::new(
            "antiphon_http_connections_accepted_total",
            "Connections let in.",
        )?;
        let refused = Opts::new(
            "antiphon_http_connections_refused_total",
            "Connections that did not come to be, by cause: accept (the system gave none), \
             handshake (TLS failed or took too long), limit (there were too many).",
        );
        let certificates = Opts::new(
            "antiphon_http_certificates_reloaded_total",
            "Changed certificate files, by whether they could be used.",
        );
        let metrics = Self {
            open,
            accepted,
            refused: IntCounterVec::new(refused, &["cause"])?,
            certificates: IntCounterVec::new(certificates, &["outcome"])?,
        };
        registry.register(Box::new(metrics.open.clone()))?;
        registry.register(Box::new(metrics.accepted.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.certificates.clone()))?;
        for cause in ["accept", "handshake", "limit"] {
            metrics.refused.with_label_values(&[cause]);
        }
        for outcome in ["refused", "taken"] {
            metrics.certificates.with_label_values(&[outcome]);
        }
        Ok(metrics)
    }

    pub(crate) fn notice(&self, noticed: Noticed) {
        let refused = |cause| self.refused.with_label_values(&[cause]).inc();
        let certificate = |outcome| self.certificates.with_label_values(&[outcome]).inc();
        match noticed {
            Noticed::AcceptFailed => refused("accept"),
            Noticed::CertificateRefused => certificate("refused"),
            Noticed::CertificateTaken => certificate("taken"),
            Noticed::ConnectionClosed => self.open.dec(),
            Noticed::ConnectionOpened => {
                self.accepted.inc();
                self.open.inc();
            }
            Noticed::ConnectionRefused => refused("limit"),
            Noticed::HandshakeFailed => refused("handshake"),
        }
    }
}
