//! Connections and sealed credentials.

use tidemark_domain::connection::{Reason, State};
use tidemark_store::{Sealed, SealedCredential};
use tidemark_testkit::TestDatabase;

use crate::fixture::*;

on_both_databases! {
    a_connection_reads_back_as_written,
    connections_are_listed_by_id_and_page,
    an_update_compares_state_and_generation,
    old_credentials_go_and_the_present_one_stays,
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

async fn an_update_compares_state_and_generation(database: &TestDatabase) {
    let store = database.store();
    let mut connection = connected(&store, 1).await;
    connection.state = State::ReconnectRequired;
    connection.reason = Some(Reason::KeyRejected);
    connection.workspace = None;
    connection.generation = 2;
    let tx = store.begin().await.unwrap();
    assert!(!tx.update_connection(&connection, State::ReconnectRequired, 1).await.unwrap());
    assert!(!tx.update_connection(&connection, State::Connected, 2).await.unwrap());
    assert!(tx.update_connection(&connection, State::Connected, 1).await.unwrap());
    assert!(!tx.update_connection(&connection, State::Connected, 1).await.unwrap(), "once");
    tx.commit().await.unwrap();
    assert_eq!(store.connection(&connection.id).await.unwrap(), Some(connection));
}

async fn old_credentials_go_and_the_present_one_stays(database: &TestDatabase) {
    let store = database.store();
    let id = connected(&store, 1).await.id;
    let sealed = |generation| SealedCredential {
        connection_id: id.clone(),
        generation,
        sealed: Sealed {
            algorithm: "xchacha20poly1305".to_owned(),
            key_id: "k1".to_owned(),
            wrapped_key: vec![0, 255, 1],
            ciphertext: b"canary".to_vec(),
        },
        created_at: now(),
    };
    let tx = store.begin().await.unwrap();
    for generation in 1..=3 {
        tx.insert_credential(&sealed(generation)).await.unwrap();
    }
    assert_eq!(tx.delete_credentials_before(&id, 3).await.unwrap(), 2);
    tx.commit().await.unwrap();
    assert_eq!(store.credential(&id, 2).await.unwrap(), None);
    assert_eq!(store.credential(&id, 3).await.unwrap(), Some(sealed(3)));
    assert!(!format!("{:?}", sealed(3)).contains("99"), "Debug shows no byte of it");
}
