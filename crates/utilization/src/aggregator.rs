//! What wakes the aggregator: finished syncs, changed contracts and exemptions, and each day's turn. Decides what becomes
//! of a delivery, and waits for the database where it must. What a cause means is up to `recompute`.

use std::{fmt, sync::Arc, time::Duration};

use tidemark_domain::{
    Clock, Entropy,
    event::{Data, Event},
    id::ConnectionId,
};
use tidemark_ports::{Bus, Delivery, Verdict, topology::UTILIZATION_SYNCS};
use tidemark_runtime::{Shutdown, metrics::utilization as metrics, trace};
use tidemark_store::{Error, Store};
use tokio::{
    runtime::Handle,
    sync::Notify,
    task::{JoinError, JoinSet, spawn_blocking},
};
use tracing::{Instrument as _, Span};

use crate::recompute::{Cause, Outcome, recompute};

/// Workspaces folded at once: each takes a thread for its computation.
const CONCURRENCY: u16 = 2;
/// Pauses between attempts within one delivery, in all well under a minute. Each is longer than the one before.
const PAUSES: [Duration; 6] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(8),
    Duration::from_secs(20),
];

/// How often the database is asked who is due. Somebody who changes a contract in this process does not wait for it.
const SWEEP: Duration = Duration::from_secs(30);
/// Connections looked at between two questions.
const DUE: u64 = 20;

#[derive(Clone)]
pub(crate) struct Aggregator {
    pub(crate) store: Store,
    /// Rung when somebody waits for a rollup.
    pub(crate) bell: Arc<Notify>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl Aggregator {
    /// Works until the shutdown, finishes what is in hand, and leaves the rest to the queue.
    pub(crate) async fn run(&self, shutdown: Shutdown) {
        let mut syncs = self.bus.subscribe(&UTILIZATION_SYNCS, CONCURRENCY).await;
        let mut working = JoinSet::new();
        let (aggregator, until) = (self.clone(), shutdown.clone());
        let sweeper = tokio::spawn(async move { aggregator.sweep(&until).await });
        loop {
            tokio::select! {
                biased;
                () = shutdown.soft().cancelled() => break,
                Some(ended) = working.join_next() => note(ended),
                // The bus limits what is unsettled, but after a lost connection it delivers again what is in hand here.
                delivery = syncs.next(), if working.len() < usize::from(CONCURRENCY) => {
                    let (aggregator, shutdown) = (self.clone(), shutdown.clone());
                    let span = tracing::debug_span!("rollup", message = delivery.message.id);
                    trace::follow_message(&span, &delivery.message.headers);
                    working.spawn(async move { aggregator.handle(delivery, &shutdown).await }.instrument(span));
                }
            }
        }
        let finished = async {
            while let Some(ended) = working.join_next().await {
                note(ended);
            }
            note(sweeper.await);
        };
        // What the hard step cuts off is rolled back, and its deliveries go back to the queue when they are dropped.
        shutdown.hard().run_until_cancelled(finished).await;
    }

    /// Looks at the connections that are due, one after the other: any number of processes may do so, and what one has
    /// done the others do not find.
    async fn sweep(&self, shutdown: &Shutdown) {
        loop {
            match self.store.rollups_due(self.clock.today(), DUE).await {
                Ok(due) => {
                    let more = due.len() as u64 == DUE;
                    if self.look_at(due, shutdown).await && more {
                        continue;
                    }
                }
                Err(error) => {
                    tracing::warn!(error = chain(&error), "due rollups not listed; asking again later");
                }
            }
            let wait = async { tokio::time::timeout(SWEEP, self.bell.notified()).await };
            if shutdown.soft().run_until_cancelled(wait).await.is_none() {
                return;
            }
        }
    }

    /// Whether some of them were brought up to date. What cannot be read of one holds up no other.
    async fn look_at(&self, due: Vec<ConnectionId>, shutdown: &Shutdown) -> bool {
        let mut some = false;
        for connection in due {
            if shutdown.soft().is_cancelled() {
                return false;
            }
            match self.on_own_thread(&Cause::Turn(connection.clone()), shutdown).await {
                Some(Ok(outcome)) => {
                    tell(&connection, &outcome, None);
                    some = true;
                }
                Some(Err(error)) => {
                    tracing::warn!(%connection, error = chain(&error), "rollup not written; its turn comes again");
                    if !matches!(error, Error::Corrupt { .. }) {
                        return false;
                    }
                }
                None => return false,
            }
        }
        some
    }

    async fn handle(&self, delivery: Delivery, shutdown: &Shutdown) {
        let verdict = match Event::decode(&delivery.message.body) {
            Ok(event) if matches!(event.data, Data::SyncCompleted(_)) => self.follow(&event, shutdown).await,
            Ok(event) => {
                let (message, kind) = (&delivery.message.id, event.data.kind());
                tracing::error!(
                    message,
                    kind,
                    "given up: this queue takes `sync.completed` only, see its bindings"
                );
                Verdict::DeadLetter
            }
            Err(error) => {
                let message = &delivery.message.id;
                tracing::error!(
                    message,
                    error = chain(&error),
                    "given up: this is not an event of a known version"
                );
                Verdict::DeadLetter
            }
        };
        if let Err(lost) = delivery.settle(verdict).await {
            tracing::warn!(%lost, "settlement of a delivery");
        }
    }

    /// Brings the connection's rollup up to date, with patience for a database that is away for a moment.
    async fn follow(&self, event: &Event, shutdown: &Shutdown) -> Verdict {
        let (connection, cause) = (&event.connection_id, Cause::Sync(event.clone()));
        let mut pauses = PAUSES.into_iter();
        loop {
            let error = match self.on_own_thread(&cause, shutdown).await {
                None => return Verdict::Release,
                Some(Ok(outcome)) => {
                    let lag = self.clock.now() - event.time;
                    tell(connection, &outcome, Some(lag.num_milliseconds()));
                    return Verdict::Ack;
                }
                Some(Err(error)) => error,
            };
            if matches!(error, Error::Corrupt { .. }) {
                let error = chain(&error);
                tracing::error!(%connection, error, "given up: the facts cannot be read, and trying again mends nothing");
                return Verdict::DeadLetter;
            }
            let Some(pause) = pauses.next() else {
                // The broker counts deliveries: what fails for ever ends among the dead letters.
                metrics::computed("failed", None);
                tracing::error!(%connection, error = chain(&error), "rollup not written; put back to the queue");
                return Verdict::Requeue;
            };
            tracing::warn!(%connection, error = chain(&error), ?pause, "rollup not written; trying again");
            if !shutdown.pause(pause).await {
                return Verdict::Release;
            }
        }
    }

    /// From the first read to the commit on one thread of its own: the fold of a large workspace computes for seconds
    /// and would hold up whoever shares its thread. Nothing where the hard shutdown came first; that rolls back.
    async fn on_own_thread(&self, cause: &Cause, shutdown: &Shutdown) -> Option<Result<Outcome, Error>> {
        let (aggregator, cause, hard) = (self.clone(), cause.clone(), shutdown.hard().clone());
        let (runtime, span) = (Handle::current(), Span::current());
        let thread = spawn_blocking(move || {
            let Self { store, clock, entropy, .. } = &aggregator;
            let work = recompute(store, &**clock, &**entropy, &cause).instrument(span);
            runtime.block_on(hard.run_until_cancelled(work))
        });
        thread.await.unwrap_or_else(|broken| match broken.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends.
            Err(_) => None,
        })
    }
}

