//! Lists that are being read, and how far a stream has come.

use chrono::TimeDelta;
use tidemark_domain::stream::{Capture, Stream};
use tidemark_store::{Listing, Mark, Store};
use tidemark_testkit::TestDatabase;

use crate::fixture::*;

on_both_databases! {
    a_list_is_read_on_from_its_place,
    what_was_listed_is_kept_once,
    a_mark_reads_back,
    a_shrink_is_accepted_once,
    what_is_accepted_while_a_list_is_read_is_for_the_next_one,
}

fn listing(part: &str) -> Listing {
    Listing {
        part: part.to_owned(),
        run_id: run_id(1),
        updated_from: None,
        begun_at: now(),
        next_cursor: None,
        newest: None,
        is_done: false,
        capture: Capture::Metadata,
        faults: 0,
        way: None,
    }
}

async fn begin(store: &Store, listings: &[Listing]) {
    let tx = store.begin().await.unwrap();
    tx.begin_listings(&connection_id(1), Stream::Notes, listings).await.unwrap();
    tx.commit().await.unwrap();
}

async fn a_list_is_read_on_from_its_place(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    begin(&store, &[listing("b"), listing("a")]).await;
    assert_eq!(store.listings(&id, Stream::Notes).await.unwrap(), [listing("a"), listing("b")]);
    assert!(store.listings(&id, Stream::Entities).await.unwrap().is_empty());
    let on = Listing {
        updated_from: Some(now() - TimeDelta::days(1)),
        next_cursor: Some("c=/".to_owned()),
        newest: Some(now() + TimeDelta::microseconds(1)),
        is_done: true,
        capture: Capture::Full,
        faults: 2,
        ..listing("b")
    };
    let tx = store.begin().await.unwrap();
    tx.put_listing(&id, Stream::Notes, &on).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(store.listings(&id, Stream::Notes).await.unwrap(), [listing("a"), on]);
    begin(&store, &[listing("c")]).await;
    assert_eq!(store.listings(&id, Stream::Notes).await.unwrap(), [listing("c")]);
    begin(&store, &[]).await;
    assert!(store.listings(&id, Stream::Notes).await.unwrap().is_empty());
}

async fn what_was_listed_is_kept_once(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    begin(&store, &[listing("a")]).await;
    let tx = store.begin().await.unwrap();
    let row = |number, text: Option<&str>| (member(number), text.map(str::to_owned));
    tx.add_listed(&id, Stream::Notes, [row(2, None), row(1, Some("x")), row(2, Some("y"))]).await.unwrap();
    tx.add_listed(&id, Stream::Notes, [row(1, Some("z"))]).await.unwrap();
    tx.add_listed(&id, Stream::Teams, [row(3, None)]).await.unwrap();
    tx.commit().await.unwrap();
    let listed = store.listed(&id, Stream::Notes).await.unwrap();
    assert_eq!(listed, [row(1, Some("z")), row(2, Some("y"))]);
    begin(&store, &[listing("a")]).await;
    assert!(store.listed(&id, Stream::Notes).await.unwrap().is_empty());
    assert_eq!(store.listed(&id, Stream::Teams).await.unwrap().len(), 1);
}

async fn a_mark_reads_back(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    assert_eq!(store.mark(&id, Stream::Notes).await.unwrap(), Mark::default());
    let mark = Mark {
        watermark: Some(now()),
        swept_at: Some(now() - TimeDelta::days(3)),
        capture: Capture::Full,
        accepts_shrink: false,
        accepted_at: None,
    };
    let tx = store.begin().await.unwrap();
    tx.put_mark(&id, Stream::Notes, &mark).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(store.mark(&id, Stream::Notes).await.unwrap(), mark);
    assert_eq!(store.mark(&id, Stream::Entities).await.unwrap(), Mark::default());
}

async fn a_shrink_is_accepted_once(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    for _ in 0..2 {
        let tx = store.begin().await.unwrap();
        tx.forget_acceptance(&id, Stream::Members, now()).await.unwrap();
        tx.accept_shrink(&id, Stream::Members, now()).await.unwrap();
        tx.commit().await.unwrap();
        assert!(store.mark(&id, Stream::Members).await.unwrap().accepts_shrink);
    }
    let tx = store.begin().await.unwrap();
    tx.forget_acceptance(&id, Stream::Members, now()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(store.mark(&id, Stream::Members).await.unwrap(), Mark::default());
}

async fn what_is_accepted_while_a_list_is_read_is_for_the_next_one(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let begun_at = now();
    let accepted_at = begun_at + TimeDelta::seconds(1);
    let tx = store.begin().await.unwrap();
    tx.accept_shrink(&id, Stream::Notes, accepted_at).await.unwrap();
    tx.commit().await.unwrap();
    // The list that was under way ends.
    let tx = store.begin().await.unwrap();
    tx.put_mark(&id, Stream::Notes, &Mark { watermark: Some(begun_at), ..Mark::default() }).await.unwrap();
    tx.forget_acceptance(&id, Stream::Notes, begun_at).await.unwrap();
    tx.commit().await.unwrap();
    let mark = store.mark(&id, Stream::Notes).await.unwrap();
    assert_eq!((mark.accepted_at, mark.watermark), (Some(accepted_at), Some(begun_at)));
    assert!(!mark.accepts(begun_at) && mark.accepts(accepted_at));
    // And so does the next one.
    let tx = store.begin().await.unwrap();
    tx.forget_acceptance(&id, Stream::Notes, accepted_at).await.unwrap();
    tx.commit().await.unwrap();
    assert!(!store.mark(&id, Stream::Notes).await.unwrap().accepts_shrink);
}
