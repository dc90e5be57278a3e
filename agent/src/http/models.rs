//! The models of the catalogue, and which of them this server has. Where their files lie is not told.

use super::error::ApiError;
use crate::models::{Catalogue, Error, State as OnDisk, Store};
use crate::server::{App, engines};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::path::Path;
use tokio::task::spawn_blocking;
use tracing::warn;

/// `GET /api/v1/models`: in the catalogue's order.
pub async fn list(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let own = app.config.models.catalogue.clone();
    // Files are looked at, and a disk may be slow.
    let listed = spawn_blocking(move || read(own.as_deref())).await;
    match listed {
        Ok(Ok(models)) => Ok(Json(json!({"models": models}))),
        Ok(Err(error)) => {
            warn!(%error, "The catalogue of models cannot be read.");
            Err(broken())
        }
        Err(_) => Err(broken()),
    }
}

fn broken() -> ApiError {
    ApiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "bad_catalogue",
        "the catalogue of models cannot be read; type parlor models list on the server",
    )
}

fn read(own: Option<&Path>) -> Result<Vec<Value>, Error> {
    let catalogue = Catalogue::open(own)?;
    let store = Store::new(engines::model_stores());
    let models = catalogue.models().iter().map(|model| {
        let state = store.state(model);
        json!({
            "id": model.id,
            "kind": model.kind.name(),
            "size_bytes": model.size(),
            "licence": model.licence,
            "state": state.name(),
            "present": state == OnDisk::Present,
        })
    });
    Ok(models.collect())
}
