//! One look at a workspace under a claim, and the sweep over all that are due. What fails, panics or cannot be read stops
//! only itself: it waits in the database for its next attempt, for all processes, and nobody sleeps meanwhile.

use std::time::Duration;

use tidemark_domain::id::ConnectionId;
use tidemark_runtime::{
    Shutdown,
    metrics::{record, tasks, utilization as metrics},
    tasks::caught,
};
use tidemark_store::{Error, RollupClaim, RollupSettlement};
use tokio::{
    runtime::Handle,
    task::spawn_blocking,
    time::{Instant, interval_at, timeout},
};
use tracing::{Instrument as _, Span};

use super::{Aggregator, chain, tell};
use crate::recompute::{Cause, Outcome, recompute};

/// Whoever dies with a claim loses it after that long.
const CLAIM: Duration = Duration::from_secs(20);
const RENEWAL: Duration = Duration::from_secs(5);
/// How often the database is asked who is due. Somebody who changes a contract in this process does not wait for it.
const SWEEP: Duration = Duration::from_secs(15);
/// Connections looked at between two questions.
const DUE: u64 = 20;
/// Looks under one claim after the other, where more is asked for while it computes.
const LOOKS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The rollup is up to date, or there is none to be had.
    Done,
    /// Another process has the workspace, or it waits after a failure.
    NotNow,
    Failed,
    /// The database is away.
    Away,
    /// The hard shutdown came first.
    Stopped,
}

/// Why a look failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] Error),
    #[error("the computation crashed")]
    Crashed,
}

/// The pause after so many failures before this one.
fn backoff(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST_PAUSE)
}

impl Aggregator {
    /// Brings the connection's rollup up to date, if nobody else does.
    pub(super) async fn attempt(&self, mut cause: Cause, shutdown: &Shutdown) -> Attempt {
        let connection = cause.connection().clone();
        for _ in 0..LOOKS {
            let (today, now) = (self.clock.today(), self.clock.now());
            let claim = match self.store.claim_rollup(&connection, now, now + CLAIM).await {
                Ok(Some(claim)) => claim,
                Ok(None) => return Attempt::NotNow,
                Err(error) => {
                    tracing::warn!(%connection, error = chain(&error), "rollup not claimed; trying again");
                    self.waiting.retry_in(FIRST_PAUSE);
                    return Attempt::Away;
                }
            };
            let outcome = match self.look(&claim, &cause, shutdown).await {
                None => return Attempt::Stopped,
                Some(Ok(outcome)) => outcome,
                Some(Err(failure)) => {
                    self.fail(claim, &failure).await;
                    return Attempt::Failed;
                }
            };
            let lag = match &cause {
                Cause::Sync(event) => Some((self.clock.now() - event.time).num_milliseconds()),
                Cause::Turn(_) => None,
            };
            tell(&connection, &outcome, lag);
            self.settle(claim, RollupSettlement::Looked(today)).await;
            // Who asked meanwhile found the workspace claimed, and relies on this.
            if !matches!(self.store.is_rollup_due(&connection, today, self.clock.now()).await, Ok(true)) {
                break;
            }
            cause = Cause::Turn(connection.clone());
        }
        Attempt::Done
    }

    /// Computes while the claim is kept. None where the hard shutdown came first.
    async fn look(
        &self,
        claim: &RollupClaim,
        cause: &Cause,
        shutdown: &Shutdown,
    ) -> Option<Result<Outcome, Failure>> {
        let mut work = std::pin::pin!(self.on_own_thread(cause, shutdown));
        let mut renewals = interval_at(Instant::now() + RENEWAL, RENEWAL);
        loop {
            tokio::select! {
                ended = &mut work => return ended,
                _ = renewals.tick() => {
                    if let Err(error) = self.store.keep_rollup(claim, self.clock.now() + CLAIM).await {
                        let connection = &claim.connection_id;
                        tracing::debug!(%connection, error = chain(&error), "a claim was not kept");
                    }
                }
            }
        }
    }

    /// From the first read to the commit on one thread of its own: the fold of a large workspace computes for seconds
    /// and would hold up whoever shares its thread. Nothing where the hard shutdown came first; that rolls back.
    async fn on_own_thread(&self, cause: &Cause, shutdown: &Shutdown) -> Option<Result<Outcome, Failure>> {
        let (aggregator, cause, hard) = (self.clone(), cause.clone(), shutdown.hard().clone());
        let (runtime, span) = (Handle::current(), Span::current());
        let thread = spawn_blocking(move || {
            let Self { store, clock, entropy, .. } = &aggregator;
            let work = recompute(store, &**clock, &**entropy, &cause).instrument(span);
            runtime.block_on(hard.run_until_cancelled(work))
        });
        match thread.await {
            Ok(ended) => ended.map(|outcome| outcome.map_err(Failure::Store)),
            Err(broken) if broken.is_panic() => Some(Err(Failure::Crashed)),
            // The runtime ends.
            Err(_) => None,
        }
    }

