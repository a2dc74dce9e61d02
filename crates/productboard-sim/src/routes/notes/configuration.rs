//! `GET /v2/notes/configurations`: which fields and relationships each type has. A bare list without links.

use axum::Extension;
use axum::extract::Path;
use axum::http::Uri;
use serde_json::{Map, Value, json};

use super::kinds;
use super::resource::FIELDS;
use crate::NoteKind;
use crate::error::ApiError;
use crate::gate::Call;
use crate::json::Body;
use crate::page::PageRequest;

pub(in crate::routes) async fn list(Extension(call): Extension<Call>, uri: Uri) -> Result<Body, ApiError> {
    let request = PageRequest::read(&uri, &["type[]", "type"])?;
    let asked = kinds(request.values("type[]").chain(request.values("type")))
        .map_err(|why| ApiError::invalid_parameter("type[]", why))?;
    let shown = NoteKind::ALL.into_iter().filter(|kind| asked.is_empty() || asked.contains(kind));
    let shown: Vec<Value> = shown.map(of_kind).collect();
    let total = call.faults.shown(call.route, shown.len());
    Ok(Body::data(&&shown[..total]))
}

/// `GET /v2/notes/configurations/{type}`
pub(in crate::routes) async fn one(Path(kind): Path<String>) -> Result<Body, ApiError> {
    let kind = kinds(std::iter::once(kind.as_str()));
    let kind = kind.map_err(|why| ApiError::invalid(format!("The type {why}")))?;
    Ok(Body::data(&of_kind(kind[0])))
}

fn of_kind(kind: NoteKind) -> Value {
    let fields: Map<String, Value> = FIELDS.iter().map(|id| ((*id).to_owned(), of_field(kind, id))).collect();
    json!({
        "type": kind,
        "fields": fields,
        "relationships": {
            "customer": { "targetType": ["user", "company"], "cardinality": "single", "mandatory": false },
            "link": {
                "targetType": ["feature", "subfeature", "product", "component"],
                "cardinality": "multiple",
                "mandatory": false,
            },
        },
    })
}

fn of_field(kind: NoteKind, id: &str) -> Value {
    let list = id == "tags" || (id == "content" && kind == NoteKind::ConversationNote);
    let writable = kind != NoteKind::OpportunityNote;
    let change = json!({
        "set": writable && id != "creator",
        "clear": writable && ["owner", "tags"].contains(&id),
        "addItems": writable && list,
        "removeItems": writable && list,
    });
    json!({
        "id": id,
        "name": id[..1].to_uppercase() + &id[1..],
        "path": format!("/fields/{id}"),
        "schema": schema(kind, id),
        "lifecycle": { "create": { "set": writable }, "update": change, "patch": change },
        "constraints": { "required": id == "name" },
    })
}

fn schema(kind: NoteKind, id: &str) -> Value {
    match id {
        "name" => json!({ "type": "string", "maxLength": 255 }),
        "content" if kind == NoteKind::TextNote => {
            json!({ "type": "string", "format": "html", "maxLength": 524_288 })
        }
        "content" | "tags" => json!({ "type": "array", "items": { "type": "object" } }),
        "processed" | "archived" => json!({ "type": "boolean" }),
        _ => json!({ "type": "object" }),
    }
}
