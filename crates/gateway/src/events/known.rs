//! What is known of live calls beside what happens to them: their other names, and whose they are.

use std::collections::HashMap;
use std::sync::Arc;

use call::name::CallName;

/// By the calls' own names.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<CallName, Facts>);

#[derive(Debug, Default)]
struct Facts {
    also: Option<Arc<[CallName]>>,
    /// `Some(None)`: of somebody without a tenant.
    owner: Option<Option<Arc<str>>>,
}

impl Known {
    /// Other names, and the tenant.
    pub(super) fn of(&self, call: &CallName) -> (Option<Arc<[CallName]>>, Option<Arc<str>>) {
        self.0.get(call).map_or((None, None), |facts| {
            (facts.also.clone(), facts.owner.clone().flatten())
        })
    }

    pub(super) fn owner_of(&self, call: &CallName) -> Option<Option<Arc<str>>> {
        self.0.get(call)?.owner.clone()
    }

    pub(super) fn also_known_as(&mut self, call: &CallName, names: &[CallName]) {
        self.0.entry(call.clone()).or_default().also = Some(names.into());
    }

    /// Whether it had no owner, and so has this one now.
    pub(super) fn belongs_to(&mut self, call: &CallName, tenant: Option<Arc<str>>) -> bool {
        let owner = &mut self.0.entry(call.clone()).or_default().owner;
        let is_free = owner.is_none();
        owner.get_or_insert(tenant);
        is_free
    }

    pub(super) fn belongs_to_nobody(&mut self, call: &CallName) {
        if let Some(facts) = self.0.get_mut(call) {
            facts.owner = None;
            if facts.also.is_none() {
                self.0.remove(call);
            }
        }
    }

    pub(super) fn forget(&mut self, call: &CallName) {
        self.0.remove(call);
    }
}
