//! The generated plans and notes: every kind of thing, whole on both ends.

use std::collections::{HashMap, HashSet};

use tidemark_productboard_sim::{
    Content, Entity, EntityKind, NoteKind, Relationship, RelationshipKind, Workspace, WorkspaceSpec,
};

use crate::support::today;

fn acme() -> Workspace {
    Workspace::generate(&WorkspaceSpec::new("acme", 60, today()))
}

#[test]
fn sizes_are_those_of_the_spec() {
    for (entities, notes) in [(0, 0), (1, 1), (11, 3), (500, 40)] {
        let spec = WorkspaceSpec::new("acme", 5, today()).entities(entities).notes(notes);
        let workspace = Workspace::generate(&spec);
        assert_eq!((workspace.entities.len(), workspace.notes.len()), (entities, notes));
    }
    let eleven = Workspace::generate(&WorkspaceSpec::new("acme", 5, today()).entities(11));
    let kinds: HashSet<_> = eleven.entities.iter().map(|entity| entity.kind).collect();
    assert_eq!(kinds.len(), EntityKind::ALL.len(), "one of each");
}

#[test]
fn parents_are_of_the_right_type_and_older() {
    use EntityKind::{Company, Component, Feature, Objective, Product, ReleaseGroup};
    let workspace = acme();
    let by_id: HashMap<_, _> = workspace.entities.iter().map(|entity| (entity.id, entity)).collect();
    for entity in &workspace.entities {
        let above: &[EntityKind] = match entity.kind {
            Component => &[Product, Component],
            Feature => &[Component, Product],
            EntityKind::Subfeature => &[Feature],
            Objective | EntityKind::KeyResult => &[Objective],
            EntityKind::Release => &[ReleaseGroup],
            EntityKind::User => &[Company],
            _ => &[],
        };
        match entity.parent() {
            Some(parent) => {
                assert!(above.contains(&by_id[&parent].kind), "{:?}", entity.kind);
                assert!(by_id[&parent].created_at <= entity.created_at);
            }
            None => assert!(above.is_empty() || matches!(entity.kind, Objective | EntityKind::User)),
        }
        assert!(entity.created_at <= entity.updated_at);
        assert!(entity.updated_at.date_naive() <= today());
    }
}

#[test]
fn relationships_stand_on_both_ends_once() {
    let workspace = acme();
    let mirrored = |kind| match kind {
        RelationshipKind::Parent => RelationshipKind::Child,
        RelationshipKind::Child => RelationshipKind::Parent,
        RelationshipKind::IsBlockedBy => RelationshipKind::IsBlocking,
        RelationshipKind::IsBlocking => RelationshipKind::IsBlockedBy,
        RelationshipKind::Link => RelationshipKind::Link,
    };
    let by_id: HashMap<_, _> = workspace.entities.iter().map(|entity| (entity.id, entity)).collect();
    let mut kinds = HashSet::new();
    for entity in &workspace.entities {
        for it in &entity.relationships {
            let target: &Entity = by_id[&it.target];
            let back = Relationship { kind: mirrored(it.kind), target: entity.id, target_kind: entity.kind };
            assert_eq!(target.kind, it.target_kind);
            assert_eq!(target.relationships.iter().filter(|other| **other == back).count(), 1);
            kinds.insert(it.kind);
        }
    }
    assert_eq!(kinds.len(), RelationshipKind::ALL.len(), "every kind occurs");
    assert!(workspace.entities.iter().any(|entity| entity.relationships.len() > 20), "more than inline");
}

#[test]
fn every_field_is_filled_somewhere_and_empty_elsewhere() {
    let workspace = acme();
    let both = |what: &str, has: &dyn Fn(&Entity) -> bool| {
        let count = workspace.entities.iter().filter(|entity| has(entity)).count();
        assert!(count > 0 && count < workspace.entities.len(), "{what}: {count}");
    };
    both("description", &|it| it.description.is_some());
    both("owner", &|it| it.owner.is_some());
    both("archived", &|it| it.archived);
    both("status", &|it| it.status.is_some());
    both("teams", &|it| !it.teams.is_empty());
    both("timeframe", &|it| it.timeframe.is_some());
    both("health", &|it| it.health.is_some());
    both("progress", &|it| it.progress.is_some());
    both("work progress", &|it| it.work_progress.is_some());
    both("effort", &|it| it.effort.is_some());
    both("tags", &|it| !it.tags.is_empty());
    both("domain", &|it| it.domain.is_some());
    both("email", &|it| it.email.is_some());
    both("source", &|it| it.source.is_some());
    for field in &workspace.custom_fields {
        both(&field.name, &|it| it.custom.contains_key(&field.id));
    }
    let frames = workspace.entities.iter().filter_map(|entity| entity.timeframe);
    assert!(frames.into_iter().all(|frame| frame.start_date <= frame.end_date));
}

#[test]
fn notes_are_of_every_kind_and_point_at_what_there_is() {
    let workspace = acme();
    let entities: HashSet<_> = workspace.entities.iter().map(|entity| entity.id).collect();
    for kind in NoteKind::ALL {
        assert!(workspace.notes.iter().any(|note| note.kind == kind), "{kind:?}");
    }
    for note in &workspace.notes {
        assert!(note.customer.iter().chain(&note.links).all(|target| entities.contains(&target.id)));
        assert!(!(note.archived && note.processed));
        assert!(note.created_at <= note.updated_at && note.updated_at.date_naive() <= today());
        let fits = match note.kind {
            NoteKind::TextNote => matches!(note.content, Content::Text(_)),
            NoteKind::ConversationNote => matches!(note.content, Content::Messages(_)),
            NoteKind::OpportunityNote => matches!(note.content, Content::Properties(_)),
        };
        assert!(fits, "{:?}", note.kind);
    }
    let some = |has: &dyn Fn(&tidemark_productboard_sim::Note) -> bool| workspace.notes.iter().any(has);
    assert!(some(&|it| it.archived) && some(&|it| it.processed) && some(&|it| !it.archived && !it.processed));
    assert!(some(&|it| it.customer.is_none()) && some(&|it| it.links.len() > 20));
    assert!(some(&|it| it.creator.is_none()) && some(&|it| it.creator.is_some()));
}
