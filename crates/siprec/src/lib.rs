//! A session recording server without its sockets: SIP, SDP, rs-metadata, sessions.
//!
//! This crate decides and never waits. It takes bytes and the time and gives back what to send and
//! what became of which media line. It knows recording sessions and media lines; that a line is a
//! leg of a call is its user's business. RFC 7865, RFC 7866, RFC 3261, RFC 3264.

#![cfg_attr(test, allow(clippy::unwrap_used, missing_docs))]

pub mod answer;
mod dialog;
pub mod framing;
pub mod identifiers;
pub mod message;
pub mod metadata;
pub mod multipart;
pub mod offer;
pub mod roles;
pub mod sdes;
pub mod server;
mod session;
mod timer;
pub mod transaction;
pub mod trunk;
