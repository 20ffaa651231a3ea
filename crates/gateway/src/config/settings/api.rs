//! `[api]`: what the API tells of what was said, and to whom.

use std::time::Duration;

use call::private::Private;

use super::{DAY, api, ms, s};
use crate::config::kind::{Count, List, Period, Secret, Text};
use crate::config::section::{Field, Section, Settings, optional, preset};

/// A shorter key can be guessed.
const SIGNING_KEY_BYTES_MIN: usize = 32;

settings! {
    /// What the API tells of what was said, and to whom.
    pub struct Api {
        /// Messages of one conversation in one answer of the messages API. If there are more the
        /// answer says so.
        messages_max: usize = preset(Count(1..=100_000), api().messages_max);
        /// Questions that the store is asked at once; more wait.
        store_questions_max: usize = preset(Count(1..=256), api().store_questions_max);
        /// A question that the store has not answered within this is answered 503.
        store_timeout: Duration = preset(Period(ms(100)..=s(300)), api().store_timeout);
        /// Events, or utterances of an export, that are read from the store in one go.
        store_page: usize = preset(Count(1..=10_000), api().store_page);
        /// Signs tokens for browsers and URLs of exported files: at least 32 random characters.
        /// Without it a new one is made with each process, so that a restart ends them and several
        /// gateways do not know each other's.
        signing_key: Option<Private<String>> = optional(Secret, "env:ANTIPHON_SIGNING_KEY");
        /// How long a token for a browser may be used, unless who makes it says otherwise.
        token_ttl: Duration = preset(Period(s(1)..=s(3_600)), api().token_ttl);
        /// How long the URL of an exported file may be used.
        file_url_ttl: Duration = preset(Period(s(1)..=DAY), api().file_url_ttl);
        /// Web pages of these origins may read events, such as `https://desk.example.com`; `*`: of
        /// all. They come with a token.
        cors_origins: Vec<String> = preset(List(Text(1..=256), 64), Vec::new());
    }
    check key_is_long
}

impl Api {
    fn key_is_long(&self, s: &mut Section<'_>) {
        let key = self.signing_key.as_ref();
        if key.is_some_and(|key| key.reveal().len() < SIGNING_KEY_BYTES_MIN) {
            s.refuse("signing_key", "is shorter than 32 characters");
        }
    }
}
