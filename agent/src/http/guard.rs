//! Who may ask: the origin of a web page, and the key if one is set.

use super::error::ApiError;
use crate::server::App;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use secrecy::ExposeSecret as _;
use subtle::ConstantTimeEq as _;

/// The WebSocket subprotocol that carries a key, because a page cannot set headers there.
const KEY_PROTOCOL: &str = "parlor-key.";

/// Lets a request pass, or answers 401 or 403.
pub async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    match check(&app, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// Checks origin and key.
///
/// # Errors
/// 403 for a page of a foreign origin, 401 for a missing or wrong key.
pub fn check(app: &App, headers: &HeaderMap) -> Result<(), ApiError> {
    let server = &app.config.server;
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or("");
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or("");
        let own = origin
            .split_once("://")
            .is_some_and(|(_, rest)| !host.is_empty() && rest.eq_ignore_ascii_case(host));
        if !own
            && !server
                .allowed_origins
                .iter()
                .any(|allowed| allowed.eq_ignore_ascii_case(origin))
        {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "origin_not_allowed",
                "pages of this origin may not connect; add it to server.allowed_origins",
            ));
        }
    }
    let Some(key) = &server.api_key else {
        return Ok(());
    };
    let given = bearer(headers).or_else(|| protocol_key(headers));
    match given {
        Some(given) if bool::from(given.as_bytes().ct_eq(key.expose_secret().as_bytes())) => Ok(()),
        Some(_) => Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "invalid_api_key",
            "the API key is wrong",
        )),
        None => Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "invalid_api_key",
            "an API key is required: send it as Authorization: Bearer KEY",
        )),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")
}

fn protocol_key(headers: &HeaderMap) -> Option<&str> {
    let protocols = headers.get(header::SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    protocols
        .split(',')
        .find_map(|protocol| protocol.trim().strip_prefix(KEY_PROTOCOL))
}
