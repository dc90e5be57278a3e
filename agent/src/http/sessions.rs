//! Which calls are going on, for whoever runs the server.

use crate::server::App;
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

/// `GET /api/v1/sessions`: the calls, the oldest first. What is said in them is not told.
pub async fn list(State(app): State<App>) -> Json<Value> {
    let sessions: Vec<Value> = app
        .sessions
        .list()
        .into_iter()
        .map(|call| {
            json!({
                "id": call.id,
                "transport": call.transport.name(),
                "room": call.room,
                "age_seconds": call.age.as_secs(),
                "ending": call.ending,
            })
        })
        .collect();
    Json(json!({"sessions": sessions, "max": app.sessions.max()}))
}
