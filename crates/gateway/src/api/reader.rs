//! One reader of events, however they are sent to it: first what the store has, then the ring, and
//! whenever the ring has gone past the reader, the store again.
//!
//! The two meet without a hole and without telling anything twice: the store is read up to the
//! newest event it has, and the ring from the event after that one.

use std::sync::Arc;
use std::time::Duration;

use store::Store;
use store::StoreError;
use tokio::sync::watch;

use super::seats::Seat;
use super::shapes::{EventShape, Note, note_json};
use super::{Api, kept};
use crate::events::{Bus, EventId, Tide};

mod filter;
mod page;

pub(crate) use filter::{BadFilter, Filter};
use page::Page;

/// An event, or a note about the reading, as it is told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) id: EventId,
    pub(crate) kind: String,
    pub(crate) json: String,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next {
    /// At least one event or note.
    Events(Vec<Told>),
    /// Nothing has happened for a while.
    Silence,
    /// It had stopped reading, and its place is another's now. This ends it.
    Cut(Told),
    /// There is no more to come.
    End,
}

/// Where a reader wants to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    /// After this event.
    At(EventId),
    /// With the oldest event that this process has in memory.
    Beginning,
    /// With what comes.
    Now,
    /// After an event that no process of ours can have sent.
    Nowhere,
}

pub(crate) struct Reader {
    api: Arc<Api>,
    bus: Arc<Bus>,
    at: At,
    tide: watch::Receiver<Tide>,
    filter: Filter,
    heartbeat: Duration,
    seat: Seat,
    follow: bool,
    is_cut: bool,
    /// What is told before anything is read.
    first: Option<Told>,
}

/// Where it stands.
#[derive(Clone, Copy, Debug)]
enum At {
    /// In the ring, behind the event of this number. Whether the store has been asked for what the
    /// ring has not any more.
    Ring { place: u64, has_asked: bool },
    /// In the store, behind this event. Whether it is the first page, before which the reader is
    /// told if something is not kept any more.
    Store { after: EventId, is_first: bool },
}

impl Reader {
    pub(crate) fn new(
        api: Arc<Api>,
        filter: Filter,
        resume: Resume,
        follow: bool,
        seat: Seat,
    ) -> Self {
        let bus = Arc::clone(&api.state.bus);
        let mut reader = Self {
            tide: bus.watch(),
            at: ring(bus.newest()),
            heartbeat: api.state.settings.heartbeat,
            first: None,
            api,
            bus,
            filter,
            seat,
            follow,
            is_cut: false,
        };
        reader.go_to(resume);
        reader
    }

    /// Goes on with another filter, and elsewhere if that is wanted.
    pub(crate) fn turn_to(&mut self, filter: Filter, resume: Option<Resume>) {
        self.filter = filter;
        if let Some(resume) = resume {
            self.go_to(resume);
        }
    }

    /// Whether it wants what is to come.
    pub(crate) fn follows(&self) -> bool {
        self.follow
    }

    /// What comes next. May be dropped while it waits, and asked again.
    pub(crate) async fn next(&mut self) -> Next {
        if let Some(first) = self.first.take() {
            return Next::Events(vec![first]);
        }
        loop {
            // Seen before reading, so that what comes while reading is not slept over.
            let tide = *self.tide.borrow_and_update();
            if !self.seat.reads() {
                return self.cut();
            }
            let told = match self.at {
                At::Ring { place, has_asked } => self.read_ring(place, has_asked),
                At::Store { after, is_first } => Some(self.read_store(after, is_first).await),
            };
            match told {
                Some(told) if !told.is_empty() => return Next::Events(told),
                Some(_) => {}
                None if tide.closed || !self.follow => return Next::End,
                None => tokio::select! {
                    changed = self.tide.changed() => if changed.is_err() {
                        return Next::End;
                    },
                    () = tokio::time::sleep(self.heartbeat) => return Next::Silence,
                },
            }
        }
    }

    /// Where to come back to.
    pub(crate) fn place(&self) -> EventId {
        match self.at {
            At::Ring { place, .. } => self.bus.id(place),
            At::Store { after, .. } => after,
        }
    }

