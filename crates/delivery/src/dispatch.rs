//! All endpoints together: who wants what happened, and the tasks that carry it out.

mod complaint;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use store::outbox::{Outbox, Parcel};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub(crate) use self::complaint::Complaint;
use crate::client::{Carrier, Client};
use crate::courier::Courier;
use crate::endpoint::{Endpoint, EndpointError, Filter, Format, Problem, check};
use crate::lanes::Rules;
pub use crate::lanes::Standing;
use crate::limits::Limits;
use crate::metrics::{EndpointMetrics, Metrics};
use crate::render::{Fact, Rendered};

/// Brings what happens to whoever asked for it.
pub struct Delivery {
    routes: Vec<(Arc<Route>, Arc<Client>)>,
    limits: Limits,
}

/// How an endpoint is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointState {
    /// Its name.
    pub name: String,
    /// Where it is: the host of its URL, and nothing more of it.
    pub host: String,
    /// Whether it is sent to.
    pub standing: Standing,
    /// Requests that are under way.
    pub in_flight: usize,
    /// What went wrong last, in words without anything private, and when in unix milliseconds.
    pub last_error: Option<(String, u64)>,
    /// Events that wait, when that was last measured.
    pub waiting: u64,
    /// Dead letters, likewise.
    pub dead: u64,
}

/// What an endpoint's task and the rest of the program share.
pub(crate) struct Route {
    pub(crate) name: Arc<str>,
    pub(crate) format: Format,
    pub(crate) rules: Rules,
    pub(crate) metrics: Arc<EndpointMetrics>,
    /// There may be something new.
    pub(crate) wake: Notify,
    filter: Filter,
    /// Somebody wants it enabled.
    enable: AtomicBool,
    state: Mutex<EndpointState>,
}

