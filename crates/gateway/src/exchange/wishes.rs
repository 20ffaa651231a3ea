//! To which service a stream goes, and what is asked of it, all told.

use std::sync::Arc;

use call::name::{LegId, Role};
use call::start::{StreamSpec, Wish};

use super::Desk;

impl Desk {
    /// What the start wishes for, and where that says nothing what brought the leg's sound does.
    /// What of the latter cannot be had is left out, for nobody can be answered that it was wrong.
    pub(super) fn wish_of(&self, leg: LegId, spec: &StreamSpec) -> Wish {
        let entry = self.legs.get(&leg);
        let own = entry.map(|entry| entry.opened.introduction.wish.clone());
        let mut own = own.unwrap_or_default();
        let mut both = spec.wish.over(&own);
        while !own.is_empty()
            && let Err(bad) = self.world.upstream.routes.check(spec.role, &both)
        {
            let (parameter, what) = (&bad.name, &bad.what);
            let call = &spec.call;
            tracing::warn!(%call, %leg, parameter, what, "What a leg wishes for cannot be had.");
            self.world.metrics.wish_left_out();
            leave_out(&mut own, parameter);
            both = spec.wish.over(&own);
        }
        self.addressed(spec.role, both)
    }

    /// Parameters are for one service. A stream that moves to another must know that they are not
    /// for that.
    fn addressed(&self, role: Role, mut wish: Wish) -> Wish {
        if wish.service.is_none() && !wish.parameters.is_empty() {
            let best = self.world.upstream.routes.of(role, &wish);
            wish.service = best.first().map(|best| Arc::from(best.name()));
        }
        wish
    }
}

/// Leaves out what is called so. All of it, if it is not this wish that has it: then it is the
/// service that does not suit the rest.
fn leave_out(wish: &mut Wish, name: &str) {
    let had = wish.parameters.len();
    wish.parameters.retain(|(known, _)| **known != *name);
    if wish.parameters.len() == had {
        *wish = Wish::default();
    }
}
