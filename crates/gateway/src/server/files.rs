//! How many files, and so sockets, the process may have open.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Lets the process open as many files as the system allows it, and says how many that is; `None`
/// is without limit. Shells and service managers begin with 1024 by default, which is a few hundred
/// calls.
pub fn raise_open_files() -> Option<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    let before = limit.current;
    limit.current = limit.maximum;
    match setrlimit(Resource::Nofile, limit) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "The limit of open files cannot be raised.");
            before
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn afterwards_the_limit_is_the_highest_allowed() {
        let raised = raise_open_files();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, raised);
        assert_eq!(limit.current, limit.maximum);
    }
}
