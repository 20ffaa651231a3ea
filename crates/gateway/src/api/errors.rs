//! What goes wrong for a user of the API: one envelope, one code each.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// The contract's codes, and those it leaves to HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// 409-201: already started, or already stopped.
    Already,
    /// 400-202: a value or combination inside `autotranscribeParams`.
    BadAutotranscribe,
    /// 400-201: any other parameter.
    BadParameter,
    /// 400-01: the request cannot be read at all.
    BadRequest,
    /// 409-203: the media is over.
    Draining,
    /// 403-01: the key may not do this, or what was signed is not valid any more.
    Forbidden,
    /// 500-201
    Internal,
    /// 409-204: the call is not over.
    Live,
    /// 405-01
    MethodNotAllowed,
    /// 400-203: no call with that guid.
    NoCall,
    /// 404-01
    NotFound,
    /// 409-202: another command for the call is pending.
    Pending,
    /// 408-01: the body did not arrive in time.
    Timeout,
    /// 413-01
    TooLarge,
    /// 429-01
    TooMany,
    /// 401-01
    Unauthorized,
    /// 503-01
    Unavailable,
    /// 422-01: JSON that can be read in more than one way, or is nested too deep.
    Unprocessable,
    /// 415-01
    UnsupportedMedia,
}

/// An error on its way to the user. The outermost layer writes it, because it knows the requestId.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    pub(crate) code: Code,
    pub(crate) message: Cow<'static, str>,
    pub(crate) retry_after: Option<Duration>,
}

impl Code {
    /// All of them, in the order of their numbers.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 19] = [
        Self::BadRequest,
        Self::BadParameter,
        Self::BadAutotranscribe,
        Self::NoCall,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Timeout,
        Self::Already,
        Self::Pending,
        Self::Draining,
        Self::Live,
        Self::TooLarge,
        Self::UnsupportedMedia,
        Self::Unprocessable,
        Self::TooMany,
        Self::Internal,
        Self::Unavailable,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Already => "409-201",
            Self::BadAutotranscribe => "400-202",
            Self::BadParameter => "400-201",
            Self::BadRequest => "400-01",
            Self::Draining => "409-203",
            Self::Forbidden => "403-01",
            Self::Internal => "500-201",
            Self::Live => "409-204",
            Self::MethodNotAllowed => "405-01",
            Self::NoCall => "400-203",
            Self::NotFound => "404-01",
            Self::Pending => "409-202",
            Self::Timeout => "408-01",
            Self::TooLarge => "413-01",
            Self::TooMany => "429-01",
            Self::Unauthorized => "401-01",
            Self::Unavailable => "503-01",
            Self::Unprocessable => "422-01",
            Self::UnsupportedMedia => "415-01",
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Already | Self::Draining | Self::Live | Self::Pending => StatusCode::CONFLICT,
            Self::BadAutotranscribe | Self::BadParameter | Self::BadRequest | Self::NoCall => {
                StatusCode::BAD_REQUEST
            }
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            Self::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    /// What it says when there is nothing more to say.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Already => "Transcription of this call is already started or already stopped",
            Self::BadAutotranscribe => "AutoTranscribe parameter or combination incorrect",
            Self::BadParameter => "Parameter incorrect",
            Self::BadRequest => "Bad request",
            Self::Draining => "The media of this call is over; it is being wound up",
            Self::Forbidden => "Forbidden",
            Self::Internal => "Internal error",
            Self::Live => "The call is not over; end it first",
            Self::MethodNotAllowed => "Method not allowed",
            Self::NoCall => "No call with specified guid found",
            Self::NotFound => "Not found",
            Self::Pending => "Another request for the same guid is pending",
            Self::Timeout => "The request body did not arrive in time",
            Self::TooLarge => "Request entity too large",
            Self::TooMany => "Too many requests",
            Self::Unauthorized => "Unauthorized",
            Self::Unavailable => "Service unavailable",
            Self::Unprocessable => "Unprocessable entity",
            Self::UnsupportedMedia => "The body must be application/json in UTF-8, not compressed",
        }
    }
}

impl ApiError {
    pub(crate) fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    pub(crate) fn again_after(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }

    /// For answers that axum or a layer of ours made without a code of its own.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let code = match status {
            StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
            status if status.is_client_error() => Code::BadRequest,
            _ => Code::Internal,
        };
        code.into()
    }
}

impl From<Code> for ApiError {
    fn from(code: Code) -> Self {
        Self::new(code, code.message())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_begins_with_its_status() {
        for code in Code::ALL {
            let (status, sub) = code.as_str().split_once('-').unwrap();
            assert_eq!(status, code.status().as_str());
            assert!(!sub.is_empty() && !code.message().is_empty());
        }
        assert!(Code::ALL.is_sorted_by_key(|code| code.status()));
    }
}
