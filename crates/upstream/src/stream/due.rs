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
    /// When the service accepted the stream on it.
    pub(crate) accepted: Option<Instant>,
    /// The last sign of life.
    pub(crate) heard: Instant,
    /// The last sound, or what stood in for it.
    pub(crate) sounded: Instant,
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
    /// The service would soon miss the sound.
    Idle,
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
            accepted: None,
            heard: now,
            sounded: now,
            pinged: None,
            writing: None,
            finishing: None,
        }
    }

    /// The earliest deadline. `pace` is when the next chunk may go, if it has to wait for that;
    /// `idle` is when the service misses the sound.
    pub(crate) fn next_due(
        &self,
        config: &StreamConfig,
        pace: Option<Instant>,
        idle: Option<Instant>,
    ) -> (Instant, Due) {
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
        let response = self.accepted.is_none().then_some(response);
        let is_free = stall.is_none() && last.is_none();
        let pace = pace.filter(|_| is_free).map(|at| (at, Due::Pace));
        let idle = idle
            .filter(|_| is_free && response.is_none())
            .map(|at| (at, Due::Idle));
        let all = [stall, pong, last, response, pace, idle, ping]
            .into_iter()
            .flatten();
        // While something is written and a ping is under way, both are watched.
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
        let (soon, later) = (Some(start + after(22)), Some(start + after(28)));
        let due = |marks: &Marks, pace, idle| {
            let (at, due) = marks.next_due(&config, pace, idle);
            ((at - start).as_secs(), due)
        };
        assert_eq!(due(&marks, None, soon), (5, Due::Response));
        marks.accepted = Some(start);
        assert_eq!(due(&marks, None, None), (20, Due::Ping));
        marks.pinged = Some(start + after(20));
        assert_eq!(due(&marks, None, None), (30, Due::Pong));
        assert_eq!(due(&marks, None, later), (28, Due::Idle));
        marks.pinged = None;
        marks.heard = start + after(21);
        assert_eq!(due(&marks, None, None), (41, Due::Ping));
        assert_eq!(due(&marks, soon, later), (22, Due::Pace));
        marks.writing = Some(start + after(22));
        assert_eq!(due(&marks, soon, later), (27, Due::Stall));
        marks.writing = None;
        marks.finishing = Some(start + after(23));
        assert_eq!(due(&marks, soon, later), (33, Due::Final));
    }
}
