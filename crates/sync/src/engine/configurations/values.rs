//! The values of select fields that have more of them than come along with a configuration.

use serde_json::{Map, Value, json};
use tidemark_productboard::{Client, Configured, Document, EntityType, Error};

use super::super::collect;

/// Puts all values of the fields of a type of entity into its document; gives how many pages were read for it. For the
/// fields of notes the vendor has no such list.
pub(super) async fn complete(client: &Client, document: &mut Document<Configured>) -> Result<u64, Error> {
    let kind = EntityType::from(document.row.kind.as_str());
    let mut pages = 0;
    let Some(Value::Object(fields)) = document.json.get_mut("fields") else { return Ok(0) };
    for (id, field) in fields {
        let Some(values) = field.get_mut("values").filter(|values| has_more(values)) else { continue };
        let listed = collect(client.field_value_documents(id, std::slice::from_ref(&kind), None)).await?;
        pages += listed.pages;
        let all: Vec<_> = listed.rows.into_iter().map(|value| flat(value.json)).collect();
        *values = json!({ "data": all, "links": {} });
    }
    Ok(pages)
}

fn has_more(values: &Value) -> bool {
    values.pointer("/links/next").is_some_and(|next| !next.is_null())
}

/// In a list the name stands among a value's fields; in a configuration it stands beside the id.
fn flat(mut value: Map<String, Value>) -> Value {
    if let Some(Value::Object(fields)) = value.remove("fields") {
        value.extend(fields);
    }
    value.remove("links");
    Value::Object(value)
}
