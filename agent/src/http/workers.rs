//! The workers, for whoever runs the server: who is there, how busy they are, and what may be asked of them.

use super::error::ApiError;
use crate::cluster::Seen;
use crate::cluster::credentials::Wire;
use crate::harmless;
use crate::server::App;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use proto::registry::{RecordKind, WorkerRecord, metric};
use proto::tts::tts_service_client::TtsServiceClient;
use proto::tts::{LoadModelRequest, UnloadModelRequest};
use proto::worker as admin;
use proto::worker::admin_client::AdminClient;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::timeout;
use tonic::{Code, Status};
use tracing::info;

/// How long a worker may take to drain or resume, to load a model, and to let one go.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);
const LOADED_WITHIN: Duration = Duration::from_secs(120);
const UNLOADED_WITHIN: Duration = Duration::from_secs(30);

/// Models that are told of one worker, and the characters of what it says about itself and in its refusals.
const MOST_MODELS: usize = 200;
const TEXT_CHARS: usize = 200;
const MESSAGE_CHARS: usize = 500;

type Named = Result<Path<String>, PathRejection>;
type Modelled = Result<Path<(String, String)>, PathRejection>;
type Answer = Result<Json<Value>, ApiError>;

/// `GET /api/v1/workers`: those of the registry, of this host and inside this program, by name.
pub async fn list(State(app): State<App>) -> Json<Value> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0.0, |now| now.as_secs_f64());
    let seen = app.cluster().fleet().seen();
    let workers: Vec<Value> = seen.iter().map(|seen| shown(seen, now)).collect();
    Json(json!({"workers": workers, "registry": app.config.cluster.redis.is_some()}))
}

/// `POST /api/v1/workers/{name}/drain`: the worker takes nobody new, and stays up.
pub async fn drain(State(app): State<App>, name: Named) -> Answer {
    let (name, wire) = outside(&app, name)?;
    let mut client = AdminClient::new(wire);
    let asked = client.drain(admin::DrainRequest {});
    let state = answered(&name, ANSWERED_WITHIN, asked).await?;
    info!(worker = name, "A worker was told to drain.");
    Ok(stands(&app, &name, state))
}

/// `POST /api/v1/workers/{name}/resume`: the worker takes callers again.
pub async fn resume(State(app): State<App>, name: Named) -> Answer {
    let (name, wire) = outside(&app, name)?;
    let mut client = AdminClient::new(wire);
    let asked = client.resume(admin::ResumeRequest {});
    let state = answered(&name, ANSWERED_WITHIN, asked).await?;
    info!(worker = name, "A worker was told to take callers again.");
    Ok(stands(&app, &name, state))
}

/// `POST /api/v1/workers/{name}/models/{id}/load`: answers when the model is in memory.
pub async fn load(State(app): State<App>, path: Modelled) -> Answer {
    let (name, model, wire) = speaker(&app, path)?;
    let request = LoadModelRequest {
        model_id: model.clone(),
        preload_only: true,
    };
    let mut tts = TtsServiceClient::new(wire);
    let answer = answered(&name, LOADED_WITHIN, tts.load_model(request)).await?;
    done(&name, answer.success, &answer.message)?;
    app.cluster().fleet().loaded(&name, &model, true);
    info!(worker = name, model, "A worker was told to load a model.");
    Ok(Json(
        json!({"resident": true, "took_ms": answer.load_duration_ms}),
    ))
}

/// `POST /api/v1/workers/{name}/models/{id}/unload`: answers when the model is out of memory.
pub async fn unload(State(app): State<App>, path: Modelled) -> Answer {
    let (name, model, wire) = speaker(&app, path)?;
    let request = UnloadModelRequest {
        model_id: model.clone(),
    };
    let mut tts = TtsServiceClient::new(wire);
    let answer = answered(&name, UNLOADED_WITHIN, tts.unload_model(request)).await?;
    done(&name, answer.success, &answer.message)?;
    app.cluster().fleet().unloaded(&name, &model);
    info!(worker = name, model, "A worker was told to unload a model.");
    Ok(Json(
        json!({"resident": false, "message": harmless::line(&answer.message, MESSAGE_CHARS)}),
    ))
}

/// A worker as the page shows it.
fn shown(seen: &Seen, now: f64) -> Value {
    let record = &seen.record;
    let can = &record.capabilities;
    let number = |name| record.metric(name).max(0.0) as u64;
    let short = |text: &str| harmless::line(text, TEXT_CHARS);
    let p50_ms = record.metric(metric::P50_MS);
    json!({
        "name": record.name,
        "kind": can.kind,
        "addr": short(&record.addr),
        "host": (!seen.is_embedded).then(|| short(seen.host())),
        "from": from(seen),
        "state": state(seen),
        "left_alone_seconds": seen.left_alone_for.map(|left| left.as_secs_f64().ceil()),
        "vanished_seconds": seen.missing_for.map(|missing| missing.as_secs()),
        "slots": number(metric::SLOTS),
        "slots_in_use": number(metric::SLOTS_IN_USE),
        "open_here": seen.open,
        "queue": number(metric::QUEUE_DEPTH),
        "p50_ms": (p50_ms > 0.0).then(|| p50_ms.round()),
        "models": models(record),
        "voices": seen.voices.max(can.voices.len()),
        "gpu": can.gpu,
        "version": short(&can.version),
        "seen_seconds_ago": (!seen.is_embedded).then(|| last_heard(seen, now)),
    })
}

