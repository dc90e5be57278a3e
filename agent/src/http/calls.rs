//! A call over WebRTC without any SFU: an SDP offer in, an answer out.

use super::error::ApiError;
use super::ws::Params;
use crate::server::App;
use crate::session::{CallOptions, Events};
use crate::sessions::{Refused, Transport};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tracing::debug;

/// `POST /v1/realtime/calls`: answers 201 with `Location` and the SDP answer.
pub async fn answer(
    State(app): State<App>,
    params: Result<Query<Params>, QueryRejection>,
    headers: HeaderMap,
    offer: String,
) -> Result<Response, ApiError> {
    let Query(params) = params.map_err(|error| {
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_query", error.body_text())
    })?;
    let Some(endpoint) = app.webrtc.clone() else {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "webrtc_off",
            "WebRTC is off here; use the WebSocket at /ws",
        ));
    };
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or("");
    if !kind
        .trim()
        .to_ascii_lowercase()
        .starts_with("application/sdp")
    {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "send the SDP offer as application/sdp",
        ));
    }
    if let Some(voice) = &params.voice
        && !app.has_voice(voice)
    {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "unknown_voice",
            app.voices_sentence(),
        ));
    }
    let admission = app.sessions.admit(Transport::WebRtc).map_err(|refused| {
        let code = match refused {
            Refused::Full(_) => "server_full",
            Refused::Draining => "shutting_down",
        };
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, refused.to_string()).retry_after(5)
    })?;
    let answered = endpoint.answer(&offer, &admission.id).map_err(|error| {
        debug!(%error, "An offer was refused.");
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_offer", error.to_string())
    })?;
    let location = format!("/v1/realtime/calls/{}", admission.id);
    let options = CallOptions {
        mode: params.mode.unwrap_or(app.config.turn.mode),
        voice: params.voice,
        events: Events::All,
    };
    let tracker = app.sessions.tracker().clone();
    let media::link::webrtc::Answered { sdp, link, call } = answered;
    tracker.spawn(async move {
        // The dialog's clock starts when the caller can hear and be heard; a caller who never comes costs nothing but the wait.
        if call.connected().await {
            app.start_session(admission, link, options).await;
        }
    });
    let headers = [
        (header::LOCATION, location),
        (header::CONTENT_TYPE, "application/sdp".to_owned()),
    ];
    Ok((StatusCode::CREATED, headers, sdp).into_response())
}

/// `DELETE /v1/realtime/calls/{id}`: hangs up.
pub async fn hang_up(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    if app.sessions.hang_up(&id) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "no_such_call",
            "there is no such call; it may have ended already",
        ))
    }
}
