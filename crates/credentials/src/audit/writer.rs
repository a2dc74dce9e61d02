//! The one task that appends: whatever waits at the same moment goes into one transaction.

use std::sync::Arc;

use tidemark_store::{Result, Store};
use tokio::sync::mpsc;

use super::{AuditKey, Timed, Unwritten, Waiting, chain};

const BATCH: usize = 500;
/// Noted entries that are kept while the database is away.
const MOST_KEPT: usize = 2_000;

pub(super) async fn run(store: Store, key: Arc<AuditKey>, mut queue: mpsc::Receiver<Waiting>) {
    let mut kept: Vec<Timed> = Vec::new();
    let mut batch = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        let (mut entries, mut told) = (std::mem::take(&mut kept), Vec::with_capacity(batch.len()));
        let noted = entries.len();
        let mut is_noted = vec![true; noted];
        for waiting in batch.drain(..) {
            is_noted.push(waiting.told.is_none());
            entries.push(waiting.timed);
            told.extend(waiting.told);
        }
        let outcome = write(&store, &key, &entries).await;
        let answer = if outcome.is_ok() { Ok(()) } else { Err(Unwritten) };
        // Whoever has gone meanwhile does not need the answer.
        for told in told {
            let _ = told.send(answer);
        }
        if let Err(error) = outcome {
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::error!(error, entries = entries.len(), "the audit log was not written");
            // A refused release did not happen; a denial did.
            let noted = entries.into_iter().zip(is_noted).filter(|(_, is_noted)| *is_noted);
            kept.extend(noted.map(|(entry, _)| entry).take(MOST_KEPT));
        }
    }
    if !kept.is_empty() && write(&store, &key, &kept).await.is_err() {
        tracing::error!(entries = kept.len(), "denials are missing in the audit log");
    }
}

async fn write(store: &Store, key: &AuditKey, entries: &[Timed]) -> Result<()> {
    let tx = store.begin().await?;
    chain::append(&tx, key, entries).await?;
    tx.commit().await
}
