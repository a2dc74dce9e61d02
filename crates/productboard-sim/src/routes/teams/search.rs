//! `POST /v2/teams/search`: any of the values inside a filter, all of the filters.

use axum::Extension;
use serde::Deserialize;
use uuid::Uuid;

use super::answer;
use crate::Team;
use crate::error::ApiError;
use crate::gate::Call;
use crate::json::Body;
use crate::routes::body::{OneOrMany, Search, all_of, text};

const NAME: &str = "/data/filter/fields/name";
const HANDLE: &str = "/data/filter/fields/handle";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::routes) struct Data {
    #[serde(default)]
    filter: Filter,
    search: Option<Query>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    id: Option<OneOrMany<Uuid>>,
    #[serde(default)]
    fields: Fields,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    name: Option<OneOrMany<String>>,
    handle: Option<OneOrMany<String>>,
}

#[derive(Debug, Deserialize)]
struct Query {
    query: Option<String>,
}

pub(in crate::routes) async fn list(
    Extension(call): Extension<Call>,
    search: Search<Data>,
) -> Result<Body, ApiError> {
    let Data { filter: Filter { id, fields }, search: query } = search.data;
    let ids = all_of(id, "/data/filter/id")?;
    let names = texts(fields.name, NAME)?;
    let handles = texts(fields.handle, HANDLE)?;
    let query = query.and_then(|search| search.query);
    let query = query.map(|query| text(&query, "/data/search/query")).transpose()?;
    let blind = call.faults.team_search_empty && (names.is_some() || handles.is_some());
    Ok(answer(&call, &search.page, |team: &Team| {
        let (name, handle) = (team.name.to_lowercase(), team.handle.to_lowercase());
        !blind
            && ids.as_ref().is_none_or(|ids| ids.contains(&team.id))
            && names.as_ref().is_none_or(|names| names.contains(&name))
            && handles.as_ref().is_none_or(|handles| handles.contains(&handle))
            && query.as_ref().is_none_or(|query| name.contains(query) || handle.contains(query))
    }))
}

fn texts(filter: Option<OneOrMany<String>>, pointer: &'static str) -> Result<Option<Vec<String>>, ApiError> {
    let Some(values) = all_of(filter, pointer)? else { return Ok(None) };
    values.iter().map(|value| text(value, pointer)).collect::<Result<_, _>>().map(Some)
}
