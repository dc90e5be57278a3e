//! Whether the program lives, takes calls, and which one it is.

use crate::server::App;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

/// `GET /healthz`: the process answers.
pub async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: new calls are taken.
pub async fn ready(State(app): State<App>) -> (StatusCode, &'static str) {
    if app.sessions.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else {
        (StatusCode::OK, "ready\n")
    }
}

/// `GET /version`.
pub async fn version() -> Json<Value> {
    Json(json!({"name": "parlor", "version": env!("CARGO_PKG_VERSION")}))
}
