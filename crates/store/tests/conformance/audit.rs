//! The audit log's rows: chains, heads, and writers that want the same chain.

use std::collections::BTreeSet;

use tidemark_store::{AuditEntry, AuditHead, Error, Store};
use tidemark_testkit::{TestDatabase, open_store};

use crate::fixture::*;

on_both_databases! {
    a_chain_reads_back_as_written,
    an_entry_is_never_replaced,
    two_writers_leave_no_gap,
}

fn entry(chain: &str, sequence: i64) -> AuditEntry {
    AuditEntry {
        chain: chain.to_owned(),
        sequence,
        at: now(),
        actor: "internal".to_owned(),
        action: "secret.release".to_owned(),
        subject: "conn_1".to_owned(),
        outcome: "ok".to_owned(),
        details: "{}".to_owned(),
        previous: vec![0; 32],
        hash: vec![7; 32],
    }
}

/// Appends one entry to each chain.
async fn append(store: &Store, chains: &[&str]) {
    let tx = store.begin().await.unwrap();
    let names: BTreeSet<_> = chains.iter().copied().collect();
    let heads = tx.lock_audit_heads(&names, &[0; 32]).await.unwrap();
    assert_eq!(heads.len(), names.len());
    let heads: Vec<_> = heads
        .into_iter()
        .map(|head| AuditHead { sequence: head.sequence + 1, hash: vec![7; 32], ..head })
        .collect();
    let entries: Vec<_> = heads.iter().map(|head| entry(&head.chain, head.sequence)).collect();
    tx.append_audit(&entries, &heads).await.unwrap();
    tx.commit().await.unwrap();
}

async fn a_chain_reads_back_as_written(database: &TestDatabase) {
    let store = database.store();
    append(&store, &["b", "a"]).await;
    append(&store, &["a"]).await;
    assert_eq!(store.audit_entries("a", 0, 10).await.unwrap(), [entry("a", 1), entry("a", 2)]);
    assert_eq!(store.audit_entries("a", 1, 10).await.unwrap(), [entry("a", 2)]);
    assert_eq!(store.newest_audit_entries("a", 1).await.unwrap(), [entry("a", 2)]);
    assert_eq!(store.audit_chains().await.unwrap(), ["a", "b"]);
    let heads = store.audit_heads().await.unwrap();
    let ends: Vec<_> = heads.iter().map(|head| (head.chain.as_str(), head.sequence)).collect();
    assert_eq!(ends, [("a", 2), ("b", 1)]);
}

async fn an_entry_is_never_replaced(database: &TestDatabase) {
    let store = database.store();
    append(&store, &["a"]).await;
    let tx = store.begin().await.unwrap();
    let head = AuditHead { chain: "a".to_owned(), sequence: 1, hash: vec![8; 32] };
    let error = tx.append_audit(&[entry("a", 1)], &[head]).await.unwrap_err();
    assert!(matches!(error, Error::Query { .. }), "{error:?}");
}

async fn two_writers_leave_no_gap(database: &TestDatabase) {
    let writers = [database.store(), open_store(&database.url()).await].map(|store| {
        tokio::spawn(async move {
            for _ in 0..20 {
                append(&store, &["b", "a"]).await;
            }
        })
    });
    for writer in writers {
        writer.await.unwrap();
    }
    let entries = database.store().audit_entries("a", 0, 100).await.unwrap();
    assert!(entries.iter().map(|entry| entry.sequence).eq(1..=40));
}
