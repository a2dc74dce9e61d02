//! All entities of a workspace: how many of each type, which one above which, and what links and blocks what.

use std::collections::HashMap;

use chrono::{DateTime, Days, TimeDelta, Utc};
use rand::Rng;
use rand::seq::IndexedRandom;
use uuid::Uuid;

use crate::EntityKind::{
    self, Company, Component, Feature, Initiative, KeyResult, Objective, Product, Release, ReleaseGroup,
    Subfeature, User,
};
use crate::ground::{Ground, moment};
use crate::{Entity, Relationship, RelationshipKind, WorkspaceSpec, draft};

/// Entities of a type that have one favourite among their parents.
const FAVOURED: usize = 2_000;

/// Every type with its share, parents before children. One of each comes first, as far as there is room.
const SHARES: [(EntityKind, u32); 11] = [
    (Product, 2),
    (Component, 8),
    (Feature, 30),
    (Subfeature, 18),
    (Objective, 4),
    (KeyResult, 5),
    (Initiative, 4),
    (ReleaseGroup, 1),
    (Release, 5),
    (Company, 8),
    (User, 15),
];

/// What links to what.
const LINKS: [(EntityKind, EntityKind, f64); 6] = [
    (Initiative, Objective, 0.8),
    (Feature, Initiative, 0.3),
    (Feature, Objective, 0.15),
    (Feature, Release, 0.4),
    (Subfeature, Release, 0.2),
    (Initiative, Release, 0.2),
];
const BLOCKING: [(EntityKind, EntityKind); 3] =
    [(Feature, Feature), (Subfeature, Feature), (Initiative, Initiative)];

/// Draws all entities, oldest first.
pub(crate) fn draw(rng: &mut impl Rng, spec: &WorkspaceSpec, ground: Ground<'_>) -> Vec<Entity> {
    let mut entities: Vec<Entity> = Vec::with_capacity(spec.entities);
    let mut places = Places::default();
    for (kind, count) in counts(rng, spec.entities) {
        for index in 0..count {
            let parent = places.parent_for(rng, kind);
            let since = parent.map(|at| entities[at].created_at);
            let at = created(rng, spec, since);
            let mut entity = draft::entity(rng, kind, index, at, ground);
            entity.updated_at = updated(rng, spec, at);
            let place = entities.len();
            entities.push(entity);
            places.note(kind, place);
            if let Some(parent) = parent {
                relate(&mut entities, place, RelationshipKind::Parent, parent);
            }
        }
    }
    link(rng, &mut entities, &places);
    entities.sort_by_key(|entity| (entity.created_at, entity.id));
    entities
}

/// Draws a type as the shares have it.
pub(crate) fn kind(rng: &mut impl Rng) -> EntityKind {
    SHARES.choose_weighted(rng, |(_, share)| *share).map_or(Feature, |(kind, _)| *kind)
}

fn counts(rng: &mut impl Rng, total: usize) -> Vec<(EntityKind, usize)> {
    let mut counts: Vec<(EntityKind, usize)> =
        SHARES.iter().enumerate().map(|(at, (kind, _))| (*kind, usize::from(at < total))).collect();
    for _ in SHARES.len()..total {
        let drawn = kind(rng);
        if let Some((_, count)) = counts.iter_mut().find(|(kind, _)| *kind == drawn) {
            *count += 1;
        }
    }
    counts
}

/// The types that can stand above a type, the usual one first. Empty for roots.
pub(crate) fn parents_of(kind: EntityKind) -> &'static [EntityKind] {
    match kind {
        Component => &[Product, Component],
        Feature => &[Component, Product],
        Subfeature => &[Feature],
        Objective => &[Objective],
        KeyResult => &[Objective],
        Release => &[ReleaseGroup],
        User => &[Company],
        Product | Initiative | ReleaseGroup | Company => &[],
    }
}

/// The types that stand below a type.
pub(crate) fn children_of(kind: EntityKind) -> impl Iterator<Item = EntityKind> {
    EntityKind::ALL.into_iter().filter(move |child| parents_of(*child).contains(&kind))
}

/// The types that a type links to, from either side.
pub(crate) fn linked_to(kind: EntityKind) -> impl Iterator<Item = EntityKind> {
    LINKS.iter().filter_map(move |(one, other, _)| match kind {
        kind if kind == *one => Some(*other),
        kind if kind == *other => Some(*one),
        _ => None,
    })
}

