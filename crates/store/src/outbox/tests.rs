//! What holds up a connection's messages, and what does not; on both databases.

use chrono::TimeDelta;

use super::*;
use crate::test_databases::{on_both_databases, opened};

const CLAIM: Duration = Duration::from_secs(30);

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

async fn write(store: &Store, key: &str, id: &str) {
    let tx = store.begin().await.unwrap();
    tx.command(id, key, "sync.run", vec![1, 2], now()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn claim(store: &Store, after_s: i64) -> Vec<String> {
    let claimed = store.claim_outgoing(now() + TimeDelta::seconds(after_s), 10, CLAIM).await.unwrap();
    claimed.into_iter().map(|outgoing| outgoing.message_id).collect()
}

async fn a_kind_of_another_version_is_left_alone_and_holds_up_nobody(store: &Store) {
    write(store, "a", "query").await;
    execute(&store.db, "a test", "update outbox set kind = 'query'", []).await.unwrap();
    write(store, "a", "behind").await;
    assert_eq!(claim(store, 0).await, ["behind"]);
    let stuck = store.stuck_outgoing(10).await.unwrap();
    assert_eq!((stuck.len(), stuck[0].kind.as_str(), stuck[0].dead_at), (1, "query", None));
    assert_eq!(stuck[0].size, 2);
    execute(&store.db, "a test", "update outbox set kind = 'command' where kind = 'query'", [])
        .await
        .unwrap();
    assert_eq!(claim(store, 0).await, ["query"], "the version that knows it sends it");
}

async fn a_refused_message_waits_and_holds_its_key_until_it_is_set_aside(store: &Store) {
    write(store, "a", "odd").await;
    write(store, "a", "behind").await;
    write(store, "b", "other").await;
    let claimed = store.claim_outgoing(now(), 10, CLAIM).await.unwrap();
    assert_eq!((claimed.len(), claimed[0].message_id.as_str()), (2, "odd"));
    let id = claimed[0].id;
    let refused = |next| RefusedMessage { id, failure: "unroutable", next_attempt_at: next };
    store.refuse_outgoing(&[refused(Some(now() + TimeDelta::seconds(5)))], now()).await.unwrap();
    assert!(claim(store, 4).await.is_empty(), "it waits, and its key with it");
    assert_eq!(claim(store, 5).await, ["odd"]);
    store.refuse_outgoing(&[refused(None)], now()).await.unwrap();
    assert_eq!(claim(store, 6).await, ["behind"], "its key goes on");
    assert_eq!(store.dead_outgoing().await.unwrap().count, 1);
    assert_eq!(store.unsent().await.unwrap().count, 2);
    let stuck = store.stuck_outgoing(10).await.unwrap();
    assert_eq!((stuck[0].attempts, stuck[0].failure.as_deref()), (2, Some("unroutable")));

    assert!(store.retry_outgoing(id).await.unwrap());
    assert_eq!(claim(store, 6).await, ["odd"], "as if it were new, and the oldest again");
    assert!(store.stuck_outgoing(10).await.unwrap().is_empty());
    store.mark_sent(&[id], now()).await.unwrap();
    assert!(
        !store.retry_outgoing(id).await.unwrap() && !store.drop_outgoing(id).await.unwrap(),
        "it is sent"
    );
    assert!(store.drop_outgoing(id + 1).await.unwrap() && !store.drop_outgoing(id + 1).await.unwrap());
}

on_both_databases! {
    a_kind_of_another_version_is_left_alone_and_holds_up_nobody,
    a_refused_message_waits_and_holds_its_key_until_it_is_set_aside,
}

/// The one who writes first commits last: without the lock of the key, the second one's message would have the later id
/// and the earlier commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_one_connection_have_their_ids_in_the_order_of_their_commits() {
    let database = tidemark_testkit::TestDatabase::postgres().await;
    let store = opened(&database.url()).await;
    let first = store.begin().await.unwrap();
    first.command("first", "a", "sync.run", vec![1], now()).await.unwrap();
    let other = store.clone();
    let mut second = tokio::spawn(async move { write(&other, "a", "second").await });
    let waited = tokio::time::timeout(Duration::from_millis(300), &mut second).await;
    assert!(waited.is_err(), "it waits for the first one's commit");
    // Other keys do not wait.
    write(&store, "b", "other").await;
    first.commit().await.unwrap();
    second.await.unwrap();
    let rows =
        rows(&store.db, "a test", "select message_id from outbox where ordering_key = 'a' order by id", []);
    let ids: Vec<String> = rows.await.unwrap().iter().map(|row| row.get("message_id").unwrap()).collect();
    assert_eq!(ids, ["first", "second"]);
}
