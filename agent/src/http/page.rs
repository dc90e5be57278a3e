//! The web page, embedded in the program.

use super::{guard, ws};
use crate::config::LiveKit;
use crate::server::App;
use axum::extract::rejection::QueryRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use include_dir::{Dir, include_dir};

/// `web/dist` as it was when the program was built, or a page that says how to build it.
static PAGE: Dir<'_> = include_dir!("$OUT_DIR/page");

/// Only our own scripts, no inline ones but the theme's, and connections only back here and to the LiveKit server, whom its
/// client also asks over HTTP why a connection failed.
fn content_security_policy(livekit: &LiveKit) -> String {
    let rooms = livekit.page_origin().map(|origin| format!(" {origin}"));
    format!(
        "default-src 'self'; connect-src 'self' ws: wss:{}; img-src 'self' data:; style-src 'self' 'unsafe-inline'; \
         media-src 'self' blob:; worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'",
        rooms.unwrap_or_default()
    )
}

/// `GET /`: the page, or a call when it is a WebSocket that knocks.
pub async fn index_or_upgrade(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
    query: Result<Query<ws::Params>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    match upgrade {
        Ok(upgrade) => match guard::check(&app, &uri, &headers) {
            Ok(()) => ws::upgrade(State(app), query, Ok(upgrade)).await,
            Err(error) => error.into_response(),
        },
        Err(_) => index(State(app)).await,
    }
}

/// The page, for an address of which the page itself knows what to show.
pub async fn index(State(app): State<App>) -> Response {
    file(&app, "index.html").unwrap_or_else(not_found)
}

/// Any other path of the page.
pub async fn asset(State(app): State<App>, uri: Uri) -> Response {
    file(&app, uri.path().trim_start_matches('/')).unwrap_or_else(not_found)
}

/// Whether the page was built in, and not the one that says how to build it.
pub fn is_built() -> bool {
    PAGE.get_dir("assets").is_some()
}

fn not_found() -> Response {
    (
        StatusCode::NOT_FOUND,
        "there is no such page here; the page to talk is at /, that of the workers at /workers\n",
    )
        .into_response()
}

fn file(app: &App, path: &str) -> Option<Response> {
    let file = PAGE.get_file(path)?;
    let kind = match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("json" | "webmanifest" | "map") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    };
    // Vite puts a hash of the content into every name below assets/.
    let cache = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CACHE_CONTROL, cache.to_owned()),
        (
            header::CONTENT_SECURITY_POLICY,
            content_security_policy(&app.config.livekit),
        ),
    ];
    Some((headers, file.contents()).into_response())
}
