//! What can be asked: a page of text for each path, for people and for programs alike.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::runtime::Observer;
use crate::telemetry::export;

/// What `/` says, and what is said behind an unknown path.
const INDEX: &str = "\
/metrics   figures, as Prometheus reads them
/healthz   200 as long as the process works, else 503 and why
/readyz    200 while clients may be sent here, else 503 and why
";

/// All paths. `GET` and `HEAD` only: axum answers anything else with 405.
pub(super) fn router(observer: Arc<Observer>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback(unknown)
        .with_state(observer)
}

async fn index() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("narrows {version}\n\n{INDEX}")
}

async fn unknown() -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, format!("There are:\n\n{INDEX}"))
}

async fn metrics(State(observer): State<Arc<Observer>>) -> Response {
    match export::text(&observer.picture().await) {
        Ok(text) => ([(header::CONTENT_TYPE, export::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn healthz(State(observer): State<Arc<Observer>>) -> (StatusCode, String) {
    verdict("healthy", observer.liveness())
}

async fn readyz(State(observer): State<Arc<Observer>>) -> (StatusCode, String) {
    verdict(
        &format!("ready\n{}", observer.standing()),
        observer.readiness(),
    )
}

fn verdict(yes: &str, outcome: Result<(), String>) -> (StatusCode, String) {
    match outcome {
        Ok(()) => (StatusCode::OK, format!("{yes}\n")),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}
