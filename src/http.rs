//! `/livez`, `/readyz`, `/metrics` and `/status`.
//!
//! Owns what they answer and how much of anything a client may send, take or hold
//! open. Must not change anything, and must not say anything about a person. Graph's
//! failures fail neither liveness nor readiness. The only module that names `axum`.

mod readiness;
mod server;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::sync::watch;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

pub use readiness::{Readiness, Unready};
pub use server::serve;

use crate::config::Http;
use crate::daemon::{Heartbeat, Status};
use crate::metrics::Metrics;

/// The version of the text format that Prometheus reads.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What there is to see.
#[derive(Clone)]
pub struct Site {
    /// For `/livez`.
    pub heartbeat: Heartbeat,
    /// For `/readyz`.
    pub readiness: Readiness,
    /// For `/metrics`.
    pub metrics: Arc<Metrics>,
    /// For `/status`.
    pub status: watch::Receiver<Status>,
}

fn router(site: Site, limits: &Http) -> Router {
    let body_max = usize::try_from(limits.body_bytes_max).unwrap_or(usize::MAX);
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(RequestBodyLimitLayer::new(body_max))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            limits.request_timeout,
        ))
        .with_state(site)
}

async fn livez(State(site): State<Site>) -> (StatusCode, &'static str) {
    if site.heartbeat.is_alive() {
        (StatusCode::OK, "alive\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the run loop does not turn\n")
    }
}

async fn readyz(State(site): State<Site>) -> (StatusCode, String) {
    match site.readiness.check().await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(unready) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", unready.why())),
    }
}

async fn metrics(State(site): State<Site>) -> impl IntoResponse {
    // Whether or not a kubelet probes, each scrape tells how the database is.
    let answer = site.readiness.check().await;
    site.metrics.database_up(!matches!(answer, Err(Unready::Database(_))));
    ([(header::CONTENT_TYPE, METRICS_TYPE)], site.metrics.render())
}

async fn status(State(site): State<Site>) -> Response {
    let status = site.status.borrow().clone();
    ([(header::CACHE_CONTROL, "no-store")], Json(status)).into_response()
}

async fn not_found(uri: Uri) -> (StatusCode, String) {
    let what = uri.path();
    (
        StatusCode::NOT_FOUND,
        format!("{what} is not here; try /livez, /readyz, /metrics or /status\n"),
    )
}

async fn not_allowed() -> (StatusCode, &'static str) {
    (StatusCode::METHOD_NOT_ALLOWED, "this can only be read; use GET\n")
}
