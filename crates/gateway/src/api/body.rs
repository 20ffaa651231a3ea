//! Request bodies: how they are read, within which limits, and what is wrong with them.

use std::fmt;

use axum::extract::Request;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::ApiSettings;
use super::errors::{ApiError, Code};
use super::shapes::Object;

/// A body that was understood.
#[derive(Debug)]
pub(crate) struct Understood<T> {
    pub(crate) body: T,
    /// Members that this version does not know. They are tolerated, so that a newer client works.
    pub(crate) unknown_fields: usize,
}

/// Reads a body whole. 415-01, 413-01, 408-01.
pub(crate) async fn read(request: Request, settings: &ApiSettings) -> Result<Bytes, ApiError> {
    if !is_json(request.headers()) {
        return Err(Code::UnsupportedMedia.into());
    }
    let most = settings.body_bytes_max;
    let too_large = || {
        let message = format!("Request entity too large: a body may have {most} bytes at most");
        ApiError::new(Code::TooLarge, message)
    };
    if declared_length(request.headers()).is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let body = Limited::new(request.into_body(), most).collect();
    match tokio::time::timeout(settings.body_timeout, body).await {
        Err(_) => Err(Code::Timeout.into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(ApiError::new(Code::BadRequest, "The body broke off")),
        Ok(Ok(body)) => Ok(body.to_bytes()),
    }
}

/// Makes sense of a body. 400-01 if it is not JSON, 422-01 if it is JSON that must not be guessed
/// at, and 400-201 or 400-202 with the place and what was expected there.
pub(crate) fn understand<T: DeserializeOwned>(
    body: &[u8],
    depth_max: usize,
) -> Result<Understood<T>, ApiError> {
    let value = json(body, depth_max)?;
    let mut unknown_fields = 0;
    let mut count = |_: serde_ignored::Path<'_>| unknown_fields += 1;
    let counting = serde_ignored::Deserializer::new(&value, &mut count);
    let Object(body) = serde_path_to_error::deserialize(counting).map_err(|error| {
        let inner = error.inner().to_string();
        wrong(&error.path().to_string(), &inner)
    })?;
    Ok(Understood {
        body,
        unknown_fields,
    })
}

/// What is wrong with the member at `path`. Everything inside `autotranscribeParams` is 400-202.
pub(crate) fn wrong(path: &str, what: &str) -> ApiError {
    let inside = path.strip_prefix("autotranscribeParams");
    let code = match inside {
        Some(rest) if rest.starts_with(['.', '[']) => Code::BadAutotranscribe,
        _ => Code::BadParameter,
    };
    let place = if path == "." {
        "$".to_owned()
    } else {
        format!("$.{path}")
    };
    let what: String = what.chars().take(WHAT_CHARS_MAX).collect();
    ApiError::new(code, format!("{place}: {what}"))
}

/// A message may repeat a value of the request; a long one is cut.
const WHAT_CHARS_MAX: usize = 300;

fn json(body: &[u8], depth_max: usize) -> Result<Value, ApiError> {
    if body.is_empty() {
        return Err(ApiError::new(
            Code::BadRequest,
            "The body is empty; expected a JSON object",
        ));
    }
    let not_json = |error: &dyn fmt::Display| {
        ApiError::new(Code::BadRequest, format!("The body is not JSON: {error}"))
    };
    let text = str::from_utf8(body).map_err(|error| not_json(&error))?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict {
        depth_left: depth_max,
    }
    .deserialize(&mut deserializer);
    let value = value.map_err(|error| match error.is_data() {
        true => ApiError::new(Code::Unprocessable, error.to_string()),
        false => not_json(&error),
    })?;
    deserializer.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

/// Reads any JSON that says everything once and is not nested too deep.
#[derive(Clone, Copy)]
struct Strict {
    depth_left: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { depth_left }),
            None => Err(E::custom("the JSON is nested too deep")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(serde::de::Error::custom("the JSON has a member twice"));
            }
            members.insert(name, map.next_value_seed(inner)?);
        }
        Ok(members.into())
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    if !encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return false;
    }
    let Some(Ok(media_type)) = headers.get(CONTENT_TYPE).map(HeaderValue::to_str) else {
        return false;
    };
    let mut parts = media_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let charset = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.trim().trim_matches('"'))
    });
    essence.eq_ignore_ascii_case("application/json")
        && charset.is_none_or(|charset| charset.eq_ignore_ascii_case("utf-8"))
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(content_type: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        headers
    }

    #[test]
    fn json_is_wanted_in_utf_8_and_uncompressed() {
        for yes in [
            "application/json",
            "Application/JSON",
            "application/json;charset=utf-8",
            "application/json; x=y; charset=\"UTF-8\"",
        ] {
            assert!(is_json(&headers(yes)), "{yes}");
        }
        for no in [
            "text/json",
            "application/jsonp",
            "application/json; charset=latin1",
            "",
        ] {
            assert!(!is_json(&headers(no)), "{no}");
        }
        assert!(!is_json(&HeaderMap::new()));
        let mut packed = headers("application/json");
        packed.insert(CONTENT_ENCODING, "gzip".parse().unwrap());
        assert!(!is_json(&packed));
    }

    #[test]
    fn what_cannot_be_read_and_what_must_not_be_guessed_at_have_codes_of_their_own() {
        let code = |body: &[u8]| json(body, 3).unwrap_err().code.as_str();
        for body in [
            &b""[..],
            b"{",
            b"{} {}",
            b"\xff",
            b"{\"a\":1e999}",
            b"nul",
            b"{\"a\":\"\\ud800\"}",
        ] {
            assert_eq!(code(body), "400-01", "{}", String::from_utf8_lossy(body));
        }
        assert_eq!(code(b"{\"a\":1,\"a\":1}"), "422-01");
        assert_eq!(code(b"{\"b\":[{\"a\":1,\"\\u0061\":1}]}"), "422-01");
        assert_eq!(code(b"[[[[]]]]"), "422-01");
        assert_eq!(json(b"[[[1]]]", 3).unwrap(), serde_json::json!([[[1]]]));
    }

    #[test]
    fn a_hundred_thousand_brackets_are_only_an_error() {
        assert_eq!(
            json("[".repeat(100_000).as_bytes(), 16)
                .unwrap_err()
                .code
                .as_str(),
            "422-01"
        );
        assert!(json("[".repeat(100_000).as_bytes(), usize::MAX).is_err());
    }

    #[test]
    fn a_place_inside_autotranscribe_params_has_its_own_code() {
        assert_eq!(
            wrong("autotranscribeParams.language", "x").code,
            Code::BadAutotranscribe
        );
        assert_eq!(wrong("autotranscribeParams", "x").code, Code::BadParameter);
        assert_eq!(
            wrong("autotranscribeParamsX.y", "x").code,
            Code::BadParameter
        );
        assert_eq!(wrong(".", "x").message, "$: x");
        assert_eq!(wrong("a", &"x".repeat(1000)).message.len(), 305);
    }
}
