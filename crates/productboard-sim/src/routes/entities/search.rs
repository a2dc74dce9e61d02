//! `POST /v2/entities/search`: the only way to ask for entities that changed since a moment.

use std::collections::BTreeMap;

use axum::Extension;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::custom::Condition;
use super::filter::{self, Filter};
use super::{answer, is_field, unknown_kind};
use crate::error::ApiError;
use crate::gate::Call;
use crate::json::Body;
use crate::routes::body::{ById, MemberRef, NamedRef, Range, Search, SourceRef, at_most_100};
use crate::routes::selection::Selection;
use crate::{EntityKind, Workspace};

const FIELDS: &str = "/data/filter/fields";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::routes) struct Data {
    #[serde(default)]
    filter: Asked,
    #[serde(default, rename = "return")]
    wanted: Return,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Asked {
    #[serde(rename = "type")]
    kinds: Option<Vec<String>>,
    id: Option<Vec<Uuid>>,
    created_at: Range,
    updated_at: Range,
    fields: BTreeMap<String, Value>,
    relationships: Relationships,
    metadata: Metadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Relationships {
    parent: Option<Vec<ById>>,
    /// In the vendor's schema, but without effect yet.
    customer: Option<Vec<ById>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Metadata {
    source: SourceRef,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Return {
    #[serde(default)]
    fields: Fields,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Fields {
    Word(String),
    Names(Vec<String>),
}

impl Default for Fields {
    fn default() -> Self {
        Self::Names(Vec::new())
    }
}

pub(in crate::routes) async fn list(
    Extension(call): Extension<Call>,
    search: Search<Data>,
) -> Result<Body, ApiError> {
    let Search { data: Data { filter, wanted }, page } = search;
    let selection = selection(&call.workspace, wanted.fields)?;
    let untyped = filter.kinds.as_ref().is_none_or(Vec::is_empty) && filter.id.is_none();
    let finds_nothing = untyped && call.faults.untyped_search_empty;
    let mut filter = Filter { no_objectives: call.faults.objective_search_empty, ..read(&call, filter)? };
    if finds_nothing {
        filter.ids = Some(Vec::new());
    }
    if call.faults.updated_filter_ignored {
        filter.updated = Range::default();
    }
    Ok(answer(&call, &page, &filter, &selection))
}

fn selection(workspace: &Workspace, fields: Fields) -> Result<Selection, ApiError> {
    let selection = match fields {
        Fields::Word(word) if word == "all" => Ok(Selection::All),
        Fields::Word(word) if word == "default" => Ok(Selection::NonEmpty),
        Fields::Word(word) => Err(format!("{word} is neither all nor default")),
        Fields::Names(names) => Selection::of(&names, |id| is_field(workspace, id)),
    };
    selection.map_err(|why| ApiError::invalid_at("/data/return/fields", why))
}

fn read(call: &Call, asked: Asked) -> Result<Filter, ApiError> {
    let Asked { kinds, id, created_at, updated_at, fields, relationships, metadata } = asked;
    let words = kinds.unwrap_or_default();
    let kinds: Option<Vec<EntityKind>> = words.iter().map(|word| EntityKind::parse(word)).collect();
    let mut filter = Filter {
        kinds: kinds.ok_or_else(|| ApiError::invalid_at("/data/filter/type", unknown_kind()))?,
        ids: id.map(|ids| at_most_100(ids, "/data/filter/id")).transpose()?,
        created: created_at.checked("/data/filter/createdAt")?,
        updated: updated_at.checked("/data/filter/updatedAt")?,
        parents: relationships.parent.map(|parents| parents.iter().map(|parent| parent.id).collect()),
        source: metadata.source,
        ..Filter::default()
    };
    for (id, value) in fields {
        add(call, &mut filter, &id, value)?;
    }
    Ok(filter)
}

fn add(call: &Call, filter: &mut Filter, id: &str, value: Value) -> Result<(), ApiError> {
    let workspace: &Workspace = &call.workspace;
    match id {
        "name" => filter.name = form(id, value)?,
        "archived" => filter.archived = form(id, value)?,
        "owner" => {
            let owners: Vec<MemberRef> = form(id, value)?;
            if owners.iter().any(|owner| owner.id.is_none() && owner.email.is_none()) {
                return Err(ApiError::invalid_at(FIELDS, "owner: each needs an id or an email"));
            }
            if owners.iter().any(|owner| owner.email.is_some()) {
                call.may_search_people()?;
            }
            filter.owners = Some(filter::owners(workspace, &owners));
        }
        "status" => {
            filter.statuses = Some(filter::statuses(workspace, &exclusive(id, form(id, value)?)?));
        }
        "teams" => filter.teams = Some(filter::teams(workspace, &exclusive(id, form(id, value)?)?)),
        // In the vendor's schema, but without effect yet.
        "creator" => drop(form::<Vec<MemberRef>>(id, value)?),
        id => {
            let field = workspace.custom_fields.iter().find(|field| field.id.to_string() == id);
            let field = field.ok_or_else(|| ApiError::invalid_at(FIELDS, format!("{id} is no filter")))?;
            let condition = form(id, value)?;
            if filter.kinds.is_empty() {
                return Err(ApiError::unprocessable(FIELDS, "custom fields need filter.type"));
            }
            filter.custom.push((field.id, Condition::read(field, condition)?));
        }
    }
    Ok(())
}

fn form<T: DeserializeOwned>(id: &str, value: Value) -> Result<T, ApiError> {
    serde_json::from_value(value).map_err(|error| ApiError::invalid_at(FIELDS, format!("{id}: {error}")))
}

/// Each is named by its id or by its name.
fn exclusive(id: &str, references: Vec<NamedRef>) -> Result<Vec<NamedRef>, ApiError> {
    if references.iter().any(|reference| reference.id.is_some() == reference.name.is_some()) {
        return Err(ApiError::invalid_at(FIELDS, format!("{id}: each needs an id or a name, not both")));
    }
    Ok(references)
}
