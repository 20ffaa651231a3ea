//! A receiver of webhooks that is not real: it verifies signatures with code of its own, tells
//! events apart by their ids, looks at their order, keeps what it took, and misbehaves when asked
//! to. It never forgives: what is not as documented is a complaint.

pub mod args;
mod desk;
pub mod event;
pub mod faults;
mod issuer;
mod ledger;
mod print;
pub mod signature;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::desk::Desk;
pub use self::event::{Event, Format};
pub use self::faults::{Fault, Faults};
pub use self::issuer::Client;
pub use self::ledger::{Counts, Taken};
pub use self::signature::Secret;
use crate::service::TlsFiles;
use crate::service::door::{Door, Lever};

/// Where deliveries go.
pub const PATH: &str = "/webhook";

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// How long answers may take when the receiver stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// What a receiver asks of its senders, and what goes wrong from the beginning.
#[derive(Clone)]
pub struct Settings {
    /// Where it listens; port 0 takes any.
    pub listen: SocketAddr,
    /// TLS, if any.
    pub tls: Option<TlsFiles>,
    /// PEM file of the authorities of which one must have issued the sender's certificate; only
    /// with TLS.
    pub client_ca: Option<PathBuf>,
    /// To whom bearer tokens are given, at `/token`; then each delivery must show one.
    pub oauth2: Option<Client>,
    /// One of these must have signed; with none signatures are not looked at.
    pub secrets: Vec<Secret>,
    /// A header that must be there with this value.
    pub header: Option<(String, String)>,
    /// A parameter of the URL that must be there with this value.
    pub parameter: Option<(String, String)>,
    /// What goes wrong.
    pub faults: Faults,
}

/// A receiver at work. It stops when this is dropped.
pub struct Receiver {
    settings: Settings,
    address: SocketAddr,
    desk: Arc<Desk>,
    tasks: TaskTracker,
    open: Option<CancellationToken>,
}

impl Receiver {
    /// Listens, and takes what comes until [`Receiver::stop`] or the drop.
    ///
    /// # Errors
    /// The address is taken, or the TLS files are not usable.
    pub async fn spawn(settings: Settings) -> anyhow::Result<Self> {
        let mut receiver = Self {
            address: settings.listen,
            desk: Arc::new(Desk::new(&settings)),
            settings,
            tasks: TaskTracker::new(),
            open: None,
        };
        receiver.open().await?;
        Ok(receiver)
    }

    /// Where deliveries go: `http://127.0.0.1:4000/webhook`.
    pub fn url(&self) -> String {
        let scheme = match self.settings.tls {
            Some(_) => "https",
            None => "http",
        };
        format!("{scheme}://{}{PATH}", self.address)
    }

    /// What goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.desk.set_faults(faults);
    }

    /// Where bearer tokens are given: `http://127.0.0.1:4000/token`.
    pub fn token_url(&self) -> String {
        self.url().replace(PATH, issuer::PATH)
    }

    /// Bearer tokens that were given are no longer good.
    pub fn revoke_tokens(&self) {
        self.desk.issuer.revoke();
    }

    /// The next so many requests for a bearer token are answered 503.
    pub fn fail_tokens(&self, times: u32) {
        self.desk.issuer.fail(times);
    }

    /// Everything that was taken, each id once, in the order in which it was taken first.
    pub fn taken(&self) -> Vec<Taken> {
        self.desk.ledger.with(<[Taken]>::to_vec)
    }

    /// The final transcripts among it.
    pub fn finals(&self) -> Vec<Event> {
        self.desk.ledger.with(|taken| {
            let finals = taken.iter().filter(|taken| taken.event.is_final());
            finals.map(|taken| taken.event.clone()).collect()
        })
    }

    /// How much of what there was.
    pub fn counts(&self) -> Counts {
        self.desk.ledger.counts()
    }

    /// What was not as documented, in words; the first of them.
    pub fn complaints(&self) -> Vec<String> {
        self.desk.ledger.complaints()
    }

    /// Waits until what was taken is as described. It looks at each change and never by the clock;
    /// bring a timeout.
    pub async fn wait_for(&self, mut so: impl FnMut(&[Taken]) -> bool) {
        let ledger = &self.desk.ledger;
        ledger.wait_until(|| ledger.with(&mut so)).await;
    }

    /// Waits in the same way until the counts are as described.
    pub async fn wait_for_counts(&self, mut so: impl FnMut(&Counts) -> bool) {
        let ledger = &self.desk.ledger;
        ledger.wait_until(|| so(&ledger.counts())).await;
    }

    /// Listens no more: connections are refused, those that are open end with their answers.
    pub async fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.cancel();
        }
        self.tasks.close();
        if tokio::time::timeout(STOP_TIMEOUT, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("Answers of the receiver did not end in time.");
        }
        self.tasks.reopen();
    }

    /// Listens again where it did before, with the same memory.
    ///
    /// # Errors
    /// The address is taken, or the TLS files are not usable.
    pub async fn open(&mut self) -> anyhow::Result<()> {
        let listener = listen(self.address)?;
        self.address = listener.local_addr()?;
        let Settings { tls, client_ca, .. } = &self.settings;
        let door = Door::asking(listener, tls.as_ref(), client_ca.as_deref())?;
        let closing = CancellationToken::new();
        let routes = desk::routes(&self.desk, closing.clone());
        let until = closing.clone().cancelled_owned();
        self.tasks.spawn(async move {
            let service = routes.into_make_service_with_connect_info::<Lever>();
            let served = axum::serve(door, service).with_graceful_shutdown(until);
            if let Err(error) = served.await {
                tracing::warn!(%error, "The receiver stopped serving.");
            }
        });
        self.open = Some(closing);
        Ok(())
    }

    /// Ends, and waits until the last answers are out.
    pub async fn stop(mut self) {
        self.close().await;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            open.cancel();
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: None,
            client_ca: None,
            oauth2: None,
            secrets: Vec::new(),
            header: None,
            parameter: None,
            faults: Faults::default(),
        }
    }
}

fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket
        .bind(address)
        .with_context(|| format!("cannot listen on {address}"))?;
    Ok(socket.listen(BACKLOG)?)
}