    fn go_to(&mut self, resume: Resume) {
        self.at = match resume {
            Resume::At(id) => match self.bus.after(id) {
                Some(place) => ring(place),
                None if self.has_store() && id < self.bus.id(0) => At::Store {
                    after: id,
                    is_first: true,
                },
                None => self.nowhere(),
            },
            Resume::Beginning => ring(0).asked(),
            Resume::Now => ring(self.bus.newest()),
            Resume::Nowhere => self.nowhere(),
        };
    }

    fn nowhere(&mut self) -> At {
        self.first = Some(self.lost(self.bus.id(0), None, "restarted"));
        ring(0).asked()
    }

    /// What the ring has; `None` if the reader has seen all of it.
    fn read_ring(&mut self, before: u64, has_asked: bool) -> Option<Vec<Told>> {
        let mut place = before;
        let filter = &self.filter;
        let batch = self.bus.read(&mut place, |record| filter.wants(record));
        if batch.lost > 0 && !has_asked && self.has_store() {
            let after = self.bus.id(before);
            self.at = At::Store {
                after,
                is_first: true,
            };
            return Some(Vec::new());
        }
        self.at = ring(place);
        let mut told = Vec::new();
        if batch.lost > 0 {
            self.api.state.metrics.events_lost(batch.lost);
            let id = self.bus.id(before + batch.lost);
            told.push(self.lost(id, Some(batch.lost), "overwritten"));
        }
        told.extend(batch.records.iter().map(|record| Told {
            id: record.id,
            kind: record.event.kind().to_owned(),
            json: EventShape::json(record),
        }));
        (!told.is_empty() || !batch.drained).then_some(told)
    }

    /// What the store has, and then the ring. A store that fails is left for the ring, which says
    /// what it does not have.
    async fn read_store(&mut self, after: EventId, is_first: bool) -> Vec<Told> {
        let (filter, most) = (self.filter.clone(), self.api.state.settings.store_page);
        let is_earlier = after.boot != self.bus.id(0).boot;
        let question = move |store: &dyn Store| -> Result<_, StoreError> {
            let page = Page::read(store, &filter, after, most)?;
            let has_lost = is_first && page::has_lost(store, after, is_earlier)?;
            Ok((page, has_lost))
        };
        let (page, has_lost) = match kept::ask(&self.api, question).await {
            Ok(answer) => answer,
            Err(_) => (Page::nothing(after), is_earlier),
        };
        let mut told = Vec::new();
        if has_lost {
            told.push(self.lost(after, None, "expired"));
        }
        told.extend(page.events);
        self.at = if page.is_last {
            self.behind(page.reached, page.reached == after)
        } else {
            At::Store {
                after: page.reached,
                is_first: false,
            }
        };
        told
    }

    /// The ring, behind an event that the store had. Asking the store again is in vain if it had
    /// nothing new.
    fn behind(&self, reached: EventId, is_in_vain: bool) -> At {
        let place = self.bus.after(reached).unwrap_or(0);
        match is_in_vain {
            true => ring(place).asked(),
            false => ring(place),
        }
    }

    /// Says why the stream ends, and then ends it.
    fn cut(&mut self) -> Next {
        if std::mem::replace(&mut self.is_cut, true) {
            return Next::End;
        }
        Next::Cut(Told {
            id: self.place(),
            kind: "cut".to_owned(),
            json: note_json(&Note::Cut),
        })
    }

    fn lost(&self, id: EventId, events: Option<u64>, reason: &'static str) -> Told {
        Told {
            id,
            kind: "lost".to_owned(),
            json: note_json(&Note::Lost { events, reason }),
        }
    }

    fn has_store(&self) -> bool {
        self.api.state.keeping.store().is_some()
    }
}

impl At {
    fn asked(self) -> Self {
        match self {
            Self::Ring { place, .. } => Self::Ring {
                place,
                has_asked: true,
            },
            Self::Store { .. } => self,
        }
    }
}

fn ring(place: u64) -> At {
    At::Ring {
        place,
        has_asked: false,
    }
}
