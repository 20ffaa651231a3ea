//! Which services a stream may turn to next.

/// The services on a stream's route, by name, and what the stream has seen of them.
#[derive(Debug)]
pub(crate) struct Choice {
    /// The best first.
    route: Vec<&'static str>,
    /// Those that will never accept this stream.
    refused: Vec<&'static str>,
    /// Those that have failed it in this round. When all have, the next round begins.
    passed: Vec<&'static str>,
    /// The one that accepted it last.
    present: Option<&'static str>,
    /// Whether a stream that was accepted may turn to another.
    may_move: bool,
}

impl Choice {
    pub(crate) fn new(route: Vec<&'static str>, may_move: bool) -> Self {
        Self {
            route,
            refused: Vec::new(),
            passed: Vec::new(),
            present: None,
            may_move,
        }
    }

    /// Those that are not to be turned to now.
    pub(crate) fn avoid(&self) -> Vec<&'static str> {
        let route = self.route.iter().copied();
        route.filter(|service| !self.is_open(service)).collect()
    }

    /// Whether there is anything left to turn to.
    pub(crate) fn is_any_left(&self) -> bool {
        self.route.iter().any(|service| self.is_open(service))
    }

    /// A service has accepted the stream. At the next occasion it may be a better one.
    pub(crate) fn accepted(&mut self, service: &'static str) {
        self.passed.clear();
        self.present = Some(service);
    }

    /// A service will never accept the stream. Tells whether there is another.
    pub(crate) fn refuse(&mut self, service: &'static str) -> bool {
        self.refused.push(service);
        self.present = self.present.filter(|present| *present != service);
        self.is_any_left() || self.next_round()
    }

    /// A service has failed the stream for now. Tells whether there is another in this round.
    pub(crate) fn pass(&mut self, service: &'static str) -> bool {
        self.passed.push(service);
        self.is_any_left()
    }

    /// All that may be turned to have failed; from the best again. Tells whether there is any.
    pub(crate) fn next_round(&mut self) -> bool {
        self.passed.clear();
        self.is_any_left()
    }

    fn is_open(&self, service: &'static str) -> bool {
        let is_reached = self.may_move || self.present.is_none_or(|present| present == service);
        is_reached && !self.refused.contains(&service) && !self.passed.contains(&service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(may_move: bool) -> Choice {
        Choice::new(vec!["one", "two"], may_move)
    }

    #[test]
    fn a_service_that_fails_is_passed_over_until_all_have() {
        let mut choice = choice(true);
        assert!(choice.pass("one"));
        assert_eq!(choice.avoid(), ["one"]);
        assert!(!choice.pass("two"));
        assert!(choice.next_round());
        assert!(choice.avoid().is_empty());
    }

    #[test]
    fn a_service_that_refuses_for_good_is_not_asked_again() {
        let mut choice = choice(true);
        assert!(!choice.pass("one") || choice.refuse("two"));
        assert_eq!(choice.avoid(), ["two"]);
        assert!(!choice.refuse("one"));
        assert!(!choice.is_any_left());
    }

    #[test]
    fn once_accepted_the_best_is_turned_to_again() {
        let mut choice = choice(true);
        choice.pass("one");
        choice.accepted("two");
        assert!(choice.avoid().is_empty());
    }

    #[test]
    fn a_stream_that_may_not_move_stays_unless_it_is_refused_for_good() {
        let mut choice = choice(false);
        choice.accepted("two");
        assert_eq!(choice.avoid(), ["one"]);
        assert!(!choice.pass("two"));
        assert!(choice.next_round());
        assert!(choice.refuse("two"));
        assert_eq!(choice.avoid(), ["two"]);
    }
}
