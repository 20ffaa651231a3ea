//! Which services a stream may go to, the best first.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::join_all;

use call::name::{CallName, Role};
use call::start::{StreamSpec, Wish};

use crate::guard::{Blocked, Cause, Guard, GuardConfig, Permit, Purpose};
use crate::metrics::Metrics;
use crate::service::{BadParameter, Limits, Service};

/// A service and what guards it.
pub struct Provider {
    name: &'static str,
    /// With the credential that is shown now.
    service: RwLock<Arc<dyn Service>>,
    /// Leave to open sockets towards it.
    guard: Guard,
}

/// By the names of services, the best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// For streams of the agent; empty: as `any`.
    pub agent: Vec<String>,
    /// For streams of the customer; empty: as `any`.
    pub customer: Vec<String>,
    /// For all others. Not empty.
    pub any: Vec<String>,
    /// Whether a stream for which a service was wished may go to the planned ones if that service
    /// gives no leave.
    pub wished_falls_back: bool,
    /// How long a stream waits for leave at a service while there is another to turn to.
    pub switch_after: Duration,
}

/// All services, and the order in which a stream turns to them.
pub struct Routes {
    providers: Vec<Arc<Provider>>,
    plan: Plan,
}

/// Leave to open a socket, and where.
pub struct Admission {
    /// The service that gave it.
    pub provider: Arc<Provider>,
    /// To be told what becomes of it.
    pub permit: Permit,
    /// The stream as this service is to see it: without parameters that were meant for another.
    pub spec: StreamSpec,
    /// Whether another service would have been better.
    pub is_fallback: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            agent: Vec::new(),
            customer: Vec::new(),
            any: Vec::new(),
            wished_falls_back: true,
            switch_after: Duration::from_secs(2),
        }
    }
}

impl Provider {
    /// A service, guarded as configured and counted under its name.
    pub fn new(service: Arc<dyn Service>, config: GuardConfig, metrics: &Metrics) -> Self {
        let counts = Arc::clone(metrics.of(service.name()));
        Self::guarded(service, Guard::counted(config, counts))
    }

    /// A service and its guard.
    pub fn guarded(service: Arc<dyn Service>, guard: Guard) -> Self {
        Self {
            name: service.name(),
            service: RwLock::new(service),
            guard,
        }
    }

    /// What the service is called, whatever its credential.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it is at present.
    pub fn service(&self) -> Arc<dyn Service> {
        let service = self.service.read();
        Arc::clone(&service.unwrap_or_else(PoisonError::into_inner))
    }

    /// Goes on with the same service and another credential, for sockets that are opened from here
    /// on; at once, if it was the credential for which it was left alone. What the one before had
    /// fetched ahead of time goes with it.
    fn renew(&self, service: Arc<dyn Service>) {
        *self.service.write().unwrap_or_else(PoisonError::into_inner) = service;
        self.guard.renewed();
    }
}

impl Plan {
    fn of(&self, role: Role) -> &[String] {
        match role.party() {
            Role::Agent if !self.agent.is_empty() => &self.agent,
            Role::Customer if !self.customer.is_empty() => &self.customer,
            _ => &self.any,
        }
    }
}

impl Routes {
    /// `plan` names none but these.
    pub fn new(providers: Vec<Arc<Provider>>, plan: Plan) -> Self {
        Self { providers, plan }
    }

    /// Where a stream may go, the best first; never empty. A service that was wished for comes
    /// first, and the plan's others behind it if they may.
    pub fn of(&self, role: Role, wish: &Wish) -> Vec<Arc<Provider>> {
        let wished = wish.service.as_deref().and_then(|name| self.named(name));
        let planned = self.plan.of(role).iter();
        let planned = planned
            .filter(|_| wished.is_none() || self.plan.wished_falls_back)
            .filter_map(|name| self.named(name));
        let mut found: Vec<Arc<Provider>> = Vec::new();
        for provider in wished.into_iter().chain(planned) {
            if !found.iter().any(|known| Arc::ptr_eq(known, provider)) {
                found.push(Arc::clone(provider));
            }
        }
        found
    }

