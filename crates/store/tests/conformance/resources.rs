//! Entities and notes, and their tombstones.

use chrono::TimeDelta;
use tidemark_domain::stream::Stream;
use tidemark_store::{Configuration, Effect, Missing, Resource, Store};
use tidemark_testkit::TestDatabase;

use crate::fixture::*;

on_both_databases! {
    a_resource_reads_back_and_is_written_where_it_differs,
    entities_and_notes_do_not_meet,
    what_a_list_does_not_have_gets_a_tombstone,
    a_tombstone_goes_when_the_row_comes_back,
    a_thousand_rows_go_in_at_once,
    the_digest_knows_resources,
    configurations_are_replaced,
}

/// One with all that there is, or with as little as there can be.
fn resource(number: u128) -> Resource {
    let is_full = number.is_multiple_of(2);
    Resource {
        id: member(number),
        kind: if is_full { "feature" } else { "keyResult" }.to_owned(),
        status: is_full.then(|| "In 'progress'".to_owned()),
        archived: is_full.then_some(true),
        processed: is_full.then_some(false),
        owner_id: is_full.then(|| member(70)),
        creator_id: is_full.then(|| member(71)),
        parent_id: is_full.then(|| member(72)),
        created_at: is_full.then(now),
        updated_at: is_full.then(|| now() + TimeDelta::microseconds(123_456)),
        deleted_at: None,
        document: is_full.then(|| r#"{"id":"\u0041","fields":{}}"#.to_owned()),
    }
}

async fn put(store: &Store, stream: Stream, resources: &[Resource]) -> Effect {
    let tx = store.begin().await.unwrap();
    let effect = tx.upsert_resources(&connection_id(1), stream, resources, &run_id(1), now()).await.unwrap();
    tx.commit().await.unwrap();
    effect
}

async fn all(store: &Store, stream: Stream) -> Vec<Resource> {
    store.resources(&connection_id(1), stream, None, 5_000).await.unwrap()
}

/// The list has these, and nothing else.
async fn list(store: &Store, numbers: impl IntoIterator<Item = u128>) {
    let tx = store.begin().await.unwrap();
    tx.end_listings(&connection_id(1), Stream::Entities).await.unwrap();
    let listed = numbers.into_iter().map(|number| (member(number), None));
    tx.add_listed(&connection_id(1), Stream::Entities, listed).await.unwrap();
    tx.commit().await.unwrap();
}

async fn bury(store: &Store) -> u64 {
    let tx = store.begin().await.unwrap();
    let buried = tx.bury_missing(&connection_id(1), Stream::Entities, now()).await.unwrap();
    tx.commit().await.unwrap();
    buried
}

async fn a_resource_reads_back_and_is_written_where_it_differs(database: &TestDatabase) {
    let store = database.store();
    let both = [resource(1), resource(2)];
    let effect = |written, unchanged| Effect { written, unchanged, ..Effect::default() };
    assert_eq!(put(&store, Stream::Entities, &both).await, effect(2, 0));
    assert_eq!(all(&store, Stream::Entities).await, both);
    assert_eq!(put(&store, Stream::Entities, &both).await, effect(0, 2));
    let changed = Resource { status: None, document: None, archived: Some(false), ..resource(2) };
    assert_eq!(
        put(&store, Stream::Entities, &[resource(2), changed.clone()]).await,
        effect(1, 0),
        "the last"
    );
    assert_eq!(all(&store, Stream::Entities).await, [resource(1), changed]);
    let second = store.resources(&connection_id(1), Stream::Entities, Some(member(1)), 1).await.unwrap();
    assert_eq!(second.len(), 1);
}

async fn entities_and_notes_do_not_meet(database: &TestDatabase) {
    let store = database.store();
    put(&store, Stream::Entities, &[resource(1)]).await;
    put(&store, Stream::Notes, &[resource(1), resource(2)]).await;
    let count = async |stream| store.resource_count(&connection_id(1), stream).await.unwrap();
    assert_eq!((count(Stream::Entities).await, count(Stream::Notes).await), (1, 2));
    assert_eq!(store.resource_count(&connection_id(2), Stream::Notes).await.unwrap(), 0);
    let since = async |from, other_than: &str| {
        store.resources_since(&connection_id(1), Stream::Notes, from, other_than).await.unwrap()
    };
    assert_eq!(since(now(), "objective").await, 1, "one has no time");
    assert_eq!(since(now(), "feature").await, 0);
    assert_eq!(since(now() + TimeDelta::seconds(1), "objective").await, 0);
}

async fn what_a_list_does_not_have_gets_a_tombstone(database: &TestDatabase) {
    let store = database.store();
    let resources: Vec<_> = (1..=6).map(resource).collect();
    put(&store, Stream::Entities, &resources).await;
    put(&store, Stream::Notes, &resources).await;
    list(&store, [1, 2, 4, 9]).await;
    let missing = store.missing(&connection_id(1), Stream::Entities).await.unwrap();
    let of = |kind: &str, known, missing| Missing { kind: kind.to_owned(), known, missing };
    assert_eq!(missing, [of("feature", 3, 1), of("keyResult", 3, 2)]);
    let page = async |after| store.missing_ids(&connection_id(1), Stream::Entities, after, 2).await.unwrap();
    let kind = |number: u128| (member(number), resource(number).kind);
    assert_eq!(page(None).await, [kind(3), kind(5)]);
    assert_eq!(page(Some(member(5))).await, [kind(6)]);
    assert_eq!(bury(&store).await, 3);
    assert_eq!(bury(&store).await, 0);
    let deleted: Vec<_> =
        all(&store, Stream::Entities).await.iter().map(|it| it.deleted_at.is_some()).collect();
    assert_eq!(deleted, [false, false, true, false, true, true]);
    assert_eq!(store.resource_count(&connection_id(1), Stream::Entities).await.unwrap(), 3);
    assert_eq!(store.resource_count(&connection_id(1), Stream::Notes).await.unwrap(), 6);
    list(&store, [1, 2, 4]).await;
    let missing = store.missing(&connection_id(1), Stream::Entities).await.unwrap();
    assert_eq!(missing, [of("feature", 2, 0), of("keyResult", 1, 0)], "what is gone is not known");
}

async fn a_tombstone_goes_when_the_row_comes_back(database: &TestDatabase) {
    let store = database.store();
    put(&store, Stream::Entities, &[resource(1), resource(2)]).await;
    let digest = store.facts_digest(&connection_id(1)).await.unwrap();
    list(&store, [1]).await;
    assert_eq!(bury(&store).await, 1);
    assert_ne!(store.facts_digest(&connection_id(1)).await.unwrap(), digest);
    let back = put(&store, Stream::Entities, &[resource(1), resource(2)]).await;
    assert_eq!((back.written, back.unchanged), (1, 1));
    assert_eq!(all(&store, Stream::Entities).await, [resource(1), resource(2)]);
    assert_eq!(store.facts_digest(&connection_id(1)).await.unwrap(), digest);
}

async fn a_thousand_rows_go_in_at_once(database: &TestDatabase) {
    let store = database.store();
    let mut resources: Vec<_> = (1..=1_100).map(resource).collect();
    assert_eq!(put(&store, Stream::Entities, &resources).await.written, 1_100);
    resources[..30].iter_mut().for_each(|it| it.status = Some("Done".to_owned()));
    let effect = put(&store, Stream::Entities, &resources).await;
    assert_eq!((effect.written, effect.unchanged), (30, 1_070));
    list(&store, 1..=1_000).await;
    assert_eq!(bury(&store).await, 100);
}

async fn the_digest_knows_resources(database: &TestDatabase) {
    let (store, other) = (database.store(), TestDatabase::sqlite_memory().await.store());
    put(&store, Stream::Entities, &[resource(1), resource(2)]).await;
    put(&other, Stream::Entities, &[resource(2)]).await;
    let digest = async |store: &Store| store.facts_digest(&connection_id(1)).await.unwrap();
    assert_ne!(digest(&store).await, digest(&other).await);
    put(&other, Stream::Entities, &[resource(1)]).await;
    assert_eq!(digest(&store).await, digest(&other).await);
    put(&other, Stream::Notes, &[resource(1)]).await;
    assert_ne!(digest(&store).await, digest(&other).await);
}

async fn configurations_are_replaced(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let of = |kind: &str, document: &str| Configuration {
        family: "entity".to_owned(),
        kind: kind.to_owned(),
        document: document.to_owned(),
    };
    let replace = async |all: &[Configuration]| {
        let tx = store.begin().await.unwrap();
        let effect = tx.replace_configurations(&id, all, true).await.unwrap();
        tx.commit().await.unwrap();
        (effect.written, effect.unchanged, effect.removed)
    };
    assert_eq!(replace(&[of("feature", "{}"), of("user", "{}")]).await, (2, 0, 0));
    let digest = store.facts_digest(&id).await.unwrap();
    assert_eq!(replace(&[of("feature", "{}"), of("product", "[]")]).await, (1, 1, 1));
    assert_eq!(store.configurations(&id).await.unwrap(), [of("feature", "{}"), of("product", "[]")]);
    assert_ne!(store.facts_digest(&id).await.unwrap(), digest);
    assert_eq!(replace(&[]).await, (0, 0, 2));
}
