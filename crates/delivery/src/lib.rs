//! Transcripts and events out, by webhook: each endpoint has its own lanes, one a call, in which
//! one parcel after the other is sent until it is taken, signed as Standard Webhooks has it.
//!
//! What decides (`lanes`) is apart from what waits (`courier`, `client`): the lanes are given the
//! time and the outcome of each attempt, and say what to send next. What waits to be sent is in
//! the `store::outbox`, so that it survives the process.

#![cfg_attr(test, allow(clippy::unwrap_used, missing_docs))]

mod address;
mod client;
mod clock;
mod courier;
mod dispatch;
mod endpoint;
mod fuzz;
mod lanes;
mod limits;
pub mod metrics;
mod render;
mod signature;

pub use dispatch::{Delivery, EndpointState, Standing};
pub use endpoint::{
    Authentication, Endpoint, EndpointError, Filter, Format, OAuth2, Problem, Retries, Tls,
};
pub use fuzz::fuzz;
pub use limits::Limits;
pub use render::{Fact, KINDS};
