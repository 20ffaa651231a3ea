//! What a call is: names, legs, gates, frames, commands, endings, and the machines that join them.
//!
//! This crate decides and never waits. It has no socket, no clock and no task; whoever uses it
//! brings the bytes and the time and is told what to do. It is the vocabulary that every other
//! crate shares, so nothing may creep into it.

#![cfg_attr(test, allow(clippy::unwrap_used, missing_docs))]

pub mod audio;
pub mod backlog;
pub mod budget;
mod conceal;
pub mod ending;
pub mod feed;
pub mod leg;
pub mod name;
pub mod order;
#[doc(hidden)]
#[macro_use]
pub mod planted;
pub mod private;
pub mod start;
pub mod switchboard;
mod table;
pub mod transcript;
