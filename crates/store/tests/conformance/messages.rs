//! Outbox and inbox.

use std::{collections::BTreeSet, time::Duration};

use chrono::TimeDelta;
use tidemark_domain::{
    event::{Data, Event, Reconnected},
    id::ConnectionId,
};
use tidemark_store::{Outgoing, OutgoingKind, Store};
use tidemark_testkit::{ManualClock, SeededEntropy, TestDatabase};

use crate::fixture::*;

const CLAIM: Duration = Duration::from_secs(30);

on_both_databases! {
    messages_of_one_connection_leave_in_order,
    an_expired_claim_goes_out_again,
    a_released_claim_goes_out_at_once,
    an_event_leaves_with_its_transaction_only,
    two_claimers_never_get_the_same_message,
    sent_messages_are_forgotten_later,
    a_message_is_seen_for_the_first_time_once,
    seen_messages_are_forgotten_later,
}

async fn send(store: &Store, messages: &[(&ConnectionId, &str)]) {
    let tx = store.begin().await.unwrap();
    for (connection, id) in messages {
        tx.command(id, connection.as_str(), "sync.run", vec![0, 1, 255], now()).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn claim(store: &Store, after: i64) -> Vec<Outgoing> {
    store.claim_outgoing(now() + TimeDelta::seconds(after), 10, CLAIM).await.unwrap()
}

fn names(messages: &[Outgoing]) -> Vec<&str> {
    messages.iter().map(|message| message.message_id.as_str()).collect()
}

fn ids(messages: &[Outgoing]) -> Vec<i64> {
    messages.iter().map(|message| message.id).collect()
}

async fn messages_of_one_connection_leave_in_order(database: &TestDatabase) {
    let (store, a, b) = (database.store(), connection_id(1), connection_id(2));
    send(&store, &[(&a, "a1"), (&a, "a2"), (&b, "b1"), (&a, "a3")]).await;
    let first = claim(&store, 0).await;
    assert_eq!(names(&first), ["a1", "b1"], "the oldest of each");
    assert_eq!(first[0].body, [0, 1, 255]);
    assert_eq!(first[0].kind, OutgoingKind::Command);
    assert!(claim(&store, 0).await.is_empty(), "a2 waits for a1");
    store.mark_sent(&ids(&first), now()).await.unwrap();
    let second = claim(&store, 0).await;
    assert_eq!(names(&second), ["a2"]);
    store.mark_sent(&ids(&second), now()).await.unwrap();
    assert_eq!(names(&claim(&store, 0).await), ["a3"]);
    assert_eq!(names(&store.outgoing_of(&a).await.unwrap()), ["a1", "a2", "a3"]);
}

async fn an_expired_claim_goes_out_again(database: &TestDatabase) {
    let (store, a) = (database.store(), connection_id(1));
    send(&store, &[(&a, "a1")]).await;
    assert_eq!(names(&claim(&store, 0).await), ["a1"]);
    assert!(claim(&store, 29).await.is_empty());
    assert_eq!(names(&claim(&store, 30).await), ["a1"]);
}

async fn a_released_claim_goes_out_at_once(database: &TestDatabase) {
    let (store, a) = (database.store(), connection_id(1));
    send(&store, &[(&a, "a1")]).await;
    store.release_outgoing(&ids(&claim(&store, 0).await)).await.unwrap();
    assert_eq!(names(&claim(&store, 0).await), ["a1"]);
}

async fn an_event_leaves_with_its_transaction_only(database: &TestDatabase) {
    let store = database.store();
    let data = Data::Reconnected(Reconnected { organization_id: organization_id(1), generation: 2 });
    let event = Event::new(&ManualClock::noon(day(100)), &SeededEntropy::new(1), connection_id(1), data);
    let tx = store.begin().await.unwrap();
    tx.emit(&event).await.unwrap();
    drop(tx);
    assert!(claim(&store, 0).await.is_empty());
    let tx = store.begin().await.unwrap();
    tx.emit(&event).await.unwrap();
    tx.commit().await.unwrap();
    let claimed = claim(&store, 0).await;
    assert_eq!(claimed[0].message_id, event.id.as_str());
    assert_eq!((claimed[0].kind, claimed[0].name.as_str()), (OutgoingKind::Event, "connection.reconnected"));
    assert_eq!(Event::decode(&claimed[0].body).unwrap(), event);
}

async fn two_claimers_never_get_the_same_message(database: &TestDatabase) {
    let store = database.store();
    let connections: Vec<_> = (0..60).map(connection_id).collect();
    let messages: Vec<_> = connections.iter().map(|id| (id, "m")).collect();
    send(&store, &messages).await;
    let claimers = [store.clone(), open_other(database).await, store].map(|store| {
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let claimed = store.claim_outgoing(now(), 4, CLAIM).await.unwrap();
                if claimed.is_empty() {
                    return mine;
                }
                assert!(claimed.len() <= 4);
                mine.extend(ids(&claimed));
            }
        })
    });
    let mut all = Vec::new();
    for claimer in claimers {
        all.extend(claimer.await.unwrap());
    }
    assert_eq!(all.len(), all.iter().collect::<BTreeSet<_>>().len(), "claimed twice");
    // A claimer passes by what another holds at that instant, and may find nothing although something is left.
    let rest = database.store().claim_outgoing(now(), 100, CLAIM).await.unwrap();
    assert_eq!(all.len() + rest.len(), 60);
}

