//! Teams and their members: both newest first.

use axum::Extension;
use axum::extract::Path;
use axum::http::Uri;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::pii;
use crate::error::ApiError;
use crate::gate::Call;
use crate::json::{self, Body, Link, SelfLink};
use crate::page::PageRequest;
use crate::{Member, NextLink, Team};

pub(super) mod search;

pub(super) async fn list(Extension(call): Extension<Call>, uri: Uri) -> Result<Body, ApiError> {
    let request = PageRequest::read(&uri, &["name", "handle", "query"])?;
    let (name, handle, query) = (request.text("name")?, request.text("handle")?, request.text("query")?);
    Ok(answer(&call, &request, |team| {
        let (its_name, its_handle) = (team.name.to_lowercase(), team.handle.to_lowercase());
        name.as_ref().is_none_or(|name| *name == its_name)
            && handle.as_ref().is_none_or(|handle| *handle == its_handle)
            && query.as_ref().is_none_or(|query| its_name.contains(query) || its_handle.contains(query))
    }))
}

/// `GET /v2/teams/{id}`
pub(super) async fn one(Extension(call): Extension<Call>, Path(id): Path<String>) -> Result<Body, ApiError> {
    Ok(Body::data(&Resource::of(&call, find(&call, &id)?)))
}

/// `GET /v2/teams/{id}/members`
pub(super) async fn members(
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Body, ApiError> {
    let request = PageRequest::read(&uri, &[])?;
    let workspace = &call.workspace;
    let members = workspace.of_team(find(&call, &id)?.id);
    Ok(request.answer(&call, members.len(), NextLink::Absolute, |out, at| {
        json::write(out, &TeamMember::of(&call, &workspace.members[members[at]]));
    }))
}

fn find<'a>(call: &'a Call, id: &str) -> Result<&'a Team, ApiError> {
    let id: Uuid = id.parse().map_err(|_| ApiError::invalid("The team id is not a UUID"))?;
    call.workspace.team(id).ok_or_else(|| ApiError::unknown_resource("The team"))
}

fn answer(call: &Call, request: &PageRequest, takes: impl Fn(&Team) -> bool) -> Body {
    let all = &call.workspace.teams;
    let takes = |at: usize| takes(&all[at]);
    request.answer_taken(call, all.len(), takes, |out, at| json::write(out, &Resource::of(call, &all[at])))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Resource<'a> {
    id: Uuid,
    #[serde(rename = "type")]
    kind: &'static str,
    fields: Fields<'a>,
    #[serde(serialize_with = "to_the_second")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "to_the_second")]
    updated_at: DateTime<Utc>,
    links: Links<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    name: &'a str,
    handle: &'a str,
    avatar_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

#[derive(Serialize)]
struct Links<'a> {
    #[serde(rename = "self")]
    link: Link<'a>,
    members: String,
    html: String,
}

impl<'a> Resource<'a> {
    fn of(call: &'a Call, team: &'a Team) -> Self {
        let Call { origin, workspace, .. } = call;
        let Team { id, name, handle, description, created_at, updated_at } = team;
        let links = Links {
            link: Link { origin, path: "/v2/teams/", id: *id },
            members: format!("{origin}/v2/teams/{id}/members"),
            html: format!("https://{}.productboard.com/settings/teams/{id}", workspace.domain),
        };
        let fields = Fields { name, handle, avatar_url: None, description: description.as_deref() };
        let (created_at, updated_at) = (*created_at, *updated_at);
        Self { id: *id, kind: "team", fields, created_at, updated_at, links }
    }
}

fn to_the_second<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

#[derive(Serialize)]
struct TeamMember<'a> {
    id: Uuid,
    #[serde(rename = "type")]
    kind: &'static str,
    fields: Person<'a>,
    links: SelfLink<'a>,
}

#[derive(Serialize)]
struct Person<'a> {
    name: &'a str,
    email: &'a str,
}

impl<'a> TeamMember<'a> {
    fn of(call: &'a Call, member: &'a Member) -> Self {
        let fields =
            Person { name: pii::member(call, &member.name), email: pii::member(call, &member.email) };
        let link = Link { origin: &call.origin, path: "/v2/members/", id: member.id };
        Self { id: member.id, kind: "member", fields, links: SelfLink { link } }
    }
}
