//! Members: oldest first, disabled and pending ones only on request.

use axum::Extension;
use axum::extract::Path;
use axum::http::Uri;
use serde::Serialize;
use uuid::Uuid;

use super::pii;
use crate::error::ApiError;
use crate::gate::Call;
use crate::json::{self, Body, Link, SelfLink};
use crate::page::PageRequest;
use crate::{Member, NextLink};

pub(super) mod search;

const FILTERS: [&str; 5] =
    ["query", "roles[]", "includeDisabled", "includeInvitationPending", "includeInvited"];
const ROLES: [&str; 4] = ["admin", "maker", "viewer", "contributor"];

pub(super) async fn list(Extension(call): Extension<Call>, uri: Uri) -> Result<Body, ApiError> {
    let request = PageRequest::read(&uri, &FILTERS)?;
    let filter = Filter::read(&request)?;
    if filter.query.is_some() {
        call.may_filter_people("query")?;
    }
    let filter = if call.faults.include_ignored { filter.without_flags() } else { filter };
    Ok(answer(&call, &request, |member| filter.takes(member)))
}

/// `GET /v2/members/{id}`: finds disabled and pending ones too. What is no id at all is not found either.
pub(super) async fn one(Extension(call): Extension<Call>, Path(id): Path<String>) -> Result<Body, ApiError> {
    let member = id.parse().ok().and_then(|id| call.workspace.member(id));
    let member = member.ok_or_else(|| ApiError::unknown_resource("The member"))?;
    Ok(Body::data(&Resource::of(&call, member)))
}

fn answer(call: &Call, request: &PageRequest, takes: impl Fn(&Member) -> bool) -> Body {
    let mut members: Vec<&Member> = call.workspace.members.iter().filter(|member| takes(member)).collect();
    if call.faults.members_newest_first {
        members.reverse();
    }
    request.answer(call, members.len(), NextLink::Absolute, |out, at| {
        json::write(out, &Resource::of(call, members[at]));
    })
}

struct Filter {
    query: Option<String>,
    roles: Vec<String>,
    disabled: bool,
    pending: bool,
}

impl Filter {
    fn read(request: &PageRequest) -> Result<Self, ApiError> {
        let roles: Vec<String> = request.values("roles[]").map(str::to_owned).collect();
        if roles.iter().any(|role| !ROLES.contains(&role.as_str())) {
            return Err(ApiError::invalid_parameter("roles[]", unknown_role()));
        }
        let flag = |name| request.flag(name).map(Option::unwrap_or_default);
        Ok(Self {
            query: request.text("query")?,
            roles,
            disabled: flag("includeDisabled")?,
            pending: flag("includeInvitationPending")? || flag("includeInvited")?,
        })
    }

    fn without_flags(self) -> Self {
        Self { disabled: false, pending: false, ..self }
    }

    fn takes(&self, member: &Member) -> bool {
        (self.disabled || !member.disabled)
            && (self.pending || !member.invitation_pending)
            && (self.roles.is_empty() || self.roles.contains(&member.role))
            && self.query.as_ref().is_none_or(|query| mentions(member, query))
    }
}

/// Whether name or mail address contain a text in lower case.
fn mentions(member: &Member, query: &str) -> bool {
    [&member.name, &member.email].iter().any(|text| text.to_lowercase().contains(query))
}

fn unknown_role() -> String {
    format!("must be one of {}", ROLES.join(", "))
}

#[derive(Serialize)]
struct Resource<'a> {
    id: Uuid,
    #[serde(rename = "type")]
    kind: &'static str,
    fields: Fields<'a>,
    links: Links<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    name: &'a str,
    username: &'a str,
    email: &'a str,
    role: &'a str,
    disabled: bool,
    invitation_pending: bool,
    teams: Vec<Team<'a>>,
}

#[derive(Serialize)]
struct Team<'a> {
    id: Uuid,
    name: &'a str,
    links: SelfLink<'a>,
}

#[derive(Serialize)]
struct Links<'a> {
    #[serde(rename = "self")]
    link: Link<'a>,
    html: String,
}

impl<'a> Resource<'a> {
    fn of(call: &'a Call, member: &'a Member) -> Self {
        let Call { origin, workspace, .. } = call;
        let teams = member.teams.iter().filter_map(|id| workspace.team(*id)).map(|team| Team {
            id: team.id,
            name: &team.name,
            links: SelfLink { link: Link { origin, path: "/v2/teams/", id: team.id } },
        });
        let fields = Fields {
            name: pii::member(call, &member.name),
            username: pii::member(call, &member.username),
            email: pii::member(call, &member.email),
            role: &member.role,
            disabled: member.disabled,
            invitation_pending: member.invitation_pending,
            teams: teams.collect(),
        };
        let html = format!("https://{}.productboard.com/settings/members/{}", workspace.domain, member.id);
        let link = Link { origin, path: "/v2/members/", id: member.id };
        Self { id: member.id, kind: "member", fields, links: Links { link, html } }
    }
}
