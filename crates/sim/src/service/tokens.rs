//! Access tokens that live for a while and open WebSockets.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::faults::TokenFault;

/// With more tokens than this the expired ones are forgotten.
const GRANTS_MAX: usize = 10_000;

/// How access tokens behave.
#[derive(Clone, Copy, Debug)]
pub struct Tokens {
    /// How long one lives, where the client has no say in it.
    pub ttl: Duration,
    /// Whether it opens one WebSocket only.
    pub single_use: bool,
    /// How a WebSocket with a bad token is refused.
    pub refusal: TokenRefusal,
}

/// How a WebSocket with a bad token or key is refused; documents leave it open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenRefusal {
    /// The upgrade succeeds and the socket closes with 1008.
    #[default]
    Close1008,
    /// The upgrade is answered with HTTP 401.
    Http401,
}

impl TokenRefusal {
    /// By the switch `--token-401`.
    pub(super) fn told(http: bool) -> Self {
        if http { Self::Http401 } else { Self::Close1008 }
    }
}

/// The tokens that were given out, and what each stands for.
pub(super) struct Grants<T> {
    tokens: Tokens,
    given: Mutex<HashMap<String, Grant<T>>>,
}

/// An access token that was given out.
struct Grant<T> {
    stands_for: T,
    expires: Instant,
    used: bool,
}

impl<T: Clone> Grants<T> {
    pub(super) fn new(tokens: Tokens) -> Self {
        Self {
            tokens,
            given: Mutex::default(),
        }
    }

    /// How a bad token is refused.
    pub(super) fn refusal(&self) -> TokenRefusal {
        self.tokens.refusal
    }

    /// How long a token lives, where the client has no say in it.
    pub(super) fn ttl(&self) -> Duration {
        self.tokens.ttl
    }

    /// A new token for so long, or one with that fault.
    pub(super) fn give(&self, stands_for: T, ttl: Duration, fault: TokenFault) -> String {
        let token = Uuid::new_v4().simple().to_string();
        let now = Instant::now();
        let expires = match fault {
            TokenFault::Bad => return token,
            TokenFault::Expired => now,
            TokenFault::None => now + ttl,
        };
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if given.len() >= GRANTS_MAX {
            given.retain(|_, grant| grant.expires > now && !grant.used);
        }
        given.insert(
            token.clone(),
            Grant {
                stands_for,
                expires,
                used: false,
            },
        );
        token
    }

    /// What a token stands for, if it may open a WebSocket.
    pub(super) fn redeem(&self, token: &str) -> Option<T> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let grant = given.get_mut(token)?;
        if Instant::now() >= grant.expires || (grant.used && self.tokens.single_use) {
            return None;
        }
        grant.used = true;
        Some(grant.stands_for.clone())
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(5 * 60),
            single_use: true,
            refusal: TokenRefusal::default(),
        }
    }
}
