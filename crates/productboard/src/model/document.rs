//! A row with the vendor's own JSON beside it: for who keeps all of it, and to see what this version does not know yet.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::text::{WORD, required};
use crate::decode::problem;
use crate::{Entity, Member, Note, Team};

/// A row as this version reads it, and as the vendor sent it.
#[derive(Debug, Clone, PartialEq)]
pub struct Document<T> {
    /// As it is read.
    pub row: T,
    /// As it was sent, with its texts made fit to be kept: see [`Text`](crate::Text).
    pub json: Map<String, Value>,
}

/// What a configuration is of, where its document is all that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Configured {
    /// The type of entity or note.
    #[serde(rename = "type", deserialize_with = "required::<_, WORD>")]
    pub kind: String,
}

/// Which fields of a resource this version knows.
pub trait Schema {
    /// Those of the row itself.
    const ROW: &'static [&'static str];
    /// Those in its `fields`, where there is something to know about them; custom ones have UUIDs for names and are not
    /// listed.
    const FIELDS: Option<&'static [&'static str]>;
}

impl<T: Schema> Document<T> {
    /// The paths of fields that this version does not know.
    pub fn unknown(&self) -> impl Iterator<Item = String> + '_ {
        let row = self.json.keys().filter(|name| !T::ROW.contains(&name.as_str())).cloned();
        let fields = self.json.get("fields").and_then(Value::as_object).into_iter().flat_map(Map::keys);
        let is_known =
            |name: &str| T::FIELDS.is_none_or(|known| known.contains(&name)) || name.parse::<Uuid>().is_ok();
        row.chain(fields.filter(move |name| !is_known(name)).map(|name| format!("fields.{name}")))
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Document<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = super::text::object(deserializer)?;
        let row = serde_path_to_error::deserialize(&json).map_err(|error| {
            let path = error.path().to_string();
            D::Error::custom(format!("{} in `{path}`", problem(error.inner())))
        })?;
        Ok(Self { row, json })
    }
}

impl Schema for Entity {
    const ROW: &'static [&'static str] =
        &["id", "type", "fields", "relationships", "metadata", "createdAt", "updatedAt", "links"];
    const FIELDS: Option<&'static [&'static str]> = Some(&[
        "name",
        "description",
        "owner",
        "archived",
        "status",
        "teams",
        "phase",
        "timeframe",
        "health",
        "progress",
        "workProgress",
        "effort",
        "tags",
        "domain",
        "email",
    ]);
}

impl Schema for Note {
    const ROW: &'static [&'static str] = Entity::ROW;
    const FIELDS: Option<&'static [&'static str]> = Some(&[
        "name",
        "content",
        "tags",
        "owner",
        "creator",
        "processed",
        "archived",
        "source",
        "createdAt",
        "updatedAt",
    ]);
}

impl Schema for Member {
    const ROW: &'static [&'static str] = &["id", "type", "fields", "links"];
    const FIELDS: Option<&'static [&'static str]> =
        Some(&["name", "username", "email", "role", "disabled", "invitationPending", "teams"]);
}

impl Schema for Team {
    const ROW: &'static [&'static str] = &["id", "type", "fields", "links", "createdAt", "updatedAt"];
    const FIELDS: Option<&'static [&'static str]> = Some(&["name", "handle", "description", "avatarUrl"]);
}

impl Schema for Configured {
    const ROW: &'static [&'static str] = &["type", "fields", "relationships", "filters", "links"];
    const FIELDS: Option<&'static [&'static str]> = None;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::EntityType;

    #[test]
    fn the_row_is_read_and_the_whole_is_kept() {
        let sent = json!({
            "id": Uuid::nil(), "type": "feature", "betaSegment": { "tier": "gold" },
            "fields": { "name": "Search", "betaLabels": ["new"], Uuid::nil().to_string(): 3 },
        });
        let document: Document<Entity> = serde_json::from_value(sent.clone()).unwrap();
        assert_eq!(document.row.kind, EntityType::Feature);
        assert_eq!(document.unknown().collect::<Vec<_>>(), ["betaSegment", "fields.betaLabels"]);
        assert_eq!(Value::Object(document.json), sent);
    }

    #[test]
    fn what_is_wrong_is_named_and_not_shown() {
        let sent = json!({ "id": Uuid::nil(), "type": "textNote", "createdAt": "Ada Secret" });
        let body = crate::decode::Body::Plain(json!({ "data": sent }).to_string().into_bytes());
        let error = crate::decode::whole::<crate::decode::WireOne<Document<Note>>>(&body).unwrap_err();
        let told = format!("{} {}", error.path, error.problem);
        assert!(told.contains("createdAt") && !told.contains("Secret"), "{told}");
    }
}