    async fn fail(&self, claim: RollupClaim, failure: &Failure) {
        metrics::computed("failed", None);
        tasks::failed("rollups");
        let connection = claim.connection_id.clone();
        let error = chain(failure);
        if let Failure::Store(Error::Corrupt { .. }) = failure {
            record::unreadable("rollups", connection.as_str(), &error);
            self.waiting.leave(connection);
            return self.settle(claim, RollupSettlement::Released).await;
        }
        let pause = backoff(claim.failures);
        tracing::warn!(%connection, error, ?pause, "rollup not written; its turn comes again");
        self.waiting.retry_in(pause);
        self.settle(claim, RollupSettlement::Failed(self.clock.now() + pause)).await;
    }

    /// Where the database does not take it, the sweep settles the claim when it is back.
    async fn settle(&self, claim: RollupClaim, settlement: RollupSettlement) {
        if let Err(error) = self.store.settle_rollup(&claim, settlement).await {
            let connection = &claim.connection_id;
            tracing::warn!(%connection, error = chain(&error), "a claim is settled when the database is back");
            self.waiting.owe(claim, settlement);
            self.waiting.retry_in(FIRST_PAUSE);
        }
    }

    /// Somebody waits for that rollup; it is not computed here and now.
    pub(super) async fn postpone(&self, connection: &ConnectionId) {
        if let Err(error) = self.store.ask_for_rollup(connection).await {
            tracing::warn!(%connection, error = chain(&error), "a rollup is asked for when the database is back");
            self.waiting.ask(connection.clone());
            self.waiting.retry_in(FIRST_PAUSE);
        }
    }

    /// Round after round until the shutdown.
    pub(super) async fn sweep(&self, shutdown: &Shutdown) {
        loop {
            let more = match caught(self.round(shutdown)).await {
                Some(Ok(more)) => more,
                Some(Err(error)) => {
                    tracing::warn!(error = chain(&error), "due rollups not listed; asking again");
                    self.waiting.retry_in(FIRST_PAUSE);
                    false
                }
                None => {
                    tracing::error!("a round of the sweep crashed; the next one begins all the same");
                    self.waiting.retry_in(FIRST_PAUSE);
                    false
                }
            };
            let pause = if more { Duration::ZERO } else { self.waiting.pause(SWEEP) };
            let rung = async { timeout(pause, self.bell.notified()).await };
            if shutdown.soft().run_until_cancelled(rung).await.is_none() {
                return;
            }
        }
    }

    /// Writes down what could not be written before, and looks at what is due, one after the other. Whether there is more.
    async fn round(&self, shutdown: &Shutdown) -> Result<bool, Error> {
        self.catch_up().await?;
        let left = self.waiting.left();
        let most = DUE + left.len() as u64;
        let due = self.store.rollups_due(self.clock.today(), self.clock.now(), most).await?;
        let (more, mut some) = (due.len() as u64 == most, false);
        for connection in due.into_iter().filter(|connection| !left.contains(connection)) {
            if shutdown.soft().is_cancelled() {
                return Ok(false);
            }
            match self.attempt(Cause::Turn(connection), shutdown).await {
                Attempt::Done => some = true,
                Attempt::NotNow | Attempt::Failed => {}
                Attempt::Away | Attempt::Stopped => return Ok(false),
            }
        }
        Ok(more && some)
    }

    async fn catch_up(&self) -> Result<(), Error> {
        let mut unsettled = self.waiting.take_unsettled().into_iter();
        while let Some((claim, settlement)) = unsettled.next() {
            if let Err(error) = self.store.settle_rollup(&claim, settlement).await {
                self.waiting.owe(claim, settlement);
                unsettled.for_each(|(claim, settlement)| self.waiting.owe(claim, settlement));
                return Err(error);
            }
        }
        let mut asked = self.waiting.take_asked().into_iter();
        while let Some(connection) = asked.next() {
            if let Err(error) = self.store.ask_for_rollup(&connection).await {
                self.waiting.ask(connection);
                asked.for_each(|connection| self.waiting.ask(connection));
                return Err(error);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_five_minutes() {
        let seconds = [0, 1, 2, 8, 9, 40, u32::MAX].map(|failures| backoff(failures).as_secs());
        assert_eq!(seconds, [1, 2, 4, 256, 300, 300, 300]);
    }
}
