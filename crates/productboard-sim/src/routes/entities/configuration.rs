//! `GET /v2/entities/configurations`: which fields, relationships and filters each type has in this workspace.

use axum::Extension;
use axum::extract::Path;
use axum::http::Uri;
use serde_json::{Map, Value, json};

use super::{kinds, unknown_kind};
use crate::EntityKind::{self, Objective, User};
use crate::error::ApiError;
use crate::field::Field;
use crate::gate::Call;
use crate::json::{self, Body};
use crate::page::PageRequest;
use crate::{CustomKind, NextLink, RelationshipKind, SelectOption, Workspace, planning};

/// As many values of a field come along; the rest is listed.
const INLINE_VALUES: usize = 1_000;

pub(in crate::routes) async fn list(Extension(call): Extension<Call>, uri: Uri) -> Result<Body, ApiError> {
    let request = PageRequest::read(&uri, &["type[]"])?;
    let asked = kinds(&request, "type[]")?;
    let kinds: Vec<EntityKind> =
        EntityKind::ALL.into_iter().filter(|kind| asked.is_empty() || asked.contains(kind)).collect();
    Ok(request.answer(&call, kinds.len(), NextLink::Absolute, |out, at| {
        json::write(out, &of_kind(&call, kinds[at]));
    }))
}

/// `GET /v2/entities/configurations/{type}`
pub(in crate::routes) async fn one(
    Extension(call): Extension<Call>,
    Path(kind): Path<String>,
) -> Result<Body, ApiError> {
    let kind =
        EntityKind::parse(&kind).ok_or_else(|| ApiError::invalid(format!("The type {}", unknown_kind())))?;
    Ok(Body::data(&of_kind(&call, kind)))
}

fn of_kind(call: &Call, kind: EntityKind) -> Value {
    let mut fields = Map::new();
    for field in Field::of(kind, &call.workspace.custom_fields) {
        fields.insert(field.id().into_owned(), of_field(call, kind, field));
        if matches!(field, Field::Timeframe) {
            for part in ["startDate", "endDate"] {
                let id = format!("timeframe.{part}");
                fields.insert(id.clone(), part_of_timeframe(&id));
            }
        }
    }
    json!({
        "type": kind,
        "fields": fields,
        "relationships": relationships(kind),
        "filters": filters(kind),
        "links": { "self": format!("{}/v2/entities/configurations/{}", call.origin, kind.as_str()) },
    })
}

fn of_field(call: &Call, kind: EntityKind, field: Field<'_>) -> Value {
    let id = field.id();
    let list = matches!(field, Field::Teams | Field::Tags);
    let change =
        json!({ "set": true, "clear": !matches!(field, Field::Name), "addItems": list, "removeItems": list });
    let mut configuration = json!({
        "id": id,
        "name": name(field),
        "path": format!("/fields/{id}"),
        "schema": schema(field),
        "lifecycle": { "create": { "set": true }, "update": change, "patch": change },
        "constraints": { "required": matches!(field, Field::Name) },
    });
    if let Some(mut values) = values(&call.workspace, kind, field) {
        let links = if values.len() > INLINE_VALUES {
            values.truncate(INLINE_VALUES);
            let query = vec![("assignedEntityType[]".to_owned(), kind.as_str().to_owned())];
            let rest = PageRequest::first(format!("/v2/entities/fields/{id}/values"), query);
            json!({ "next": rest.link(call, INLINE_VALUES, NextLink::Absolute) })
        } else {
            json!({})
        };
        configuration["values"] = json!({ "data": values, "links": links });
    }
    configuration
}

fn part_of_timeframe(id: &str) -> Value {
    json!({
        "id": id,
        "name": id,
        "path": format!("/fields/{}", id.replace('.', "/")),
        "schema": { "type": "string", "format": "date" },
    })
}

fn name(field: Field<'_>) -> String {
    match field {
        Field::Custom(field) => field.name.clone(),
        Field::WorkProgress => "Work progress".to_owned(),
        field => {
            let id = field.id();
            id[..1].to_uppercase() + &id[1..]
        }
    }
}

