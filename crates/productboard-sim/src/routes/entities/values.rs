//! `GET /v2/entities/fields/{id}/values`: what can be chosen in a field. `id` is a UUID, `status` or `tags`.

use axum::Extension;
use axum::extract::Path;
use axum::http::Uri;
use serde::Serialize;
use uuid::Uuid;

use super::kinds;
use crate::error::ApiError;
use crate::gate::Call;
use crate::json::{self, Body};
use crate::page::PageRequest;
use crate::{EntityKind, NextLink, SelectOption, Status, Workspace};

#[derive(Serialize)]
struct Value<'a> {
    id: Uuid,
    fields: Fields<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Fields<'a> {
    Option {
        name: &'a str,
        color: &'a str,
    },
    #[serde(rename_all = "camelCase")]
    Status {
        name: &'a str,
        assigned_entity_types: &'a [EntityKind],
    },
}

pub(in crate::routes) async fn list(
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Body, ApiError> {
    let request = PageRequest::read(&uri, &["assignedEntityType[]"])?;
    let kinds = kinds(&request, "assignedEntityType[]")?;
    let values = of_field(&call.workspace, &id, &kinds);
    let values = values.ok_or_else(|| ApiError::unknown_resource("The field"))?;
    Ok(request.answer(&call, values.len(), NextLink::Absolute, |out, at| json::write(out, &values[at])))
}

/// `None` when there is no such field, or none that one chooses from.
fn of_field<'a>(workspace: &'a Workspace, id: &str, kinds: &[EntityKind]) -> Option<Vec<Value<'a>>> {
    let assigned = |to: &[EntityKind]| kinds.is_empty() || to.iter().any(|kind| kinds.contains(kind));
    let statuses = |all: &'a [Status]| all.iter().filter(|it| assigned(&it.kinds)).map(status).collect();
    let options = |all: &'a [SelectOption]| all.iter().map(option).collect();
    match id {
        "status" => Some(statuses(&workspace.statuses)),
        "tags" => Some(options(&workspace.tags)),
        id => {
            let field = workspace.custom_fields.iter().find(|field| field.id.to_string() == id)?;
            let field = Some(field).filter(|field| !field.options.is_empty())?;
            Some(if assigned(&field.kinds) { options(&field.options) } else { Vec::new() })
        }
    }
}

fn status(status: &Status) -> Value<'_> {
    Value {
        id: status.id,
        fields: Fields::Status { name: &status.name, assigned_entity_types: &status.kinds },
    }
}

fn option(option: &SelectOption) -> Value<'_> {
    Value { id: option.id, fields: Fields::Option { name: &option.name, color: &option.color } }
}
