//! Stories of a gateway that has too much of something, that is told to end, and that dies.
//!
//! - new calls are refused by each limit, on each platform, and taken again: `limits::*`
//! - ten times as many as there may be, beside calls that do not notice: `limits::ten_times_*`
//! - one dead service beside a healthy one, within one budget of bytes: `backlogs::*`
//! - SIGTERM with many calls, stragglers, a second signal: `drain::*`
//! - kill -9 and restart, as an SBC and as Twilio see it: `restart::*`

#![expect(clippy::unwrap_used, reason = "a story fails by panic")]

mod backlogs;
mod drain;
mod limits;
mod restart;
mod scenes;

/// The test whose body is a gateway.
const GATEWAY: &str = "a_gateway_of_its_own";

#[test]
#[ignore = "it is the gateway's process when a story wants one"]
fn a_gateway_of_its_own() {
    rig::apart::serve();
}
