//! Bearer tokens by OAuth 2.0 client credentials, RFC 6749 section 4.4: who is given one, and which
//! of those that were given are still good.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

/// Where tokens are given.
pub(super) const PATH: &str = "/token";

/// How long a token says that it lives.
const LIFE_S: u32 = 3_600;

/// A client that tokens are given to.
#[derive(Clone)]
pub struct Client {
    /// `client_id`
    pub id: String,
    /// `client_secret`
    pub secret: String,
}

/// Gives tokens and knows them again.
pub(super) struct Issuer {
    client: Option<Client>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    given: u64,
    good: HashSet<String>,
    failing: u32,
}

/// Why a delivery's token is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadToken {
    /// There is none, or nobody has given it.
    Forged,
    /// It was good once.
    Revoked,
}

impl Issuer {
    /// Without a client no token is asked for.
    pub(super) fn new(client: Option<Client>) -> Self {
        Self {
            client,
            book: Mutex::default(),
        }
    }

    /// From now on those that were given are no longer good.
    pub(super) fn revoke(&self) {
        self.book().good.clear();
    }

    /// The next so many requests for a token fail.
    pub(super) fn fail(&self, times: u32) {
        self.book().failing = times;
    }

    /// The answer to a request for a token.
    pub(super) fn give(&self, headers: &HeaderMap, form: &[u8]) -> Result<String, StatusCode> {
        let client = self.client.as_ref().ok_or(StatusCode::NOT_FOUND)?;
        let mut book = self.book();
        if book.failing > 0 {
            book.failing -= 1;
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        let pairs: Vec<_> = form_urlencoded::parse(form).collect();
        let said = |name: &str| pairs.iter().find(|(own, _)| own == name);
        let said = |name| said(name).map(|(_, value)| value.as_ref());
        if said("grant_type") != Some("client_credentials") {
            return Err(StatusCode::BAD_REQUEST);
        }
        let in_body = (said("client_id"), said("client_secret"));
        let is_in_body = in_body == (Some(&*client.id), Some(&*client.secret));
        let shown = headers.get(header::AUTHORIZATION);
        if !is_in_body && shown.is_none_or(|shown| shown.as_bytes() != client.basic().as_bytes()) {
            return Err(StatusCode::UNAUTHORIZED);
        }
        book.given += 1;
        let token = format!("bearer-of-the-sim-{}", book.given);
        book.good.insert(token.clone());
        Ok(format!(
            r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{LIFE_S}}}"#
        ))
    }

    /// Whether a delivery shows a good token, if one is asked for.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), BadToken> {
        if self.client.is_none() {
            return Ok(());
        }
        let shown = headers.get(header::AUTHORIZATION);
        let shown = shown.and_then(|shown| shown.to_str().ok()?.strip_prefix("Bearer "));
        let shown = shown.ok_or(BadToken::Forged)?;
        let book = self.book();
        let number = shown.strip_prefix("bearer-of-the-sim-");
        let number: Option<u64> = number.and_then(|number| number.parse().ok());
        match number {
            _ if book.good.contains(shown) => Ok(()),
            Some(number) if number <= book.given => Err(BadToken::Revoked),
            _ => Err(BadToken::Forged),
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    /// Section 2.3.1: both are form-encoded first.
    fn basic(&self) -> String {
        let encoded =
            |text: &str| -> String { form_urlencoded::byte_serialize(text.as_bytes()).collect() };
        let pair = format!("{}:{}", encoded(&self.id), encoded(&self.secret));
        format!("Basic {}", STANDARD.encode(pair))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer() -> Issuer {
        Issuer::new(Some(Client {
            id: "anti phon".to_owned(),
            secret: "p:w".to_owned(),
        }))
    }

    fn with(authorization: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
        headers
    }

    const GRANT: &[u8] = b"grant_type=client_credentials";
    const BASIC: &str = "Basic YW50aStwaG9uOnAlM0F3";

    #[test]
    fn a_client_that_proves_itself_in_either_way_is_given_a_token_that_is_good_until_revoked() {
        let issuer = issuer();
        let first = issuer.give(&with(BASIC), GRANT).unwrap();
        assert!(first.contains("\"bearer-of-the-sim-1\""), "{first}");
        let body = b"grant_type=client_credentials&client_id=anti+phon&client_secret=p%3Aw";
        issuer.give(&HeaderMap::new(), body).unwrap();
        for number in [1, 2] {
            let shown = with(&format!("Bearer bearer-of-the-sim-{number}"));
            assert_eq!(issuer.check(&shown), Ok(()));
        }
        issuer.revoke();
        let shown = with("Bearer bearer-of-the-sim-1");
        assert_eq!(issuer.check(&shown), Err(BadToken::Revoked));
        let shown = with("Bearer bearer-of-the-sim-3");
        assert_eq!(issuer.check(&shown), Err(BadToken::Forged));
        assert_eq!(issuer.check(&HeaderMap::new()), Err(BadToken::Forged));
    }

    #[test]
    fn nobody_else_is_given_one_nor_anybody_while_it_fails() {
        let issuer = issuer();
        let wrong = issuer.give(&with("Basic YTpi"), GRANT);
        assert_eq!(wrong, Err(StatusCode::UNAUTHORIZED));
        let other = issuer.give(&with(BASIC), b"grant_type=password");
        assert_eq!(other, Err(StatusCode::BAD_REQUEST));
        issuer.fail(1);
        let failed = issuer.give(&with(BASIC), GRANT);
        assert_eq!(failed, Err(StatusCode::SERVICE_UNAVAILABLE));
        assert!(issuer.give(&with(BASIC), GRANT).is_ok());
        let nobody = Issuer::new(None);
        assert_eq!(nobody.give(&with(BASIC), GRANT), Err(StatusCode::NOT_FOUND));
        assert_eq!(nobody.check(&HeaderMap::new()), Ok(()));
    }
}
