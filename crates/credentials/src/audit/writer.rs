//! The one task that appends: whatever waits at the same moment goes into one transaction. What it took over it writes,
//! again and again until it is written; what somebody waits for it tries once. A chain that cannot be written goes apart from
//! the others and holds up none of them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tidemark_runtime::{metrics::tasks as metrics, tasks::caught};
use tidemark_store::{Error, Result, Store};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

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
pub(super) struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Since when no chain can be written.
    is_away: bool,
    /// When the last attempt at each chain failed that cannot be written.
    broken: BTreeMap<String, Instant>,
    /// When the transactions began that are under way.
    writing: Option<Instant>,
}

impl Health {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what belongs into the chain may happen. A chain that could not be written for a while is tried again with
    /// what comes next.
    pub(super) fn is_good(&self, chain: &str) -> bool {
        let state = self.state();
        let is_broken = state.broken.get(chain).is_some_and(|failed| failed.elapsed() < SLOW);
        !state.is_away && !is_broken && state.writing.is_none_or(|since| since.elapsed() < SLOW)
    }

    fn is_away(&self) -> bool {
        self.state().is_away
    }

    fn is_broken(&self, chain: &str) -> bool {
        self.state().broken.contains_key(chain)
    }

    fn begin(&self) {
        self.state().writing = Some(Instant::now());
    }

    fn wrote(&self, waiting: &[Waiting]) {
        let mut state = self.state();
        for waiting in waiting {
            state.broken.remove(waiting.chain());
        }
    }

    fn broke(&self, chain: &str) {
        self.state().broken.insert(chain.to_owned(), Instant::now());
    }

    /// Gives whether everything that was attempted is written.
    fn end(&self, is_away: bool) -> bool {
        let mut state = self.state();
        (state.is_away, state.writing) = (is_away, None);
        !is_away && state.broken.is_empty()
    }
}

impl Waiting {
    fn chain(&self) -> &str {
        &self.timed.entry.chain
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
                // Where only some chains cannot be written, those of others wait for no attempt at them.
                let is_away = self.health.is_away();
                tokio::select! {
                    () = tokio::time::sleep(TRY_AGAIN) => {}
                    _ = queue.recv_many(&mut batch, BATCH), if !is_away && !queue.is_closed() => {}
                }
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
        let (apart, together): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|waiting| self.health.is_broken(waiting.chain()));
        let mut groups = VecDeque::from([together]);
        groups.extend(by_chain(apart));
        let (mut is_away, mut kept) = (false, Kept::default());
        while let Some(group) = groups.pop_front() {
            let Some(first) = group.first().map(|waiting| waiting.chain().to_owned()) else { continue };
            if is_away {
                kept.settle(group, Err(Unwritten));
                continue;
            }
            // A panic is a failure like any other: a writer that is gone would refuse every release for ever.
            let outcome = caught(self.write(&group)).await;
            if let Some(Ok(())) = outcome {
                self.health.wrote(&group);
                kept.settle(group, Ok(()));
                continue;
            }
            metrics::failed("audit");
            is_away = matches!(outcome, Some(Err(Error::Unavailable(_))));
            if !is_away && group.iter().any(|waiting| waiting.chain() != first) {
                // One of them may be at fault.
                groups.extend(by_chain(group));
                continue;
            }
            if !is_away {
                self.health.broke(&first);
            }
            kept.settle(group, Err(Unwritten));
            let (chain, kept) = ((!is_away).then_some(first), kept.waiting.len());
            match outcome {
                Some(Err(error)) => {
                    let error: &(dyn std::error::Error + 'static) = &error;
                    tracing::error!(error, chain, kept, "the audit log was not written");
                }
                _ => tracing::error!(chain, kept, "the audit log was not written: the writer panicked"),
            }
        }
        tidemark_runtime::metrics::credentials::audited(self.health.end(is_away));
        kept.waiting
    }

    async fn write(&self, batch: &[Waiting]) -> Result<()> {
        let tx = self.store.begin().await?;
        chain::append(&tx, &self.key, batch.iter().map(|waiting| &waiting.timed)).await?;
        tx.commit().await
    }
}

/// What has to be tried again.
#[derive(Default)]
struct Kept {
    waiting: Vec<Waiting>,
    denials: usize,
}

impl Kept {
    /// Answers those who wait, and keeps what was not written.
    fn settle(&mut self, group: Vec<Waiting>, answer: std::result::Result<(), Unwritten>) {
        for Waiting { timed, told } in group {
            match told {
                // Whoever has gone meanwhile does not need the answer.
                Told::Waits(told) => drop(told.send(answer).err()),
                _ if answer.is_ok() => {}
                Told::Later => self.waiting.push(Waiting { timed, told: Told::Later }),
                Told::Never if self.denials < MOST_DENIALS => {
                    self.denials += 1;
                    self.waiting.push(Waiting { timed, told: Told::Never });
                }
                Told::Never => {}
            }
        }
    }
}

/// Each chain's in their order.
fn by_chain(batch: Vec<Waiting>) -> impl Iterator<Item = Vec<Waiting>> {
    let mut chains: BTreeMap<String, Vec<Waiting>> = BTreeMap::new();
    for waiting in batch {
        chains.entry(waiting.chain().to_owned()).or_default().push(waiting);
    }
    chains.into_values()
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
