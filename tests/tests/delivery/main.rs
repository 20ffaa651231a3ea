//! Stories of what leaves the gateway and what stays: webhooks to receivers that misbehave, the
//! messages API, the audit trail, and a store that is killed, locked, full, broken or erased.
//!
//! - every way a receiver can fail: `faults::*`
//! - shapes, filters, signatures and secrets: `shapes::*`
//! - kill -9 at random points: `kills::*`
//! - messages during and after calls, with transfers: `messages::*`
//! - who commanded what, and what erasing leaves: `audit::*`
//! - encryption at rest, and a log without secrets: `privacy::*`
//! - a store that cannot do its work: `store::*`
//! - readers of events that come back to another process: `resumed::*`
//! - receivers that want certificates or bearer tokens: `mtls::*`, `oauth::*`
//! - files of what was said: `exporter::*`
//! - tokens for browsers, and readers at WebSockets: `tokens::*`, `sockets::*`

#![expect(clippy::unwrap_used, reason = "a story fails by panic")]

mod audit;
mod exporter;
mod faults;
mod files;
mod kills;
mod messages;
mod mtls;
mod oauth;
mod privacy;
mod resumed;
mod scene;
mod shapes;
mod sockets;
mod store;
mod tokens;

/// The test whose body is a gateway.
const GATEWAY: &str = "a_gateway_of_its_own";

#[test]
#[ignore = "it is the gateway's process when a story wants one"]
fn a_gateway_of_its_own() {
    store::outlive_a_full_disk();
    rig::apart::serve();
}
