//! How a new call was refused, and whether as it should be: with 503 and a time to come back.

use std::fmt;

use crate::caller::{siprec, twilio};

/// A refusal of either platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    platform: &'static str,
    /// `None` when there was none, and something else went wrong.
    status: Option<u16>,
    retry_after: Option<u32>,
    why: String,
}

impl Refusal {
    /// Out of what dialling said.
    pub(super) fn of(error: &anyhow::Error) -> Self {
        let mut refusal = Self {
            platform: "?",
            status: None,
            retry_after: None,
            why: format!("{error:#}"),
        };
        if let Some(error) = error.downcast_ref::<siprec::DialError>() {
            refusal.platform = "SIPREC";
            if let Some(refused) = error.refused() {
                refusal.status = Some(refused.status);
                refusal.retry_after = refused.retry_after;
            }
        } else if let Some(error) = error.downcast_ref::<twilio::DialError>() {
            refusal.platform = "Twilio";
            if let twilio::DialError::Refused(refused) = error {
                refusal.status = Some(refused.status);
                let after = refused.header("retry-after");
                refusal.retry_after = after.and_then(|after| after.parse().ok());
            }
        }
        refusal
    }

    /// 503 with a Retry-After.
    pub(super) fn is_clean(&self) -> bool {
        self.status == Some(503) && self.retry_after.is_some_and(|seconds| seconds > 0)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let platform = self.platform;
        match (self.status, self.retry_after) {
            (Some(status), Some(after)) => write!(f, "{platform} {status}, again after {after} s"),
            (Some(status), None) => write!(f, "{platform} {status} without Retry-After"),
            (None, _) => write!(f, "{platform}: {}", self.why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_refusal_is_503_and_says_when_to_come_back() {
        let refused = |status, headers: &[(&str, &str)]| {
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let refused = twilio::DialError::Refused(twilio::Refusal {
                status,
                headers: headers.iter().map(owned).collect(),
                body: String::new(),
            });
            Refusal::of(&refused.into())
        };
        let clean = refused(503, &[("retry-after", "5")]);
        assert_eq!(
            (clean.is_clean(), clean.to_string()),
            (true, "Twilio 503, again after 5 s".into())
        );
        assert!(!refused(503, &[]).is_clean());
        assert!(!refused(500, &[("retry-after", "5")]).is_clean());
        let silent = siprec::DialError::Timeout(std::time::Duration::from_secs(32));
        let silent = Refusal::of(&silent.into());
        assert!(!silent.is_clean() && silent.to_string().starts_with("SIPREC: no answer"));
    }
}
