//! The one task that appends: whatever waits at the same moment goes into one transaction. What it took over it writes,
//! again and again until it is written; what somebody waits for it tries once.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tidemark_store::{Result, Store};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use crate::rounds::caught;

use super::{AuditKey, Told, Unwritten, Waiting, chain, repeats};

const BATCH: usize = 1_000;
/// How long entries that nobody waits for are gathered.
const GATHER: Duration = Duration::from_millis(20);
/// Denials that are kept while the database is away.
const MOST_DENIALS: usize = 2_000;
const TRY_AGAIN: Duration = Duration::from_millis(200);
/// A transaction that takes longer is as bad as one that failed.
const SLOW: Duration = Duration::from_secs(1);

/// Whether the writer keeps up.
#[derive(Debug, Default)]
pub(super) struct Health {
    failed: AtomicBool,
    /// When the transaction began that is under way.
    writing: Mutex<Option<Instant>>,
}

impl Health {
    pub(super) fn is_good(&self) -> bool {
        let writing = *self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        !self.failed.load(Ordering::Acquire) && writing.is_none_or(|since| since.elapsed() < SLOW)
    }

    fn begin(&self) {
        *self.writing.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn end(&self, failed: bool) {
        self.failed.store(failed, Ordering::Release);
        *self.writing.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

pub(super) struct Task {
    pub(super) store: Store,
    pub(super) key: Arc<AuditKey>,
    pub(super) health: Arc<Health>,
}

impl Task {
    pub(super) async fn run(self, mut queue: mpsc::Receiver<Waiting>) {
        let mut batch: Vec<Waiting> = Vec::with_capacity(BATCH);
        loop {
            if batch.is_empty() {
                if queue.recv_many(&mut batch, BATCH).await == 0 {
                    return;
                }
                gather(&mut queue, &mut batch).await;
            } else {
                tokio::time::sleep(TRY_AGAIN).await;
                // What came since goes along: nobody waits longer than for one attempt.
                while let Ok(waiting) = queue.try_recv() {
                    batch.push(waiting);
                }
                if queue.is_closed() && queue.is_empty() {
                    break;
                }
            }
            batch = self.attempt(repeats::joined(batch)).await;
        }
        if !self.attempt(batch).await.is_empty() {
            tracing::error!("the process ended before its last entries were in the audit log");
        }
    }

    /// Writes what it can; gives back what has to be tried again.
    async fn attempt(&self, batch: Vec<Waiting>) -> Vec<Waiting> {
        self.health.begin();
        // A panic is a failure like any other: a writer that is gone would refuse every release for ever.
        let outcome = caught("audit", self.write(&batch)).await;
        let is_written = matches!(outcome, Some(Ok(())));
        self.health.end(!is_written);
        tidemark_runtime::metrics::credentials::audited(is_written);
        let answer = if is_written { Ok(()) } else { Err(Unwritten) };
        let mut kept = Vec::with_capacity(BATCH);
        let mut denials = 0;
        for Waiting { timed, told } in batch {
            match told {
                // Whoever has gone meanwhile does not need the answer.
                Told::Waits(told) => drop(told.send(answer).err()),
                _ if answer.is_ok() => {}
                Told::Later => kept.push(Waiting { timed, told: Told::Later }),
                Told::Never if denials < MOST_DENIALS => {
                    denials += 1;
                    kept.push(Waiting { timed, told: Told::Never });
                }
                Told::Never => {}
            }
        }
        if let Some(Err(error)) = outcome {
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::error!(error, kept = kept.len(), "the audit log was not written");
        }
        kept
    }

    async fn write(&self, batch: &[Waiting]) -> Result<()> {
        let tx = self.store.begin().await?;
        chain::append(&tx, &self.key, batch.iter().map(|waiting| &waiting.timed)).await?;
        tx.commit().await
    }
}

/// Takes what else comes within a moment, unless somebody waits.
async fn gather(queue: &mut mpsc::Receiver<Waiting>, batch: &mut Vec<Waiting>) {
    let until = Instant::now() + GATHER;
    let is_awaited = |batch: &[Waiting]| batch.iter().any(|waiting| matches!(waiting.told, Told::Waits(_)));
    while batch.len() < BATCH && !is_awaited(batch) {
        let more = queue.recv_many(batch, BATCH - batch.len());
        if !matches!(timeout_at(until, more).await, Ok(1..)) {
            break;
        }
    }
}
