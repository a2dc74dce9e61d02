//! Events and their payload, which names what changed and never how: the receiver must ask.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{EntityKind, Note, Workspace};

/// All that can be subscribed to. There is none for members, teams or analytics.
const TYPES: [&str; 26] = [
    "feature.created",
    "feature.updated",
    "feature.deleted",
    "component.created",
    "component.updated",
    "product.created",
    "product.updated",
    "release.created",
    "release.updated",
    "release.deleted",
    "feature-release-assignment.updated",
    "hierarchy-entity.custom-field-value.updated",
    "note.created",
    "note.updated",
    "note.deleted",
    "insight.created",
    "insight.deleted",
    "key-result.created",
    "key-result.updated",
    "key-result.deleted",
    "objective.created",
    "objective.updated",
    "objective.deleted",
    "initiative.created",
    "initiative.updated",
    "initiative.deleted",
];
/// Their payload has no id.
const NAMELESS: [&str; 2] =
    ["feature-release-assignment.updated", "hierarchy-entity.custom-field-value.updated"];

/// Something that happened in a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookEvent {
    /// Such as `feature.updated`.
    pub event_type: String,
    /// What it happened to.
    pub id: Uuid,
    /// What changed; sent with `….updated` only.
    #[serde(default)]
    pub updated_attributes: Vec<String>,
    /// Other links than the ones made from the id.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
}

impl WebhookEvent {
    /// An event without more than its type and its subject.
    pub fn new(event_type: impl Into<String>, id: Uuid) -> Self {
        let (updated_attributes, links) = (Vec::new(), BTreeMap::new());
        Self { event_type: event_type.into(), id, updated_attributes, links }
    }

    pub(super) fn payload(&self, workspace: &Workspace, origin: &str) -> Value {
        let Self { event_type, id, updated_attributes, links } = self;
        let (entity, note) = (format!("{origin}/v2/entities/{id}"), format!("{origin}/v2/notes/{id}"));
        let links = match event_type.split('.').next() {
            _ if !links.is_empty() => json!(links),
            Some("insight") => {
                let [feature, note] = insight(workspace, *id);
                json!({
                    "feature": format!("{origin}/v2/entities/{feature}"),
                    "note": format!("{origin}/v2/notes/{note}"),
                })
            }
            Some("note") => json!({ "target": note }),
            _ => json!({ "target": entity }),
        };
        let mut data = json!({ "eventType": event_type, "links": links });
        if !NAMELESS.contains(&event_type.as_str()) {
            data["id"] = json!(id);
        }
        if event_type.ends_with(".updated") {
            data["updatedAttributes"] = json!(updated_attributes);
        }
        json!({ "data": data })
    }
}

/// What an insight joins. The facts have links and no ids for them: an id stands for one of the links of notes to
/// features, always the same, or for two things that do not exist where there is none.
fn insight(workspace: &Workspace, id: Uuid) -> [Uuid; 2] {
    let of = |note: &Note| {
        let note_id = note.id;
        let features = note.links.iter().filter(|link| link.kind == EntityKind::Feature);
        features.map(move |link| [link.id, note_id]).collect::<Vec<_>>()
    };
    let joined: Vec<_> = workspace.notes.iter().flat_map(of).collect();
    let nowhere = [1, 2].map(|other| Uuid::from_u128(id.as_u128() ^ other));
    let at = usize::try_from(id.as_u128() % joined.len().max(1) as u128).unwrap_or(0);
    joined.get(at).copied().unwrap_or(nowhere)
}

/// The scope without which an event cannot be subscribed to. `None`: there is no such event.
pub(crate) fn scope(event_type: &str) -> Option<&'static str> {
    if !TYPES.contains(&event_type) {
        return None;
    }
    let of_notes = event_type.starts_with("note.") || event_type.starts_with("insight.");
    Some(if of_notes { "notes:read" } else { "entities:read" })
}
