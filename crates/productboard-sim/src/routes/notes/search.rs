//! `POST /v2/notes/search`: each filter takes one value or several.

use axum::Extension;
use serde::Deserialize;
use uuid::Uuid;

use super::filter::Filter;
use super::{answer, is_field, kinds, selection};
use crate::Workspace;
use crate::error::ApiError;
use crate::gate::Call;
use crate::json::Body;
use crate::routes::body::{ById, MemberRef, OneOrMany, Range, Search, SourceRef, all_of};
use crate::routes::entities::owners;
use crate::routes::selection::Selection;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::routes) struct Data {
    search: Query,
    filter: Asked,
    #[serde(rename = "return")]
    wanted: Return,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Query {
    query: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Asked {
    #[serde(rename = "type")]
    kinds: Option<OneOrMany<String>>,
    id: Option<OneOrMany<Uuid>>,
    created_at: Range,
    updated_at: Range,
    fields: Fields,
    metadata: Metadata,
    relationships: Relationships,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    owner: Option<OneOrMany<MemberRef>>,
    creator: Option<OneOrMany<MemberRef>>,
    tag: Option<OneOrMany<Tag>>,
    archived: Option<bool>,
    processed: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tag {
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Metadata {
    source: Option<OneOrMany<SourceRef>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Relationships {
    customer: Option<OneOrMany<ById>>,
    link: Option<OneOrMany<ById>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Return {
    fields: Vec<String>,
}

pub(in crate::routes) async fn list(
    Extension(call): Extension<Call>,
    search: Search<Data>,
) -> Result<Body, ApiError> {
    let Search { data: Data { search, filter, wanted }, page } = search;
    let selection = match wanted.fields.as_slice() {
        [] => selection(&call, &page)?,
        names => {
            Selection::of(names, is_field).map_err(|why| ApiError::invalid_at("/data/return/fields", why))?
        }
    };
    let filter = Filter { query: query(search)?, ..read(&call, filter)? };
    Ok(answer(&call, &page, &filter, &selection))
}

/// The empty text is in every note.
fn query(search: Query) -> Result<Option<String>, ApiError> {
    let query = search.query.map(|query| query.to_lowercase());
    if query.as_ref().is_some_and(|query| query.chars().count() > 255) {
        return Err(ApiError::invalid_at("/data/search/query", "must not be longer than 255 characters"));
    }
    Ok(query)
}

fn read(call: &Call, asked: Asked) -> Result<Filter, ApiError> {
    let Asked { kinds: words, id, created_at, updated_at, fields, metadata, relationships } = asked;
    let words = all_of(words, "/data/filter/type")?.unwrap_or_default();
    let tags = all_of(fields.tag, "/data/filter/fields/tag")?;
    let sources = all_of(metadata.source, "/data/filter/metadata/source")?;
    Ok(Filter {
        kinds: kinds(words.iter().map(String::as_str))
            .map_err(|why| ApiError::invalid_at("/data/filter/type", why))?,
        ids: all_of(id, "/data/filter/id")?,
        created: created_at.checked("/data/filter/createdAt")?,
        updated: updated_at.checked("/data/filter/updatedAt")?,
        archived: fields.archived,
        processed: fields.processed,
        owners: members(call, fields.owner, "/data/filter/fields/owner")?,
        creators: members(call, fields.creator, "/data/filter/fields/creator")?,
        tags: tags.map(|tags| tagged(&call.workspace, &tags)),
        customers: ids(relationships.customer, "/data/filter/relationships/customer")?,
        links: ids(relationships.link, "/data/filter/relationships/link")?,
        sources: sources.unwrap_or_default(),
        query: None,
    })
}

fn members(
    call: &Call,
    filter: Option<OneOrMany<MemberRef>>,
    pointer: &'static str,
) -> Result<Option<Vec<Uuid>>, ApiError> {
    let Some(members) = all_of(filter, pointer)? else { return Ok(None) };
    if members.iter().any(|member| member.id.is_none() && member.email.is_none()) {
        return Err(ApiError::invalid_at(pointer, "each needs an id or an email"));
    }
    if members.iter().any(|member| member.email.is_some()) {
        call.may_search_people()?;
    }
    Ok(Some(owners(&call.workspace, &members)))
}

fn ids(filter: Option<OneOrMany<ById>>, pointer: &'static str) -> Result<Option<Vec<Uuid>>, ApiError> {
    let targets = all_of(filter, pointer)?;
    Ok(targets.map(|targets| targets.iter().map(|target| target.id).collect()))
}

fn tagged(workspace: &Workspace, names: &[Tag]) -> Vec<Uuid> {
    let wanted = |tag: &&crate::SelectOption| names.iter().any(|name| name.name == tag.name);
    workspace.tags.iter().filter(wanted).map(|tag| tag.id).collect()
}
