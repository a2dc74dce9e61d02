//! Entities of all types, what they are related to, and how the workspace has configured them.

use std::collections::{BTreeMap, BTreeSet};

use tidemark_productboard::{
    Client, CustomFilter, EntitiesQuery, Entity, EntityRelationshipsQuery, EntitySearch, EntityType, Error,
    FieldSelection, Named, Period, RelationshipKind,
};
use tidemark_productboard_sim as sim;
use uuid::Uuid;

use crate::support::{TOKEN, all, client, simulator};

async fn listed(client: &Client, query: &EntitiesQuery) -> Vec<Entity> {
    all(client.entities(query, None)).await.unwrap()
}

fn ids(entities: &[Entity]) -> BTreeSet<Uuid> {
    entities.iter().map(|entity| entity.id).collect()
}

fn truth(workspace: &sim::Workspace, takes: impl Fn(&sim::Entity) -> bool) -> BTreeSet<Uuid> {
    workspace.entities.iter().filter(|entity| takes(entity)).map(|entity| entity.id).collect()
}

fn assert_same(entity: &Entity, expected: &sim::Entity, workspace: &sim::Workspace) {
    assert_eq!(entity.kind.as_str(), expected.kind.as_str());
    assert_eq!(entity.fields.name().unwrap().unwrap().known(), Some(expected.name.as_str()));
    assert_eq!(entity.fields.archived().unwrap().unwrap_or(false), expected.archived);
    assert_eq!(entity.fields.owner().unwrap().map(|owner| owner.id), expected.owner);
    let status = entity.fields.status().unwrap().and_then(|status| status.name.known().map(str::to_owned));
    let expected_status = expected.status.and_then(|id| workspace.statuses.iter().find(|it| it.id == id));
    assert_eq!(status, expected_status.map(|status| status.name.clone()));
    assert_eq!(entity.fields.teams().unwrap().len(), expected.teams.len());
    assert_eq!(entity.fields.timeframe().unwrap().is_some(), expected.timeframe.is_some());
    assert_eq!(entity.fields.health().unwrap().is_some(), expected.health.is_some());
    assert_eq!(entity.fields.progress().unwrap().is_some(), expected.progress.is_some());
    let done = entity.fields.work_progress().unwrap().and_then(|progress| progress.value);
    assert_eq!(done, expected.work_progress.map(f64::from));
    assert_eq!(entity.relationships.parent().and_then(|parent| parent.id), expected.parent());
    assert_eq!(
        (entity.created_at, entity.updated_at),
        (Some(expected.created_at), Some(expected.updated_at))
    );
    let source = entity.source.as_ref().and_then(|source| source.record_id.clone());
    assert_eq!(source, expected.source.clone().and_then(|source| source.record_id));
}

#[tokio::test]
async fn entities_of_every_type_are_those_of_the_workspace() {
    let simulator = simulator().await;
    let workspace = simulator.workspace("acme").unwrap();
    let client = client(&simulator);
    let known: BTreeMap<_, _> = workspace.entities.iter().map(|entity| (entity.id, entity)).collect();
    let mut count = 0;
    for kind in EntityType::KNOWN {
        let entities = listed(&client, &EntitiesQuery::of(kind.clone())).await;
        assert!(!entities.is_empty(), "{kind}");
        for entity in &entities {
            assert_same(entity, known[&entity.id], &workspace);
        }
        count += entities.len();
    }
    assert_eq!(count, known.len());
    assert_eq!(listed(&client, &EntitiesQuery::default()).await.len(), known.len());
}

#[tokio::test]
async fn one_entity_with_the_fields_asked_for() {
    let simulator = simulator().await;
    let workspace = simulator.workspace("acme").unwrap();
    let client = client(&simulator);
    let feature = workspace.entities.iter().find(|it| it.kind == sim::EntityKind::Feature).unwrap();
    let filled = client.entity(feature.id, &FieldSelection::Filled).await.unwrap();
    assert!(filled.fields.iter().all(|(_, value)| !value.is_null()));
    let whole = client.entity(feature.id, &FieldSelection::All).await.unwrap();
    assert!(whole.fields.iter().count() > filled.fields.iter().count());
    let two = FieldSelection::Only(vec!["name".to_owned(), "status".to_owned()]);
    let two = client.entity(feature.id, &two).await.unwrap();
    assert_eq!(two.fields.iter().map(|(id, _)| id).collect::<Vec<_>>(), ["name", "status"]);
    let unknown = FieldSelection::Only(vec!["shoeSize".to_owned()]);
    let error = client.entity(feature.id, &unknown).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { status: 400, .. }), "{error:?}");
    let error = client.entity(Uuid::nil(), &FieldSelection::Filled).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { status: 404, .. }), "{error:?}");
}

#[tokio::test]
async fn filters_of_the_list() {
    let simulator = simulator().await;
    let workspace = simulator.workspace("acme").unwrap();
    let client = client(&simulator);
    let archived = EntitiesQuery { archived: Some(true), ..EntitiesQuery::default() };
    assert_eq!(ids(&listed(&client, &archived).await), truth(&workspace, |it| it.archived));
    let parent = workspace.entities.iter().find_map(sim::Entity::parent).unwrap();
    let children = EntitiesQuery { parent: Some(parent), ..EntitiesQuery::default() };
    assert_eq!(ids(&listed(&client, &children).await), truth(&workspace, |it| it.parent() == Some(parent)));
    let status = workspace.entities.iter().find_map(|it| it.status).unwrap();
    let planned = EntitiesQuery { status: Some(Named::Id(status)), ..EntitiesQuery::default() };
    assert_eq!(ids(&listed(&client, &planned).await), truth(&workspace, |it| it.status == Some(status)));
}

