//! Whether the program lives, takes calls, and which one it is.

use crate::server::App;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use proto::registry::RecordKind;
use serde_json::{Value, json};

/// `GET /healthz`: the process answers.
pub async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: new calls are taken, and there is somebody to listen and to speak. Worker processes of this program that are not
/// there are named.
pub async fn ready(State(app): State<App>) -> (StatusCode, String) {
    if app.sessions.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned());
    }
    if app.config.local_workers().is_empty() {
        // What is not installed is told at the start, and comes only with another one.
        return (StatusCode::OK, "ready\n".to_owned());
    }
    let fleet = app.cluster().fleet();
    let (code, is_ready) = match fleet.has_any(RecordKind::Tts) && fleet.has_any(RecordKind::Stt) {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    match app.local().down() {
        down if down.is_empty() => (code, format!("{is_ready}\n")),
        down => (code, format!("{is_ready}, without {}\n", down.join(" "))),
    }
}

/// `GET /version`.
pub async fn version() -> Json<Value> {
    Json(json!({"name": "parlor", "version": env!("CARGO_PKG_VERSION")}))
}
