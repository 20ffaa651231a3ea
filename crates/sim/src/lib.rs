//! Callers and speech services that are not real: for the demo, the tests and the load runs, never
//! shipped.
//!
//! Both ends of the wire are written here with code of their own, not with the gateway's parsers: a
//! mistake that both ends share is a mistake no test can see.

#![cfg_attr(test, allow(clippy::unwrap_used, missing_docs))]

#[cfg(test)]
mod bridge;
pub mod caller;
mod changes;
pub mod control;
pub mod demo;
pub mod hearing;
pub mod histogram;
pub mod load;
pub mod network;
pub mod report;
pub mod runs;
pub mod service;
pub mod speech;
pub mod watch;
pub mod webhook;
