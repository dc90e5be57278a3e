//! The HTTP surfaces, one file each.

pub mod calls;
pub mod connections;
pub mod error;
pub mod guard;
pub mod health;
pub mod info;
pub mod models;
pub mod page;
pub mod rate;
pub mod sessions;
pub mod token;
pub mod workers;
pub mod ws;

use crate::server::App;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::from_fn_with_state;
use axum::routing::{any, delete, get, post};
use axum::{Extension, Router};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::set_header::SetResponseHeaderLayer;

/// All routes.
pub fn router(app: App) -> Router {
    let limit = app.config.server.max_message_bytes;
    let tokens = Router::new()
        .route("/api/token", post(token::token))
        .route(
            "/api/connection-details",
            get(token::connection_details).post(token::connection_details),
        )
        .layer(token::Limits::body())
        .layer(Extension(token::Limits::per_minute(
            app.config.livekit.tokens_per_minute,
        )));
    let guarded = Router::new()
        .route("/ws", any(ws::upgrade))
        .route("/v1/realtime/calls", post(calls::answer))
        .route("/v1/realtime/calls/{id}", delete(calls::hang_up))
        .route("/api/v1/sessions", get(sessions::list))
        .route("/api/v1/sessions/{id}", delete(calls::hang_up))
        .route("/api/v1/models", get(models::list))
        .route("/api/v1/workers", get(workers::list))
        .route("/api/v1/workers/{name}/drain", post(workers::drain))
        .route("/api/v1/workers/{name}/resume", post(workers::resume))
        .route(
            "/api/v1/workers/{name}/models/{id}/load",
            post(workers::load),
        )
        .route(
            "/api/v1/workers/{name}/models/{id}/unload",
            post(workers::unload),
        )
        .merge(tokens)
        .route_layer(from_fn_with_state(app.clone(), guard::admit));
    Router::new()
        .merge(guarded)
        .route("/", get(page::index_or_upgrade))
        .route("/workers", get(page::index))
        .route("/api/v1/info", get(info::info))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/version", get(health::version))
        .fallback(page::asset)
        .layer(DefaultBodyLimit::max(limit))
        .layer(static_header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(static_header(header::REFERRER_POLICY, "no-referrer"))
        .layer(static_header(
            HeaderName::from_static("permissions-policy"),
            "microphone=(self)",
        ))
        // Outermost: a browser asks before it sends the key, and wants to read refusals too.
        .layer(cross_origin(&app))
        .with_state(app)
}

/// Lets pages of the allowed origins, and no others, use this API from a browser.
fn cross_origin(app: &App) -> CorsLayer {
    let config = app.config.clone();
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, _| {
            guard::is_allowed(&config.server, origin)
        }))
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([
            header::CONTENT_TYPE,
            header::AUTHORIZATION,
            // LiveKit's starter kit sends it with every request for a token, empty or not.
            HeaderName::from_static("x-sandbox-id"),
        ])
        .expose_headers([header::LOCATION, header::RETRY_AFTER])
}

fn static_header(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
}
