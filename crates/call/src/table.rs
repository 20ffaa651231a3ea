//! The switchboard's transition table.
