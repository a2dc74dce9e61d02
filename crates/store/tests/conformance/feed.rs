//! The feed: positions become visible in their order, whatever commits when.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use tidemark_domain::{
    connection::{Reason, State},
    event::{Data, Disconnected, Event, Reconnected},
    id::{ConnectionId, WebhookDeliveryId, WebhookEndpointId},
    stream::{Options, Stream},
};
use tidemark_store::{Connection, Endpoint, FeedEvent, FeedHead, NewDelivery, Purge, Store};
use tidemark_testkit::{ManualClock, SeededEntropy, TestDatabase, open_store};

use crate::fixture::*;

on_both_databases! {
    an_event_gets_its_position_after_its_transaction,
    a_late_commit_gets_a_later_position,
    nothing_is_skipped_under_concurrent_commits,
    an_event_of_no_connection_is_nobodys,
    the_feed_forgets_its_beginning,
    a_purge_takes_the_copies_of_events_along,
}

fn event(connection: &ConnectionId, seed: u64, offset: u64) -> Event {
    let data =
        Data::Reconnected(Reconnected { organization_id: organization_id(1), generation: seed as i64 });
    Event::new(&ManualClock::noon(day(100 + offset)), &SeededEntropy::new(seed), connection.clone(), data)
}

async fn emit(store: &Store, event: &Event) {
    let tx = store.begin().await.unwrap();
    tx.emit(event).await.unwrap();
    tx.commit().await.unwrap();
}

async fn number(store: &Store) -> Vec<FeedEvent> {
    let tx = store.begin().await.unwrap();
    let events = tx.number_feed(10).await.unwrap();
    tx.commit().await.unwrap();
    events
}

