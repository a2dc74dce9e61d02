//! `/admin`: what the library API does, for tests in other processes. No authentication: never expose it.

mod oauth;
mod tokens;
mod vendor;
mod webhooks;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::NaiveDate;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::ApiError;
use crate::gate::Api;
use crate::{Access, COUNTER_NAMES, Changes, Faults, Health, Workspace, WorkspaceSpec};

/// A mistyped year must not keep a thread busy for an hour.
const MOST_DAYS: i64 = 3_660;

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/admin/workspaces", post(generate))
        .route("/admin/workspaces/{domain}/facts", get(facts))
        .route("/admin/workspaces/{domain}/evolve", post(evolve))
        .merge(oauth::router())
        .merge(tokens::router())
        .merge(vendor::router())
        .merge(webhooks::router())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Generate {
    domain: String,
    members: usize,
    today: NaiveDate,
    token: String,
    seed: Option<u64>,
    teams: Option<usize>,
    days: Option<u32>,
    entities: Option<usize>,
    notes: Option<usize>,
    #[serde(default)]
    health: Health,
}

async fn generate(State(api): State<Api>, body: Bytes) -> Result<Response, ApiError> {
    let Generate { domain, members, today, token, seed, teams, days, entities, notes, health } = read(&body)?;
    let defaults = WorkspaceSpec::new(domain, members, today).health(health);
    let spec = WorkspaceSpec {
        seed: seed.unwrap_or(defaults.seed),
        teams: teams.unwrap_or(defaults.teams),
        days: days.unwrap_or(defaults.days),
        entities: entities.unwrap_or(defaults.entities),
        notes: notes.unwrap_or(defaults.notes),
        ..defaults
    };
    let domain = spec.domain.clone();
    let workspace = tokio::task::spawn_blocking(move || Workspace::generate(&spec)).await;
    let workspace = workspace.map_err(|_| ApiError::invalid("No workspace can be generated from this"))?;
    let made = json!({
        "domain": domain,
        "members": workspace.members.len(),
        "teams": workspace.teams.len(),
        "activities": workspace.activities.len(),
        "entities": workspace.entities.len(),
        "notes": workspace.notes.len(),
    });
    api.tenants.put(workspace);
    api.tenants.issue(&domain, token, Access::api_key(), api.clock.now());
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

#[derive(Serialize)]
struct Facts<'a> {
    counter_names: [&'static str; 19],
    #[serde(flatten)]
    workspace: &'a Workspace,
}

async fn facts(State(api): State<Api>, Path(domain): Path<String>) -> Result<Response, ApiError> {
    let workspace =
        api.tenants.workspace(&domain).ok_or_else(|| ApiError::unknown_resource("The workspace"))?;
    let facts = Facts { counter_names: COUNTER_NAMES, workspace: &workspace };
    let json = serde_json::to_string(&facts).map_err(|error| ApiError::malformed(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Evolve {
    to: NaiveDate,
    seed: u64,
}

async fn evolve(
    State(api): State<Api>,
    Path(domain): Path<String>,
    body: Bytes,
) -> Result<Json<Changes>, ApiError> {
    let Evolve { to, seed } = read(&body)?;
    let workspace = api.tenants.workspace(&domain);
    let today = workspace.ok_or_else(|| ApiError::unknown_resource("The workspace"))?.today;
    if (to - today).num_days() > MOST_DAYS {
        return Err(ApiError::invalid(format!("No more than {MOST_DAYS} days at once")));
    }
    let changes = tokio::task::spawn_blocking(move || api.evolve(&domain, to, seed)).await;
    let changes = changes.map_err(|_| ApiError::invalid("The workspace cannot live on"))?;
    changes.map(Json).ok_or_else(|| ApiError::unknown_resource("The workspace"))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::malformed(format!("The body cannot be read: {error}")))
}

/// The switches of a token or a workspace, if they can be answered with.
fn read_faults(body: &[u8]) -> Result<Faults, ApiError> {
    let faults: Faults = read(body)?;
    match faults.problem() {
        Some(problem) => Err(ApiError::invalid(problem)),
        None => Ok(faults),
    }
}

fn found(known: bool, what: &str) -> Result<(), ApiError> {
    if known { Ok(()) } else { Err(ApiError::unknown_resource(what)) }
}
