//! Stories of calls: commands, privacy, exactness, endings.

#![expect(clippy::unwrap_used, reason = "a story fails by panic")]

mod first_call;
