//! The API's description, and a page that renders it without reaching out to the internet. The only
//! file that names utoipa-swagger-ui.

use std::sync::{Arc, LazyLock};

use axum::extract::{Path, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use utoipa_swagger_ui::Config;

use super::Api;
use super::errors::{ApiError, Code};

/// This description
///
/// OpenAPI 3.1. Rendered at `/docs`.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openapi",
    tag = "operation",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = utoipa::openapi::Object)),
)]
pub(crate) async fn openapi(State(api): State<Arc<Api>>) -> Response {
    ([(CONTENT_TYPE, "application/json")], api.openapi.clone()).into_response()
}

/// The streams of events
///
/// AsyncAPI 3.0, with the same schemas.
#[utoipa::path(
    get,
    path = "/asyncapi.json",
    operation_id = "asyncapi",
    tag = "operation",
    security(()),
    responses((status = 200, description = "AsyncAPI 3.0", body = utoipa::openapi::Object)),
)]
pub(crate) async fn asyncapi(State(api): State<Arc<Api>>) -> Response {
    let content_type = [(CONTENT_TYPE, "application/json")];
    (content_type, api.asyncapi.clone()).into_response()
}

/// The page's parts are named relative to it, which needs the slash; the way there is relative too,
/// so that a proxy may put the API under a path of its own.
pub(crate) async fn to_folder() -> Response {
    (StatusCode::PERMANENT_REDIRECT, [(LOCATION, "docs/")]).into_response()
}

pub(crate) async fn index() -> Result<Response, ApiError> {
    part("index.html")
}

pub(crate) async fn file(Path(name): Path<String>) -> Result<Response, ApiError> {
    part(&name)
}

fn part(name: &str) -> Result<Response, ApiError> {
    static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
        let config = Config::from("../openapi.json").validator_url("none");
        Arc::new(
            config
                .try_it_out_enabled(true)
                .display_request_duration(true),
        )
    });
    let part = utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG));
    let part = part.map_err(|_| ApiError::from(Code::Internal))?;
    let part = part.ok_or_else(|| ApiError::from(Code::NotFound))?;
    let gzipped = part.gzpipped;
    let content_type = [(CONTENT_TYPE, part.content_type)];
    let mut response = (content_type, part.bytes.into_owned()).into_response();
    let headers = response.headers_mut();
    if gzipped {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Ok(response)
}

/// Nothing from elsewhere; the page's own pictures are data URLs, its styles are set by script.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; \
                      frame-ancestors 'none'";