impl fmt::Debug for Aggregator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aggregator")
            .field("store", &self.store)
            .field("bus", &self.bus)
            .finish_non_exhaustive()
    }
}

/// `lag_ms` is how long the numbers were behind the sync that made them old.
fn tell(connection: &ConnectionId, outcome: &Outcome, lag_ms: Option<i64>) {
    let lag = lag_ms.and_then(|lag| u64::try_from(lag).ok()).map(Duration::from_millis);
    let (word, lag) = match outcome {
        Outcome::Written { .. } => ("written", lag),
        Outcome::NothingCovered => ("nothing", None),
        Outcome::NoRoster { .. } => ("no_roster", lag),
        Outcome::Superseded { .. } => ("superseded", None),
        Outcome::Duplicate => ("duplicate", None),
    };
    metrics::computed(word, lag);
    match outcome {
        Outcome::Written { as_of, members, rows } => {
            tracing::info!(%connection, %as_of, members, rows, lag_ms, "utilization is up to date");
        }
        Outcome::NothingCovered => {
            tracing::info!(%connection, "no day is covered yet: no utilization to tell");
        }
        Outcome::NoRoster { reason } => {
            tracing::warn!(%connection, reason, "no utilization to tell: the list of members is not known");
        }
        Outcome::Superseded { as_of } => {
            tracing::info!(%connection, %as_of, "a newer rollup stands already and stays");
        }
        Outcome::Duplicate => tracing::debug!(%connection, "this sync was seen before"),
    }
}

fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "the work on a delivery broke off; the queue delivers it again");
    }
}

/// An error with its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |cause| cause.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
