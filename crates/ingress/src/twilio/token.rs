//! The token in a streaming URL: an HS256 JWT that says nothing but until when a socket may be
//! opened with it.
//!
//! It names no call and may be used any number of times until it expires; an open socket outlives
//! it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use call::private::Private;

/// Issues tokens with one secret and accepts those of several, so that secrets can be replaced.
#[derive(Clone)]
pub struct Tokens {
    signing: EncodingKey,
    accepted: Vec<DecodingKey>,
    ttl: Duration,
    validation: Validation,
}

/// Why a token is not accepted. For the counter and the debug log only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// It was one of ours.
    #[error("the token has expired")]
    Expired,
    /// It is none of ours.
    #[error("the token is not ours")]
    Forged,
    /// There is none.
    #[error("there is no token")]
    Missing,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iat: u64,
    exp: u64,
}

impl Tokens {
    /// The longest text that can be a token.
    pub const CHARS_MAX: usize = 512;

    /// The first secret signs. Without any, one is made up: then tokens die with the process.
    pub fn new(secrets: &[Private<String>], ttl: Duration) -> Self {
        let mut secrets: Vec<Vec<u8>> = secrets
            .iter()
            .map(|secret| secret.reveal().as_bytes().to_vec())
            .filter(|secret| !secret.is_empty())
            .collect();
        if secrets.is_empty() {
            let mut made_up = vec![0; 32];
            aws_lc_rs::rand::fill(&mut made_up).expect("the system has randomness");
            secrets.push(made_up);
        }
        // The time is an argument, so that expiry can be tested.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        Self {
            signing: EncodingKey::from_secret(&secrets[0]),
            accepted: secrets
                .iter()
                .map(|secret| DecodingKey::from_secret(secret))
                .collect(),
            ttl,
            validation,
        }
    }

    /// A new token.
    pub fn issue(&self, now: SystemTime) -> String {
        let iat = unix(now);
        let claims = Claims {
            iat,
            exp: iat.saturating_add(self.ttl.as_secs().max(1)),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
            .expect("two numbers can be signed with HS256")
    }

    /// Checks a token, to the second.
    pub fn verify(&self, token: &str, now: SystemTime) -> Result<(), BadToken> {
        match token.len() {
            0 => return Err(BadToken::Missing),
            length if length > Self::CHARS_MAX => return Err(BadToken::Forged),
            _ => {}
        }
        let claims = self
            .accepted
            .iter()
            .find_map(|key| jsonwebtoken::decode::<Claims>(token, key, &self.validation).ok())
            .ok_or(BadToken::Forged)?
            .claims;
        if unix(now) < claims.exp {
            Ok(())
        } else {
            Err(BadToken::Expired)
        }
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens")
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TTL: Duration = Duration::from_secs(300);

    fn tokens(secrets: &[&str]) -> Tokens {
        let secrets: Vec<_> = secrets
            .iter()
            .map(|secret| Private::new((*secret).to_owned()))
            .collect();
        Tokens::new(&secrets, TTL)
    }

    fn noon() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    #[test]
    fn a_token_opens_any_number_of_sockets_until_its_last_second() {
        let tokens = tokens(&["one"]);
        let token = tokens.issue(noon());
        for _ in 0..300 {
            assert_eq!(tokens.verify(&token, noon()), Ok(()));
        }
        assert_eq!(
            tokens.verify(&token, noon() + TTL - Duration::from_secs(1)),
            Ok(())
        );
        assert_eq!(tokens.verify(&token, noon() + TTL), Err(BadToken::Expired));
    }

    #[test]
    fn a_secret_that_is_being_replaced_is_still_accepted() {
        let before = tokens(&["one"]).issue(noon());
        let after = tokens(&["two", "one"]);
        assert_eq!(after.verify(&before, noon()), Ok(()));
        assert_eq!(
            tokens(&["two"]).verify(&after.issue(noon()), noon()),
            Ok(())
        );
        assert_eq!(
            tokens(&["two"]).verify(&before, noon()),
            Err(BadToken::Forged)
        );
    }

    #[test]
    fn without_a_secret_nobody_can_guess_one() {
        let token = tokens(&[""]).issue(noon());
        assert_eq!(tokens(&[]).verify(&token, noon()), Err(BadToken::Forged));
    }

    #[test]
    fn the_algorithm_is_not_the_callers_choice() {
        let claims = Claims {
            iat: 0,
            exp: u64::MAX,
        };
        let key = EncodingKey::from_secret(b"one");
        let other = jsonwebtoken::encode(&Header::new(Algorithm::HS512), &claims, &key).unwrap();
        assert_eq!(
            tokens(&["one"]).verify(&other, noon()),
            Err(BadToken::Forged)
        );
        // {"alg":"none"} and {"iat":0,"exp":9999999999}
        let none = "eyJhbGciOiJub25lIn0.eyJpYXQiOjAsImV4cCI6OTk5OTk5OTk5OX0.";
        assert_eq!(tokens(&["one"]).verify(none, noon()), Err(BadToken::Forged));
    }

    #[test]
    fn a_token_without_an_expiry_is_not_ours() {
        let key = EncodingKey::from_secret(b"one");
        let claims = serde_json::json!({ "iat": 0 });
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap();
        assert_eq!(
            tokens(&["one"]).verify(&token, noon()),
            Err(BadToken::Forged)
        );
    }

    proptest! {
        #[test]
        fn a_token_with_one_character_changed_is_forged(
            at in any::<prop::sample::Index>(),
            new in "[A-Za-z0-9_.-]",
        ) {
            let tokens = tokens(&["one"]);
            let token = tokens.issue(noon());
            let at = at.index(token.len());
            let tampered = format!("{}{new}{}", &token[..at], &token[at + 1..]);
            // The last character of a signature carries two bits that mean nothing.
            if tampered != token && at + 1 < token.len() {
                prop_assert_eq!(tokens.verify(&tampered, noon()), Err(BadToken::Forged));
            }
        }

        #[test]
        fn no_text_is_taken_for_a_token(text: String) {
            prop_assert!(tokens(&["one"]).verify(&text, noon()).is_err());
        }
    }
}
