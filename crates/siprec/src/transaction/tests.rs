//! Every timer and transition, in virtual time.

mod client;
mod limits;
mod matching;
mod scene;
mod server;
mod source;
mod walk;

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::machine::{Kind, Signal, State};

/// One place in one machine's table.
type Cell = (Kind, State, Signal);

thread_local! {
    static VISITED: RefCell<BTreeSet<Cell>> = const { RefCell::new(BTreeSet::new()) };
}

/// A machine was here.
pub(super) fn visit(cell: Cell) {
    VISITED.with_borrow_mut(|cells| cells.insert(cell));
}

/// Where machines of this thread have been since this was asked last.
fn visited() -> BTreeSet<Cell> {
    VISITED.take()
}