/// Where it was found.
fn from(seen: &Seen) -> &'static str {
    match (seen.is_embedded, seen.is_own) {
        (true, _) => "embedded",
        (false, true) => "local",
        (false, false) => "registry",
    }
}

/// What is most worth knowing about it: a worker that has vanished is known from before only, whatever it said then.
fn state(seen: &Seen) -> &'static str {
    if seen.is_embedded {
        "embedded"
    } else if seen.missing_for.is_some() {
        "vanished"
    } else if seen.record.is_draining() {
        "draining"
    } else if seen.is_left_alone {
        "left_alone"
    } else {
        "ready"
    }
}

/// Seconds since it wrote its record, by its own clock; since the record was there, if it does not say.
fn last_heard(seen: &Seen, now: f64) -> f64 {
    let ago = match seen.record.last_heartbeat_ts {
        ts if ts > 0.0 => (now - ts).max(0.0),
        _ => seen.age.as_secs_f64(),
    };
    (ago * 10.0).round() / 10.0
}

/// All that it can load, and those in memory of which it does not say that it can.
fn models(record: &WorkerRecord) -> Vec<Value> {
    let resident = &record.resident_models;
    let known = &record.capabilities.models;
    let more = resident.iter().filter(|id| !known.contains(id));
    known
        .iter()
        .chain(more)
        .take(MOST_MODELS)
        .map(|id| json!({"id": id, "resident": resident.contains(id)}))
        .collect()
}

/// The worker that a path names, and the way to it.
fn reach(app: &App, name: &str) -> Result<(Seen, Wire), ApiError> {
    let fleet = app.cluster().fleet();
    let seen = fleet.seen().into_iter().find(|it| it.record.name == name);
    seen.zip(fleet.wire(name)).ok_or_else(|| {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "no_such_worker",
            "there is no such worker; it may have gone",
        )
    })
}

/// A worker that can be drained: the engines inside the program end with it.
fn outside(app: &App, name: Named) -> Result<(String, Wire), ApiError> {
    let Path(name) = name.map_err(|error| bad_path(&error))?;
    let (seen, wire) = reach(app, &name)?;
    if seen.is_embedded {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "embedded_worker",
            "this engine is inside the program and drains with it; stop the program for that",
        ));
    }
    Ok((name, wire))
}

/// A worker and one of its models.
fn speaker(app: &App, path: Modelled) -> Result<(String, String, Wire), ApiError> {
    let Path((name, model)) = path.map_err(|error| bad_path(&error))?;
    let (seen, wire) = reach(app, &name)?;
    let can = &seen.record.capabilities;
    if can.kind == RecordKind::Stt {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "one_model",
            "this worker listens: it has one model and keeps it",
        ));
    }
    // Who lists none may have it all the same.
    if !can.models.is_empty() && !can.models.contains(&model) {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "no_such_model",
            "the worker has no such model",
        ));
    }
    Ok((name, model, wire))
}

fn bad_path(error: &PathRejection) -> ApiError {
    ApiError::new(error.status(), "invalid_path", error.body_text())
}

/// What a worker answers within this time.
async fn answered<T>(
    name: &str,
    within: Duration,
    asked: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, ApiError> {
    match timeout(within, asked).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(refusal(name, &status)),
        Err(_) => Err(ApiError::new(
            StatusCode::GATEWAY_TIMEOUT,
            "worker_timeout",
            format!(
                "{} did not answer within {within:?}",
                harmless::line(name, TEXT_CHARS)
            ),
        )),
    }
}

/// What a worker's refusal is to the one who asked.
fn refusal(name: &str, status: &Status) -> ApiError {
    let name = harmless::line(name, TEXT_CHARS);
    let said = harmless::line(status.message(), MESSAGE_CHARS);
    match status.code() {
        Code::FailedPrecondition
        | Code::ResourceExhausted
        | Code::InvalidArgument
        | Code::NotFound => ApiError::new(
            StatusCode::CONFLICT,
            "worker_refused",
            format!("{name} refused: {said}"),
        ),
        Code::Unimplemented => ApiError::new(
            StatusCode::NOT_IMPLEMENTED,
            "worker_cannot",
            format!("{name} does not know how: it is an earlier version, or of another make"),
        ),
        Code::DeadlineExceeded => ApiError::new(
            StatusCode::GATEWAY_TIMEOUT,
            "worker_timeout",
            format!("{name} did not answer in time"),
        ),
        Code::Unauthenticated | Code::PermissionDenied => ApiError::new(
            StatusCode::BAD_GATEWAY,
            "worker_denied",
            format!("{name} does not know this server's token: {said}"),
        ),
        _ => ApiError::new(
            StatusCode::BAD_GATEWAY,
            "worker_unreachable",
            format!("{name} cannot be reached: {said}"),
        ),
    }
}

/// What a worker has done with a model, or why it has not.
fn done(name: &str, success: bool, message: &str) -> Result<(), ApiError> {
    match success {
        true => Ok(()),
        false => Err(refusal(name, &Status::failed_precondition(message))),
    }
}

/// How a worker stands after a drain or a resume. This agent goes by it at once.
fn stands(app: &App, name: &str, state: admin::State) -> Json<Value> {
    let admin::State {
        draining,
        open,
        idle,
    } = state;
    app.cluster().fleet().drains(name, draining);
    Json(json!({"draining": draining, "open": open, "idle": idle}))
}

#[cfg(test)]
mod tests;
