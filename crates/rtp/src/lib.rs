//! What comes in on a media line: RTP, RTCP, SRTP, keys pressed, put on one clock.
//!
//! Pure: packets and the time in, frames on the line's clock out. Nothing is decoded here, and what
//! a shut gate withholds is looked at by its header only. RFC 3550, RFC 3551, RFC 3711, RFC 4733.

#![cfg_attr(test, allow(clippy::unwrap_used, missing_docs))]

pub mod dtmf;
pub mod packet;
pub mod receiver;
pub mod rtcp;
pub mod srtp;
