//! Entities: products, features, objectives, companies and the rest of what a workspace is about.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use super::resource::{Metadata, Wire};
use super::word::words;
use crate::{Fields, Relationships, Source};

words! {
    /// A type of entity. Not every workspace has all of them.
    EntityType {
        /// A product.
        Product = "product",
        /// A part of a product or of a component.
        Component = "component",
        /// A feature.
        Feature = "feature",
        /// A part of a feature.
        Subfeature = "subfeature",
        /// An initiative.
        Initiative = "initiative",
        /// An objective.
        Objective = "objective",
        /// A key result of an objective.
        KeyResult = "keyResult",
        /// A release of a release group.
        Release = "release",
        /// A group of releases.
        ReleaseGroup = "releaseGroup",
        /// A customer.
        Company = "company",
        /// Somebody at a customer.
        User = "user",
    }
}

/// One entity.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "Wire<EntityType>")]
pub struct Entity {
    /// Its id.
    pub id: Uuid,
    /// Its type.
    pub kind: EntityType,
    /// Its fields, those that were asked for.
    pub fields: Fields,
    /// What it is related to, the first of it.
    pub relationships: Relationships,
    /// Where it came from.
    pub source: Option<Source>,
    /// When it was made.
    pub created_at: Option<DateTime<Utc>>,
    /// When it last changed.
    pub updated_at: Option<DateTime<Utc>>,
    /// Its page in the vendor's product.
    pub html: Option<String>,
}

impl From<Wire<EntityType>> for Entity {
    fn from(wire: Wire<EntityType>) -> Self {
        Self {
            id: wire.id,
            kind: wire.kind,
            fields: wire.fields.unwrap_or_default(),
            relationships: wire.relationships,
            source: wire.metadata.and_then(Metadata::source),
            created_at: wire.created_at,
            updated_at: wire.updated_at,
            html: wire.links.and_then(|links| links.html),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_documented_shape_with_more_around_it() {
        let entity: Entity = serde_json::from_value(json!({
            "id": Uuid::from_u128(1),
            "type": "keyResult",
            "fields": { "name": "Fewer clicks", "status": null },
            "relationships": [{ "type": "parent", "target": { "id": Uuid::from_u128(2), "type": "objective" } }],
            "metadata": { "source": { "system": "jira", "recordId": "PB-1" } },
            "createdAt": "2025-05-30T11:58:35.855455Z",
            "updatedAt": "2026-05-30T11:58:35Z",
            "links": { "self": "https://api.productboard.com/v2/entities/1", "html": null },
            "beta": true,
        }))
        .unwrap();
        assert_eq!(entity.kind, EntityType::KeyResult);
        assert_eq!(entity.fields.name().unwrap().unwrap().known(), Some("Fewer clicks"));
        assert_eq!(entity.relationships.parent().unwrap().kind, Some(EntityType::Objective));
        assert_eq!(entity.source.unwrap().record_id.as_deref(), Some("PB-1"));
        assert_eq!(entity.created_at.unwrap().timestamp_subsec_micros(), 855_455);
        assert_eq!(entity.html, None);
    }

    #[test]
    fn the_least_that_can_come() {
        let bare =
            json!({ "id": Uuid::nil(), "type": "persona", "fields": null, "metadata": { "source": {} } });
        let entity: Entity = serde_json::from_value(bare).unwrap();
        assert_eq!(entity.kind, EntityType::Other("persona".into()));
        assert_eq!((entity.fields, entity.relationships), (Fields::default(), Relationships::default()));
        assert_eq!((entity.source, entity.created_at, entity.updated_at), (None, None, None));
    }

    #[test]
    fn every_known_type_is_its_own_word() {
        assert_eq!(EntityType::KNOWN.len(), 11);
        for kind in EntityType::KNOWN {
            assert_eq!(&EntityType::from(kind.as_str()), kind);
        }
    }
}
