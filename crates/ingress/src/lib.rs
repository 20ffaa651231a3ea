//! Live media in: one module a platform, all through one door, the [`intake`].
//!
//! An adapter ends what is the platform's own (sockets, signatures, tracks, clocks) and brings
//! frames on a leg's clock. It asks the gate before it unpacks a frame, and reading never waits for
//! anything behind it.

#![cfg_attr(test, allow(clippy::unwrap_used, missing_docs))]

pub mod admission;
pub mod intake;
mod labels;
pub mod metrics;
pub mod siprec;
pub mod twilio;