impl Delivery {
    /// Checks the endpoints; opens nothing yet.
    pub fn new(
        endpoints: Vec<Endpoint>,
        limits: Limits,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, EndpointError> {
        let mut routes: Vec<(Arc<Route>, Arc<Client>)> = Vec::new();
        for endpoint in endpoints {
            let wrong = |problem| EndpointError {
                endpoint: endpoint.name.clone(),
                problem,
            };
            check(&endpoint).map_err(wrong)?;
            if routes
                .iter()
                .any(|(route, _)| *route.name == *endpoint.name)
            {
                return Err(wrong(Problem::Twice));
            }
            let route = Arc::new(Route::new(&endpoint, &limits, &metrics));
            let client = Client::new(&endpoint, &limits, Arc::clone(&route.metrics));
            routes.push((route, Arc::new(client.map_err(wrong)?)));
        }
        Ok(Arc::new(Self { routes, limits }))
    }

    /// What of a fact is to be sent, one for each endpoint that wants it.
    pub fn parcels(&self, fact: &Fact<'_>) -> Vec<Parcel> {
        let mut made: Vec<(Format, Option<Rendered>)> = Vec::new();
        let mut parcels = Vec::new();
        for (route, _) in &self.routes {
            if !fact.passes(&route.filter) {
                continue;
            }
            let known = made.iter().position(|(format, _)| *format == route.format);
            let index = known.unwrap_or_else(|| {
                made.push((route.format, fact.render(route.format)));
                made.len() - 1
            });
            let Some(rendered) = &made[index].1 else {
                continue;
            };
            parcels.push(Parcel {
                endpoint: Arc::clone(&route.name),
                lane: fact.call.to_string().into(),
                id: fact.delivery_id(),
                kind: fact.kind,
                content_type: rendered.content_type,
                body: rendered.body.clone(),
                at_unix_ms: fact.at_unix_ms,
            });
        }
        parcels
    }

    /// There is something new in the outbox.
    pub fn wake(&self) {
        for (route, _) in &self.routes {
            route.wake.notify_one();
        }
    }

    /// Sends what waits, until it is told to stop: then nothing new is begun, and what is under way
    /// has a little time. May be called again afterwards, with another outbox; never twice at once.
    pub async fn run(self: Arc<Self>, outbox: Arc<dyn Outbox>, stop: CancellationToken) {
        let mut couriers = JoinSet::new();
        for (route, client) in &self.routes {
            let carrier: Arc<dyn Carrier> = Arc::<Client>::clone(client);
            couriers.spawn(employ(
                Arc::clone(route),
                carrier,
                Arc::clone(&outbox),
                self.limits,
                stop.clone(),
            ));
        }
        while couriers.join_next().await.is_some() {}
        // Without endpoints there is nothing to do, which is not the same as being done.
        stop.cancelled().await;
    }

    /// Goes on with other secrets, and enables endpoints that had said 410. Only secrets and
    /// authentication are taken over; secrets that cannot be used leave the old ones in place.
    pub fn replace_secrets(&self, endpoints: &[Endpoint]) {
        for endpoint in endpoints {
            let mut known = self.routes.iter();
            let Some((route, client)) = known.find(|(route, _)| *route.name == *endpoint.name)
            else {
                warn!(endpoint = endpoint.name, "A new webhook needs a restart.");
                continue;
            };
            let replaced = check(endpoint).and_then(|()| client.replace_secrets(endpoint));
            if let Err(error) = replaced {
                error!(
                    endpoint = endpoint.name,
                    %error,
                    "A webhook keeps its secrets, because the new ones cannot be used."
                );
            }
            route.enable();
        }
    }

    /// Sends again to an endpoint that had said 410 or rests; whether there is one of this name.
    pub fn enable(&self, name: &str) -> bool {
        let mut known = self.routes.iter();
        let found = known.find(|(route, _)| *route.name == *name);
        found.inspect(|(route, _)| route.enable()).is_some()
    }

    /// How all endpoints are doing, in the configuration's order.
    pub fn states(&self) -> Vec<EndpointState> {
        let states = self.routes.iter().map(|(route, _)| route.state().clone());
        states.collect()
    }
}

impl Route {
    pub(crate) fn new(endpoint: &Endpoint, limits: &Limits, metrics: &Metrics) -> Self {
        Self {
            name: endpoint.name.as_str().into(),
            format: endpoint.format,
            rules: Rules::new(endpoint, limits),
            metrics: Arc::new(metrics.of(&endpoint.name)),
            wake: Notify::new(),
            filter: endpoint.filter.clone(),
            enable: AtomicBool::new(false),
            state: Mutex::new(EndpointState {
                name: endpoint.name.clone(),
                host: endpoint.url.host_str().unwrap_or_default().to_owned(),
                standing: Standing::Enabled,
                in_flight: 0,
                last_error: None,
                waiting: 0,
                dead: 0,
            }),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, EndpointState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody has asked for it since the last time.
    pub(crate) fn is_to_be_enabled(&self) -> bool {
        self.enable.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn enable(&self) {
        self.enable.store(true, Ordering::Release);
        self.wake.notify_one();
    }
}

/// Has a courier for an endpoint at all times. What a courier knew is in the outbox as well, so
/// that the next one goes on where a panic ended it.
async fn employ(
    route: Arc<Route>,
    carrier: Arc<dyn Carrier>,
    outbox: Arc<dyn Outbox>,
    limits: Limits,
    stop: CancellationToken,
) {
    const BREATH: Duration = Duration::from_secs(1);
    loop {
        let courier = Courier::new(
            Arc::clone(&route),
            Arc::clone(&carrier),
            Arc::clone(&outbox),
            limits,
            RandomState::new().hash_one(()),
        );
        let mut task = JoinSet::new();
        task.spawn(courier.run(stop.clone()));
        match task.join_next().await {
            Some(Err(error)) if error.is_panic() => {}
            _ => return,
        }
        route.metrics.panicked();
        error!(endpoint = %route.name, "A webhook's task panicked; it is started again.");
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(BREATH) => info!(endpoint = %route.name, "A webhook's task begins anew."),
        }
    }
}

#[cfg(test)]
mod tests;
