//! Which deadline of a socket comes next.

use tokio::time::Instant;

use super::StreamConfig;

/// How one socket stands, as the moments that its deadlines are counted from.
#[derive(Debug)]
pub(crate) struct Marks {
    /// The moment of the present poll.
    pub(crate) now: Instant,
    /// When it was opened.
    pub(crate) opened: Instant,
    /// Whether the service has accepted the stream on it.
    pub(crate) is_accepted: bool,
    /// The last sign of life.
    pub(crate) heard: Instant,
    /// A ping that is not answered yet.
    pub(crate) pinged: Option<Instant>,
    /// Since when a message is being written.
    pub(crate) writing: Option<Instant>,
    /// Since when nothing more is said.
    pub(crate) finishing: Option<Instant>,
}

/// What is to be done when a deadline comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The final message should have come.
    Final,
    /// The pace allows the next chunk.
    Pace,
    /// The service has been silent for long.
    Ping,
    /// It should have answered a ping.
    Pong,
    /// It should have accepted the stream.
    Response,
    /// What is being written should be through.
    Stall,
}

impl Marks {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            now,
            opened: now,
            is_accepted: false,
            heard: now,
            pinged: None,
            writing: None,
            finishing: None,
        }
    }

    /// The earliest deadline; `pace` is when the next chunk may go, if it has to wait for that.
    pub(crate) fn next_due(&self, config: &StreamConfig, pace: Option<Instant>) -> (Instant, Due) {
        let ping = (self.heard + config.ping_interval, Due::Ping);
        let response = (self.opened + config.response_timeout, Due::Response);
        let stall = self
            .writing
            .map(|since| (since + config.stall_timeout, Due::Stall));
        let pong = self
            .pinged
            .map(|since| (since + config.pong_timeout, Due::Pong));
        let last = self
            .finishing
            .map(|since| (since + config.drain_timeout, Due::Final));
        // What is being written is watched already; a ping would only queue up behind it.
        let ping = (stall.is_none() && pong.is_none()).then_some(ping);
        let response = (!self.is_accepted).then_some(response);
        let pace = pace
            .filter(|_| stall.is_none() && last.is_none())
            .map(|at| (at, Due::Pace));
        let all = [stall, pong, last, response, pace, ping]
            .into_iter()
            .flatten();
        all.min_by_key(|(at, _)| *at)
            .expect("if nothing else is due, a ping is")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn after(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn each_state_of_a_socket_has_its_deadline() {
        let (config, start) = (StreamConfig::default(), Instant::now());
        let mut marks = Marks::new(start);
        assert_eq!(
            marks.next_due(&config, None),
            (start + after(5), Due::Response)
        );
        marks.is_accepted = true;
        assert_eq!(
            marks.next_due(&config, None),
            (start + after(20), Due::Ping)
        );
        marks.pinged = Some(start + after(20));
        assert_eq!(
            marks.next_due(&config, None),
            (start + after(30), Due::Pong)
        );
        marks.pinged = None;
        marks.heard = start + after(21);
        assert_eq!(
            marks.next_due(&config, None),
            (start + after(41), Due::Ping)
        );
        let soon = Some(start + after(22));
        assert_eq!(
            marks.next_due(&config, soon),
            (start + after(22), Due::Pace)
        );
        marks.writing = Some(start + after(22));
        assert_eq!(
            marks.next_due(&config, soon),
            (start + after(27), Due::Stall)
        );
        marks.writing = None;
        marks.finishing = Some(start + after(23));
        assert_eq!(
            marks.next_due(&config, soon),
            (start + after(33), Due::Final)
        );
    }
}
