//! Endpoints, their secrets, and deliveries.

use std::{collections::BTreeSet, time::Duration};

use chrono::TimeDelta;
use tidemark_domain::{
    id::{EventId, OrganizationId, WebhookDeliveryId, WebhookEndpointId},
    webhook::{DeliveryState, DisabledReason},
};
use tidemark_store::{Attempt, Delivery, Endpoint, EndpointSecret, NewDelivery, Sealed, Store};
use tidemark_testkit::{ManualClock, SeededEntropy, TestDatabase, open_store};

use crate::fixture::*;

const CLAIM: Duration = Duration::from_secs(30);

on_both_databases! {
    an_endpoint_reads_back_as_written,
    only_enabled_endpoints_receive,
    replaced_secrets_sign_for_a_while,
    an_event_has_one_delivery_per_endpoint,
    a_delivery_is_claimed_once_and_again_when_the_claim_is_over,
    an_attempt_counts_once,
    old_deliveries_are_forgotten_and_deleted_with_their_endpoint,
    two_claimers_never_get_the_same_delivery,
    webhook_secrets_are_counted_and_replaced_too,
}

fn endpoint_id(seed: u64) -> WebhookEndpointId {
    WebhookEndpointId::generate(&ManualClock::noon(day(100)), &SeededEntropy::new(seed))
}

fn endpoint(seed: u64, organization_id: OrganizationId) -> Endpoint {
    Endpoint {
        id: endpoint_id(seed),
        organization_id,
        url: "https://hooks.example.com/in".to_owned(),
        event_types: vec!["connection.*".parse().unwrap(), "sync.failed".parse().unwrap()],
        disabled: None,
        secret_version: 1,
        dead_in_a_row: 0,
        created_at: now(),
        updated_at: now(),
    }
}

async fn inserted(store: &Store, seed: u64) -> Endpoint {
    let endpoint = endpoint(seed, organization_id(1));
    let tx = store.begin().await.unwrap();
    tx.insert_webhook_endpoint(&endpoint).await.unwrap();
    tx.commit().await.unwrap();
    endpoint
}

/// Later offsets make later ids.
fn delivery(endpoint: u64, event: u64) -> NewDelivery {
    NewDelivery {
        id: WebhookDeliveryId::generate(&ManualClock::noon(day(event)), &SeededEntropy::new(endpoint)),
        endpoint_id: endpoint_id(endpoint),
        event_id: EventId::generate(&ManualClock::noon(day(event)), &SeededEntropy::new(event)),
        kind: "sync.failed".to_owned(),
        body: vec![b'{', 0, 255, b'}'],
    }
}

