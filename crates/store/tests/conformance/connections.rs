//! Connections.

use tidemark_domain::{
    capability::Capability,
    connection::{AuthScheme, Reason, Standing, State},
};
use tidemark_store::{Connection, Purge};
use tidemark_testkit::TestDatabase;

use crate::fixture::*;

on_both_databases! {
    a_connection_reads_back_as_written,
    connections_are_listed_by_id_and_page,
    an_update_compares_state_generation_and_revision,
}

async fn a_connection_reads_back_as_written(database: &TestDatabase) {
    let store = database.store();
    let written = connected(&store, 1).await;
    assert_eq!(store.connection(&written.id).await.unwrap(), Some(written));
    assert_eq!(store.connection(&connection_id(2)).await.unwrap(), None);
    assert_eq!(store.organization_of(&connection_id(1)).await.unwrap(), Some(organization_id(1)));
    assert_eq!(store.organization_of(&connection_id(2)).await.unwrap(), None);
}

async fn connections_are_listed_by_id_and_page(database: &TestDatabase) {
    let store = database.store();
    let mut ids = Vec::new();
    for seed in 0..5 {
        ids.push(connected(&store, seed).await.id);
    }
    ids.sort();
    let page = async |after, limit| {
        let page = store.connections_of(&organization_id(1), after, limit).await.unwrap();
        page.into_iter().map(|connection| connection.id).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 3).await, ids[..3]);
    assert_eq!(page(Some(&ids[2]), 3).await, ids[3..]);
    assert!(store.connections_of(&organization_id(2), None, 3).await.unwrap().is_empty());
}

async fn an_update_compares_state_generation_and_revision(database: &TestDatabase) {
    let store = database.store();
    let old = connected(&store, 1).await;
    let standing = Standing {
        state: State::ReconnectRequired,
        reason: Some(Reason::KeyRejected),
        lost: [Capability::Teams, Capability::Notes].into(),
        warned_days: Some(7),
    };
    let new = Connection {
        workspace: None,
        auth_scheme: AuthScheme::Basic,
        generation: 2,
        purge: Some(Purge::Asked),
        revision: 1,
        ..old.clone().standing_as(standing)
    };
    let tx = store.begin().await.unwrap();
    let others = [
        Connection { state: State::Degraded, ..old.clone() },
        Connection { generation: 2, ..old.clone() },
        Connection { revision: 1, ..old.clone() },
    ];
    for other in &others {
        assert!(!tx.update_connection(&new, other).await.unwrap());
    }
    assert!(tx.update_connection(&new, &old).await.unwrap());
    assert!(!tx.update_connection(&new, &old).await.unwrap(), "once");
    tx.commit().await.unwrap();
    assert_eq!(store.connection(&new.id).await.unwrap(), Some(new));
}
