//! Whether the program lives, what it counts, and which one it is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use ingress::admission::Limit;
use prometheus::TextEncoder;

use super::Api;
use super::commands::unavailable;
use super::errors::{ApiError, Code};
use super::shapes::{HealthCheck, Probe, Readiness, Version};

/// Health check
///
/// Tells that the API is reachable and the keys are good.
#[utoipa::path(
    get,
    path = "/v1/health",
    operation_id = "health",
    tag = "operation",
    responses((status = 200, description = "All is well", body = HealthCheck)),
)]
pub(crate) async fn health() -> Json<HealthCheck> {
    Json(HealthCheck {
        health_check: "SUCCESS",
    })
}

/// Liveness
///
/// Fails only when the process should be started anew.
#[utoipa::path(
    get,
    path = "/health/live",
    operation_id = "live",
    tag = "operation",
    security(()),
    responses((status = 200, description = "The process lives", body = Probe)),
)]
pub(crate) async fn live() -> Json<Probe> {
    Json(Probe { status: "live" })
}

/// Readiness
///
/// 503 from the moment the gateway begins to drain, and while it is overloaded; the message says of
/// what there is too much. A store that fails takes no readiness away: calls go on without it.
#[utoipa::path(
    get,
    path = "/health/ready",
    operation_id = "ready",
    tag = "operation",
    security(()),
    responses((status = 200, description = "New calls are taken", body = Readiness)),
)]
pub(crate) async fn ready(State(api): State<Arc<Api>>) -> Result<Json<Readiness>, ApiError> {
    if api.state.draining.is_cancelled() {
        return Err(unavailable(&api, "The gateway is shutting down"));
    }
    match api.state.admission.exceeded() {
        Some(limit) => Err(overloaded(&api, limit)),
        None => Ok(Json(Readiness {
            status: "ready",
            store: api.state.keeping.state().as_str(),
        })),
    }
}

/// Metrics
///
/// In Prometheus' text format.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "operation",
    security(()),
    responses((
        status = 200, description = "All metrics", body = String, content_type = "text/plain",
    )),
)]
pub(crate) async fn metrics(State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    let registry = api.state.registry.clone();
    // Collecting thousands of series takes milliseconds, which calls must not wait for.
    let text = move || TextEncoder::new().encode_to_string(&registry.gather());
    match tokio::task::spawn_blocking(text).await {
        Ok(Ok(text)) => Ok(([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response()),
        Ok(Err(error)) => {
            tracing::error!(%error, "The metrics could not be written.");
            Err(Code::Internal.into())
        }
        Err(_) => Err(Code::Internal.into()),
    }
}

/// Version
///
/// Which build this is.
#[utoipa::path(
    get,
    path = "/version",
    operation_id = "version",
    tag = "operation",
    security(()),
    responses((status = 200, description = "Which build this is", body = Version)),
)]
pub(crate) async fn version(State(api): State<Arc<Api>>) -> Json<Version> {
    let build = api.state.build;
    Json(Version {
        name: "antiphon",
        version: build.version,
        commit: build.commit,
    })
}

fn overloaded(api: &Api, limit: Limit) -> ApiError {
    let message = format!("No new calls are taken: {}", limit.told());
    ApiError::new(Code::Unavailable, message).again_after(api.state.settings.retry_after)
}
