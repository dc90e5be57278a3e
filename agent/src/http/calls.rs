//! A call over WebRTC without any SFU: an SDP offer in, an answer out.

use super::error::ApiError;
use super::ws::Params;
use crate::server::App;
use crate::session::{CallOptions, Events};
use crate::sessions::{Refused, Transport};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest as _, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use media::link::webrtc::{Answered, OfferError};
use std::time::Duration;
use tracing::debug;

/// How long an offer may take to arrive: it fits into a few packets.
const OFFER_WITHIN: Duration = Duration::from_secs(10);
/// When a caller whom there is no place for may try again, in seconds.
const RETRY_AFTER_SECONDS: u16 = 5;

/// `POST /v1/realtime/calls`: answers 201 with `Location` and the SDP answer.
pub async fn answer(
    State(app): State<App>,
    params: Result<Query<Params>, QueryRejection>,
    request: Request,
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
    let kind = request
        .headers()
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
    let offer = offer(request).await?;
    let admission = app.sessions.admit(Transport::WebRtc).map_err(|refused| {
        let code = match refused {
            Refused::Full(_) => "server_full",
            Refused::Draining => "shutting_down",
        };
        unavailable(code, refused.to_string())
    })?;
    let answered = endpoint.answer(&offer, &admission.id).map_err(|error| {
        debug!(%error, "An offer was refused.");
        unanswered(&error)
    })?;
    let location = format!("/v1/realtime/calls/{}", admission.id);
    let options = CallOptions {
        mode: params.mode.unwrap_or(app.config.turn.mode),
        voice: params.voice,
        events: Events::All,
    };
    let tracker = app.sessions.tracker().clone();
    let Answered { sdp, link, call } = answered;
    tracker.spawn(async move {
        let hangup = admission.hangup();
        let is_connected = tokio::select! {
            is_connected = call.connected() => is_connected,
            () = hangup.cancelled() => false,
        };
        // The dialog's clock starts when the caller can hear and be heard; a caller who never comes costs nothing but the wait.
        if is_connected {
            app.start_session(admission, link, options).await;
        } else {
            call.hang_up();
            drop((admission, link));
        }
        // The call's last words are still on their way; a drain waits for them.
        call.ended().await;
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
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    let Path(id) =
        id.map_err(|error| ApiError::new(error.status(), "invalid_path", error.body_text()))?;
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

/// Reads the offer.
async fn offer(request: Request) -> Result<String, ApiError> {
    let body = tokio::time::timeout(OFFER_WITHIN, Bytes::from_request(request, &()))
        .await
        .map_err(|_| {
            let message = format!("the offer did not arrive within {OFFER_WITHIN:?}");
            ApiError::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message)
        })?
        .map_err(|error| ApiError::new(error.status(), "invalid_body", error.body_text()))?;
    String::from_utf8(body.into()).map_err(|_| {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "invalid_offer",
            "the offer is not SDP: it is not UTF-8",
        )
    })
}

fn unanswered(error: &OfferError) -> ApiError {
    match error {
        OfferError::Full { .. } => unavailable("server_full", error.to_string()),
        OfferError::TooLong { .. }
        | OfferError::NotSdp(_)
        | OfferError::NoAudio
        | OfferError::NoOpus
        | OfferError::NoIceCredentials
        | OfferError::NoFingerprint
        | OfferError::Refused(_) => {
            ApiError::new(StatusCode::BAD_REQUEST, "invalid_offer", error.to_string())
        }
    }
}

fn unavailable(code: &'static str, message: String) -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, message).retry_after(RETRY_AFTER_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_port_is_no_fault_of_the_offers() {
        let full = unanswered(&OfferError::Full { calls: 116 }).into_response();
        assert_eq!(full.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(full.headers()[header::RETRY_AFTER], "5");
        let mute = unanswered(&OfferError::NoAudio).into_response();
        assert_eq!(mute.status(), StatusCode::BAD_REQUEST);
        assert!(!mute.headers().contains_key(header::RETRY_AFTER));
    }
}
