//! Service tokens.

use chrono::TimeDelta;
use tidemark_domain::id::TokenId;
use tidemark_store::ServiceToken;
use tidemark_testkit::{ManualClock, SeededEntropy, TestDatabase};

use crate::fixture::*;

on_both_databases! {
    a_token_reads_back_as_written,
    a_revocation_stands,
    a_use_is_noted_at_most_once_a_minute,
}

fn token(seed: u64) -> ServiceToken {
    ServiceToken {
        id: TokenId::generate(&ManualClock::noon(day(100)), &SeededEntropy::new(seed)),
        name: "spend manager".to_owned(),
        hash: vec![0, 255, 7],
        scopes: vec!["connections:read".to_owned()],
        organizations: Some(vec![organization_id(1), organization_id(2)]),
        created_at: now(),
        expires_at: Some(now() + TimeDelta::days(90)),
        revoked_at: None,
        last_used_at: None,
    }
}

async fn a_token_reads_back_as_written(database: &TestDatabase) {
    let store = database.store();
    let all = ServiceToken { organizations: None, expires_at: None, ..token(2) };
    for written in [&token(1), &all] {
        store.insert_service_token(written).await.unwrap();
        assert_eq!(store.service_token(&written.id).await.unwrap().as_ref(), Some(written));
    }
    assert_eq!(store.service_token(&token(3).id).await.unwrap(), None);
    assert_eq!(store.service_tokens().await.unwrap().len(), 2);
}

async fn a_revocation_stands(database: &TestDatabase) {
    let store = database.store();
    let id = token(1).id;
    assert!(!store.revoke_service_token(&id, now()).await.unwrap(), "there is none");
    store.insert_service_token(&token(1)).await.unwrap();
    assert!(store.revoke_service_token(&id, now()).await.unwrap());
    assert!(!store.revoke_service_token(&id, now() + TimeDelta::days(1)).await.unwrap());
    assert_eq!(store.service_token(&id).await.unwrap().unwrap().revoked_at, Some(now()));
}

async fn a_use_is_noted_at_most_once_a_minute(database: &TestDatabase) {
    let store = database.store();
    store.insert_service_token(&token(1)).await.unwrap();
    let id = token(1).id;
    let minute = TimeDelta::minutes(1);
    for (seconds, noted) in [(0, 0), (30, 0), (61, 61), (90, 61)] {
        let at = now() + TimeDelta::seconds(seconds);
        store.service_token_used(&id, at, at - minute).await.unwrap();
        let kept = store.service_token(&id).await.unwrap().unwrap().last_used_at;
        assert_eq!(kept, Some(now() + TimeDelta::seconds(noted)));
    }
}
