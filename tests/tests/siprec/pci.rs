//! What is said, or pressed, behind a shut gate is nowhere: not at the service, whatever commands,
//! sound and the network do at the same time, and not in the gateway's memory or its log.

mod keys;
mod memory;
mod walk;
