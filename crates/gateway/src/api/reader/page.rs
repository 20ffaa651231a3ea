//! Events out of the store, one page after the other.

use call::name::CallName;
use store::query::{EventSearch, Scope};
use store::{Store, StoreError};

use super::{Filter, Told};
use crate::events::EventId;

/// Events of the store behind a place.
pub(super) struct Page {
    pub(super) events: Vec<Told>,
    /// All that the store has up to here has been looked at.
    pub(super) reached: EventId,
    /// Whether that was the newest event.
    pub(super) is_last: bool,
}

impl Page {
    /// Looks at what lies behind `after`. What is kept meanwhile is for the next page, or the ring.
    pub(super) fn read(
        store: &dyn Store,
        filter: &Filter,
        after: EventId,
        most: usize,
    ) -> Result<Self, StoreError> {
        let newest = store.newest_event()?.filter(|newest| *newest > after);
        let Some(newest) = newest else {
            return Ok(Self::nothing(after));
        };
        let calls: Vec<Option<CallName>> = match filter.calls.as_slice() {
            [] => vec![None],
            calls => calls.iter().cloned().map(Some).collect(),
        };
        let (mut events, mut reached) = (Vec::new(), newest);
        for call in calls {
            let search = EventSearch {
                after,
                until: Some(newest),
                call,
                kinds: filter.kinds.iter().map(|&kind| kind.to_owned()).collect(),
                most,
            };
            let found = store.events(&search, &filter.sight())?;
            if found.len() >= most
                && let Some(last) = found.last()
            {
                reached = reached.min(last.place);
            }
            events.extend(found);
        }
        events.retain(|event| event.place <= reached);
        events.sort_unstable_by_key(|event| event.place);
        // Two of the names may be one call's.
        events.dedup_by_key(|event| event.place);
        let told = events.into_iter().map(|event| Told {
            id: event.place,
            kind: event.kind,
            json: event.json.into_revealed(),
        });
        Ok(Self {
            events: told.collect(),
            reached,
            is_last: reached == newest,
        })
    }

    pub(super) fn nothing(after: EventId) -> Self {
        Self {
            events: Vec::new(),
            reached: after,
            is_last: true,
        }
    }
}

/// Whether events behind a place may be gone: the oldest that is kept is not the next one, or the
/// reader has seen of an earlier process what was never kept.
pub(super) fn has_lost(
    store: &dyn Store,
    after: EventId,
    is_earlier: bool,
) -> Result<bool, StoreError> {
    let newest = store.newest_event()?;
    if is_earlier && newest.is_none_or(|newest| newest < after) {
        return Ok(true);
    }
    let all = EventSearch {
        after: EventId { boot: 0, number: 0 },
        until: None,
        call: None,
        kinds: Vec::new(),
        most: 1,
    };
    let oldest = store.events(&all, &Scope::default())?;
    let is_next = |oldest: EventId| oldest.boot == after.boot && oldest.number == after.number + 1;
    Ok(oldest
        .first()
        .is_some_and(|oldest| oldest.place > after && !is_next(oldest.place)))
}
