//! What is said behind a shut gate is nowhere: not at the service, whatever commands and sound do
//! at the same time, and not in the gateway's memory.

mod memory;
mod walk;
