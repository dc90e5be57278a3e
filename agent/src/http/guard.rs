//! Who may ask: the origin of a web page, and the key if one is set.

use super::error::ApiError;
use crate::config;
use crate::server::App;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use secrecy::ExposeSecret as _;
use std::net::IpAddr;
use subtle::ConstantTimeEq as _;

/// The WebSocket subprotocol that carries a key, because a page cannot set headers there.
const KEY_PROTOCOL: &str = "parlor-key.";

/// Lets a request pass, or answers 401 or 403.
pub async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    match check(&app, request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// Checks origin and key.
///
/// # Errors
/// 403 for a page of a foreign origin, 401 for a missing or wrong key.
pub fn check(app: &App, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    let server = &app.config.server;
    if let Some(origin) = headers.get(header::ORIGIN)
        && !is_own(server, origin, uri, headers)
        && !is_allowed(server, origin)
    {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "origin_not_allowed",
            "pages of this origin may not connect; add it to server.allowed_origins",
        ));
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

/// Whether pages of this origin may connect although another server sent them.
pub fn is_allowed(server: &config::Server, origin: &HeaderValue) -> bool {
    let mut allowed = server.allowed_origins.iter();
    allowed.any(|one| one.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
}

/// Whether the page came from here: its origin is the very host that it now asks.
fn is_own(server: &config::Server, origin: &HeaderValue, uri: &Uri, headers: &HeaderMap) -> bool {
    let origin = origin.to_str().ok();
    let Some((_, page)) = origin.and_then(|origin| origin.split_once("://")) else {
        return false;
    };
    // HTTP/2 has no `Host`: the host that is asked stands in the URI.
    let host = headers
        .get(header::HOST)
        .map(|host| host.to_str().unwrap_or(""));
    let Some(host) = host.or_else(|| uri.authority().map(Authority::as_str)) else {
        return false;
    };
    // Any name can be made to lead to 127.0.0.1, and then a stranger's page has the origin of the host that it asks. Who
    // listens on loopback only is reached by the loopback's own names, or by such as are allowed.
    let is_local = server.listen.ip().to_canonical().is_loopback();
    page.eq_ignore_ascii_case(host) && (!is_local || is_loopback(host))
}

fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn is_own_page(listen: &str, origin: &str, host: Option<&str>, uri: &str) -> bool {
        let server = config::Server {
            listen: listen.parse().unwrap(),
            ..config::Server::default()
        };
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(header::HOST, host.parse().unwrap());
        }
        let (origin, uri) = (origin.parse().unwrap(), uri.parse().unwrap());
        is_own(&server, &origin, &uri, &headers)
    }

    #[test]
    fn the_host_is_in_the_header_or_in_the_uri() {
        let (listen, origin) = ("127.0.0.1:8080", "https://localhost:8080");
        assert!(is_own_page(listen, origin, Some("localhost:8080"), "/ws"));
        assert!(is_own_page(
            listen,
            origin,
            None,
            "https://localhost:8080/ws"
        ));
        assert!(!is_own_page(
            listen,
            origin,
            None,
            "https://127.0.0.1:8080/ws"
        ));
        assert!(!is_own_page(listen, origin, None, "/ws"));
        assert!(!is_own_page(listen, "null", Some("null"), "/ws"));
    }

    #[test]
    fn on_loopback_only_the_loopbacks_names_are_ones_own() {
        let own = |listen, host| is_own_page(listen, &format!("http://{host}"), Some(host), "/ws");
        for host in [
            "localhost",
            "LocalHost:8080",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:8080",
        ] {
            assert!(own("127.0.0.1:8080", host), "{host}");
            assert!(own("[::1]:8080", host), "{host}");
        }
        for host in [
            "rebound.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.168.1.7:8080",
            "user@localhost.example",
            "",
        ] {
            assert!(!own("127.0.0.1:8080", host), "{host}");
            assert!(!own("[::ffff:127.0.0.1]:8080", host), "{host}");
        }
        // Who listens to the network goes by names that only its owner knows.
        assert!(own("0.0.0.0:8080", "parlor.example:8080"));
        assert!(own("192.168.1.7:8080", "parlor.example"));
    }

    #[test]
    fn an_allowed_origin_is_compared_whole() {
        let server = config::Server {
            allowed_origins: vec!["https://pages.example".into()],
            ..config::Server::default()
        };
        let allowed = |origin| is_allowed(&server, &HeaderValue::from_static(origin));
        assert!(allowed("https://Pages.example"));
        assert!(!allowed("http://pages.example"));
        assert!(!allowed("https://pages.example.evil"));
    }
}
