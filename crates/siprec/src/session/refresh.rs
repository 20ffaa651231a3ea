//! Session timers: who refreshes, and when a session is taken for dead. RFC 4028.

use std::time::Duration;

use crate::message::Headers;

/// Smallest session interval that RFC 4028 §4 permits.
const MIN_SE: Duration = Duration::from_secs(90);

/// An agreed session timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refresh {
    /// How long the session lives without a refresh.
    pub(crate) interval: Duration,
    /// Who refreshes.
    pub(crate) refresher: Refresher,
}

/// Who refreshes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refresher {
    /// We do.
    Ours,
    /// The peer does.
    Theirs,
}

/// The interval asked for is smaller than this: 422 with `Min-SE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooSmall(pub(crate) Duration);

/// What we ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RefreshPolicy {
    /// The interval where the peer asks for none; zero: none.
    pub(crate) wanted: Duration,
    /// The smallest we take.
    pub(crate) min: Duration,
}

/// The timer that the 2xx to this INVITE or UPDATE announces. RFC 4028 §9: the interval asked for
/// is taken as it is; the peer refreshes if it can and nobody says otherwise.
pub(crate) fn agree(headers: &Headers, policy: RefreshPolicy) -> Result<Option<Refresh>, TooSmall> {
    let is_supported =
        headers.has_token("Supported", "timer") || headers.has_token("Require", "timer");
    let min = policy.min.max(MIN_SE);
    let Some((interval, refresher)) = session_expires(headers) else {
        let floor = headers
            .number("Min-SE")
            .map_or(min, |seconds| secs(seconds).max(min));
        let refresher = if is_supported {
            Refresher::Theirs
        } else {
            Refresher::Ours
        };
        return Ok((!policy.wanted.is_zero()).then(|| Refresh {
            interval: policy.wanted.max(floor),
            refresher,
        }));
    };
    if interval < min && is_supported {
        return Err(TooSmall(min));
    }
    let refresher = match refresher.as_deref() {
        Some("uas") => Refresher::Ours,
        _ if is_supported => Refresher::Theirs,
        _ => Refresher::Ours,
    };
    Ok(Some(Refresh {
        interval: interval.max(MIN_SE),
        refresher,
    }))
}

/// The timer that a 2xx to a request of ours announces; without one there is none any more.
pub(crate) fn agreed(headers: &Headers) -> Option<Refresh> {
    let (interval, refresher) = session_expires(headers)?;
    let is_theirs = refresher.as_deref() == Some("uas");
    Some(Refresh {
        interval: interval.max(MIN_SE),
        refresher: if is_theirs {
            Refresher::Theirs
        } else {
            Refresher::Ours
        },
    })
}

impl Refresh {
    /// What a 2xx of ours says.
    pub(crate) fn in_response(self) -> String {
        self.written(Refresher::Theirs)
    }

    /// What a request of ours says.
    pub(crate) fn in_request(self) -> String {
        self.written(Refresher::Ours)
    }

    /// After a refresh, when we refresh again. RFC 4028 §10.
    pub(crate) fn half(self) -> Duration {
        self.interval / 2
    }

    /// After a refresh, when we say BYE if there was none: before the interval is over, so that
    /// the BYE still finds its dialog. RFC 4028 §10.
    pub(crate) fn expiry(self) -> Duration {
        self.interval - (self.interval / 3).min(Duration::from_secs(32))
    }

    fn written(self, client: Refresher) -> String {
        let side = if self.refresher == client {
            "uac"
        } else {
            "uas"
        };
        format!("{};refresher={side}", self.interval.as_secs())
    }
}

/// `Session-Expires`: interval and `refresher`.
fn session_expires(headers: &Headers) -> Option<(Duration, Option<String>)> {
    let (seconds, params) = headers.with_params("Session-Expires")?;
    let interval = secs(seconds.trim().parse().ok()?);
    let refresher = params
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("refresher"))
        .and_then(|(_, value)| value)
        .map(|value| value.to_ascii_lowercase());
    Some((interval, refresher))
}

fn secs(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(fields: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in fields {
            headers.push(name, value);
        }
        headers
    }

    fn agreed_by(fields: &[(&str, &str)], wanted: u64, min: u64) -> Option<String> {
        let policy = RefreshPolicy {
            wanted: Duration::from_secs(wanted),
            min: Duration::from_secs(min),
        };
        let refresh = agree(&headers(fields), policy).unwrap();
        refresh.map(Refresh::in_response)
    }

    #[test]
    fn the_peer_refreshes_if_it_can_and_nobody_says_otherwise() {
        let timer = ("Supported", "timer");
        let of = |fields: &[(&str, &str)]| agreed_by(fields, 0, 90).unwrap();
        assert_eq!(
            of(&[timer, ("Session-Expires", "1800")]),
            "1800;refresher=uac"
        );
        let uas = ("Session-Expires", "1800;Refresher=UAS");
        assert_eq!(of(&[timer, uas]), "1800;refresher=uas");
        assert_eq!(of(&[("Session-Expires", "1800")]), "1800;refresher=uas");
    }

    #[test]
    fn the_smallest_interval_of_the_peer_is_kept_where_we_choose() {
        let fields = [("Supported", "timer"), ("Min-SE", "1800")];
        assert_eq!(agreed_by(&fields, 600, 90).unwrap(), "1800;refresher=uac");
        assert_eq!(agreed_by(&fields, 0, 90), None);
    }

    #[test]
    fn an_interval_below_ours_is_refused_with_ours() {
        let policy = RefreshPolicy {
            wanted: Duration::ZERO,
            min: Duration::from_secs(300),
        };
        let short = headers(&[
            ("Supported", "timer"),
            ("x", "y"),
            ("Session-Expires", "299"),
        ]);
        assert_eq!(
            agree(&short, policy),
            Err(TooSmall(Duration::from_secs(300)))
        );
    }

    #[test]
    fn without_an_interval_in_the_answer_there_is_no_timer_any_more() {
        assert_eq!(agreed(&headers(&[("Supported", "timer")])), None);
        let theirs = agreed(&headers(&[("Session-Expires", "100;refresher=uas")])).unwrap();
        assert_eq!(theirs.refresher, Refresher::Theirs);
        assert_eq!(theirs.in_request(), "100;refresher=uas");
    }

    proptest! {
        #[test]
        fn we_refresh_before_it_expires_and_it_expires_before_the_interval(
            value in "[0-9]{0,12}(;refresher=(uac|uas|x))?",
            supported in any::<bool>(),
            wanted in 0_u64..10_000,
        ) {
            let supported = if supported { "timer" } else { "100rel" };
            let headers = headers(&[("Supported", supported), ("Session-Expires", &value)]);
            let policy = RefreshPolicy {
                wanted: Duration::from_secs(wanted),
                min: Duration::ZERO,
            };
            if let Ok(Some(refresh)) = agree(&headers, policy) {
                prop_assert!(refresh.interval >= MIN_SE);
                prop_assert!(refresh.half() < refresh.expiry());
                prop_assert!(refresh.expiry() < refresh.interval);
            }
        }
    }
}
