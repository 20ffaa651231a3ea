//! The program: configuration, wiring, the HTTP API, the switchboard's task, metrics.
//!
//! The only crate that sees everything, so the one kept smallest in decisions.

#![cfg_attr(test, allow(clippy::unwrap_used, missing_docs))]

pub mod admission;
pub mod api;
pub mod app;
mod clock;
pub mod config;
pub mod events;
pub mod exchange;
pub mod export;
mod listener;
pub mod log;
pub mod metrics;
pub mod record;
mod remembered;
pub mod remote;
pub mod server;
pub mod services;
pub mod shutdown;
pub mod switchboard_task;
pub mod tls;
