//! `GET /v2/teams` and `GET /v2/teams/{id}/members`: both newest first.

use axum::extract::Path;
use axum::http::Uri;
use axum::{Extension, Json};
use chrono::SecondsFormat;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::ApiError;
use crate::gate::Call;
use crate::page::PageRequest;
use crate::{Member, NextLink, Team};

pub(super) async fn list(Extension(call): Extension<Call>, uri: Uri) -> Result<Json<Value>, ApiError> {
    let request = PageRequest::read(&uri, &["name", "handle", "query"])?;
    let (name, handle, query) = (request.text("name")?, request.text("handle")?, request.text("query")?);
    let takes = |team: &&Team| {
        let (its_name, its_handle) = (team.name.to_lowercase(), team.handle.to_lowercase());
        name.as_ref().is_none_or(|name| *name == its_name)
            && handle.as_ref().is_none_or(|handle| *handle == its_handle)
            && query.as_ref().is_none_or(|query| its_name.contains(query) || its_handle.contains(query))
    };
    let teams: Vec<&Team> = call.workspace.teams.iter().filter(takes).collect();
    Ok(Json(request.answer(&call, teams.len(), NextLink::Absolute, |range| {
        teams[range].iter().map(|team| resource(&call, team)).collect()
    })))
}

pub(super) async fn members(
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<Value>, ApiError> {
    let id: Uuid = id.parse().map_err(|_| ApiError::invalid("The team id is not a UUID"))?;
    let request = PageRequest::read(&uri, &[])?;
    let workspace = &call.workspace;
    let team = workspace.team(id).ok_or_else(|| ApiError::unknown_resource("The team"))?;
    let of_team = workspace.memberships.iter().filter(|membership| membership.team_id == team.id);
    let members: Vec<&Member> =
        of_team.filter_map(|membership| workspace.member(membership.member_id)).collect();
    Ok(Json(request.answer(&call, members.len(), NextLink::Absolute, |range| {
        members[range].iter().map(|member| team_member(&call, member)).collect()
    })))
}

fn resource(call: &Call, team: &Team) -> Value {
    let link = format!("{}/v2/teams/{}", call.origin, team.id);
    let mut resource = json!({
        "id": team.id,
        "type": "team",
        "fields": { "name": team.name, "handle": team.handle, "avatarUrl": null },
        "createdAt": team.created_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        "updatedAt": team.updated_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        "links": {
            "self": link,
            "members": format!("{link}/members"),
            "html": format!("https://{}.productboard.com/settings/teams/{}", call.workspace.domain, team.id),
        },
    });
    if let Some(description) = &team.description {
        resource["fields"]["description"] = json!(description);
    }
    resource
}

fn team_member(call: &Call, member: &Member) -> Value {
    json!({
        "id": member.id,
        "type": "member",
        "fields": { "name": call.personal(&member.name), "email": call.personal(&member.email) },
        "links": { "self": format!("{}/v2/members/{}", call.origin, member.id) },
    })
}
