//! Plans of one day: entities are updated, put away, deleted with all below them, and made.

use chrono::NaiveDate;
use rand::Rng;
use rand::seq::{IndexedMutRandom, IndexedRandom, IteratorRandom};

use super::Changes;
use crate::EntityKind::{Feature, Initiative, KeyResult, Objective, Release, Subfeature, User};
use crate::field::Field;
use crate::ground::{Ground, moment};
use crate::planning::{self, Places};
use crate::{Entity, RelationshipKind, Workspace, calendar, draft, titles};

/// One of so many is touched on a weekday.
const PER_UPDATE: usize = 50;
const PER_CREATION: usize = 250;
const PER_ARCHIVING: f64 = 800.0;
const PER_DELETION: f64 = 600.0;

pub(super) fn live(rng: &mut impl Rng, workspace: &mut Workspace, day: NaiveDate, changes: &mut Changes) {
    if calendar::is_weekend(day) || workspace.entities.is_empty() {
        return;
    }
    let mut entities = std::mem::take(&mut workspace.entities);
    let ground = Ground::of(workspace);
    let count = entities.len();
    for _ in 0..count.div_ceil(PER_UPDATE) {
        if let Some(entity) = entities.choose_mut(rng) {
            update(rng, entity, day, ground);
            changes.entities_updated += 1;
        }
    }
    if rng.random_bool((count as f64 / PER_ARCHIVING).min(1.0))
        && let Some(entity) = entities.iter_mut().filter(|entity| !entity.archived).choose(rng)
    {
        entity.archived = true;
        entity.updated_at = entity.updated_at.max(moment(rng, day));
        changes.entities_archived += 1;
        changes.entities_updated += 1;
    }
    for _ in 0..count.div_ceil(PER_CREATION) {
        create(rng, &mut entities, day, ground);
        changes.entities_created += 1;
    }
    let gone = delete(rng, &mut entities, count);
    changes.entities_deleted += gone.len();
    workspace.entities = entities;
    for note in &mut workspace.notes {
        note.links.retain(|link| !gone.contains(&link.id));
        note.customer = note.customer.filter(|customer| !gone.contains(&customer.id));
    }
}

fn update(rng: &mut impl Rng, entity: &mut Entity, day: NaiveDate, ground: Ground<'_>) {
    entity.updated_at = entity.updated_at.max(moment(rng, day));
    let fields: Vec<Field<'_>> = Field::of(entity.kind, ground.custom_fields).collect();
    match fields.choose(rng) {
        Some(Field::Name) if is_work(entity) => entity.name = titles::request(rng),
        Some(Field::Name | Field::Owner | Field::Archived) | None => entity.owner = ground.somebody(rng),
        Some(Field::Description) => entity.description = Some(format!("<p>{}</p>", titles::remark(rng))),
        // Addresses and domains do not change.
        Some(Field::Email | Field::Domain) => {}
        Some(field) => draft::fill(rng, entity, *field, 0, ground),
    }
}

/// Things to do get other names; releases, companies and people keep theirs.
fn is_work(entity: &Entity) -> bool {
    matches!(entity.kind, Feature | Subfeature | Initiative | Objective)
}

fn create(rng: &mut impl Rng, entities: &mut Vec<Entity>, day: NaiveDate, ground: Ground<'_>) {
    let places = Places::of(entities);
    let kind = planning::kind(rng);
    let parent = places.parent_for(rng, kind);
    let at = moment(rng, day);
    let mut entity = draft::entity(rng, kind, places.all(kind).len(), at, ground);
    entity.archived = false;
    let place = entities.len();
    entities.push(entity);
    if let Some(parent) = parent {
        planning::relate(entities, place, RelationshipKind::Parent, parent);
    }
}

/// Deletes what teams do delete: small things, and features with their subfeatures.
fn delete(rng: &mut impl Rng, entities: &mut Vec<Entity>, count: usize) -> Vec<uuid::Uuid> {
    if !rng.random_bool((count as f64 / PER_DELETION).min(1.0)) {
        return Vec::new();
    }
    let small = |entity: &&Entity| matches!(entity.kind, Feature | Subfeature | KeyResult | Release | User);
    match entities.iter().filter(small).choose(rng).map(|entity| entity.id) {
        Some(id) => planning::remove(entities, id),
        None => Vec::new(),
    }
}
