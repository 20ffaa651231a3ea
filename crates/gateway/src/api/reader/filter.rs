//! Which events a reader wants, and which it may have.

use std::sync::Arc;

use call::name::{CallName, Namespace};
use store::query::Scope;

use super::super::named::Named;
use crate::events::{Event, Record};

/// Calls that one reader may name.
pub(crate) const CALLS_MAX: usize = 16;

/// What a reader wants, and what it is shown of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Of these calls, under any of their names; empty: of all.
    pub(crate) calls: Vec<CallName>,
    /// Of these kinds; empty: of all.
    pub(crate) kinds: Vec<&'static str>,
    /// Partial transcripts too.
    pub(crate) partials: bool,
    /// Of this tenant's calls only.
    pub(crate) tenant: Option<Arc<str>>,
}

/// What is wrong with a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadFilter {
    /// A call's name cannot be one.
    #[error("calls: a call is wanted as a namespace and a guid")]
    Call,
    /// An event's kind that there is not.
    #[error("kinds: there is no such kind of event")]
    Kind,
    /// Too many calls.
    #[error("calls: must be 16 at most")]
    TooManyCalls,
}

impl Filter {
    pub(crate) fn wants(&self, record: &Record) -> bool {
        let is_mine = |tenant| record.tenant.as_ref() == Some(tenant);
        let kind = record.event.kind();
        (self.calls.is_empty() || self.calls.iter().any(|call| record.is_of(call)))
            && (self.kinds.is_empty() || self.kinds.contains(&kind))
            && (self.partials || !record.event.is_partial())
            && self.tenant.as_ref().is_none_or(is_mine)
    }

    /// What of the store it is shown.
    pub(crate) fn sight(&self) -> Scope {
        Scope {
            tenant: self.tenant.clone(),
        }
    }

    /// Kinds by their names.
    pub(crate) fn kinds<'a>(
        names: impl Iterator<Item = &'a str>,
    ) -> Result<Vec<&'static str>, BadFilter> {
        let mut kinds = Vec::new();
        for name in names {
            let known = Event::KINDS.into_iter().find(|known| *known == name);
            let known = known.ok_or(BadFilter::Kind)?;
            if !kinds.contains(&known) {
                kinds.push(known);
            }
        }
        Ok(kinds)
    }

    /// A call by namespace and guid, in any spelling.
    pub(crate) fn call(namespace: &str, guid: &str) -> Result<CallName, BadFilter> {
        let namespace = Namespace::parse(namespace).ok_or(BadFilter::Call)?;
        let named = Named::new(namespace, guid).map_err(|_| BadFilter::Call)?;
        Ok(named.call)
    }

    /// Wants no more than a token shows: one call or all, some kinds or, for none, all but who
    /// commanded what. False if what is wanted goes beyond that.
    pub(crate) fn narrow(&mut self, call: Option<&CallName>, kinds: &[&'static str]) -> bool {
        if let Some(call) = call {
            if self.calls.iter().any(|wanted| wanted != call) {
                return false;
            }
            self.calls = vec![call.clone()];
        }
        let is_open = |kind: &&str| *kind != "command";
        let shown: Vec<&'static str> = match kinds {
            [] => Event::KINDS.into_iter().filter(is_open).collect(),
            kinds => kinds.to_vec(),
        };
        if self.kinds.is_empty() {
            self.kinds = shown;
            return true;
        }
        self.kinds.iter().all(|kind| shown.contains(kind))
    }

    /// Names one call more.
    pub(crate) fn add_call(&mut self, call: CallName) -> Result<(), BadFilter> {
        if self.calls.len() == CALLS_MAX {
            return Err(BadFilter::TooManyCalls);
        }
        self.calls.push(call);
        Ok(())
    }
}