async fn an_event_gets_its_position_after_its_transaction(database: &TestDatabase) {
    let store = database.store();
    let connection = connected(&store, 1).await.id;
    let tx = store.begin().await.unwrap();
    tx.emit(&event(&connection, 1, 0)).await.unwrap();
    drop(tx);
    assert!(!store.feed_waits().await.unwrap() && number(&store).await.is_empty());

    let events: Vec<_> = (1..=3).map(|seed| event(&connection, seed, 0)).collect();
    for event in &events {
        emit(&store, event).await;
    }
    assert!(store.feed_waits().await.unwrap());
    assert_eq!(store.feed_after(0, None, 10).await.unwrap(), [], "not before it has a position");
    let numbered = number(&store).await;
    assert_eq!(numbered.iter().map(|event| event.position).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(!store.feed_waits().await.unwrap() && number(&store).await.is_empty());
    assert_eq!(store.feed_head().await.unwrap(), FeedHead { position: 3, forgotten: 0 });

    let read = store.feed_after(0, None, 10).await.unwrap();
    assert_eq!(read, numbered);
    assert_eq!((&read[1].event_id, &read[1].connection_id), (&events[1].id, &connection));
    assert_eq!(
        (&read[1].organization_id, read[1].kind.as_str()),
        (&organization_id(1), "connection.reconnected")
    );
    assert_eq!(Event::decode(&read[1].body).unwrap(), events[1]);
    assert_eq!(store.feed_after(1, Some(&organization_id(1)), 1).await.unwrap(), read[1..2]);
    assert_eq!(store.feed_after(0, Some(&organization_id(2)), 10).await.unwrap(), []);
    let newest: Vec<_> = read.iter().rev().cloned().collect();
    assert_eq!(store.feed_of(&connection, None, 2).await.unwrap(), newest[..2]);
    assert_eq!(store.feed_of(&connection, Some(2), 10).await.unwrap(), newest[2..]);
    assert_eq!(store.feed_of(&connection_id(9), None, 10).await.unwrap(), []);
}

/// The id is taken early, the commit comes late: whoever has read beyond the id in the meantime still gets the event.
async fn a_late_commit_gets_a_later_position(database: &TestDatabase) {
    if database.url().starts_with("sqlite") {
        // Two transactions that write are never open at once there.
        return;
    }
    let (store, other) = (database.store(), open_store(&database.url()).await);
    let (slow, fast) = (connected(&store, 1).await.id, connected(&store, 2).await.id);
    let late = other.begin().await.unwrap();
    late.emit(&event(&slow, 1, 0)).await.unwrap();
    emit(&store, &event(&fast, 2, 0)).await;
    assert_eq!(number(&store).await.len(), 1);
    late.commit().await.unwrap();
    number(&store).await;
    let behind = store.feed_after(1, None, 10).await.unwrap();
    assert_eq!((behind.len(), &behind[0].connection_id), (1, &slow));
}

const WRITERS: u64 = 6;
const EACH: u64 = 40;

/// Each writer holds its transaction open for a while of its own, rolls some back, and is sure of its own order.
async fn write(store: Store, writer: u64) {
    let connection = connection_id(writer);
    for round in 0..EACH {
        let tx = store.begin().await.unwrap();
        tx.emit(&event(&connection, writer * 1000 + round, 0)).await.unwrap();
        tokio::time::sleep(Duration::from_micros((writer * 7919 + round * 104_729) % 6000)).await;
        if round % 7 == 6 {
            drop(tx);
        } else {
            tx.commit().await.unwrap();
        }
    }
}

async fn nothing_is_skipped_under_concurrent_commits(database: &TestDatabase) {
    let store = database.store();
    for writer in 0..WRITERS {
        connected(&store, writer).await;
    }
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(open_store(&database.url()).await, writer));
    }
    let done = Arc::new(AtomicBool::new(false));
    // Three that give positions, as replicas do.
    let numberers: Vec<_> = [store.clone(), open_store(&database.url()).await, store.clone()]
        .map(|store| {
            let done = Arc::clone(&done);
            tokio::spawn(async move {
                loop {
                    let last = done.load(Ordering::SeqCst);
                    if number(&store).await.is_empty() {
                        if last {
                            return;
                        }
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
            })
        })
        .into();
    // One that reads on from where it was, and so never sees what becomes visible behind its back.
    let reader = {
        let (store, done) = (open_store(&database.url()).await, Arc::clone(&done));
        tokio::spawn(async move {
            let (mut seen, mut quiet) = (Vec::<FeedEvent>::new(), 0);
            while quiet < 50 {
                let after = seen.last().map_or(0, |event| event.position);
                let page = store.feed_after(after, None, 3).await.unwrap();
                quiet = if page.is_empty() && done.load(Ordering::SeqCst) { quiet + 1 } else { 0 };
                if page.is_empty() {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                seen.extend(page);
            }
            seen
        })
    };
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    for numberer in numberers {
        numberer.await.unwrap();
    }
    let seen = reader.await.unwrap();
    let kept = (0..EACH).filter(|round| round % 7 != 6).count();
    assert_eq!(seen.len(), kept * WRITERS as usize, "every event once");
    assert!(seen.iter().map(|event| event.position).eq(1..=seen.len() as i64), "without a gap");
    let mut by_connection = BTreeMap::<_, Vec<i64>>::new();
    for event in &seen {
        let Data::Reconnected(data) = Event::decode(&event.body).unwrap().data else { panic!() };
        by_connection.entry(&event.connection_id).or_default().push(data.generation);
    }
    assert!(by_connection.values().all(|order| order.is_sorted()), "in order per connection");
}

async fn an_event_of_no_connection_is_nobodys(database: &TestDatabase) {
    let store = database.store();
    emit(&store, &event(&connection_id(404), 1, 0)).await;
    assert!(!store.feed_waits().await.unwrap());
    assert_eq!(store.outgoing_of(&connection_id(404)).await.unwrap().len(), 1, "the bus has it all the same");
}

async fn the_feed_forgets_its_beginning(database: &TestDatabase) {
    let store = database.store();
    let connection = connected(&store, 1).await.id;
    // The fourth happened early and was committed late.
    for (seed, offset) in [(1, 0), (2, 1), (3, 5), (4, 1), (5, 6)] {
        emit(&store, &event(&connection, seed, offset)).await;
    }
    let before = |days| now() + TimeDelta::days(days);
    assert_eq!(store.forget_feed_before(before(3), 10).await.unwrap(), 0, "what has no position stays");
    number(&store).await;
    assert_eq!(store.forget_feed_before(before(0), 10).await.unwrap(), 0);
    assert_eq!(store.forget_feed_before(before(3), 1).await.unwrap(), 1, "in batches");
    assert_eq!(store.feed_head().await.unwrap(), FeedHead { position: 5, forgotten: 1 });
    assert_eq!(
        store.forget_feed_before(before(3), 10).await.unwrap(),
        1,
        "not beyond the first one that is kept"
    );
    let left = store.feed_after(0, None, 10).await.unwrap();
    assert_eq!(left.iter().map(|event| event.position).collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!(store.forget_feed_before(before(9), 10).await.unwrap(), 3);
    assert_eq!(store.feed_head().await.unwrap(), FeedHead { position: 5, forgotten: 5 });
    assert_eq!(store.forget_feed_before(before(9), 10).await.unwrap(), 0);
}

fn end(connection: &ConnectionId) -> Event {
    let data = Data::Disconnected(Disconnected {
        organization_id: organization_id(1),
        reason: Reason::DisconnectedByPerson,
        facts_purged: true,
        not_revoked: Vec::new(),
    });
    Event::new(&ManualClock::noon(day(100)), &SeededEntropy::new(9), connection.clone(), data)
}

/// An endpoint that has a delivery of each event.
async fn receive(store: &Store, events: &[FeedEvent]) -> WebhookEndpointId {
    let (clock, entropy) = (ManualClock::noon(day(100)), SeededEntropy::new(1));
    let endpoint = Endpoint {
        id: WebhookEndpointId::generate(&clock, &entropy),
        organization_id: organization_id(1),
        url: "https://hooks.example.com/in".to_owned(),
        event_types: vec!["connection.*".parse().unwrap()],
        disabled: None,
        secret_version: 1,
        dead_in_a_row: 0,
        created_at: now(),
        updated_at: now(),
    };
    let deliveries = events.iter().map(|event| NewDelivery {
        id: WebhookDeliveryId::generate(&clock, &entropy),
        endpoint_id: endpoint.id.clone(),
        event_id: event.event_id.clone(),
        kind: event.kind.clone(),
        body: event.body.clone(),
    });
    let tx = store.begin().await.unwrap();
    tx.insert_webhook_endpoint(&endpoint).await.unwrap();
    tx.insert_deliveries(&deliveries.collect::<Vec<_>>(), now()).await.unwrap();
    tx.commit().await.unwrap();
    endpoint.id
}

async fn a_purge_takes_the_copies_of_events_along(database: &TestDatabase) {
    let store = database.store();
    let old = connected(&store, 1).await;
    let (id, other) = (old.id.clone(), connected(&store, 2).await.id);
    for event in [event(&id, 1, 0), event(&other, 2, 0), event(&id, 3, 0), end(&id)] {
        emit(&store, &event).await;
    }
    let endpoint = receive(&store, &number(&store).await).await;
    let asked = Connection { purge: Some(Purge::Asked), state: State::Disconnected, ..old.clone() };
    let tx = store.begin().await.unwrap();
    tx.accept_shrink(&id, Stream::Notes, now()).await.unwrap();
    tx.put_sync_options(&id, &Options::default(), now()).await.unwrap();
    assert!(tx.update_connection(&asked, &old).await.unwrap());
    tx.commit().await.unwrap();
    let mut deleted = 0;
    while let rows @ 1.. = store.purge_facts(&id, 1).await.unwrap() {
        assert_eq!(rows, 1, "a batch at a time");
        deleted += rows;
    }
    assert_eq!(deleted, 8, "a mark, the options, two events with their messages and deliveries");
    let left: Vec<_> = store.feed_after(0, None, 10).await.unwrap();
    assert_eq!(left.iter().map(|event| event.position).collect::<Vec<_>>(), [2, 4], "the end is still told");
    let deliveries = store.webhook_deliveries_of(&endpoint, None, None, 10).await.unwrap();
    assert_eq!(deliveries.len(), 2);
    assert!(!store.mark(&id, Stream::Notes).await.unwrap().accepts_shrink);
}