    /// Leave to open a socket at the best service that gives it soon; if none does, at the one that
    /// gives it soonest. `avoid` names services that are no choice for this stream: because they
    /// will never accept it, or because it is to stay where it is.
    pub async fn admit(
        &self,
        spec: &StreamSpec,
        purpose: Purpose,
        avoid: &[&'static str],
    ) -> Result<Admission, Blocked> {
        let mut route = self.of(spec.role, &spec.wish);
        route.retain(|provider| !avoid.contains(&provider.name));
        let (provider, permit) = match &route[..] {
            [] => return Err(Blocked::new(Cause::Nowhere, Duration::ZERO)),
            [only] => (only, only.guard.admit(purpose).await?),
            several => self.admit_among(several, purpose).await?,
        };
        Ok(self.admission(spec, provider, permit))
    }

    /// How the sound of a stream is cut: as its best service wants it.
    pub fn limits(&self, role: Role, wish: &Wish) -> Limits {
        let best = self.of(role, wish);
        let best = best.first().expect("a plan is not empty");
        best.service().limits()
    }

    /// Whether a wish can be fulfilled, by the service it would go to.
    pub fn check(&self, role: Role, wish: &Wish) -> Result<(), BadParameter> {
        if let Some(name) = wish.service.as_deref()
            && self.named(name).is_none()
        {
            return Err(BadParameter {
                name: "service".to_owned(),
                what: "names no service that is configured".to_owned(),
            });
        }
        let best = self.of(role, wish);
        best.first()
            .map_or(Ok(()), |best| best.service().check(wish))
    }

    /// Media of a call has appeared: whatever makes its start fast may be fetched now. Each service
    /// is as fast as it is, whatever the others are.
    pub async fn prepare(&self, call: &CallName) {
        let services: Vec<_> = self.planned().map(|provider| provider.service()).collect();
        join_all(services.iter().map(|service| service.prepare(call))).await;
    }

    /// The same services with other credentials: for sockets that are opened from here on.
    pub fn renew(&self, services: Vec<Arc<dyn Service>>) {
        for service in services {
            if let Some(provider) = self.named(service.name()) {
                provider.renew(service);
            }
        }
    }

    /// A call is over.
    pub fn forget(&self, call: &CallName) {
        for provider in &self.providers {
            provider.service().forget(call);
        }
    }

    async fn admit_among<'a>(
        &self,
        route: &'a [Arc<Provider>],
        purpose: Purpose,
    ) -> Result<(&'a Arc<Provider>, Permit), Blocked> {
        let mut refusals = Vec::with_capacity(route.len());
        for provider in route {
            let leave = provider.guard.admit_within(purpose, self.plan.switch_after);
            match leave.await {
                Ok(permit) => return Ok((provider, permit)),
                Err(blocked) => refusals.push((provider, blocked)),
            }
        }
        refusals.sort_by_key(|(_, blocked)| blocked.after);
        let (_, soonest) = refusals[0];
        // At a breaker there is no waiting.
        let mut patient = refusals.into_iter();
        let patient = patient.find(|(_, blocked)| blocked.cause != Cause::Breaker);
        let (provider, _) = patient.ok_or(soonest)?;
        match provider.guard.admit(purpose).await {
            Ok(permit) => Ok((provider, permit)),
            Err(blocked) if blocked.after < soonest.after => Err(blocked),
            Err(_) => Err(soonest),
        }
    }

    fn admission(&self, spec: &StreamSpec, provider: &Arc<Provider>, permit: Permit) -> Admission {
        let best = self.of(spec.role, &spec.wish);
        let is_best = best.first().is_some_and(|best| Arc::ptr_eq(best, provider));
        if !is_best {
            provider.guard.metrics().failed_over();
        }
        Admission {
            provider: Arc::clone(provider),
            permit,
            spec: self.seen_by(provider, spec),
            is_fallback: !is_best,
        }
    }

    /// A wish's parameters are for the service that was wished, or for the best one if none was.
    fn seen_by(&self, provider: &Provider, spec: &StreamSpec) -> StreamSpec {
        let best = self.plan.of(spec.role).first().map(String::as_str);
        let meant = spec.wish.service.as_deref().or(best);
        let mut spec = spec.clone();
        if meant != Some(provider.name) {
            spec.wish.parameters.clear();
        }
        spec
    }

    /// The best of each role.
    fn planned(&self) -> impl Iterator<Item = &Arc<Provider>> {
        let Plan {
            agent,
            customer,
            any,
            ..
        } = &self.plan;
        let first = [agent.first(), customer.first(), any.first()];
        let providers = self.providers.iter();
        providers.filter(move |provider| {
            first
                .iter()
                .any(|name| name.is_some_and(|name| name == provider.name))
        })
    }

    fn named(&self, name: &str) -> Option<&Arc<Provider>> {
        let mut providers = self.providers.iter();
        providers.find(|provider| provider.name == name)
    }
}

#[cfg(test)]
mod tests;
