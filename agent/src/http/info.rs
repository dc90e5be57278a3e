//! What this server can do, for the page and for scripts.

use crate::server::App;
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

/// `GET /api/v1/info`. Answers without a key, so that the page can ask for one; it holds nothing private.
pub async fn info(State(app): State<App>) -> Json<Value> {
    let voices = app.cluster().voices();
    let voices: Vec<Value> = voices
        .iter()
        .map(|voice| json!({"id": voice.voice_id, "name": voice.name, "language": voice.language, "gender": voice.gender}))
        .collect();
    let mut transports = vec!["websocket"];
    if app.webrtc.is_some() {
        transports.insert(0, "webrtc");
    }
    // A page can do nothing with a room that it gets no token for.
    let livekit = &app.config.livekit;
    let livekit = (livekit.is_configured() && livekit.tokens)
        .then(|| json!({"url": livekit.page_url(), "agent_name": livekit.agent_name}));
    Json(json!({
        "name": "parlor",
        "version": env!("CARGO_PKG_VERSION"),
        "engines": &*app.engines,
        "voices": voices,
        "default_voice": app.config.tts.default_voice,
        "transports": transports,
        "livekit": livekit,
        "mode": app.config.turn.mode,
        "greeting": app.config.turn.greeting,
        "auth_required": app.config.server.api_key.is_some(),
    }))
}
