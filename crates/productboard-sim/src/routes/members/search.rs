//! `POST /v2/members/search`: any of the values inside a filter, all of the filters.

use axum::Extension;
use serde::Deserialize;
use uuid::Uuid;

use super::{ROLES, answer, mentions, unknown_role};
use crate::Member;
use crate::error::ApiError;
use crate::gate::Call;
use crate::json::Body;
use crate::routes::body::{OneOrMany, Search, all_of, text};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::routes) struct Data {
    #[serde(default)]
    filter: Filter,
    search: Option<Query>,
    #[serde(default, rename = "return")]
    wanted: Return,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    id: Option<OneOrMany<Uuid>>,
    #[serde(default)]
    fields: Fields,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Fields {
    email: Option<OneOrMany<String>>,
    role: Option<OneOrMany<String>>,
    disabled: Option<bool>,
    invitation_pending: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Query {
    query: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Return {
    include_disabled: bool,
    include_invitation_pending: bool,
}

pub(in crate::routes) async fn list(
    Extension(call): Extension<Call>,
    search: Search<Data>,
) -> Result<Body, ApiError> {
    let Search { data, page } = search;
    if data.filter.fields.email.is_some() || data.search.as_ref().is_some_and(|it| it.query.is_some()) {
        call.may_search_people()?;
    }
    let wanted = Wanted::read(data)?;
    Ok(answer(&call, &page, |member| wanted.takes(member)))
}

/// A search that has been checked.
struct Wanted {
    ids: Option<Vec<Uuid>>,
    emails: Option<Vec<String>>,
    roles: Option<Vec<String>>,
    query: Option<String>,
    fields: Fields,
    wanted: Return,
}

impl Wanted {
    fn read(data: Data) -> Result<Self, ApiError> {
        let Data { filter: Filter { id, mut fields }, search, wanted } = data;
        let emails = all_of(fields.email.take(), "/data/filter/fields/email")?;
        let roles = all_of(fields.role.take(), "/data/filter/fields/role")?;
        if roles.iter().flatten().any(|role| !ROLES.contains(&role.as_str())) {
            return Err(ApiError::invalid_at("/data/filter/fields/role", unknown_role()));
        }
        let query = search.and_then(|search| search.query);
        Ok(Self {
            ids: all_of(id, "/data/filter/id")?,
            emails: emails.map(|emails| emails.iter().map(|email| email.to_lowercase()).collect()),
            roles,
            query: query.map(|query| text(&query, "/data/search/query")).transpose()?,
            fields,
            wanted,
        })
    }

    /// A filter on `disabled` or `invitationPending` wins over what `return` includes.
    fn takes(&self, member: &Member) -> bool {
        let shown = |filter: Option<bool>, include: bool, is: bool| match filter {
            Some(only) => is == only,
            None => include || !is,
        };
        let Self { fields, wanted, .. } = self;
        shown(fields.disabled, wanted.include_disabled, member.disabled)
            && shown(fields.invitation_pending, wanted.include_invitation_pending, member.invitation_pending)
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&member.id))
            && self.emails.as_ref().is_none_or(|emails| emails.contains(&member.email.to_lowercase()))
            && self.roles.as_ref().is_none_or(|roles| roles.contains(&member.role))
            && self.query.as_ref().is_none_or(|query| mentions(member, query))
    }
}