fn schema(field: Field<'_>) -> Value {
    let object = |properties: &[&str]| {
        let properties: Map<String, Value> =
            properties.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect();
        json!({ "type": "object", "properties": properties })
    };
    match field {
        Field::Name | Field::Domain => json!({ "type": "string", "maxLength": 255 }),
        Field::Description => json!({ "type": "string", "format": "html", "maxLength": 524_288 }),
        Field::Archived => json!({ "type": "boolean" }),
        Field::Email => json!({ "type": "string", "format": "email" }),
        Field::Owner => object(&["id", "email"]),
        Field::Status => object(&["id", "name"]),
        Field::Timeframe => object(&["startDate", "endDate", "granularity"]),
        Field::Health => object(&["id", "mode", "status", "previousStatus", "lastUpdatedAt", "comment"]),
        Field::Teams | Field::Tags => json!({ "type": "array", "items": object(&["id", "name"]) }),
        Field::Progress | Field::WorkProgress | Field::Effort => json!({ "type": "object" }),
        Field::Custom(custom) => match custom.kind {
            CustomKind::Text => json!({ "type": "string", "maxLength": 255 }),
            CustomKind::Number => json!({ "type": "number" }),
            CustomKind::Date => json!({ "type": "string", "format": "date" }),
            CustomKind::SingleSelect => object(&["id", "name", "color"]),
            CustomKind::MultiSelect => json!({ "type": "array", "items": object(&["id", "name", "color"]) }),
        },
    }
}

fn values(workspace: &Workspace, kind: EntityKind, field: Field<'_>) -> Option<Vec<Value>> {
    let named = |option: &SelectOption| json!({ "id": option.id, "name": option.name });
    match field {
        Field::Status => {
            let statuses = workspace.statuses.iter().filter(|status| status.kinds.contains(&kind));
            let value = |status: &crate::Status| json!({ "id": status.id, "name": status.name, "assignedEntityTypes": status.kinds });
            Some(statuses.map(value).collect())
        }
        Field::Tags => Some(workspace.tags.iter().map(named).collect()),
        Field::Custom(custom) if !custom.options.is_empty() => {
            Some(custom.options.iter().map(named).collect())
        }
        _ => None,
    }
}

fn relationships(kind: EntityKind) -> Map<String, Value> {
    let parents = planning::parents_of(kind).to_vec();
    let links: Vec<EntityKind> = planning::linked_to(kind).collect();
    let blocking = planning::blocking(kind).to_vec();
    let children: Vec<EntityKind> = planning::children_of(kind).collect();
    let mandatory = !matches!(kind, Objective | User);
    [
        (RelationshipKind::Parent, parents, "single", mandatory),
        (RelationshipKind::Child, children, "multiple", false),
        (RelationshipKind::Link, links, "multiple", false),
        (RelationshipKind::IsBlockedBy, blocking.clone(), "multiple", false),
        (RelationshipKind::IsBlocking, blocking, "multiple", false),
    ]
    .into_iter()
    .filter(|(_, targets, ..)| !targets.is_empty())
    .map(|(it, targets, cardinality, mandatory)| {
        let value = json!({ "targetType": targets, "cardinality": cardinality, "mandatory": mandatory });
        (it.as_str().to_owned(), value)
    })
    .collect()
}

fn filters(kind: EntityKind) -> Vec<Value> {
    let field = |name: &str, field: &str, format: Option<&str>| {
        let mut filter = json!({ "name": name, "field": field, "schema": { "type": "string" } });
        if let Some(format) = format {
            filter["schema"]["format"] = json!(format);
        }
        filter
    };
    let mut filters = vec![
        field("name", "name", None),
        json!({ "name": "archived", "field": "archived", "schema": { "type": "boolean" } }),
        field("owner[id]", "owner", Some("uuid")),
        field("owner[email]", "owner", Some("email")),
    ];
    filters[3]["requiredScopes"] = json!(["members:pii:read"]);
    for id in Field::of(kind, &[]).map(Field::id).filter(|id| ["status", "teams"].contains(&id.as_ref())) {
        filters.push(field(&format!("{id}[id]"), &id, Some("uuid")));
        filters.push(field(&format!("{id}[name]"), &id, None));
    }
    if !planning::parents_of(kind).is_empty() {
        let schema = json!({ "type": "string", "format": "uuid" });
        filters.push(json!({ "name": "parent[id]", "relationship": "parent", "schema": schema }));
    }
    filters
}
