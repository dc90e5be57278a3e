//! Whether the LiveKit server is there and takes our keys.

use super::Finding;
use super::checks::innermost;
use crate::config::Config;
use media::link::livekit::token;
use reqwest::{Client, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::json;
use std::time::Duration;

/// How long the server may take for each answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// What the token of this check is good for: it is used at once.
const TOKEN_TTL: Duration = Duration::from_secs(60);
/// The smallest thing that a server does only for those whom it knows.
const LIST_ROOMS: &str = "/twirp/livekit.RoomService/ListRooms";

pub(super) async fn livekit(config: &Config) -> Finding {
    let what = "LiveKit";
    let livekit = &config.livekit;
    let keys = livekit.keys().filter(|_| livekit.is_configured());
    let Some(keys) = keys else {
        return Finding::present(what, "off: no server is set (livekit.url or LIVEKIT_URL)");
    };
    let url = &livekit.url;
    let token = match token::rooms(&keys, TOKEN_TTL) {
        Ok(token) => token,
        Err(error) => {
            return Finding::missing(
                what,
                error.to_string(),
                "set LIVEKIT_API_KEY and LIVEKIT_API_SECRET",
            )
            .needed();
        }
    };
    // Twice is fine: another check may have done it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asked = async {
        let client = Client::builder().timeout(PATIENCE).build()?;
        let alive = client.get(livekit.api_url("/")).send().await?;
        if !alive.status().is_success() {
            return Ok((alive.status(), None));
        }
        let known = client
            .post(livekit.api_url(LIST_ROOMS))
            .bearer_auth(token.expose_secret())
            .json(&json!({}))
            .send()
            .await?;
        Ok::<_, reqwest::Error>((alive.status(), Some(known.status())))
    };
    match asked.await {
        Ok((_, Some(status))) if status.is_success() => {
            Finding::present(what, format!("{url} answers and takes the keys"))
        }
        Ok((_, Some(status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)))) => {
            Finding::missing(
                what,
                format!("{url} refuses the keys ({status})"),
                "set LIVEKIT_API_KEY and LIVEKIT_API_SECRET to the server's own (livekit-server --dev has devkey and secret), \
                 and compare the clocks of both machines",
            )
            .needed()
        }
        Ok((_, Some(status)) | (status, None)) => Finding::missing(
            what,
            format!("{url} answers {status}, as no LiveKit server does"),
            "set LIVEKIT_URL to where the LiveKit server is",
        )
        .needed(),
        Err(error) => Finding::missing(
            what,
            format!("{url} does not answer: {}", innermost(&error)),
            "start it (livekit-server --dev), or set LIVEKIT_URL to where it is",
        )
        .needed(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;
    use axum::Router;
    use axum::http::HeaderMap;
    use axum::routing::{get, post};
    use tokio::net::TcpListener;

    fn configured(address: std::net::SocketAddr) -> Config {
        let mut config = Config::default();
        config.livekit.url = format!("ws://{address}");
        config.livekit.api_key = "devkey".into();
        config.livekit.api_secret = Some("very-secret".to_owned().into());
        config
    }

    /// What is found where a server answers `alive`, and `known` to those who bring a token.
    async fn found(alive: StatusCode, known: StatusCode) -> Finding {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = configured(listener.local_addr().unwrap());
        let knows = async move |headers: HeaderMap| match headers.get("authorization") {
            Some(token) if token.to_str().unwrap().starts_with("Bearer ey") => known,
            Some(_) | None => StatusCode::UNAUTHORIZED,
        };
        let router = Router::new()
            .route("/", get(async move || alive))
            .route(LIST_ROOMS, post(knows));
        tokio::select! {
            ended = async { axum::serve(listener, router).await } => panic!("{ended:?}"),
            finding = livekit(&config) => finding,
        }
    }

    #[tokio::test]
    async fn a_server_that_takes_the_keys_is_present() {
        let finding = found(StatusCode::OK, StatusCode::OK).await;
        assert_eq!(finding.status, Status::Present, "{finding:?}");
    }

    #[tokio::test]
    async fn keys_that_are_refused_are_named_and_not_shown() {
        let finding = found(StatusCode::OK, StatusCode::UNAUTHORIZED).await;
        assert_eq!(finding.status, Status::Needed);
        assert!(!format!("{finding:?}").contains("very-secret"));
        assert!(finding.fix.unwrap().contains("LIVEKIT_API_SECRET"));
    }

    #[tokio::test]
    async fn another_server_is_told_apart() {
        for finding in [
            found(StatusCode::NOT_FOUND, StatusCode::OK).await,
            found(StatusCode::OK, StatusCode::NOT_FOUND).await,
        ] {
            assert_eq!(finding.status, Status::Needed);
            assert!(finding.found.contains("404"), "{finding:?}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_needed_once_it_is_set() {
        assert_eq!(livekit(&Config::default()).await.status, Status::Present);
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = configured(free.local_addr().unwrap());
        drop(free);
        let finding = livekit(&config).await;
        assert_eq!(finding.status, Status::Needed);
        assert!(finding.fix.unwrap().contains("LIVEKIT_URL"));
    }
}