async fn deliver(store: &Store, deliveries: &[NewDelivery]) {
    let tx = store.begin().await.unwrap();
    tx.insert_deliveries(deliveries, now()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn all(store: &Store, endpoint: u64) -> Vec<Delivery> {
    store.webhook_deliveries_of(&endpoint_id(endpoint), None, None, 10).await.unwrap()
}

fn attempt(number: i64) -> Attempt {
    Attempt {
        number,
        at: now(),
        duration_ms: 12,
        status: Some(500),
        failure: Some("the endpoint answered 500".to_owned()),
        response: None,
    }
}

async fn an_endpoint_reads_back_as_written(database: &TestDatabase) {
    let store = database.store();
    let written = inserted(&store, 1).await;
    assert_eq!(store.webhook_endpoint(&written.id).await.unwrap().as_ref(), Some(&written));
    assert_eq!(store.webhook_endpoint(&endpoint_id(2)).await.unwrap(), None);
    let changed = Endpoint {
        url: "https://other.example.com/".to_owned(),
        event_types: vec!["*".parse().unwrap()],
        disabled: Some(DisabledReason::Gone),
        secret_version: 2,
        dead_in_a_row: 3,
        updated_at: now() + TimeDelta::seconds(1),
        ..written.clone()
    };
    let tx = store.begin().await.unwrap();
    assert_eq!(tx.lock_webhook_endpoint(&written.id).await.unwrap(), Some(written));
    tx.update_webhook_endpoint(&changed).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(store.webhook_endpoint(&changed.id).await.unwrap().as_ref(), Some(&changed));
    let of = async |seed| store.webhook_endpoints_of(&organization_id(seed), None, 10).await.unwrap();
    assert_eq!((of(1).await, of(2).await), (vec![changed.clone()], vec![]));
    let tx = store.begin().await.unwrap();
    assert!(tx.delete_webhook_endpoint(&changed.id).await.unwrap());
    assert!(!tx.delete_webhook_endpoint(&changed.id).await.unwrap());
    tx.commit().await.unwrap();
}

async fn only_enabled_endpoints_receive(database: &TestDatabase) {
    let store = database.store();
    let (own, everybodys) = (endpoint(1, organization_id(1)), endpoint(2, OrganizationId::everybody()));
    let disabled = Endpoint { disabled: Some(DisabledReason::Asked), ..endpoint(3, organization_id(1)) };
    let tx = store.begin().await.unwrap();
    for endpoint in [&own, &everybodys, &disabled] {
        tx.insert_webhook_endpoint(endpoint).await.unwrap();
    }
    let receiving = tx.receiving_webhook_endpoints().await.unwrap();
    assert_eq!(receiving.len(), 2);
    assert!(receiving.contains(&own) && receiving.contains(&everybodys));
    assert!(own.wants(&organization_id(1), "connection.connected"));
    assert!(!own.wants(&organization_id(2), "connection.connected"));
    assert!(!own.wants(&organization_id(1), "sync.completed"));
    assert!(everybodys.wants(&organization_id(2), "sync.failed"));
}

fn secret(version: i64) -> EndpointSecret {
    let sealed = Sealed {
        algorithm: "a".to_owned(),
        key_id: "k1".to_owned(),
        wrapped_key: vec![1, version as u8],
        ciphertext: vec![2, version as u8],
    };
    EndpointSecret { endpoint_id: endpoint_id(1), version, sealed, created_at: now(), signs_until: None }
}

async fn replaced_secrets_sign_for_a_while(database: &TestDatabase) {
    let store = database.store();
    inserted(&store, 1).await;
    let until = now() + TimeDelta::hours(24);
    let replace = async |version| {
        let tx = store.begin().await.unwrap();
        tx.insert_webhook_secret(&secret(version), until, 2).await.unwrap();
        tx.commit().await.unwrap();
    };
    let signing = async |at| {
        let secrets = store.webhook_secrets(&endpoint_id(1), at).await.unwrap();
        secrets.into_iter().map(|secret| (secret.version, secret.signs_until)).collect::<Vec<_>>()
    };
    replace(1).await;
    assert_eq!(store.webhook_secrets(&endpoint_id(1), now()).await.unwrap(), [secret(1)]);
    replace(2).await;
    assert_eq!(signing(now()).await, [(2, None), (1, Some(until))]);
    assert_eq!(signing(until).await, [(2, None)]);
    for version in 3..=5 {
        replace(version).await;
    }
    assert_eq!(
        signing(now()).await,
        [(5, None), (4, Some(until)), (3, Some(until))],
        "no more than two old ones"
    );
}

async fn an_event_has_one_delivery_per_endpoint(database: &TestDatabase) {
    let store = database.store();
    inserted(&store, 1).await;
    inserted(&store, 2).await;
    deliver(&store, &[delivery(1, 1), delivery(2, 1), delivery(1, 2)]).await;
    deliver(&store, &[]).await;
    let again = NewDelivery { kind: "other".to_owned(), ..delivery(1, 1) };
    deliver(&store, &[NewDelivery { id: delivery(9, 9).id, ..again }]).await;
    let deliveries = all(&store, 1).await;
    assert_eq!(deliveries.len(), 2);
    assert_eq!(deliveries[1].id, delivery(1, 1).id, "the newest first");
    assert_eq!((deliveries[1].kind.as_str(), deliveries[1].state), ("sync.failed", DeliveryState::Pending));
    assert_eq!((deliveries[1].next_attempt_at, deliveries[1].attempts), (Some(now()), 0));
    assert_eq!(store.webhook_delivery(&delivery(1, 1).id).await.unwrap().as_ref(), Some(&deliveries[1]));
    let of =
        async |state, before| store.webhook_deliveries_of(&endpoint_id(1), state, before, 1).await.unwrap();
    assert_eq!(of(None, None).await, deliveries[..1]);
    assert_eq!(of(None, Some(&deliveries[0].id)).await, deliveries[1..]);
    assert_eq!(of(Some(DeliveryState::Dead), None).await, []);
}

async fn a_delivery_is_claimed_once_and_again_when_the_claim_is_over(database: &TestDatabase) {
    let store = database.store();
    inserted(&store, 1).await;
    deliver(&store, &[delivery(1, 1), delivery(1, 2)]).await;
    let due = async |seconds| {
        store.endpoints_with_due_deliveries(now() + TimeDelta::seconds(seconds)).await.unwrap()
    };
    let claim = async |seconds| {
        let at = now() + TimeDelta::seconds(seconds);
        store.claim_deliveries(&endpoint_id(1), at, 1, CLAIM).await.unwrap()
    };
    assert_eq!(due(-1).await, []);
    let endpoints: Vec<_> = due(0).await.into_iter().map(|(endpoint, _)| endpoint).collect();
    assert_eq!(endpoints, [endpoint_id(1)]);
    let first = claim(0).await;
    assert_eq!((first.len(), first[0].body.as_slice()), (1, delivery(1, 1).body.as_slice()));
    let second = claim(0).await;
    assert_ne!(first[0].delivery.id, second[0].delivery.id);
    assert_eq!((due(29).await.len(), claim(29).await.len()), (0, 0));
    assert_eq!((due(30).await.len(), claim(30).await.len()), (1, 1));
    let until = now() + TimeDelta::seconds(90);
    store.postpone_delivery(&second[0].delivery, until).await.unwrap();
    let postponed = store.webhook_delivery(&second[0].delivery.id).await.unwrap().unwrap();
    assert_eq!((postponed.next_attempt_at, postponed.attempts), (Some(until), 0));
}

async fn an_attempt_counts_once(database: &TestDatabase) {
    let store = database.store();
    inserted(&store, 1).await;
    deliver(&store, &[delivery(1, 1)]).await;
    let seen = all(&store, 1).await.remove(0);
    let later = now() + TimeDelta::minutes(5);
    let finish = async |seen: &Delivery, number, state, next| {
        let tx = store.begin().await.unwrap();
        let first = tx.finish_attempt(seen, &attempt(number), state, next).await.unwrap();
        tx.commit().await.unwrap();
        first
    };
    assert!(finish(&seen, 1, DeliveryState::Pending, Some(later)).await);
    assert!(!finish(&seen, 1, DeliveryState::Delivered, None).await, "somebody was faster");
    let seen = all(&store, 1).await.remove(0);
    assert_eq!((seen.attempts, seen.failures, seen.next_attempt_at), (1, 1, Some(later)));
    assert!(finish(&seen, 2, DeliveryState::Dead, None).await);
    let dead = all(&store, 1).await.remove(0);
    assert_eq!((dead.state, dead.failures, dead.next_attempt_at), (DeliveryState::Dead, 2, None));
    let attempts = store.webhook_attempts(std::slice::from_ref(&dead)).await.unwrap();
    assert_eq!(attempts[&dead.id], [attempt(1), attempt(2)]);
    assert!(store.webhook_attempts(&[]).await.unwrap().is_empty());

    assert!(!store.restart_delivery(&seen, later).await.unwrap(), "it changed since");
    assert!(store.restart_delivery(&dead, later).await.unwrap());
    let again = all(&store, 1).await.remove(0);
    assert_eq!((again.state, again.attempts, again.failures), (DeliveryState::Pending, 2, 0));
    assert!(finish(&again, 3, DeliveryState::Delivered, None).await);
}

async fn old_deliveries_are_forgotten_and_deleted_with_their_endpoint(database: &TestDatabase) {
    let store = database.store();
    inserted(&store, 1).await;
    deliver(&store, &[delivery(1, 1), delivery(1, 2), delivery(1, 3)]).await;
    let seen = all(&store, 1).await.remove(0);
    let tx = store.begin().await.unwrap();
    tx.finish_attempt(&seen, &attempt(1), DeliveryState::Delivered, None).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(forget(&store, "webhook_deliveries", now(), 10).await, 0);
    let later = now() + TimeDelta::milliseconds(1);
    assert_eq!(forget(&store, "webhook_deliveries", later, 2).await, 2, "in batches");
    let tx = store.begin().await.unwrap();
    assert!(tx.delete_webhook_endpoint(&endpoint_id(1)).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(all(&store, 1).await, []);
    assert!(store.webhook_attempts(&[seen]).await.unwrap().is_empty());
}

async fn two_claimers_never_get_the_same_delivery(database: &TestDatabase) {
    let store = database.store();
    inserted(&store, 1).await;
    let deliveries: Vec<_> = (0..60).map(|event| delivery(1, event)).collect();
    deliver(&store, &deliveries).await;
    let claimers = [store.clone(), open_store(&database.url()).await, store].map(|store| {
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let claimed = store.claim_deliveries(&endpoint_id(1), now(), 4, CLAIM).await.unwrap();
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(claimed.into_iter().map(|due| due.delivery.id));
            }
        })
    });
    let mut claimed = Vec::new();
    for claimer in claimers {
        claimed.extend(claimer.await.unwrap());
    }
    assert_eq!(claimed.len(), claimed.iter().collect::<BTreeSet<_>>().len(), "claimed twice");
    // A claimer passes by what another holds at that instant.
    let rest = database.store().claim_deliveries(&endpoint_id(1), now(), 100, CLAIM).await.unwrap();
    assert_eq!(claimed.len() + rest.len(), 60);
}

async fn webhook_secrets_are_counted_and_replaced_too(database: &TestDatabase) {
    let store = database.store();
    inserted(&store, 1).await;
    let tx = store.begin().await.unwrap();
    tx.insert_webhook_secret(&secret(1), now(), 2).await.unwrap();
    tx.commit().await.unwrap();
    let table = tidemark_store::SEALED_TABLES.iter().find(|table| table.name() == "webhook_secrets").unwrap();
    let rows = store.sealed_otherwise(table, "k2", None, 10).await.unwrap();
    assert_eq!((rows.len(), rows[0].field.as_str(), rows[0].version), (1, "webhook_secret", 1));
    assert_eq!(
        (rows[0].record.as_str(), &rows[0].organization),
        (endpoint_id(1).as_str(), &organization_id(1))
    );
    let renewed = Sealed { key_id: "k2".to_owned(), ..secret(7).sealed };
    assert_eq!(store.reseal(table, &[(rows[0].clone(), renewed.clone())]).await.unwrap(), 1);
    assert_eq!(store.webhook_secrets(&endpoint_id(1), now()).await.unwrap()[0].sealed, renewed);
}
