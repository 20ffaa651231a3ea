//! The program: configuration, wiring, the HTTP API, the switchboard's task, metrics.
//!
//! The only crate that sees everything, so the one kept smallest in decisions.

#![cfg_attr(test, allow(clippy::unwrap_used, missing_docs))]

pub mod admission;
pub mod api;
pub mod app;
pub mod config;
pub mod events;
pub mod exchange;
mod listener;
pub mod log;
pub mod metrics;
mod remembered;
pub mod server;
pub mod services;
pub mod shutdown;
pub mod switchboard_task;
pub mod tls;
