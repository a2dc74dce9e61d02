//! What wakes the aggregator: finished syncs, changed contracts and exemptions, and each day's turn. Decides what becomes
//! of a delivery. What a cause means is up to `recompute`.
//!
//! The queue is a doorbell: what is due stands in the database, where the sweep finds it. So a delivery that cannot be
//! followed at once is settled all the same, and no slot sleeps.

mod turns;
mod waiting;

use std::{fmt, sync::Arc, time::Duration};

use tidemark_domain::{
    Clock, Entropy,
    event::{Data, Event},
    id::ConnectionId,
};
use tidemark_ports::{Bus, Delivery, Verdict, topology::UTILIZATION_SYNCS};
use tidemark_runtime::{
    Shutdown,
    metrics::{tasks, utilization as metrics},
    tasks::supervise,
    trace,
};
use tidemark_store::Store;
use tokio::{
    sync::Notify,
    task::{JoinError, JoinSet},
};
use tracing::Instrument as _;

use crate::recompute::{Cause, Outcome};
use turns::Attempt;
pub(crate) use waiting::Waiting;

/// Workspaces folded at once: each takes a thread for its computation.
const CONCURRENCY: u16 = 2;

#[derive(Clone)]
pub(crate) struct Aggregator {
    pub(crate) store: Store,
    /// Rung when somebody waits for a rollup.
    pub(crate) bell: Arc<Notify>,
    pub(crate) waiting: Arc<Waiting>,
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
        let sweeper = tokio::spawn(async move {
            supervise("rollup sweep", &until, || aggregator.sweep(&until)).await;
        });
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

    async fn handle(&self, delivery: Delivery, shutdown: &Shutdown) {
        let verdict = match Event::decode(&delivery.message.body) {
            Ok(event) if matches!(event.data, Data::SyncCompleted(_)) => self.follow(event, shutdown).await,
            Ok(event) => unknown(&delivery.message.id, &format!("`{}` is for others", event.data.kind())),
            // The database has what a later version tells, and the sweep finds it there.
            Err(error) if error.is_unknown() => unknown(&delivery.message.id, &chain(&error)),
            Err(error) => {
                let message = &delivery.message.id;
                tracing::error!(message, error = chain(&error), "given up: this is no event");
                Verdict::DeadLetter
            }
        };
        if let Err(lost) = delivery.settle(verdict).await {
            tracing::warn!(%lost, "settlement of a delivery");
        }
    }

    /// Brings the connection's rollup up to date, or leaves it to the sweep.
    async fn follow(&self, event: Event, shutdown: &Shutdown) -> Verdict {
        let connection = event.connection_id.clone();
        match self.attempt(Cause::Sync(event), shutdown).await {
            Attempt::Done => Verdict::Ack,
            Attempt::Stopped => Verdict::Release,
            Attempt::Away => {
                self.waiting.ask(connection);
                Verdict::Ack
            }
            Attempt::NotNow | Attempt::Failed => {
                self.postpone(&connection).await;
                self.bell.notify_one();
                Verdict::Ack
            }
        }
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
        Outcome::Disconnected => ("disconnected", None),
        Outcome::LeftToNewer { .. } => ("newer", None),
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
        Outcome::Disconnected => tracing::info!(%connection, "disconnected: it has no numbers any more"),
        Outcome::LeftToNewer { definition_version } => {
            tracing::info!(%connection, definition_version, "computed by a later version, and left to it");
        }
    }
}

/// An event that is not for this version, or not for this queue.
fn unknown(message: &str, why: &str) -> Verdict {
    tasks::unknown_message(UTILIZATION_SYNCS.name);
    tracing::warn!(message, why, "an event that is unknown here is acknowledged");
    Verdict::Ack
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