async fn open_other(database: &TestDatabase) -> Store {
    tidemark_testkit::open_store(&database.url()).await
}

async fn sent_messages_are_forgotten_later(database: &TestDatabase) {
    let (store, a) = (database.store(), connection_id(1));
    send(&store, &[(&a, "a1"), (&a, "a2")]).await;
    store.mark_sent(&ids(&claim(&store, 0).await), now()).await.unwrap();
    let later = now() + TimeDelta::milliseconds(1);
    assert_eq!(forget(&store, "outbox", now(), 10).await, 0);
    assert_eq!(forget(&store, "outbox", later, 0).await, 0, "as many as asked for");
    assert_eq!(forget(&store, "outbox", later, 10).await, 1);
    assert_eq!(names(&store.outgoing_of(&a).await.unwrap()), ["a2"], "unsent ones stay");
    store.mark_sent(&[], now()).await.unwrap();
}

async fn seen_messages_are_forgotten_later(database: &TestDatabase) {
    let store = database.store();
    let tx = store.begin().await.unwrap();
    for message in ["m1", "m2", "m3"] {
        assert!(tx.first_time("relay", message, now()).await.unwrap());
    }
    assert!(tx.first_time("other", "m1", now() + TimeDelta::days(1)).await.unwrap());
    tx.commit().await.unwrap();
    let later = now() + TimeDelta::milliseconds(1);
    assert_eq!(forget(&store, "inbox", now(), 10).await, 0);
    assert_eq!(forget(&store, "inbox", later, 2).await, 2);
    assert_eq!(forget(&store, "inbox", later, 10).await, 1);
    let tx = store.begin().await.unwrap();
    assert!(!tx.first_time("other", "m1", now()).await.unwrap(), "newer ones stay");
}

async fn a_message_is_seen_for_the_first_time_once(database: &TestDatabase) {
    let store = database.store();
    let tx = store.begin().await.unwrap();
    assert!(tx.first_time("relay", "m1", now()).await.unwrap());
    drop(tx);
    let tx = store.begin().await.unwrap();
    assert!(tx.first_time("relay", "m1", now()).await.unwrap(), "the first effect was rolled back");
    assert!(!tx.first_time("relay", "m1", now()).await.unwrap());
    assert!(tx.first_time("other", "m1", now()).await.unwrap());
    tx.commit().await.unwrap();
    let tx = store.begin().await.unwrap();
    assert!(!tx.first_time("relay", "m1", now()).await.unwrap());
}
