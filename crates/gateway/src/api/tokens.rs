//! Short-lived tokens by which a browser reads events, so that no key has to go there.
//!
//! A token is a signed text: whose key made it, until when it is good, and what it shows. It lives
//! no longer than its key. It is never logged.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::SEC_WEBSOCKET_PROTOCOL;
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use call::name::CallName;

use super::auth::Caller;
use super::errors::{ApiError, Code};
use super::native::parameter;
use super::reader::Filter;
use super::shapes::{Claims, TokenRequest, TokenResponse, TokenScope};
use super::signing::{Purpose, Signer};
use super::sse::bad;
use super::{Api, body, judge};
use crate::clock::unix_seconds;

/// A longer text is no token of ours.
const TOKEN_CHARS_MAX: usize = 4_096;

/// Tokens of this version begin so.
const VERSION: &str = "v1.";

/// In `Sec-WebSocket-Protocol` a token comes behind this.
const PROTOCOL_PREFIX: &str = "token.";

/// What a token shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Grant {
    /// This call only.
    pub(crate) call: Option<CallName>,
    /// These kinds only; empty: all but who commanded what.
    pub(crate) kinds: Vec<&'static str>,
}

/// Make a token
///
/// A token for a browser: it opens streams of events (`?token=`, or for a WebSocket
/// `Sec-WebSocket-Protocol: antiphon.events.v1, token.<token>`) until it expires, and nothing else.
/// A stream that is open then stays open. It shows what the key that makes it may see, of one call
/// or of all, and not who commanded what, unless `kinds` names `command`. When its key goes, so
/// does the token.
#[utoipa::path(
    post,
    path = "/v1/tokens",
    operation_id = "makeToken",
    tag = "events",
    request_body = TokenRequest,
    responses((status = 200, description = "The token: do not log it", body = TokenResponse)),
)]
pub(crate) async fn make(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<TokenResponse>, ApiError> {
    let settings = &api.state.settings;
    let bytes = body::read(request, settings).await?;
    let read = body::understand::<TokenRequest>(&bytes, settings.json_depth_max)?;
    api.state.metrics.unknown_fields(read.unknown_fields);
    let (grant, lifetime) = grant_of(&read.body, settings.token_ttl)?;
    let expires = unix_seconds() + lifetime;
    let token = seal(&api.signer, &Claims::new(&caller.key, expires, &grant));
    Ok(Json(TokenResponse::new(token, expires)))
}

/// The token that a request shows, if it shows one.
pub(crate) fn shown(query: &str, headers: &HeaderMap) -> Option<String> {
    let in_query = parameter(query, "token");
    in_query.or_else(|| {
        let protocols = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
        let mut protocols = protocols
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        let token = protocols.find_map(|name| name.trim().strip_prefix(PROTOCOL_PREFIX));
        token.map(str::to_owned)
    })
}

/// The caller that a token makes, if it is good now and its key is in force.
pub(crate) fn caller(api: &Api, token: &str, address: IpAddr) -> Option<Caller> {
    let claims = open(&api.signer, token, unix_seconds())?;
    let grant = Arc::new(claims.grant()?);
    let caller = api.state.keys.named(&claims.key, address)?;
    Some(Caller {
        grant: Some(grant),
        ..caller
    })
}

/// Feeds arbitrary bytes to the reader of tokens; a defect panics.
pub(super) fn fuzz(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let signer = Signer::new(None);
    assert!(open(&signer, text, 0).is_none(), "nobody has signed it");
    if let Some(claims) = unsigned(text) {
        let again = open(&signer, &seal(&signer, &claims), 0);
        assert_eq!(
            again.is_some(),
            claims.expires > 0,
            "it is not what was signed"
        );
    }
}

fn grant_of(wanted: &TokenRequest, preset: Duration) -> Result<(Grant, u64), ApiError> {
    let TokenScope::Events = wanted.scope;
    let names = wanted.kinds.iter().flatten().map(String::as_str);
    let call = wanted.call.as_ref();
    let call = call.map(|call| judge::name(call.namespace, &call.guid));
    let grant = Grant {
        call: call.transpose()?.map(|named| named.call),
        kinds: Filter::kinds(names).map_err(bad)?,
    };
    let lifetime = wanted.ttl_seconds.unwrap_or(preset.as_secs());
    if !(1..=LIFETIME_SECONDS_MAX).contains(&lifetime) {
        let message = "$.ttlSeconds: must be from 1 to 3600";
        return Err(ApiError::new(Code::BadParameter, message));
    }
    Ok((grant, lifetime))
}

/// No token lives longer.
pub(crate) const LIFETIME_SECONDS_MAX: u64 = 3_600;

fn seal(signer: &Signer, claims: &Claims) -> String {
    let payload = URL_SAFE_NO_PAD.encode(claims.json());
    let signature = signer.sign(Purpose::Token, &payload);
    format!("{VERSION}{payload}.{signature}")
}

fn open(signer: &Signer, token: &str, now: u64) -> Option<Claims> {
    if token.len() > TOKEN_CHARS_MAX {
        return None;
    }
    let (payload, signature) = token.strip_prefix(VERSION)?.split_once('.')?;
    let is_ours = signer.is_ours(Purpose::Token, payload, signature);
    let claims = Claims::read(&URL_SAFE_NO_PAD.decode(payload).ok()?)?;
    (is_ours && claims.expires > now).then_some(claims)
}

fn unsigned(token: &str) -> Option<Claims> {
    let (payload, _) = token.strip_prefix(VERSION)?.split_once('.')?;
    Claims::read(&URL_SAFE_NO_PAD.decode(payload).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claims() -> Claims {
        let grant = Grant {
            call: Some(Filter::call("twilio", "CA1").unwrap()),
            kinds: vec!["transcript"],
        };
        Claims::new("key", 1_000, &grant)
    }

    #[test]
    fn a_token_says_what_it_was_made_for_until_it_expires() {
        let signer = Signer::new(None);
        let token = seal(&signer, &claims());
        let read = open(&signer, &token, 999).unwrap();
        assert_eq!((&*read.key, read.expires), ("key", 1_000));
        let grant = read.grant().unwrap();
        assert_eq!(grant.call.unwrap().to_string(), "twilio/CA1");
        assert_eq!(grant.kinds, ["transcript"]);
        assert!(open(&signer, &token, 1_000).is_none());
        assert!(open(&Signer::new(None), &token, 0).is_none());
    }

    #[test]
    fn a_token_is_found_in_the_query_or_among_the_protocols() {
        let mut headers = HeaderMap::new();
        assert_eq!(shown("a=b", &headers), None);
        let protocols = "antiphon.events.v1, token.v1.a.b";
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocols.parse().unwrap());
        assert_eq!(shown("", &headers).as_deref(), Some("v1.a.b"));
        assert_eq!(shown("token=x", &headers).as_deref(), Some("x"));
    }

    proptest! {
        #[test]
        fn a_token_that_was_changed_anywhere_is_none(at in 0_usize..200, to in "[ -~]") {
            let signer = Signer::new(None);
            let token = seal(&signer, &claims());
            let at = at % token.len();
            let changed = format!("{}{to}{}", &token[..at], &token[at + 1..]);
            // The last character of an encoded signature has bits that say nothing; they must be 0.
            prop_assert_eq!(open(&signer, &changed, 0).is_some(), changed == token);
        }

        #[test]
        fn what_is_no_token_is_refused(text in "(v1\\.)?[ -~]{0,60}") {
            fuzz(text.as_bytes());
        }
    }
}