#[tokio::test]
async fn searches_by_time_and_custom_fields() {
    let simulator = simulator().await;
    let workspace = simulator.workspace("acme").unwrap();
    let client = client(&simulator);
    let mut times: Vec<_> = workspace.entities.iter().map(|entity| entity.updated_at).collect();
    times.sort();
    let since = times[times.len() / 2];
    let search = EntitySearch { updated: Period::since(since), ..EntitySearch::default() };
    let found = all(client.search_entities(&search, None)).await.unwrap();
    assert_eq!(ids(&found), truth(&workspace, |it| it.updated_at >= since), "to the microsecond, inclusive");

    let field = &workspace.custom_fields[0];
    let kind = EntityType::from(field.kinds[0].as_str());
    let set = EntitySearch {
        types: vec![kind],
        custom: [(field.id.to_string(), CustomFilter::IsSet(true))].into(),
        ..EntitySearch::default()
    };
    let found = all(client.search_entities(&set, None)).await.unwrap();
    let expected = truth(&workspace, |it| it.kind == field.kinds[0] && it.custom.contains_key(&field.id));
    assert_eq!(ids(&found), expected);

    let objectives = EntitySearch { types: vec![EntityType::Objective], ..EntitySearch::default() };
    assert!(!all(client.search_entities(&objectives, None)).await.unwrap().is_empty());
    simulator.faults(TOKEN, |faults| faults.objective_search_empty = true);
    assert_eq!(all(client.search_entities(&objectives, None)).await.unwrap(), []);
    assert!(!listed(&client, &EntitiesQuery::of(EntityType::Objective)).await.is_empty(), "lists see them");
}

#[tokio::test]
async fn relationships_inline_and_listed() {
    let simulator = simulator().await;
    let workspace = simulator.workspace("acme").unwrap();
    let client = client(&simulator);
    let most = workspace.entities.iter().max_by_key(|entity| entity.relationships.len()).unwrap();
    let mut listed = Vec::new();
    for kind in RelationshipKind::KNOWN.iter().filter(|kind| **kind != RelationshipKind::Customer) {
        let query = EntityRelationshipsQuery::of(kind.clone());
        let relationships = all(client.entity_relationships(most.id, &query, None)).await.unwrap();
        assert!(relationships.iter().all(|relationship| relationship.kind == *kind));
        listed.extend(relationships.into_iter().filter_map(|relationship| relationship.target.id));
    }
    let truth: BTreeSet<_> = most.relationships.iter().map(|relationship| relationship.target).collect();
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), truth);

    let entity = client.entity(most.id, &FieldSelection::Filled).await.unwrap();
    let inline = &entity.relationships;
    assert_eq!(inline.next.is_some(), most.relationships.len() > inline.items.len());
    let mut together: Vec<_> = inline.items.iter().filter_map(|its| its.target.id).collect();
    if let Some(next) = inline.next.clone() {
        let rest = client.entity_relationships(most.id, &EntityRelationshipsQuery::default(), Some(next));
        together.extend(all(rest).await.unwrap().iter().filter_map(|its| its.target.id));
    }
    assert_eq!(together.len(), most.relationships.len(), "the inline ones and the rest");
}

#[tokio::test]
async fn entities_survive_their_quirks() {
    let simulator = simulator().await;
    let client = client(&simulator);
    let query = EntitiesQuery::of(EntityType::Feature);
    let faithful = listed(&client, &query).await;
    assert!(faithful.len() > 14, "more than two pages: {}", faithful.len());
    simulator.faults(TOKEN, |faults| {
        faults.scalar_type_in_next = true;
        faults.unknown_fields = true;
    });
    let quirky = listed(&client, &query).await;
    assert_eq!(ids(&quirky), ids(&faithful));
    simulator.faults(TOKEN, |faults| {
        *faults = sim::Faults { relationships_as_array: true, ..sim::Faults::default() };
    });
    let quirky = listed(&client, &query).await;
    for (quirky, faithful) in quirky.iter().zip(&faithful) {
        assert_eq!(quirky.relationships.items, faithful.relationships.items);
        assert_eq!(quirky.fields, faithful.fields);
    }
}

#[tokio::test]
async fn configurations_and_values() {
    let simulator = simulator().await;
    let workspace = simulator.workspace("acme").unwrap();
    let client = client(&simulator);
    let configurations = all(client.entity_configurations(&[], None)).await.unwrap();
    let kinds: BTreeSet<_> = configurations.iter().map(|configuration| configuration.kind.clone()).collect();
    assert_eq!(kinds, EntityType::KNOWN.iter().cloned().collect());
    let feature = client.entity_configuration(&EntityType::Feature).await.unwrap();
    assert_eq!(configurations.iter().find(|it| it.kind == EntityType::Feature), Some(&feature));
    assert!(feature.fields.contains_key("name") && feature.relationships.contains_key("parent"));
    assert!(!feature.fields["status"].values.items.is_empty());
    assert!(feature.filters.iter().any(|filter| !filter.required_scopes.is_empty()));
    let one = all(client.entity_configurations(&[EntityType::Company], None)).await.unwrap();
    assert_eq!(one.len(), 1);

    let statuses = all(client.field_values("status", &[], None)).await.unwrap();
    let names: BTreeSet<_> = statuses.iter().filter_map(|status| status.name.known()).collect();
    assert_eq!(names, workspace.statuses.iter().map(|status| status.name.as_str()).collect());
    let select = workspace.custom_fields.iter().find(|field| !field.options.is_empty()).unwrap();
    let values = all(client.field_values(&select.id.to_string(), &[], None)).await.unwrap();
    assert_eq!(values.len(), select.options.len());
    assert!(values.iter().all(|value| value.color.is_some()));
}
