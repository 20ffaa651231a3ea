//! Stories of calls: commands, privacy, exactness, endings.

#![expect(clippy::unwrap_used, reason = "a story fails by panic")]

mod answers;
mod commands;
mod exactness;
mod first_call;
mod pausing;
mod pci;
mod reload;
mod shutdown;
mod tls;
mod upstream;
mod watching;

/// The test whose body is a gateway.
const GATEWAY: &str = "a_gateway_of_its_own";

#[test]
#[ignore = "it is the gateway's process when a story wants one"]
fn a_gateway_of_its_own() {
    rig::apart::serve();
}
