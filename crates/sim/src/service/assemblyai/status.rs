//! AssemblyAI's close codes, which its `Error` messages carry too.

/// The key, the token or the account is no good.
pub(super) const UNAUTHORIZED: u16 = 1008;
/// Something went wrong in the service.
pub(super) const CANCELLED: u16 = 3005;
/// A message or a parameter is not what it should be; also nothing came for too long.
pub(super) const INVALID: u16 = 3006;
/// A message of sound is too short or too long, or sound comes too fast.
pub(super) const INPUT: u16 = 3007;
/// The session lasts too long.
pub(super) const EXPIRED: u16 = 3008;
/// Too many sessions.
pub(super) const TOO_MANY: u16 = 3009;

/// The words of the documents for a code.
pub(super) fn description(code: u16) -> &'static str {
    match code {
        UNAUTHORIZED => "Unauthorized Connection: Invalid API key or token",
        1011 => "Internal server error",
        1013 => "Try again later",
        CANCELLED => "Session Cancelled: An error occurred",
        INVALID => "Invalid Message",
        INPUT => "Input Duration Error",
        EXPIRED => "Session Expired: Maximum session duration exceeded",
        TOO_MANY => "Unauthorized Connection: Too many concurrent sessions",
        _ => "Unknown error",
    }
}
