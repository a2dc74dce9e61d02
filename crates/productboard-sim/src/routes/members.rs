//! `GET /v2/members`: oldest first, disabled and pending ones only on request.

use axum::http::Uri;
use axum::{Extension, Json};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::gate::Call;
use crate::page::PageRequest;
use crate::{Member, NextLink};

const FILTERS: [&str; 5] =
    ["query", "roles[]", "includeDisabled", "includeInvitationPending", "includeInvited"];
const ROLES: [&str; 4] = ["admin", "maker", "viewer", "contributor"];

pub(super) async fn list(Extension(call): Extension<Call>, uri: Uri) -> Result<Json<Value>, ApiError> {
    let request = PageRequest::read(&uri, &FILTERS)?;
    let filter = Filter::read(&request)?;
    if filter.query.is_some() {
        call.may_filter_people("query")?;
    }
    let members: Vec<&Member> = call.workspace.members.iter().filter(|member| filter.takes(member)).collect();
    Ok(Json(request.answer(&call, members.len(), NextLink::Absolute, |range| {
        members[range].iter().map(|member| resource(&call, member)).collect()
    })))
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
            return Err(ApiError::invalid_parameter(
                "roles[]",
                format!("must be one of {}", ROLES.join(", ")),
            ));
        }
        Ok(Self {
            query: request.text("query")?,
            roles,
            disabled: flag(request, "includeDisabled")?,
            pending: flag(request, "includeInvitationPending")? || flag(request, "includeInvited")?,
        })
    }

    fn takes(&self, member: &Member) -> bool {
        (self.disabled || !member.disabled)
            && (self.pending || !member.invitation_pending)
            && (self.roles.is_empty() || self.roles.contains(&member.role))
            && self.query.as_ref().is_none_or(|query| {
                [&member.name, &member.email].iter().any(|text| text.to_lowercase().contains(query))
            })
    }
}

fn flag(request: &PageRequest, name: &'static str) -> Result<bool, ApiError> {
    match request.value(name) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(ApiError::invalid_parameter(name, "must be true or false")),
    }
}

fn resource(call: &Call, member: &Member) -> Value {
    let Call { origin, workspace, .. } = call;
    let teams: Vec<Value> = member
        .teams
        .iter()
        .filter_map(|id| workspace.team(*id))
        .map(|team| {
            let link = format!("{origin}/v2/teams/{}", team.id);
            json!({ "id": team.id, "name": team.name, "links": { "self": link } })
        })
        .collect();
    json!({
        "id": member.id,
        "type": "member",
        "fields": {
            "name": call.personal(&member.name),
            "username": call.personal(&member.username),
            "email": call.personal(&member.email),
            "role": member.role,
            "disabled": member.disabled,
            "invitationPending": member.invitation_pending,
            "teams": teams,
        },
        "links": {
            "self": format!("{origin}/v2/members/{}", member.id),
            "html": format!("https://{}.productboard.com/settings/members/{}", workspace.domain, member.id),
        },
    })
}
