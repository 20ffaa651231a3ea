//! Stories of SIPREC: an SBC has its calls recorded, seen from outside.
//!
//! - a call from INVITE to BYE: `exactness::a_call_is_transcribed_from_both_lines`
//! - the same samples, of each codec, plain and sealed by each suite:
//!   `exactness::mu_law_arrives_*`, `exactness::a_law_arrives_*`,
//!   `exactness::linear_sound_arrives_*`
//! - packets of 10 to 60 ms: `exactness::packets_may_have_any_length`
//! - numbers and clocks that wrap: `exactness::numbers_and_clocks_that_wrap_change_nothing`,
//!   behind a shut gate: `srtp::a_counter_that_rolls_over_behind_a_shut_gate_is_kept`
//! - order and doubles: `exactness::overtaken_and_doubled_packets_change_nothing`
//! - loss, counted, concealed and told, every phrase in its place: `loss::*`
//! - late lines, suppressed silence, holds: `alignment::*`
//! - what is said through a shut gate: `pci::walk::*`, in memory: `pci::memory::*`, keys:
//!   `pci::keys::*`
//! - new keys, broken seals, trunks that demand them: `srtp::*`
//! - sources: `media::a_new_source_*`, `media::after_a_goodbye_*`; addresses:
//!   `media::a_stranger_*`, `media::a_peer_behind_*`, `media::a_peer_that_moves_*`
//! - too early, too late: `media::sound_that_comes_before_the_ack_is_received`,
//!   `media::what_is_still_sent_after_a_call_reaches_nobody`
//! - reports: `media::receiver_reports_*`; comfort noise: `media::comfort_noise_*`
//! - no media: `media::a_session_without_media_*`, `media::a_silent_line_*`
//! - packets that are none or mean nothing: `media::what_is_no_packet_*`,
//!   `media::a_payload_number_*`
//! - SBCs of every make, and why each line is whose: `dialects::*`
//! - a call over IPv6: `ipv6::*`
//! - who decides who speaks: `roles::*`
//! - how a call may be called: `names::*`
//! - starts and stops: `commands::*`, `before_start::*`, and an SBC that does not stop sending:
//!   `before_start::a_stop_that_the_sbc_*`
//! - holds, lines that move, come and go: `hold::*`, `transfer::*`
//! - several sessions of one call: `dialogs::*`
//! - what is refused, limits, what the network brings: `refusals::*`, `limits::*`, `tls::*`
//! - OPTIONS, drain, SBCs that vanish: `drain::*`, `vanishing::*`

#![expect(clippy::unwrap_used, reason = "a story fails by panic")]

mod alignment;
mod before_start;
mod commands;
mod dialects;
mod dialogs;
mod drain;
mod exactness;
mod hold;
mod ipv6;
mod limits;
mod loss;
mod media;
mod names;
mod pci;
mod refusals;
mod roles;
mod scenes;
mod srtp;
mod support;
mod tls;
mod transfer;
mod vanishing;
mod words;

/// The test whose body is a gateway.
const GATEWAY: &str = "a_gateway_of_its_own";

#[test]
#[ignore = "it is the gateway's process when a story wants one"]
fn a_gateway_of_its_own() {
    rig::apart::serve();
}
