//! Sound out, transcripts back: one WebSocket driver, one dialect a service.
//!
//! A stream takes chunks from its leg and brings them to a speech service, through as many sockets
//! as it takes; what comes back goes to a listener. Nothing here knows of telephony, of commands,
//! or of who listens. In reading order: what a service must be ([`service`]), how a stream lives
//! ([`stream`]), and the services themselves.

#![cfg_attr(test, allow(clippy::unwrap_used, missing_docs))]

mod ask;
pub mod assemblyai;
pub mod autotranscribe;
mod base;
pub mod deepgram;
mod example;
pub mod guard;
mod json;
pub mod metrics;
mod pacer;
pub mod parameters;
pub mod retry;
pub mod routes;
pub mod service;
mod sound;
pub mod stream;
mod timeline;
pub mod trust;
pub mod vosk;
pub mod wire;
