//! What a consumer sees of a speech service that fails: the call goes on, and times stay right.

mod outages;
mod refusals;
mod strange;

/// Pauses between attempts that a test does not feel.
const QUICK: &str = "[upstream.retry]\nbackoff_min = \"10ms\"\nbackoff_base = \"20ms\"\n";
