//! The vendor around a workspace: its hosts, its clock, a workspace's data centre, plan and switches.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, patch, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{found, read, read_faults};
use crate::error::ApiError;
use crate::gate::Api;
use crate::{Plan, Region};

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/admin/hosts", get(hosts))
        .route("/admin/clock", get(clock).post(advance))
        .route("/admin/workspaces/{domain}", patch(change))
        .route("/admin/workspaces/{domain}/faults", put(faults))
}

async fn hosts(State(api): State<Api>) -> Json<Value> {
    Json(json!({ "us": api.hosts.us, "eu": api.hosts.eu }))
}

async fn clock(State(api): State<Api>) -> Json<Value> {
    Json(json!({ "now": api.clock.now(), "ahead_secs": api.clock.ahead().as_secs() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_secs: u64,
}

async fn advance(State(api): State<Api>, body: Bytes) -> Result<Json<Value>, ApiError> {
    let Advance { advance_secs } = read(&body)?;
    api.clock.advance(Duration::from_secs(advance_secs));
    Ok(clock(State(api)).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    region: Option<Region>,
    plan: Option<Plan>,
}

async fn change(
    State(api): State<Api>,
    Path(domain): Path<String>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let Change { region, plan } = read(&body)?;
    found(api.tenants.workspace(&domain).is_some(), "The workspace")?;
    if let Some(region) = region {
        api.tenants.set_region(&domain, region);
    }
    if let Some(plan) = plan {
        api.tenants.set_plan(&domain, plan);
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn faults(
    State(api): State<Api>,
    Path(domain): Path<String>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let faults = read_faults(&body)?;
    found(api.tenants.change_workspace_faults(&domain, |now| *now = faults), "The workspace")
        .map(|()| StatusCode::NO_CONTENT)
}
