//! Tokens for browsers, as they are asked for, and what is inside of them.

use call::name::CallName;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::calls::timestamp;
use super::kinds::KindName;
use super::requests::{Platform, given, object, whole, word};
use crate::api::reader::Filter;
use crate::api::tokens::Grant;

/// A token for reading events. Members that are not listed are ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TokenRequest {
    #[serde(deserialize_with = "word")]
    pub(crate) scope: TokenScope,
    /// The call whose events it shows; without it those of all calls.
    #[serde(default, deserialize_with = "object")]
    #[schema(nullable = false)]
    pub(crate) call: Option<CallReference>,
    /// The kinds of events it shows; without it, or with none, all but `command`.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, value_type = Option<Vec<KindName>>)]
    pub(crate) kinds: Option<Vec<String>>,
    /// How long it may be used; `api.token_ttl` if that is not said.
    #[serde(default, deserialize_with = "whole")]
    #[schema(nullable = false, minimum = 1, maximum = 3600)]
    pub(crate) ttl_seconds: Option<u64>,
}

/// What a token opens.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TokenScope {
    /// Streams of events.
    Events,
}

/// A call by its name.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CallReference {
    #[serde(deserialize_with = "word")]
    pub(crate) namespace: Platform,
    /// As in the start.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = "^([!-~]+|[0-9]{1,10}( ?- ?[0-9]{1,10}){3})$"
    )]
    pub(crate) guid: String,
}

/// A token.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TokenResponse {
    /// Do not log it.
    token: String,
    /// From then on it opens nothing.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// What is inside of a token.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Claims {
    /// The public half of the key that made it.
    pub(crate) key: String,
    /// Seconds since 1970.
    pub(crate) expires: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    call: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    kinds: Vec<String>,
}

impl TokenResponse {
    pub(crate) fn new(token: String, expires: u64) -> Self {
        Self {
            token,
            expires_at: timestamp(expires.saturating_mul(1_000)),
        }
    }
}

impl Claims {
    pub(crate) fn new(key: &str, expires: u64, grant: &Grant) -> Self {
        Self {
            key: key.to_owned(),
            expires,
            call: grant.call.as_ref().map(CallName::to_string),
            kinds: grant.kinds.iter().map(|&kind| kind.to_owned()).collect(),
        }
    }

    pub(crate) fn json(&self) -> String {
        super::json(self)
    }

    pub(crate) fn read(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// What it shows; `None` if this version does not know it.
    pub(crate) fn grant(&self) -> Option<Grant> {
        let call = match &self.call {
            Some(name) => {
                let (namespace, guid) = name.split_once('/')?;
                Some(Filter::call(namespace, guid).ok()?)
            }
            None => None,
        };
        let names = self.kinds.iter().map(String::as_str);
        let kinds = Filter::kinds(names).ok()?;
        Some(Grant { call, kinds })
    }
}