/// The types that a type blocks or is blocked by.
pub(crate) fn blocking(kind: EntityKind) -> &'static [EntityKind] {
    if matches!(kind, Feature | Subfeature | Initiative) { &[Feature, Subfeature, Initiative] } else { &[] }
}

/// Where the entities of each type lie in their list.
#[derive(Default)]
pub(crate) struct Places(HashMap<EntityKind, Vec<usize>>);

impl Places {
    pub(crate) fn of(entities: &[Entity]) -> Self {
        let mut places = Self::default();
        for (at, entity) in entities.iter().enumerate() {
            places.note(entity.kind, at);
        }
        places
    }

    fn note(&mut self, kind: EntityKind, at: usize) {
        self.0.entry(kind).or_default().push(at);
    }

    pub(crate) fn all(&self, kind: EntityKind) -> &[usize] {
        self.0.get(&kind).map_or(&[], Vec::as_slice)
    }

    /// Draws a parent for a new entity. The first of its type is the favourite of the first [`FAVOURED`], so that some
    /// entities have more children than an answer shows inline; the next one is that of the next.
    pub(crate) fn parent_for(&self, rng: &mut impl Rng, kind: EntityKind) -> Option<usize> {
        if matches!(kind, Objective | User) && rng.random_bool(0.3) {
            return None;
        }
        let (usual, favourite) = (rng.random_bool(0.8), rng.random_bool(0.45));
        let mut kinds = parents_of(kind).to_vec();
        if !usual {
            kinds.reverse();
        }
        let possible = kinds.into_iter().map(|kind| self.all(kind)).find(|places| !places.is_empty())?;
        let turn = self.all(kind).len() / FAVOURED;
        if favourite {
            possible.get(turn.min(possible.len() - 1)).copied()
        } else {
            possible.choose(rng).copied()
        }
    }
}

/// Writes a relationship on both of its ends; one that is there already stays single.
pub(crate) fn relate(entities: &mut [Entity], from: usize, kind: RelationshipKind, to: usize) {
    let towards = |entity: &Entity, kind| Relationship { kind, target: entity.id, target_kind: entity.kind };
    let there = towards(&entities[to], kind);
    if from == to || entities[from].relationships.contains(&there) {
        return;
    }
    let back = towards(&entities[from], kind.seen_from_target());
    entities[from].relationships.push(there);
    entities[to].relationships.push(back);
}

fn link(rng: &mut impl Rng, entities: &mut [Entity], places: &Places) {
    let mut join = |one, other, kind, chance| {
        for from in places.all(one) {
            let drawn = places.all(other).choose(rng).copied();
            if let Some(to) = drawn.filter(|_| rng.random_bool(chance)) {
                relate(entities, *from, kind, to);
            }
        }
    };
    for (one, other, chance) in LINKS {
        join(one, other, RelationshipKind::Link, chance);
    }
    for (one, other) in BLOCKING {
        join(one, other, RelationshipKind::IsBlockedBy, 0.1);
    }
}

/// Takes an entity and all below it away, and whatever pointed at them. Answers their ids.
pub(crate) fn remove(entities: &mut Vec<Entity>, id: Uuid) -> Vec<Uuid> {
    let mut gone = vec![id];
    let mut looked_at = 0;
    while let Some(id) = gone.get(looked_at).copied() {
        let below = entities.iter().filter(|entity| entity.parent() == Some(id)).map(|entity| entity.id);
        gone.extend(below.collect::<Vec<_>>());
        looked_at += 1;
    }
    entities.retain(|entity| !gone.contains(&entity.id));
    for entity in entities {
        entity.relationships.retain(|it| !gone.contains(&it.target));
    }
    gone
}

fn created(rng: &mut impl Rng, spec: &WorkspaceSpec, since: Option<DateTime<Utc>>) -> DateTime<Utc> {
    let oldest = spec.today - Days::new(rng.random_range(1..=700));
    match since {
        Some(since) if since.date_naive() >= oldest => {
            since + TimeDelta::microseconds(rng.random_range(1..20_000_000_000))
        }
        _ => moment(rng, oldest),
    }
}

/// Between the making and yesterday.
fn updated(rng: &mut impl Rng, spec: &WorkspaceSpec, created: DateTime<Utc>) -> DateTime<Utc> {
    let days = (spec.today - created.date_naive()).num_days();
    match u64::try_from(days) {
        Ok(days) if days > 1 => {
            let ago = rng.random_range(1..days).min(rng.random_range(1..days));
            moment(rng, spec.today - Days::new(ago)).max(created)
        }
        _ => created,
    }
}
